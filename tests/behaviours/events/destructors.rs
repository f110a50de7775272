//! Values whose destructors panic, in the process of a manager: neither the manager nor a handler
//! ends.

use regrow::{
    EventHandler, EventManager, GenServer, HandlerContext, HandlerError, HandlerRef, Removal,
    Reply, Result, Runtime, ServerName, ServerRef,
};

use super::handler_owners::Owner;
use crate::support::injected_panics::{BOOM, hush_injected_panics};
use crate::support::settled;

/// Panics when it is dropped.
struct Glass;

impl Drop for Glass {
    fn drop(&mut self) {
        assert!(std::thread::panicking(), "{BOOM}");
    }
}

enum Note {
    Plain,
    Leave,
    /// The handler requests its swap, and returns `Ok` nevertheless.
    Hesitate,
    Fragile {
        _glass: Glass,
    },
}

/// A handler that panics in no callback. Its arguments, calls and outputs may be fragile.
struct Shelf;

impl EventHandler<Note> for Shelf {
    type Args = Option<Glass>;
    type Call = (Option<Glass>, Reply<()>);
    type RemoveArg = Option<Glass>;
    type Output = Glass;

    async fn init(_: Option<Glass>, _: &mut HandlerContext<Note>) -> Result<Self> {
        Ok(Shelf)
    }

    async fn handle_event(&mut self, event: &Note, ctx: &mut HandlerContext<Note>) -> Result {
        match event {
            Note::Leave => ctx.remove(),
            Note::Hesitate => {
                let args = Glass;
                let _ = ctx.swap::<Shelf, Shelf>(Some(Glass), "other", move |_| Some(args));
                Ok(())
            }
            Note::Plain | Note::Fragile { .. } => Ok(()),
        }
    }

    async fn handle_call(&mut self, call: Self::Call, _: &mut HandlerContext<Note>) -> Result {
        call.1.send(());
        Ok(())
    }

    async fn terminate(self, _: Removal<Option<Glass>>) -> Glass {
        Glass
    }
}

type Manager = ServerRef<EventManager<Note>>;

/// A manager with the handler `one`.
async fn start() -> (Runtime, Manager, HandlerRef<Note, Shelf>) {
    hush_injected_panics();
    let rt = Runtime::new();
    let manager = EventManager::start(&rt, Default::default()).await.unwrap();
    let one = manager.add_handler::<Shelf>("one", None).await.unwrap();
    (rt, manager, one)
}

#[tokio::test]
async fn what_a_refused_request_contains_may_panic_in_its_destructor() {
    let (rt, manager, one) = start().await;
    let absent = manager.handler::<Shelf>("absent");
    let not_found = HandlerError::NotFound(absent.id().clone());
    let called = absent.call(|reply| (Some(Glass), reply)).await;
    assert_eq!(called, Err(not_found.clone()));
    assert_eq!(absent.delete(Some(Glass)).await.err(), Some(not_found));

    let taken = HandlerError::AlreadyAdded(one.id().clone());
    let added = manager.add_handler::<Shelf>("one", Some(Glass)).await;
    assert_eq!(added.err(), Some(taken.clone()));
    let two = manager.add_handler::<Shelf>("two", None).await.unwrap();
    let args = Glass;
    let swapped = two.swap::<Shelf>(Some(Glass), "one", move |_| Some(args)).await;
    assert_eq!(swapped.err(), Some(taken));

    let absent_owner = || rt.server::<Owner>(ServerName::from("x")).sender(|ended| ended);
    let args = Glass;
    let swapped =
        two.swap_sup::<Shelf>(Some(Glass), "y", move |_| Some(args), absent_owner()).await;
    assert!(matches!(swapped, Err(HandlerError::NoOwner(_))));
    let added = manager.add_sup_handler::<Shelf>("y", Some(Glass), absent_owner()).await;
    assert!(matches!(added, Err(HandlerError::NoOwner(_))));
    assert_eq!(one.call(|reply| (None, reply)).await, Ok(()));
    assert_eq!(two.call(|reply| (None, reply)).await, Ok(()));
}

#[tokio::test]
async fn an_event_may_panic_in_its_destructor_and_all_handlers_stay() {
    let (_rt, manager, _one) = start().await;
    assert!(manager.notify(Note::Fragile { _glass: Glass }));
    assert_eq!(manager.sync_notify(Note::Fragile { _glass: Glass }).await, Ok(()));
    assert_eq!(manager.which_handlers().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_swap_that_a_handler_has_requested_and_not_returned_may_panic_in_its_destructors() {
    let (_rt, manager, one) = start().await;
    assert_eq!(manager.sync_notify(Note::Hesitate).await, Ok(()));
    assert_eq!(one.call(|reply| (None, reply)).await, Ok(()));
}

/// The handler leaves by itself, and then its caller has gone.
#[tokio::test(start_paused = true)]
async fn an_output_of_terminate_that_is_dropped_may_panic_in_its_destructor() {
    let (_rt, manager, one) = start().await;
    let two = manager.add_handler::<Shelf>("two", None).await.unwrap();
    assert_eq!(manager.sync_notify(Note::Leave).await, Ok(()));
    assert_eq!(manager.which_handlers().await.unwrap(), []);
    assert!(one.call(|reply| (None, reply)).await.is_err());

    let one = manager.add_handler::<Shelf>("one", None).await.unwrap();
    manager.suspend().await.unwrap();
    let deleted = tokio::spawn(async move { two.delete(None).await.map(drop) });
    let removed = tokio::spawn(async move { one.delete(None).await.map(std::mem::forget) });
    settled().await;
    removed.abort();
    settled().await;
    manager.resume().await.unwrap();
    assert!(matches!(deleted.await.unwrap(), Err(HandlerError::NotFound(_))));
    assert_eq!(manager.which_handlers().await.unwrap(), []);
    assert_eq!(manager.sync_notify(Note::Plain).await, Ok(()));
}
