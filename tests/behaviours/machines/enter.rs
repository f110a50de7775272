//! The entries of states.

use std::time::Duration;

use regrow::{Event, ExitReason, Next, StateMachine};
use tokio::time::sleep;

use super::{Call, Running, Script, State, act, args, go, log};
use crate::support::settled;

/// STM-003.
#[tokio::test(start_paused = true)]
async fn each_state_is_entered_before_any_event_in_it() {
    let mut running = Running::new().await;
    running.cast_all([go("go", State::B), log("later")]);
    let expected = ["A enter from start", "A cast go", "B enter from A", "B cast later"];
    assert_eq!(running.logged().await, expected);
}

#[tokio::test(start_paused = true)]
async fn the_first_state_is_entered_without_an_event() {
    let mut running = Running::new().await;
    assert_eq!(running.logged().await, ["A enter from start"]);
}

#[tokio::test(start_paused = true)]
async fn a_repeated_state_is_entered_again_and_an_equal_one_is_not() {
    let mut running = Running::new().await;
    running.cast_all([go("equal", State::A), act("repeat", |_| Ok(Next::Repeat))]);
    let expected = ["A cast equal", "A cast repeat", "A enter from A"];
    assert_eq!(running.events().await, expected);
}

#[tokio::test(start_paused = true)]
async fn an_entry_sets_the_time_outs_of_its_state() {
    let second = Duration::from_secs(1);
    let mut running = Running::with(move |state, ctx| {
        match state {
            State::A => ctx.state_timeout(second, go("to b", State::B)),
            State::B => ctx.timeout("g", second, go("to c", State::C)),
            _ => ctx.event_timeout(second, log("last")),
        }
        Ok(())
    })
    .await;
    sleep(Duration::from_secs(4)).await;
    let expected = [
        "A state_timeout to b",
        "B enter from A",
        "B g to c",
        "C enter from B",
        "C event_timeout last",
    ];
    assert_eq!(running.events().await, expected);
}

#[tokio::test(start_paused = true)]
async fn a_time_out_of_an_entry_replaces_that_of_the_handler() {
    let mut running = Running::with(|state, ctx| {
        if *state == State::B {
            ctx.state_timeout(Duration::from_secs(1), log("of the entry"));
        }
        Ok(())
    })
    .await;
    running.cast(act("go", |ctx| {
        ctx.state_timeout(Duration::from_secs(2), log("of the handler"));
        Ok(Next::State(State::B))
    }));
    sleep(Duration::from_secs(4)).await;
    let expected = ["A cast go", "B enter from A", "B state_timeout of the entry"];
    assert_eq!(running.events().await, expected);
}

#[tokio::test(start_paused = true)]
async fn a_cast_that_an_entry_continues_with_is_handled_next() {
    let mut running = Running::with(|state, ctx| {
        if *state == State::B {
            ctx.continue_with(log("continued"));
        }
        Ok(())
    })
    .await;
    running.cast_all([log("p1"), go("go", State::B), log("later")]);
    let expected = ["A cast go", "B enter from A", "B cast continued", "B cast p1", "B cast later"];
    assert_eq!(running.events().await, expected);
}

#[tokio::test(start_paused = true)]
async fn an_entry_that_fails_ends_the_machine_in_the_new_state() {
    let mut running = Running::with(|state, _| match state {
        State::B => Err(ExitReason::crashed("no b")),
        _ => Ok(()),
    })
    .await;
    let ended = running.machine.ended();
    let ask = running.machine.call(|reply| Call::Ask("p1", reply));
    running.cast(go("go", State::B));
    assert!(ask.await.is_err());
    assert_eq!(ended.await, ExitReason::crashed("no b"));
    let logged = running.events().await;
    assert_eq!(logged.last().unwrap(), "B terminate no b, 0 kept");
}

/// As in OTP, the start has returned.
#[tokio::test(start_paused = true)]
async fn the_first_entry_runs_after_the_start_and_its_failure_is_a_crash() {
    let rt = regrow::Runtime::new();
    let (args, mut log) = args(|_| (), |_, _| Err(ExitReason::crashed("no entry")));
    let machine = Script::start(&rt, args).await.unwrap();
    assert_eq!(machine.ended().await, ExitReason::crashed("no entry"));
    assert_eq!(log.recv().await.unwrap(), "A enter from start");
    assert_eq!(log.recv().await.unwrap(), "A terminate no entry, 0 kept");
}

#[tokio::test(start_paused = true)]
async fn an_event_that_waits_for_the_first_entry_is_handled_after_it() {
    let mut running = Running::begun(
        |ctx| ctx.next_event(Event::Internal(log("inserted"))),
        |state, ctx| {
            if *state == State::A {
                ctx.state_timeout(Duration::ZERO, log("zero"));
            }
            Ok(())
        },
    )
    .await;
    settled().await;
    let expected = ["A enter from start", "A internal inserted", "A state_timeout zero"];
    assert_eq!(running.logged().await, expected);
}
