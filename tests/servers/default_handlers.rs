//! Servers without handlers for calls or casts, and descriptions of servers as children.

use crate::support;

use std::time::Duration;

use regrow::{
    CallError, ChildSpec, GenServer, Overflow, Received, Reply, Result, Runtime, ServerContext,
    Supervisor,
};
use support::log::Log;

/// A server with an `init` only.
struct Bare;

impl GenServer for Bare {
    type Args = &'static str;
    type Call = Reply<u8>;
    type Cast = u8;

    async fn init(_: &'static str, _: &mut ServerContext<Self>) -> Result<Self> {
        Ok(Bare)
    }
}

/// The caller gets an error at once, the log has one line for each request, and the server runs on.
#[tokio::test(start_paused = true)]
async fn a_request_without_a_handler_is_logged_and_dropped() {
    let (log, rt) = (Log::listen(), Runtime::new());
    let bare = Bare::start(&rt, "").await.unwrap();
    assert_eq!(bare.call(|reply| reply).await, Err(CallError::NoReply));
    assert!(bare.cast(1));
    rt.send(bare.pid().unwrap(), b"hi".to_vec());
    assert_eq!(bare.call(|reply| reply).await, Err(CallError::NoReply));
    let lines = log.take();
    let warnings: Vec<_> = lines.iter().filter(|line| line.head().starts_with("WARN")).collect();
    let heads: Vec<_> = warnings.iter().map(|line| line.head()).collect();
    assert_eq!(
        heads,
        [
            "WARN unexpected call dropped",
            "WARN unexpected cast dropped",
            "WARN unexpected message dropped",
            "WARN unexpected call dropped",
        ]
    );
    assert_eq!(warnings[0].field("kind"), "regrow::call::reply::Reply<u8>");
    assert_eq!(warnings[1].field("kind"), "u8");
    assert!(rt.is_alive(bare.pid().unwrap()));
}

#[tokio::test(start_paused = true)]
async fn a_description_of_a_server_is_a_child_with_its_settings() {
    let rt = Runtime::new();
    let second = Duration::from_secs(1);
    let spec = Bare::spec("").named("bare").label("id").init_timeout(second);
    let child: ChildSpec = spec.mailbox_capacity(3, Overflow::Reject).warn_after(second).into();
    assert_eq!((child.id(), child.name()), ("id", Some("bare")));
    assert_eq!(child.get_init_timeout(), Some(second));
    assert_eq!(child.get_warn_after(), Some(second));
    let tree =
        Supervisor::one_for_one().child(child).child(Bare::spec("")).start(&rt).await.unwrap();
    assert_eq!(rt.info(rt.whereis("bare").unwrap()).unwrap().mailbox_capacity, Some(3));
    assert_eq!(tree.which_children().await.unwrap()[1].id, "Bare");
}

#[test]
fn a_received_item_gives_access_to_one_kind_only() {
    let message = Received::Message(Vec::new());
    assert_eq!((message.exit(), message.down()), (None, None));
}
