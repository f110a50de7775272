//! Reading and changing the state of a live server.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use regrow::{
    CallError, ExitReason, GenServer, Name, Overflow, Reply, Result, Runtime, ServerContext,
    ServerRef, Supervisor,
};
use tokio::sync::Notify;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use crate::support::{self, log::Log};
use support::settled;

/// A server that keeps numbers.
struct Store {
    numbers: Vec<u32>,
    ends: UnboundedSender<String>,
    gate: Arc<Notify>,
}

enum Call {
    /// Peeks at the server itself.
    PeekAtItself(Reply<CallError>),
}

enum Cast {
    Push(u32),
    /// Waits until the gate opens.
    Wait,
}

impl GenServer for Store {
    type Args = (UnboundedSender<String>, Arc<Notify>);
    type Call = Call;
    type Cast = Cast;

    async fn init((ends, gate): Self::Args, _: &mut ServerContext<Self>) -> Result<Self> {
        Ok(Store { numbers: vec![1], ends, gate })
    }

    async fn handle_call(&mut self, call: Call, ctx: &mut ServerContext<Self>) -> Result {
        let Call::PeekAtItself(reply) = call;
        reply.send(ctx.this().peek(|_| ()).await.unwrap_err());
        Ok(())
    }

    async fn handle_cast(&mut self, cast: Cast, _: &mut ServerContext<Self>) -> Result {
        match cast {
            Cast::Push(number) => self.numbers.push(number),
            Cast::Wait => self.gate.notified().await,
        }
        Ok(())
    }

    async fn terminate(&mut self, reason: &ExitReason) {
        self.ends.send(format!("{:?} {reason}", self.numbers)).unwrap();
    }
}

const STORE: Name<Store> = Name::new("store");

async fn start(rt: &Runtime) -> ServerRef<Store> {
    Store::start(rt, (unbounded_channel().0, Arc::default())).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn requests_are_handled_in_order_with_casts_and_also_while_suspended() {
    let rt = Runtime::new();
    let store = start(&rt).await;
    store.cast(Cast::Push(2));
    assert_eq!(store.peek(|state| state.numbers.clone()).await, Ok(vec![1, 2]));
    store.suspend().await.unwrap();
    store.cast(Cast::Push(4));
    assert_eq!(store.update(|state| state.numbers.push(3)).await, Ok(()));
    assert_eq!(store.peek(|state| state.numbers.clone()).await, Ok(vec![1, 2, 3]));
    assert!(store.get_status().await.unwrap().suspended);
    store.resume().await.unwrap();
    assert_eq!(store.peek(|state| state.numbers.clone()).await, Ok(vec![1, 2, 3, 4]));
}

#[tokio::test(start_paused = true)]
async fn a_closure_runs_in_the_process_of_the_server() {
    let rt = Runtime::new();
    let store = start(&rt).await;
    let same = store.clone();
    let asked = store.peek(move |_| same.peek(|_| ()).now_or_never()).await;
    assert_eq!(asked, Ok(Some(Err(CallError::CallingSelf))));
    let error = store.call(Call::PeekAtItself).await.unwrap();
    assert_eq!(error, CallError::CallingSelf);
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_peek_is_the_askers_error_and_the_server_runs_on() {
    let rt = Runtime::new();
    let store = start(&rt).await;
    for suspended in [false, true] {
        if suspended {
            store.suspend().await.unwrap();
        }
        let error = store.peek(|_| -> u32 { panic!("no such number") }).await.unwrap_err();
        let CallError::Panicked { crash, server_ends: false } = &error else { panic!("{error}") };
        assert_eq!(crash.message(), "no such number");
        assert_eq!(
            error.to_string(),
            "the closure of this request panicked, the server runs on: panic: no such number"
        );
        assert_eq!(store.peek(|state| state.numbers.len()).await, Ok(1));
    }
}

/// The asker gets the panic, `terminate` sees the state as the closure left it, and the supervisor
/// restarts the server.
#[tokio::test(start_paused = true)]
async fn a_panic_in_update_ends_the_server_with_that_crash() {
    for suspended in [false, true] {
        let (rt, (ends, mut ended)) = (Runtime::new(), unbounded_channel());
        let child = Store::child((ends, Arc::default())).named(STORE);
        let tree = Supervisor::one_for_one().child(child).start(&rt).await.unwrap();
        let store = rt.server(STORE);
        if suspended {
            store.suspend().await.unwrap();
        }
        let reason = store.ended();
        let changed = store.update(|state| {
            state.numbers.clear();
            panic!("half done");
        });
        let error: CallError = changed.await.unwrap_err();
        let CallError::Panicked { crash, server_ends: true } = &error else { panic!("{error}") };
        assert_eq!(crash.message(), "half done");
        assert_eq!(reason.await, ExitReason::Crashed(crash.clone()));
        assert_eq!(ended.recv().await.unwrap(), "[] panic: half done");
        tree.count_children().await.unwrap(); // answered after the restart
        assert_eq!(store.peek(|state| state.numbers.clone()).await, Ok(vec![1]));
    }
}

/// The server hangs in a handler, and is killed before it takes the request.
#[tokio::test(start_paused = true)]
async fn a_request_that_is_never_taken_fails_with_the_reason_and_drops_its_closure() {
    let rt = Runtime::new();
    let store = start(&rt).await;
    store.cast(Cast::Wait);
    settled().await;
    let captured = Arc::new(());
    let weak = Arc::downgrade(&captured);
    let asked = tokio::spawn({
        let store = store.clone();
        async move { store.update(move |_| drop(captured)).await }
    });
    settled().await;
    rt.kill(store.pid().unwrap());
    assert_eq!(asked.await.unwrap(), Err(CallError::Exited(ExitReason::Killed)));
    assert_eq!(weak.strong_count(), 0);
    assert_eq!(store.peek(|_| ()).await, Err(CallError::NoProc));
}

#[tokio::test(start_paused = true)]
async fn a_request_times_out_after_five_seconds_and_is_carried_out_later() {
    let (rt, gate) = (Runtime::new(), Arc::new(Notify::new()));
    let store = Store::start(&rt, (unbounded_channel().0, gate.clone())).await.unwrap();
    store.cast(Cast::Wait);
    let begun = tokio::time::Instant::now();
    assert_eq!(store.update(|state| state.numbers.push(9)).await, Err(CallError::Timeout));
    assert_eq!(begun.elapsed(), Duration::from_secs(5));
    gate.notify_one();
    assert_eq!(store.peek(|state| state.numbers.clone()).await, Ok(vec![1, 9]));
}

/// A result whose destructor panics.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("the result explodes");
    }
}

/// The server waits in a handler until each asker has gone.
#[tokio::test(start_paused = true)]
async fn a_result_that_no_asker_takes_is_dropped_and_its_panic_is_caught() {
    let (log, rt, gate) = (Log::listen(), Runtime::new(), Arc::new(Notify::new()));
    let store = Store::start(&rt, (unbounded_channel().0, gate.clone())).await.unwrap();
    store.cast(Cast::Wait);
    assert!(store.peek(|_| Bomb).await.is_err());
    assert!(store.update(|_| Bomb).await.is_err());
    gate.notify_one();
    assert_eq!(store.peek(|state| state.numbers.len()).await, Ok(1));
    let lines = log.take();
    let panics = lines.iter().filter(|line| line.head() == "WARN a destructor panicked");
    let texts: Vec<_> = panics.map(|line| line.field("panic")).collect();
    assert_eq!(texts, ["the result explodes"; 2]);
}

#[tokio::test(start_paused = true)]
async fn a_full_mailbox_refuses_no_request() {
    let rt = Runtime::new();
    let spec = Store::spec((unbounded_channel().0, Arc::default()));
    let store = spec.mailbox_capacity(1, Overflow::Reject).start(&rt).await.unwrap();
    assert!(store.cast(Cast::Push(2)));
    assert_eq!(store.peek(|state| state.numbers.clone()).await, Ok(vec![1, 2]));
}
