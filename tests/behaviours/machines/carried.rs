//! What travels beside an event: the deadline of its caller, and metadata.

use std::time::Duration;

use regrow::{Event, Next, Runtime, StateMachine};
use tokio::sync::mpsc::unbounded_channel;
use tokio::time::sleep;

use super::{Call, Running, Script, State, act, args, go};
use crate::support::{drained, node, settled};

#[tokio::test(start_paused = true)]
async fn a_postponed_call_keeps_the_deadline_of_its_caller() {
    let running = Running::new().await;
    running.rt.propagate_deadlines(true);
    let ask = running.machine.call_timeout(Call::TimeLeft, Duration::from_secs(4));
    let go = async {
        sleep(Duration::from_secs(3)).await;
        running.cast(go("go", State::B));
    };
    let (left, ()) = tokio::join!(ask, go);
    let left = left.unwrap().unwrap();
    assert!((Duration::from_millis(990)..=Duration::from_secs(1)).contains(&left), "{left:?}");
    let unlimited = running.machine.call_unlimited(Call::TimeLeft).await;
    assert_eq!(unlimited, Ok(None));
}

#[tokio::test(start_paused = true)]
async fn an_event_carries_the_metadata_of_its_sender_however_long_it_waits() {
    let rt = Runtime::new();
    let (args, _log) = args(|_| (), |_, _| Ok(()));
    let machine = Script::start(&rt, args).await.unwrap();
    let (tell, mut told) = unbounded_channel();
    let note = move |what: &'static str| {
        let tell = tell.clone();
        act("note", move |_| {
            let _ = tell.send((what, node::visible()));
            Ok(Next::Keep)
        })
    };
    let requests = note.clone();
    let first = act("first", move |ctx| {
        ctx.next_event(Event::Internal(requests("internal")));
        ctx.state_timeout(Duration::ZERO, requests("zero"));
        ctx.timeout("g", Duration::from_secs(1), requests("timer"));
        ctx.postpone(Event::Cast(requests("postponed")));
        ctx.continue_with(requests("continued"));
        Ok(Next::Keep)
    });
    rt.with_metadata(node::Id(7), async { assert!(machine.cast(first)) }).await;
    settled().await;
    rt.with_metadata(node::Id(8), async { assert!(machine.cast(go("go", State::B))) }).await;
    sleep(Duration::from_secs(2)).await;
    machine.cast(note("last"));
    settled().await;
    let all = drained(&mut told);
    let expected = [
        ("internal", Some(7)),
        ("continued", Some(7)),
        ("zero", Some(7)),
        ("postponed", Some(7)),
        ("timer", Some(7)),
        ("last", None),
    ];
    assert_eq!(all, expected);
}
