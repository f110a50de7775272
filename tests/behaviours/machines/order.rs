//! The order of events: postponed, inserted, queued.

use std::time::Duration;

use regrow::{CallError, Event, Next, Received};

use super::{Call, Running, State, act, go, log};
use crate::support::settled;

/// STM-001.
#[tokio::test(start_paused = true)]
async fn postponed_events_are_handled_again_in_order_after_a_change_of_state() {
    let mut running = Running::new().await;
    running.cast_all([log("p1"), log("p2"), go("go", State::B), log("3")]);
    let expected = ["A cast go", "B enter from A", "B cast p1", "B cast p2", "B cast 3"];
    assert_eq!(running.events().await, expected);
}

#[tokio::test(start_paused = true)]
async fn an_event_that_is_postponed_and_changes_the_state_is_handled_again_after_older_ones() {
    let mut running = Running::new().await;
    let both = act("both", |ctx| {
        ctx.postpone(Event::Cast(log("again")));
        Ok(Next::State(State::B))
    });
    running.cast_all([log("p1"), both, log("later")]);
    let expected = ["A cast both", "B enter from A", "B cast p1", "B cast again", "B cast later"];
    assert_eq!(running.events().await, expected);
}

#[tokio::test(start_paused = true)]
async fn postponed_events_wait_while_the_state_is_kept_equal_or_repeated() {
    let mut running = Running::new().await;
    let repeat = act("repeat", |_| Ok(Next::Repeat));
    running.cast_all([log("p1"), log("kept"), go("equal", State::A), repeat, log("later")]);
    let expected =
        ["A cast kept", "A cast equal", "A cast repeat", "A enter from A", "A cast later"];
    assert_eq!(running.events().await, expected);
    running.cast(go("go", State::B));
    assert_eq!(running.events().await, ["A cast go", "B enter from A", "B cast p1"]);
}

#[tokio::test(start_paused = true)]
async fn a_state_with_other_data_is_a_change_of_state() {
    let mut running = Running::new().await;
    running.cast_all([log("p1"), go("one", State::Nth(1)), go("two", State::Nth(2))]);
    running.cast_all([go("two again", State::Nth(2))]);
    let expected = [
        "A cast one",
        "Nth(1) enter from A",
        "Nth(1) cast p1",
        "Nth(1) cast two",
        "Nth(2) enter from Nth(1)",
        "Nth(2) cast two again",
    ];
    assert_eq!(running.events().await, expected);
}

#[tokio::test(start_paused = true)]
async fn an_event_that_is_postponed_again_keeps_its_place() {
    let mut running = Running::new().await;
    running.cast_all([go("to b", State::B), go("to a", State::A), log("p1"), log("p2")]);
    running.cast_all([go("to b", State::B), go("to a", State::A), log("p3")]);
    assert_eq!(running.events().await.len(), 10, "p1 and p2 were handled in b");
    // In A again, p1 and p2 are new events, and are postponed twice: B goes back before p1 runs.
    running.cast_all([
        log("p4"),
        act("bounce", |ctx| {
            ctx.next_event(Event::Internal(go("back", State::A)));
            Ok(Next::State(State::B))
        }),
    ]);
    let expected = ["A cast bounce", "B enter from A", "B internal back", "A enter from B"];
    assert_eq!(running.events().await, expected);
    assert_eq!(running.machine.peek(|machine| machine.postponed()).await, Ok(2));
    running.cast(go("out", State::C));
    let expected = ["A cast out", "C enter from A", "C cast p3", "C cast p4"];
    assert_eq!(running.events().await, expected);
}

/// STM-009.
#[tokio::test(start_paused = true)]
async fn internal_events_come_in_order_before_what_is_queued() {
    let mut running = Running::new().await;
    let two = act("two", |ctx| {
        ctx.next_event(Event::Internal(log("1")));
        ctx.next_event(Event::Internal(log("2")));
        Ok(Next::Keep)
    });
    running.cast_all([two, log("later")]);
    let expected = ["A cast two", "A internal 1", "A internal 2", "A cast later"];
    assert_eq!(running.events().await, expected);
}

#[tokio::test(start_paused = true)]
async fn events_that_an_inserted_event_inserts_come_before_the_rest() {
    let mut running = Running::new().await;
    let outer = act("outer", |ctx| {
        ctx.next_event(Event::Internal(act("first", |ctx| {
            ctx.next_event(Event::Internal(log("nested")));
            Ok(Next::Keep)
        })));
        ctx.next_event(Event::Cast(log("second")));
        Ok(Next::Keep)
    });
    running.cast_all([outer, log("later")]);
    let expected =
        ["A cast outer", "A internal first", "A internal nested", "A cast second", "A cast later"];
    assert_eq!(running.events().await, expected);
}

/// The complete order, as `gen_statem` of OTP 25 logs it for the same machine.
#[tokio::test(start_paused = true)]
async fn inserted_events_come_before_postponed_ones_and_both_before_time_outs_of_zero() {
    let zero = Duration::ZERO;
    let mut running = Running::with(move |state, ctx| {
        if *state == State::B {
            ctx.state_timeout(zero, log("of the entry"));
            ctx.event_timeout(zero, log("never"));
        }
        Ok(())
    })
    .await;
    let go = act("go", move |ctx| {
        ctx.next_event(Event::Internal(log("i1")));
        ctx.next_event(Event::Cast(log("i2")));
        ctx.state_timeout(zero, log("of the transition"));
        ctx.timeout("g", zero, log("zero"));
        ctx.event_timeout(zero, log("never"));
        Ok(Next::State(State::B))
    });
    running.cast_all([log("p1"), log("p2"), go, log("later")]);
    let expected = [
        "A cast go",
        "B enter from A",
        "B internal i1",
        "B cast i2",
        "B cast p1",
        "B cast p2",
        "B g zero",
        "B state_timeout of the entry",
        "B cast later",
    ];
    assert_eq!(running.events().await, expected);
}

#[tokio::test(start_paused = true)]
async fn casts_of_continue_with_follow_inserted_events_and_precede_postponed_ones() {
    let mut running = Running::new().await;
    let go = act("go", |ctx| {
        ctx.continue_with(log("continued"));
        ctx.next_event(Event::Internal(log("inserted")));
        Ok(Next::State(State::B))
    });
    running.cast_all([log("p1"), go, log("later")]);
    let expected = [
        "A cast go",
        "B enter from A",
        "B internal inserted",
        "B cast continued",
        "B cast p1",
        "B cast later",
    ];
    assert_eq!(running.events().await, expected);
}

#[tokio::test(start_paused = true)]
async fn what_init_requests_comes_after_the_first_entry_and_before_the_mailbox() {
    let mut running = Running::begun(
        |ctx| {
            ctx.this().cast(log("mailbox"));
            ctx.continue_with(log("continued"));
            ctx.state_timeout(Duration::ZERO, log("zero"));
            ctx.next_event(Event::Internal(log("inserted")));
        },
        |_, _| Ok(()),
    )
    .await;
    let expected = [
        "A enter from start",
        "A internal inserted",
        "A cast continued",
        "A state_timeout zero",
        "A cast mailbox",
    ];
    assert_eq!(running.logged().await, expected);
}

/// STM-011.
#[tokio::test(start_paused = true)]
async fn a_postponed_call_is_answered_in_a_later_state() {
    let running = Running::new().await;
    let ask = running.machine.call(|reply| Call::Ask("p1", reply));
    let go = async {
        settled().await;
        running.cast(go("go", State::B));
    };
    assert_eq!(tokio::join!(ask, go).0, Ok(State::B));
}

#[tokio::test(start_paused = true)]
async fn messages_internal_events_and_time_outs_can_be_postponed() {
    let mut running = Running::new().await;
    running.cast(act("all", |ctx| {
        ctx.postpone(Event::Info(Received::Message(b"x".to_vec())));
        ctx.next_event(Event::Internal(log("p internal")));
        ctx.state_timeout(Duration::ZERO, log("p state"));
        ctx.timeout("g", Duration::ZERO, log("p named"));
        Ok(Next::Keep)
    }));
    assert_eq!(running.events().await, ["A cast all"]);
    running.cast(go("go", State::B));
    let expected = [
        "A cast go",
        "B enter from A",
        "B info info",
        "B internal p internal",
        "B state_timeout p state",
        "B g p named",
    ];
    assert_eq!(running.events().await, expected);
}

#[tokio::test(start_paused = true)]
async fn an_event_beyond_the_limit_of_postponed_ones_is_refused_as_by_a_full_mailbox() {
    let running = Running::new().await;
    let mut lost = running.rt.dead_letters();
    for _ in 0..2_000 {
        running.cast(log("p"));
    }
    settled().await;
    let ask = running.machine.call(|reply| Call::Ask("p1", reply)).await;
    assert!(matches!(ask, Err(CallError::Overloaded)), "{ask:?}");
    assert_eq!(running.machine.peek(|machine| machine.postponed()).await, Ok(2_000));
    assert!(lost.next().await.is_some());
}
