//! The owners of handlers: the one message, whatever ends the handler, the manager or the owner.

use super::{Ask, Event, Init, Manager, Notes, Spy, crashed, manager, texts};
use crate::support;

use regrow::{
    ExitReason, GenServer, HandlerEnd, HandlerEnded, HandlerError, HandlerExits, HandlerOwner,
    HandlerRef, Name, Reply, Result, Runtime, ServerContext, ServerName,
};
use support::{TestProcess, race, settled};

/// A manager, a process that owns handlers of it, and what the handlers note.
struct World {
    rt: Runtime,
    notes: Notes,
    manager: Manager,
    process: TestProcess,
}

impl World {
    async fn new() -> World {
        let rt = Runtime::new();
        let (manager, process) = (manager(&rt).await, TestProcess::new(&rt));
        World { rt, notes: Notes::new(), manager, process }
    }

    /// Adds a handler that the process owns, and returns what receives its end.
    async fn owned(&self, text: &str) -> (HandlerRef<Event, Spy>, HandlerExits) {
        let (it, exits) = owner(&self.process).await;
        (owned(&self.manager, text, &self.notes, it).await, exits)
    }
}

/// Makes a test process the owner.
async fn owner(process: &TestProcess) -> (HandlerOwner, HandlerExits) {
    process.ask(|ctx| HandlerOwner::process(ctx)).await
}

async fn owned(
    manager: &Manager,
    text: &str,
    notes: &Notes,
    owner: impl Into<HandlerOwner>,
) -> HandlerRef<Event, Spy> {
    let args = (notes.clone(), Init::Fine);
    manager.add_sup_handler::<Spy>(text, args, owner).await.unwrap()
}

/// Returns the only message of an owner whose handler has ended.
async fn only(mut exits: HandlerExits) -> HandlerEnd {
    let ended = exits.next().await.unwrap();
    assert_eq!(ended.handler.text(), "one");
    assert_eq!(exits.next().await, None);
    ended.end
}

/// EVT-009.
#[tokio::test]
async fn an_owner_gets_one_message_when_its_handler_is_removed_or_fails() {
    let world = World::new().await;
    let (one, exits) = world.owned("one").await;
    let infos = world.manager.which_handlers().await.unwrap();
    assert_eq!(infos[0].owner, Some(world.process.pid()));
    one.delete("bye").await.unwrap();
    assert_eq!(only(exits).await, HandlerEnd::Removed);

    for (event, message) in [("panic", "as asked"), ("fail", "failed")] {
        let (_, exits) = world.owned("one").await;
        world.manager.notify(Event(event));
        let end = only(exits).await;
        let HandlerEnd::Failed(reason) = end else { panic!("{end:?}") };
        assert_eq!(crashed(&reason), message);
    }
    let (_, exits) = world.owned("one").await;
    world.manager.notify(Event("leave"));
    assert_eq!(only(exits).await, HandlerEnd::Removed);

    let (one, exits) = world.owned("one").await;
    one.call(Ask::Panic).await.unwrap_err();
    assert!(matches!(only(exits).await, HandlerEnd::Failed(_)));
    assert_eq!(world.rt.info(world.process.pid()).unwrap().monitors, 0);
}

/// EVT-011.
#[tokio::test]
async fn an_owner_is_notified_of_a_stop_and_of_a_kill_of_the_manager() {
    let World { rt, notes, manager: stopped, process } = World::new().await;
    let (it, exits) = owner(&process).await;
    owned(&stopped, "one", &notes, it).await;
    stopped.stop(ExitReason::Normal).await.unwrap();
    assert_eq!(only(exits).await, HandlerEnd::Shutdown);

    let killed = manager(&rt).await;
    let (it, exits) = owner(&process).await;
    owned(&killed, "one", &notes, it).await;
    rt.kill(killed.pid().unwrap());
    assert_eq!(only(exits).await, HandlerEnd::ManagerEnded);
    assert!(rt.is_alive(process.pid()));
}

#[tokio::test(start_paused = true)]
async fn a_kill_during_a_handler_notifies_the_owner_once() {
    let world = World::new().await;
    let (_, exits) = world.owned("one").await;
    world.manager.notify(Event("wait"));
    settled().await;
    world.rt.kill(world.manager.pid().unwrap());
    assert_eq!(only(exits).await, HandlerEnd::ManagerEnded);
}

#[tokio::test]
async fn an_owner_whose_handler_was_not_added_gets_no_message() {
    let World { rt, notes, manager, process } = World::new().await;
    for init in [Init::Fails, Init::Panics] {
        let (it, mut exits) = owner(&process).await;
        let args = (notes.clone(), init);
        manager.add_sup_handler::<Spy>("one", args, it).await.unwrap_err();
        assert_eq!(exits.next().await, None);
    }
    let (it, mut exits) = owner(&process).await;
    rt.kill(manager.pid().unwrap());
    let args = (notes.clone(), Init::Fine);
    manager.add_sup_handler::<Spy>("one", args, it).await.unwrap_err();
    assert_eq!(exits.next().await, None);
}

#[tokio::test]
async fn a_handler_is_removed_when_its_owner_ends() {
    let World { notes, manager, process, .. } = World::new().await;
    let (it, _exits) = owner(&process).await;
    owned(&manager, "one", &notes, it.clone()).await;
    owned(&manager, "two", &notes, it).await;
    process.fail(support::crash("gone"));
    process.handle.join().await;
    assert!(texts(&manager).await.is_empty());
    let ends = notes.take();
    let why = format!("terminate OwnerEnded({:?})", support::crash("gone"));
    assert_eq!(ends, ["init one", "init two", &why, &why].map(str::to_owned));
}

#[tokio::test(start_paused = true)]
async fn an_owner_that_ends_while_its_handler_is_added_leaves_no_handler() {
    let World { rt, notes, manager, process } = World::new().await;
    let (it, _exits) = owner(&process).await;
    let added = tokio::spawn({
        let (manager, notes) = (manager.clone(), notes.clone());
        async move { manager.add_sup_handler::<Spy>("one", (notes, Init::Waits), it).await }
    });
    settled().await;
    support::killed(&rt, process.pid()).await;
    notes.1.add_permits(1);
    added.await.unwrap().unwrap();
    assert!(texts(&manager).await.is_empty());
    assert_eq!(notes.take(), ["init one", "terminate OwnerEnded(Killed)"]);

    // The owner has ended before the request.
    let process = TestProcess::new(&rt);
    let (it, _exits) = owner(&process).await;
    support::killed(&rt, process.pid()).await;
    owned(&manager, "one", &notes, it).await;
    assert!(texts(&manager).await.is_empty());
    assert_eq!(notes.take(), ["init one", "terminate OwnerEnded(NoProc)"]);
}

#[tokio::test]
async fn a_swapped_handler_has_the_owner_of_the_old_one() {
    let world = World::new().await;
    let (one, mut exits) = world.owned("one").await;
    let args = world.notes.clone();
    let two = one.swap::<Spy>("go", "two", move |_| (args, Init::Fine)).await.unwrap();
    let by = two.id().clone();
    let swapped = exits.next().await.unwrap();
    assert_eq!(swapped.end, HandlerEnd::Swapped { by, owner: Some(world.process.pid()) });
    two.delete("bye").await.unwrap();
    let removed = exits.next().await.unwrap();
    assert_eq!((removed.handler.text(), removed.end), ("two", HandlerEnd::Removed));
    assert_eq!(exits.next().await, None);
}

#[tokio::test]
async fn a_swap_with_an_owner_gives_the_new_handler_to_that_owner() {
    let World { rt, notes, manager, process: old } = World::new().await;
    let new = TestProcess::new(&rt);
    let ((old_owner, exits), (new_owner, new_exits)) = (owner(&old).await, owner(&new).await);
    let one = owned(&manager, "one", &notes, old_owner).await;
    let args = notes.clone();
    let two = one.swap_sup::<Spy>("go", "one", move |_| (args, Init::Fine), new_owner);
    let two = two.await.unwrap();
    let end = HandlerEnd::Swapped { by: two.id().clone(), owner: Some(new.pid()) };
    assert_eq!(only(exits).await, end);
    support::killed(&rt, old.pid()).await;
    assert_eq!(texts(&manager).await, ["one"]); // the old owner has no handler any more
    manager.notify(Event("leave"));
    assert_eq!(only(new_exits).await, HandlerEnd::Removed);
}

#[tokio::test]
async fn an_owner_is_notified_if_the_handler_that_replaces_its_own_is_not_added() {
    let World { notes, manager, process, .. } = World::new().await;
    let (it, mut exits) = owner(&process).await;
    let one = owned(&manager, "one", &notes, it.clone()).await;
    let args = notes.clone();
    one.swap::<Spy>("go", "bad", move |_| (args, Init::Fails)).await.unwrap_err();
    assert!(matches!(exits.next().await.unwrap().end, HandlerEnd::Swapped { .. }));
    let failed = exits.next().await.unwrap();
    assert!(failed.handler.text() == "bad" && matches!(failed.end, HandlerEnd::Failed(_)));

    owned(&manager, "one", &notes, it).await;
    manager.notify(Event("swap to bad")); // asked for by the handler itself
    assert!(matches!(exits.next().await.unwrap().end, HandlerEnd::Swapped { .. }));
    assert!(matches!(exits.next().await.unwrap().end, HandlerEnd::Failed(_)));
    assert_eq!(exits.next().await, None);
    assert!(texts(&manager).await.is_empty());
}

/// A server that owns handlers, and collects their ends.
pub(super) struct Owner(Vec<HandlerEnded>);

impl GenServer for Owner {
    /// Where it adds a handler in its `init`.
    type Args = Option<(Manager, Notes)>;
    type Call = Reply<Vec<HandlerEnded>>;
    type Cast = HandlerEnded;

    async fn init(of: Self::Args, ctx: &mut ServerContext<Self>) -> Result<Self> {
        if let Some((manager, notes)) = of {
            let this = ctx.this().sender(|ended| ended);
            manager.add_sup_handler::<Spy>("one", (notes, Init::Fine), this).await?;
        }
        Ok(Owner(vec![]))
    }

    async fn handle_call(&mut self, call: Self::Call, _: &mut ServerContext<Self>) -> Result {
        call.send(self.0.clone());
        Ok(())
    }

    async fn handle_cast(&mut self, ended: HandlerEnded, _: &mut ServerContext<Self>) -> Result {
        self.0.push(ended);
        Ok(())
    }
}

/// EVT-009.
#[tokio::test]
async fn a_server_that_owns_a_handler_gets_its_end_as_a_cast() {
    let (rt, notes) = (Runtime::new(), Notes::new());
    let manager = manager(&rt).await;
    let server = Owner::start(&rt, Some((manager.clone(), notes.clone()))).await.unwrap();
    manager.sync_notify(Event("leave")).await.unwrap();
    let ends = server.call(|reply| reply).await.unwrap();
    assert_eq!(ends.len(), 1);
    assert_eq!((ends[0].handler.text(), &ends[0].end), ("one", &HandlerEnd::Removed));

    let absent = rt.server::<Owner>(ServerName::from("absent")).sender(|ended| ended);
    let args = (notes, Init::Fine);
    let refused = manager.add_sup_handler::<Spy>("one", args, absent).await.unwrap_err();
    assert!(matches!(refused, HandlerError::NoOwner(_)), "{refused:?}");
}

const OWNER: Name<Owner> = Name::new("owner");

/// The handler of the first holder is removed by the end of that holder, or before the manager
/// handles that end.
#[tokio::test(start_paused = true)]
async fn the_next_holder_of_the_name_of_an_owner_gets_no_message_of_its_handler() {
    let (rt, notes) = (Runtime::new(), Notes::new());
    let manager = manager(&rt).await;
    for event in ["a", "leave"] {
        let first = Owner::start_named(&rt, OWNER, None).await.unwrap();
        let by_name = rt.server(OWNER).sender(|ended| ended).map(|ended| ended);
        owned(&manager, "one", &notes, by_name).await;
        manager.notify(Event("wait"));
        manager.notify(Event(event));
        settled().await;
        support::killed(&rt, first.pid().unwrap()).await;
        let second = Owner::start_named(&rt, OWNER, None).await.unwrap();
        notes.1.add_permits(1);
        assert!(texts(&manager).await.is_empty());
        assert_eq!(second.call(|reply| reply).await, Ok(vec![]));
        support::killed(&rt, second.pid().unwrap()).await;
    }
}

#[tokio::test]
async fn an_owner_that_loses_its_name_is_still_notified() {
    let (rt, notes) = (Runtime::new(), Notes::new());
    let manager = manager(&rt).await;
    let server = Owner::start_named(&rt, OWNER, None).await.unwrap();
    owned(&manager, "one", &notes, rt.server(OWNER).sender(|ended| ended)).await;
    assert!(rt.unregister("owner"));
    manager.sync_notify(Event("leave")).await.unwrap();
    assert_eq!(server.call(|reply| reply).await.unwrap().len(), 1);
}

/// Owners end while their handlers are added, on other threads.
#[test]
fn no_handler_of_an_owner_that_ended_during_the_addition_is_left() {
    race::on_workers(async |rt| {
        let (manager, notes) = (manager(&rt).await, Notes::new());
        for round in 0..200 {
            let (sender, receiver) = tokio::sync::oneshot::channel();
            let asker = rt.spawn(|ctx| async move {
                drop(sender.send(HandlerOwner::process(&ctx)));
                std::future::pending().await
            });
            let (it, exits) = receiver.await.unwrap();
            let killed = tokio::spawn({
                let rt = rt.clone();
                async move { rt.kill(asker.pid()) }
            });
            let text = format!("round {round}");
            owned(&manager, &text, &notes, it).await;
            assert!(killed.await.unwrap());
            assert_eq!(ends(exits).await, 0);
        }
        assert!(texts(&manager).await.is_empty());
        support::assert_nothing_left(&rt).await;
    });
}

/// Returns the number of messages of an owner whose handler has ended.
async fn ends(mut exits: HandlerExits) -> usize {
    let mut ends = 0;
    while exits.next().await.is_some() {
        ends += 1;
    }
    ends
}
