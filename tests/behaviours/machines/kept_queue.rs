//! A machine whose child keeps its queue.

use std::time::Duration;

use regrow::{CallError, Event, Machine, Next, Runtime, StateMachine, Supervisor, SupervisorRef};
use tokio::time::sleep;

use super::{Call, Running, Script, State, act, args, go, log};
use crate::support::settled;

async fn kept() -> (Running, SupervisorRef) {
    let rt = Runtime::new();
    let (args, log) = args(|_| (), |_, _| Ok(()));
    let child = Script::child(args).named("script").keep_queue();
    let tree = Supervisor::one_for_one().child(child).start(&rt).await.unwrap();
    let machine = rt.server::<Machine<Script>>("script");
    (Running { rt, machine, log }, tree)
}

/// The second inserted event and the time-out are the machine's own, and end with it.
#[tokio::test(start_paused = true)]
async fn a_successor_gets_the_mailbox_of_a_machine_and_nothing_that_was_postponed_or_its_own() {
    let (mut running, _tree) = kept().await;
    let machine = running.machine.clone();
    let postponed = tokio::spawn(async move { machine.call(|reply| Call::Ask("p1", reply)).await });
    settled().await;
    running.cast_all([
        log("p2"),
        act("insert", |ctx| {
            ctx.timeout("late", Duration::from_secs(1), log("late"));
            ctx.next_event(Event::Internal(log("unhandled")));
            ctx.next_event(Event::Internal(log("own")));
            Ok(Next::Keep)
        }),
        log("3"),
        log("p4"),
    ]);
    let crash = "error: the state `a` does not handle this event: idle";
    let terminated = format!("A terminate {crash}, 0 kept");
    let expected = ["A cast insert", "A internal unhandled", &terminated, "A cast 3"];
    assert_eq!(running.events().await, expected);
    let Err(CallError::Exited(reason)) = postponed.await.unwrap() else { panic!() };
    assert_eq!(reason.to_string(), crash);
    assert_eq!(running.rt.unhandled_messages(), 2);
    sleep(Duration::from_secs(2)).await;
    running.cast(go("go", State::B));
    assert_eq!(running.events().await, ["A cast go", "B enter from A", "B cast p4"]);
}

/// The stash of the server context is part of the queue that is kept.
#[tokio::test(start_paused = true)]
async fn what_a_machine_has_stashed_outlives_it_in_front_of_its_queue() {
    let (mut running, _tree) = kept().await;
    running.cast_all([
        act("stash", |ctx| {
            ctx.stash_cast(log("stashed")).map_err(|full| full.to_string())?;
            Ok(Next::Keep)
        }),
        log("unhandled"),
        log("queued"),
    ]);
    let logged = running.events().await;
    assert_eq!(logged[3..], ["A cast stashed", "A cast queued"], "{logged:?}");
    assert_eq!(running.rt.unhandled_messages(), 0);
}
