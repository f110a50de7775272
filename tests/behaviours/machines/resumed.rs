//! Machines that go on after a failed callback.

use std::time::Duration;

use regrow::{
    CallError, Callback, EnterContext, Event, FailurePolicy, LifecycleEvent, Machine,
    MachineContext, Next, Result, Runtime, StateMachine, Supervisor, SupervisorRef,
};
use tokio::time::sleep;

use super::{Call, Running, Script, State, act, args, go, log};
use crate::support::settled;

async fn resumed(
    begin: fn(&mut MachineContext<'_, Script>),
    entry: impl Fn(&State, &mut EnterContext<'_, Script>) -> Result + Send + Sync + 'static,
) -> (Running, SupervisorRef) {
    let rt = Runtime::new();
    let (args, log) = args(begin, entry);
    let child = Script::child(args).named("script").on_failure(|_| FailurePolicy::Resume);
    let tree = Supervisor::one_for_one().child(child).start(&rt).await.unwrap();
    let machine = rt.server::<Machine<Script>>("script");
    (Running { rt, machine, log }, tree)
}

fn fail<T>() -> Result<T> {
    Event::<Script>::Idle.unhandled(&State::C)
}

fn panics<T>() -> Result<T> {
    panic!("as asked")
}

/// No message comes that would let the machine go on.
#[tokio::test(start_paused = true)]
async fn a_resumed_machine_handles_the_events_that_are_queued_in_order() {
    let (mut running, _tree) = resumed(|_| (), |_, _| Ok(())).await;
    running.cast_all([log("p1"), log("panic"), log("p2"), act("p fail", |_| fail()), log("p3")]);
    running.cast(go("go", State::B));
    let expected = [
        "A cast go",
        "B enter from A",
        "B cast p1",
        "B cast panic",
        "B cast p2",
        "B cast p fail",
        "B cast p3",
    ];
    assert_eq!(running.events().await, expected);
    assert_eq!(running.rt.counters().resumed, 2);
}

#[tokio::test(start_paused = true)]
async fn what_a_failed_handler_has_requested_is_dropped() {
    let (mut running, _tree) = resumed(|_| (), |_, _| Ok(())).await;
    running.cast(act("fail", |ctx| {
        ctx.next_event(Event::Internal(log("inserted")));
        ctx.timeout("later", Duration::from_secs(1), log("late"));
        ctx.postpone(Event::Cast(log("p1")));
        fail()
    }));
    let asked = running.machine.call(|reply| Call::Ask("then fail", reply)).await;
    assert_eq!(asked, Err(CallError::NoReply));
    running.cast(go("go", State::B));
    sleep(Duration::from_secs(2)).await;
    assert_eq!(running.events().await, ["A cast fail", "A cast go", "B enter from A"]);
}

/// After an error and after a panic.
#[tokio::test(start_paused = true)]
async fn a_change_whose_entry_has_failed_is_finished() {
    for failure in [fail::<()> as fn() -> Result, panics::<()>] {
        finishes_a_change_whose_entry_fails(failure).await;
    }
}

async fn finishes_a_change_whose_entry_fails(failure: fn() -> Result) {
    let entry = move |state: &State, _: &mut EnterContext<'_, Script>| match state {
        State::B => failure(),
        _ => Ok(()),
    };
    let (mut running, _tree) = resumed(|_| (), entry).await;
    running.cast_all([log("p1"), log("p2")]);
    running.cast(act("set", |ctx| {
        ctx.state_timeout(Duration::from_secs(1), log("late"));
        Ok(Next::Keep)
    }));
    running.cast(act("go", |ctx| {
        ctx.next_event(Event::Internal(log("inserted")));
        Ok(Next::State(State::B))
    }));
    settled().await;
    sleep(Duration::from_secs(2)).await;
    let expected = ["A cast set", "A cast go", "B enter from A", "B cast p1", "B cast p2"];
    assert_eq!(running.events().await, expected);
}

#[tokio::test(start_paused = true)]
async fn what_init_has_requested_outlives_a_failed_first_entry() {
    let begin = |ctx: &mut MachineContext<'_, Script>| {
        ctx.next_event(Event::Internal(log("1")));
        ctx.timeout("later", Duration::from_secs(1), log("2"));
    };
    let entry = |_: &State, ctx: &mut EnterContext<'_, Script>| {
        ctx.timeout("never", Duration::from_secs(1), log("3"));
        fail()
    };
    let (mut running, _tree) = resumed(begin, entry).await;
    sleep(Duration::from_secs(2)).await;
    assert_eq!(running.logged().await, ["A enter from start", "A internal 1", "A later 2"]);
}

/// The entry fails once, when the state is repeated.
#[tokio::test(start_paused = true)]
async fn a_machine_goes_on_after_a_failure_of_its_own_events_and_of_a_repeated_entry() {
    let entered = std::sync::atomic::AtomicU32::new(0);
    let entry = move |_: &State, _: &mut EnterContext<'_, Script>| {
        if entered.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 1 {
            panics()
        } else {
            Ok(())
        }
    };
    let (mut running, _tree) = resumed(|_| (), entry).await;
    let (pid, mut events) = (running.machine.pid(), running.rt.events());
    running.cast(act("set", |ctx| {
        ctx.next_event(Event::Internal(act("internal", |_| fail())));
        ctx.state_timeout(Duration::from_secs(2), act("late", |_| panics()));
        ctx.timeout("named", Duration::from_secs(9), act("later", |_| fail()));
        Ok(Next::Keep)
    }));
    sleep(Duration::from_secs(10)).await;
    running.cast_all([act("repeat", |_| Ok(Next::Repeat)), go("go", State::B)]);
    let expected = [
        "A cast set",
        "A internal internal",
        "A state_timeout late",
        "A named later",
        "A cast repeat",
        "A enter from A",
        "A cast go",
        "B enter from A",
    ];
    assert_eq!(running.events().await, expected);
    assert_eq!((running.machine.pid(), running.rt.counters().resumed), (pid, 4));
    let mut callbacks = Vec::new();
    while callbacks.len() < 4 {
        if let LifecycleEvent::Resumed { callback, .. } = events.next().await.unwrap() {
            callbacks.push(callback);
        }
    }
    let event = Callback::HandleEvent;
    assert_eq!(callbacks, [event, event, event, Callback::HandleCast]);
}
