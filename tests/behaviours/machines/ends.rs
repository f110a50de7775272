//! How a machine ends, and what its callers get.

use std::time::Duration;

use super::{Call, Running, Script, State, act, args, go, log};
use crate::support::{assert_nothing_left, drained, settled};
use regrow::{
    CallError, ExitReason, LifecycleEvent, Next, StateMachine, Supervisor, UnhandledEvent,
};

/// STM-013.
#[tokio::test(start_paused = true)]
async fn callers_get_the_replies_that_are_sent_before_a_stop() {
    let running = Running::new().await;
    let (first, second) = (running.machine.call(Call::Keep), running.machine.call(Call::Keep));
    let stop = async {
        settled().await;
        running.cast(log("reply and stop"));
        running.machine.ended().await
    };
    let answers = tokio::join!(first, second, stop);
    assert_eq!(answers, (Ok(State::A), Ok(State::A), ExitReason::Shutdown));
}

/// STM-015.
#[tokio::test(start_paused = true)]
async fn an_unhandled_event_is_a_crash_whose_callers_get_an_error() {
    let mut running = Running::new().await;
    let postponed = running.machine.call(|reply| Call::Ask("p1", reply));
    let kept = running.machine.call(Call::Keep);
    let asked = running.machine.call(|reply| Call::Ask("unhandled", reply));
    let (postponed, kept, asked) = tokio::join!(postponed, kept, asked);
    assert_eq!(asked, Ok(State::A), "it was answered before");
    let Err(CallError::Exited(reason)) = postponed else { panic!("{postponed:?}") };
    assert_eq!(kept, Err(CallError::Exited(reason.clone())));
    let crash = reason.crash().unwrap();
    let error = crash.downcast_ref::<UnhandledEvent>().unwrap();
    assert_eq!((error.state, error.event), ("a", "idle"));
    let logged = running.logged().await;
    let expected = "A terminate error: the state `a` does not handle this event: idle, 1 kept";
    assert_eq!(logged.last().unwrap(), expected);
}

/// STM-015.
#[tokio::test(start_paused = true)]
async fn a_panic_of_a_handler_leaves_the_state_and_the_data_to_terminate() {
    let mut running = Running::new().await;
    running.cast(go("go", State::B));
    let kept = running.machine.call(Call::Keep);
    let panics = async {
        settled().await;
        running.cast(log("panic"));
    };
    let (kept, ()) = tokio::join!(kept, panics);
    let Err(CallError::Exited(reason)) = kept else { panic!("{kept:?}") };
    assert_eq!(reason.to_string(), "panic: as asked");
    assert_eq!(running.logged().await.last().unwrap(), "B terminate panic: as asked, 1 kept");
}

/// STM-017.
#[tokio::test(start_paused = true)]
async fn a_call_that_times_out_leaves_the_machine_and_drops_the_late_reply() {
    let mut running = Running::new().await;
    let limit = Duration::from_millis(50);
    let asked = running.machine.call_timeout(|reply| Call::Ask("p1", reply), limit).await;
    assert_eq!(asked, Err(CallError::Timeout));
    running.cast(go("go", State::B));
    assert_eq!(running.events().await, ["A cast go", "B enter from A", "B call p1"]);
    assert_eq!(running.machine.call(|reply| Call::Ask("now", reply)).await, Ok(State::B));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_was_dropped_by_its_handler_is_not_answered() {
    let running = Running::new().await;
    let asked = running.machine.call(|reply| Call::Ask("drop", reply)).await;
    assert_eq!(asked, Err(CallError::NoReply));
}

/// The kill comes after a handler, when the loop has the next event already.
#[tokio::test(start_paused = true)]
async fn each_message_of_a_machine_that_is_killed_is_handled_or_left() {
    let mut running = Running::new().await;
    let (rt, pid) = (running.rt.clone(), running.machine.pid().unwrap());
    let kill = act("p kill", move |_| {
        rt.kill(pid);
        Ok(Next::Keep)
    });
    running.cast_all([log("p1"), kill, log("p3"), log("p4")]);
    let ask = running.machine.call(|reply| Call::Ask("p5", reply));
    let go = async {
        settled().await;
        running.cast(go("go", State::B));
        running.machine.ended().await
    };
    assert_eq!(tokio::join!(ask, go).1, ExitReason::Killed);
    let handled = running.events().await;
    assert_eq!(handled, ["A cast go", "B enter from A", "B cast p1", "B cast p kill"]);
    assert_eq!(3 + running.rt.unhandled_messages(), 6);
    assert_nothing_left(&running.rt).await;
}

#[tokio::test(start_paused = true)]
async fn what_a_failed_handler_has_postponed_is_left_unhandled() {
    let running = Running::new().await;
    running.cast(log("then fail"));
    assert!(running.machine.ended().await.crash().is_some());
    assert_eq!(running.rt.unhandled_messages(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_a_machine_has_postponed_is_left_unhandled_at_its_end() {
    let running = Running::new().await;
    let mut events = running.rt.events();
    running.cast_all([log("p1"), log("p2")]);
    let ask = running.machine.call(|reply| Call::Ask("p3", reply));
    let kill = async {
        settled().await;
        running.rt.kill(running.machine.pid().unwrap());
    };
    let (asked, ()) = tokio::join!(ask, kill);
    let Err(CallError::Exited(ExitReason::Killed)) = asked else { panic!("{asked:?}") };
    let left = loop {
        if let LifecycleEvent::LeftUnhandled { casts, calls, .. } = events.next().await.unwrap() {
            break (casts, calls);
        }
    };
    assert_eq!(left, (2, 1));
    assert_eq!(running.rt.unhandled_messages(), 3);
    assert_nothing_left(&running.rt).await;
}

/// The request is behind the events that were queued before it, and those that are handled again.
#[tokio::test(start_paused = true)]
async fn a_request_to_stop_waits_for_events_that_are_handled_again_and_not_for_postponed_ones() {
    let mut running = Running::new().await;
    running.cast_all([log("p1"), go("go", State::B), go("back", State::A), log("p2")]);
    running.machine.stop(ExitReason::Normal).await.unwrap();
    let logged = running.events().await;
    assert_eq!(logged.last().unwrap(), "A terminate normal, 0 kept");
    assert!(logged.contains(&"B cast p1".to_owned()) && logged.len() == 6, "{logged:?}");
    assert_eq!(running.rt.unhandled_messages(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_drain_handles_what_is_queued_and_leaves_what_is_postponed() {
    let mut running = Running::begun(
        |ctx| {
            ctx.drain_on_stop(Duration::from_secs(1));
        },
        |_, _| Ok(()),
    )
    .await;
    running.cast_all([log("p1"), log("1"), log("2")]);
    running.machine.stop(ExitReason::Shutdown).await.unwrap();
    let expected = ["A cast 1", "A cast 2", "A terminate shutdown, 0 kept"];
    assert_eq!(running.events().await, expected);
}

#[tokio::test(start_paused = true)]
async fn a_supervisor_restarts_a_machine_in_its_first_state() {
    let rt = regrow::Runtime::new();
    let (args, mut log_of) = args(|_| (), |_, _| Ok(()));
    let child = Script::child(args).named("script");
    assert_eq!(child.id(), "Script");
    let tree = Supervisor::one_for_one().child(child).start(&rt).await.unwrap();
    let machine = rt.server::<regrow::Machine<Script>>("script");
    machine.cast(go("go", State::B));
    let ended = machine.ended();
    machine.cast(log("panic"));
    ended.await;
    let asked = machine.call_waiting(|reply| Call::Ask("1", reply), Duration::from_secs(1)).await;
    assert_eq!(asked, Ok(State::A));
    let logged = drained(&mut log_of);
    assert_eq!(logged[4], "B terminate panic: as asked, 0 kept");
    assert_eq!(logged[5..], ["A enter from start", "A call 1"]);
    tree.stop().await.unwrap();
    assert_nothing_left(&rt).await;
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_stops_in_a_time_out_ends_with_its_reason() {
    let running = Running::new().await;
    let stop = act("stop", |ctx| ctx.stop(ExitReason::Shutdown));
    running.cast(act("set", |ctx| {
        ctx.state_timeout(Duration::from_secs(1), stop);
        Ok(Next::Keep)
    }));
    assert_eq!(running.machine.ended().await, ExitReason::Shutdown);
}
