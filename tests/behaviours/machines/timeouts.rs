//! The time-outs of a machine.

use std::time::Duration;

use regrow::{Event, MachineContext, Next};
use tokio::time::{Instant, advance, sleep};

use super::{Call, Do, Running, Script, State, act, go, log};
use crate::support::settled;

const ZERO: Duration = Duration::ZERO;

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// An event that only requests something.
fn request(
    name: &'static str,
    request: impl FnOnce(&mut MachineContext<'_, Script>) + Send + 'static,
) -> Do {
    act(name, move |ctx| {
        request(ctx);
        Ok(Next::Keep)
    })
}

/// STM-005.
#[tokio::test(start_paused = true)]
async fn a_state_time_out_fires_once_in_its_state() {
    let mut running = Running::new().await;
    let start = Instant::now();
    running.cast(act("set", |ctx| {
        ctx.state_timeout(ms(50), log("fired"));
        Ok(Next::Keep)
    }));
    while !running.logged().await.contains(&"A state_timeout fired".to_owned()) {}
    assert!((ms(50)..ms(53)).contains(&start.elapsed()), "{:?}", start.elapsed());
    sleep(ms(200)).await;
    assert!(running.logged().await.is_empty());
}

/// STM-005.
#[tokio::test(start_paused = true)]
async fn leaving_a_state_cancels_its_time_out_also_if_the_machine_comes_back() {
    let mut running = Running::new().await;
    running.cast(act("set", |ctx| {
        ctx.state_timeout(ms(50), log("fired"));
        Ok(Next::Keep)
    }));
    running.cast_all([go("out", State::B), go("back", State::A)]);
    sleep(ms(200)).await;
    let logged = running.events().await;
    assert_eq!(logged.len(), 5, "{logged:?}");
}

#[tokio::test(start_paused = true)]
async fn a_state_time_out_runs_on_while_the_state_is_kept_equal_or_repeated() {
    let mut running = Running::new().await;
    let start = Instant::now();
    running.cast(act("set", |ctx| {
        ctx.state_timeout(ms(50), log("fired"));
        Ok(Next::Keep)
    }));
    sleep(ms(30)).await;
    running.cast_all([go("equal", State::A), act("repeat", |_| Ok(Next::Repeat))]);
    sleep(ms(30)).await;
    let logged = running.events().await;
    assert_eq!(logged.last().unwrap(), "A state_timeout fired", "{logged:?}");
    assert!(start.elapsed() < ms(70));
}

#[tokio::test(start_paused = true)]
async fn a_state_time_out_that_is_set_with_a_change_of_state_belongs_to_the_new_state() {
    let mut running = Running::new().await;
    running.cast(act("go", |ctx| {
        ctx.state_timeout(ms(50), log("fired"));
        Ok(Next::State(State::B))
    }));
    sleep(ms(60)).await;
    let expected = ["A cast go", "B enter from A", "B state_timeout fired"];
    assert_eq!(running.events().await, expected);
}

/// STM-006.
#[tokio::test(start_paused = true)]
async fn any_event_cancels_the_event_time_out_but_no_named_one() {
    let mut running = Running::new().await;
    running.cast(act("set", |ctx| {
        ctx.event_timeout(ms(80), log("event"));
        ctx.timeout("g", ms(80), log("named"));
        Ok(Next::State(State::B))
    }));
    sleep(ms(20)).await;
    running.cast(log("any"));
    sleep(ms(200)).await;
    let expected = ["A cast set", "B enter from A", "B cast any", "B g named"];
    assert_eq!(running.events().await, expected);
}

#[tokio::test(start_paused = true)]
async fn an_event_time_out_fires_if_no_event_comes_and_survives_system_messages() {
    let mut running = Running::new().await;
    running.cast(act("set", |ctx| {
        ctx.event_timeout(ms(80), log("event"));
        Ok(Next::Keep)
    }));
    sleep(ms(40)).await;
    running.machine.get_status().await.unwrap();
    sleep(ms(45)).await;
    assert_eq!(running.events().await, ["A cast set", "A event_timeout event"]);
}

#[tokio::test(start_paused = true)]
async fn each_kind_of_event_cancels_the_event_time_out() {
    let mut running = Running::new().await;
    let set = |name| {
        act(name, |ctx| {
            ctx.event_timeout(ms(10), log("event"));
            Ok(Next::Keep)
        })
    };
    running.cast(act("internal", move |ctx| {
        ctx.event_timeout(ms(10), log("event"));
        ctx.next_event(Event::Internal(log("internal")));
        Ok(Next::Keep)
    }));
    running.cast(act("state", move |ctx| {
        ctx.state_timeout(ms(5), log("state"));
        Ok(Next::Keep)
    }));
    running.cast(set("and event"));
    sleep(ms(50)).await;
    running.cast(log("p postponed"));
    running.cast(act("replay", move |ctx| {
        ctx.event_timeout(ms(10), log("event"));
        Ok(Next::State(State::B))
    }));
    sleep(ms(50)).await;
    running.cast(set("message"));
    running.rt.send(running.machine.pid().unwrap(), b"x".to_vec());
    sleep(ms(50)).await;
    let logged = running.events().await;
    assert!(!logged.iter().any(|line| line.contains("event_timeout")), "{logged:?}");
}

/// STM-007.
#[tokio::test(start_paused = true)]
async fn a_named_time_out_is_replaced_when_it_is_set_again_and_off_after_a_cancellation() {
    let mut running = Running::new().await;
    running.cast(act("twice", |ctx| {
        ctx.timeout("g", ms(50), log("first"));
        ctx.timeout("g", ms(80), log("second"));
        ctx.timeout("infinite", ms(50), log("never"));
        ctx.timeout("infinite", Duration::MAX, log("never"));
        ctx.timeout("cancelled", ms(50), log("never"));
        ctx.cancel_timeout("cancelled");
        ctx.cancel_timeout("unknown");
        Ok(Next::Keep)
    }));
    sleep(ms(10)).await;
    running.cast(act("cancel", |ctx| {
        ctx.timeout("late", ms(50), log("never"));
        Ok(Next::Keep)
    }));
    settled().await;
    running.cast(act("late", |ctx| {
        ctx.cancel_timeout("late");
        Ok(Next::Keep)
    }));
    sleep(ms(200)).await;
    let expected = ["A cast twice", "A cast cancel", "A cast late", "A g second"];
    assert_eq!(running.events().await, expected);
}

/// STM-008.
#[tokio::test(start_paused = true)]
async fn a_cancelled_state_time_out_does_not_fire_and_an_updated_one_keeps_its_time() {
    let mut running = Running::new().await;
    let start = Instant::now();
    running.cast(act("set", |ctx| {
        ctx.state_timeout(ms(50), log("state"));
        ctx.timeout("g", ms(80), log("old"));
        Ok(Next::Keep)
    }));
    sleep(ms(20)).await;
    running.cast(act("change", |ctx| {
        ctx.cancel_state_timeout();
        ctx.update_timeout("g", log("new"));
        Ok(Next::Keep)
    }));
    sleep(ms(63)).await;
    assert_eq!(running.events().await, ["A cast set", "A cast change", "A g new"]);
    assert!(start.elapsed() < ms(90));
}

/// By the handler, and by the handler and the entry of the new state.
#[tokio::test(start_paused = true)]
async fn a_time_out_that_is_set_and_then_updated_by_one_callback_keeps_its_time() {
    let mut running = Running::with(|state, ctx| {
        if *state == State::B {
            ctx.update_timeout("h", log("of the entry"));
        }
        Ok(())
    })
    .await;
    running.cast(act("set", |ctx| {
        ctx.timeout("g", ms(50), log("old"));
        ctx.update_timeout("g", log("new"));
        ctx.timeout("h", ms(50), log("old"));
        Ok(Next::State(State::B))
    }));
    sleep(ms(40)).await;
    assert_eq!(running.events().await, ["A cast set", "B enter from A"]);
    sleep(ms(20)).await;
    assert_eq!(running.events().await, ["B g new", "B h of the entry"]);
}

#[tokio::test(start_paused = true)]
async fn an_update_of_a_time_out_that_is_not_set_sets_it_to_zero() {
    let mut running = Running::new().await;
    running.cast(act("update", |ctx| {
        ctx.update_state_timeout(log("state"));
        ctx.update_timeout("g", log("named"));
        Ok(Next::Keep)
    }));
    running.cast(log("later"));
    let expected = ["A cast update", "A state_timeout state", "A g named", "A cast later"];
    assert_eq!(running.events().await, expected);
}

#[tokio::test(start_paused = true)]
async fn time_outs_of_zero_fire_in_the_order_of_their_last_requests_before_the_mailbox() {
    let mut running = Running::new().await;
    running.cast(act("zeros", |ctx| {
        ctx.event_timeout(ZERO, log("first"));
        ctx.timeout("x", ZERO, log("x1"));
        ctx.timeout("y", ZERO, log("y1"));
        ctx.timeout("x", ZERO, log("x2"));
        ctx.state_timeout(ZERO, log("s"));
        Ok(Next::Keep)
    }));
    running.cast(log("later"));
    let expected = [
        "A cast zeros",
        "A event_timeout first",
        "A y y1",
        "A x x2",
        "A state_timeout s",
        "A cast later",
    ];
    assert_eq!(running.events().await, expected);
}

#[tokio::test(start_paused = true)]
async fn an_event_time_out_of_zero_does_not_fire_before_an_inserted_event() {
    let mut running = Running::new().await;
    running.cast(act("zero", |ctx| {
        ctx.event_timeout(ZERO, log("never"));
        ctx.next_event(Event::Internal(log("inserted")));
        Ok(Next::Keep)
    }));
    assert_eq!(running.events().await, ["A cast zero", "A internal inserted"]);
}

#[tokio::test(start_paused = true)]
async fn a_time_out_of_zero_can_be_cancelled_updated_and_set_again_by_an_inserted_event() {
    let mut running = Running::new().await;
    let inserted = |name, then: Do| {
        request(name, move |ctx| {
            ctx.timeout("x", ZERO, log("x1"));
            ctx.next_event(Event::Internal(then));
        })
    };
    running.cast(inserted("c", request("cancel", |ctx| ctx.cancel_timeout("x"))));
    running.cast(inserted("u", request("update", |ctx| ctx.update_timeout("x", log("updated")))));
    running.cast(inserted("s", request("set", |ctx| ctx.timeout("x", ms(30), log("later")))));
    running.cast(log("last"));
    sleep(ms(50)).await;
    let expected = [
        "A cast c",
        "A internal cancel",
        "A cast u",
        "A internal update",
        "A x updated",
        "A cast s",
        "A internal set",
        "A cast last",
        "A x later",
    ];
    assert_eq!(running.events().await, expected);
}

#[tokio::test(start_paused = true)]
async fn a_change_of_state_cancels_a_state_time_out_of_zero_and_no_other() {
    let mut running = Running::new().await;
    running.cast(act("zeros", |ctx| {
        ctx.state_timeout(ZERO, log("never"));
        ctx.timeout("x", ZERO, log("x"));
        ctx.next_event(Event::Internal(go("go", State::B)));
        Ok(Next::Keep)
    }));
    let expected = ["A cast zeros", "A internal go", "B enter from A", "B x x"];
    assert_eq!(running.events().await, expected);
}

#[tokio::test(start_paused = true)]
async fn a_time_out_at_a_moment_fires_then_and_one_in_the_past_behind_the_mailbox() {
    let mut running = Running::new().await;
    let start = Instant::now();
    running.cast(act("set", move |ctx| {
        ctx.state_timeout_at(start + ms(40), log("state"));
        ctx.timeout_at("old", start, log("old"));
        ctx.event_timeout_at(start + ms(10), log("never"));
        Ok(Next::Keep)
    }));
    running.cast(log("queued"));
    sleep(ms(43)).await;
    let expected = ["A cast set", "A cast queued", "A old old", "A state_timeout state"];
    assert_eq!(running.events().await, expected);
}

/// The expiry is queued in the mailbox while a handler that was queued before cancels the time-out.
#[tokio::test(start_paused = true)]
async fn a_time_out_that_is_cancelled_after_its_expiry_was_queued_does_not_fire() {
    let mut running = Running::new().await;
    running.cast(act("set", |ctx| {
        ctx.state_timeout(ms(50), log("state"));
        ctx.timeout("g", ms(50), log("named"));
        ctx.timeout("again", ms(50), log("old"));
        ctx.event_timeout(ms(50), log("event"));
        Ok(Next::Keep)
    }));
    settled().await;
    running.machine.suspend().await.unwrap();
    running.cast(act("cancel", |ctx| {
        ctx.cancel_timeout("g");
        ctx.timeout("again", ms(50), log("new"));
        Ok(Next::State(State::B))
    }));
    advance(ms(60)).await;
    settled().await;
    running.machine.resume().await.unwrap();
    assert_eq!(running.events().await, ["A cast set", "A cast cancel", "B enter from A"]);
    sleep(ms(60)).await;
    assert_eq!(running.logged().await, ["B again new"]);
}

#[tokio::test(start_paused = true)]
async fn a_machine_has_as_many_named_time_outs_as_it_sets() {
    let mut running = Running::new().await;
    running.cast(act("many", |ctx| {
        for n in 0..1_000_u64 {
            ctx.timeout(format!("t{n}"), ms(10 + n), log("fired"));
        }
        for n in 0..500 {
            ctx.cancel_timeout(format!("t{}", 2 * n));
        }
        Ok(Next::Keep)
    }));
    sleep(ms(1_100)).await;
    let logged = running.events().await;
    assert_eq!(logged.len(), 501);
    assert_eq!((&*logged[1], &*logged[500]), ("A t1 fired", "A t999 fired"));
    assert_eq!(running.rt.leftovers().timers, 0);
}

/// The idle time-out is one of the server context.
#[tokio::test(start_paused = true)]
async fn the_idle_time_out_of_the_context_is_an_event() {
    let mut running = Running::new().await;
    running.cast(act("idle", |ctx| {
        ctx.idle_after(ms(50));
        Ok(Next::Keep)
    }));
    sleep(ms(60)).await;
    assert_eq!(running.events().await, ["A cast idle", "A idle -"]);
}

/// A time-out of the machine, and a call that is handled again with its deadline, are no activity.
#[tokio::test(start_paused = true)]
async fn the_machines_own_events_do_not_change_its_idle_time_out() {
    let mut running = Running::new().await;
    running.rt.propagate_deadlines(true);
    let ask = running.machine.call_timeout(Call::TimeLeft, ms(500));
    let rest = async {
        settled().await;
        running.cast(act("idle", |ctx| {
            ctx.idle_after(ms(50));
            ctx.timeout("tick", ms(30), log("1"));
            ctx.state_timeout(ms(40), go("go", State::B));
            Ok(Next::Keep)
        }));
        sleep(ms(55)).await;
    };
    assert!(tokio::join!(ask, rest).0.unwrap().is_some());
    let expected = [
        "A cast idle",
        "A tick 1",
        "A state_timeout go",
        "B enter from A",
        "B call p time left",
        "B idle -",
    ];
    assert_eq!(running.events().await, expected);
}
