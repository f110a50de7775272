//! System messages, traces and tracking between the events of a machine.

use std::time::Duration;

use regrow::{
    Callback, Doing, Event, ExitReason, Next, Runtime, StateMachine, Trace, TraceContent,
    TraceEvent, TraceItem,
};
use tokio::time::sleep;

use super::{Call, Do, Running, Script, State, act, args, go, log};
use crate::support::{assert_nothing_left, settled};

/// A machine with this many postponed events, that has been asked to handle them again.
async fn replaying(count: usize) -> Running {
    let running = Running::new().await;
    for _ in 0..count {
        running.cast(log("p"));
    }
    settled().await;
    running.cast(go("go", State::B));
    while running.machine.peek(|machine| machine.postponed()).await == Ok(count) {}
    running
}

/// SYS-001, for a machine: the machine awaits in each handler, so the test runs between two of them.
#[tokio::test(start_paused = true)]
async fn a_machine_is_suspended_between_two_events_that_it_handles_again() {
    let mut running = replaying(1_000).await;
    running.machine.suspend().await.unwrap();
    let handled = running.logged_by_now().len();
    assert!((2..900).contains(&handled), "{handled} were handled before the request");
    sleep(Duration::from_secs(60)).await;
    assert!(running.logged_by_now().is_empty());
    assert_eq!(running.machine.get_status().await.unwrap().to_string(), "suspended: b");
    running.machine.resume().await.unwrap();
    assert_eq!(running.logged().await.len() + handled, 1_003);
}

#[tokio::test(start_paused = true)]
async fn a_request_sees_what_a_few_inserted_events_have_done() {
    let mut running = Running::new().await;
    running.cast(act("insert", |ctx| {
        (0..32).for_each(|_| ctx.next_event(Event::Internal(log("inserted"))));
        Ok(Next::Keep)
    }));
    running.machine.get_status().await.unwrap();
    assert_eq!(running.logged_by_now().len(), 34);
}

#[tokio::test(start_paused = true)]
async fn a_request_does_not_overtake_what_is_queued_before_it_in_the_mailbox() {
    let mut running = Running::new().await;
    running.cast_all([log("p1"), go("go", State::B), log("later")]);
    running.machine.get_status().await.unwrap();
    assert_eq!(running.logged_by_now().last().unwrap(), "B cast later");
}

#[tokio::test(start_paused = true)]
async fn a_kill_ends_a_machine_between_two_events_that_it_handles_again() {
    let mut running = replaying(1_000).await;
    let ended = running.machine.ended();
    running.rt.kill(running.machine.pid().unwrap());
    assert_eq!(ended.await, ExitReason::Killed);
    let handled = running.logged().await.len();
    assert!(handled < 900, "{handled} were handled before the kill");
    assert_nothing_left(&running.rt).await;
}

/// A machine without an await in its handler gives itself events without end.
struct Endless(u64);

impl StateMachine for Endless {
    type Args = ();
    type State = ();
    type Call = ();
    type Cast = ();
    type Payload = ();

    async fn init(
        (): (),
        ctx: &mut regrow::MachineContext<'_, Self>,
    ) -> regrow::Result<((), Self)> {
        ctx.next_event(Event::Internal(()));
        Ok(((), Endless(0)))
    }

    async fn handle_event(
        &mut self,
        (): &(),
        _: Event<Self>,
        ctx: &mut regrow::MachineContext<'_, Self>,
    ) -> regrow::Result<Next<()>> {
        self.0 += 1;
        ctx.next_event(Event::Internal(()));
        Ok(Next::Keep)
    }

    fn state_name((): &()) -> &'static str {
        "endless"
    }
}

/// On one thread: the machine takes part in the budget of its task.
#[tokio::test(start_paused = true)]
async fn a_machine_of_endless_internal_events_yields_answers_and_can_be_killed() {
    let rt = Runtime::new();
    let machine = Endless::start(&rt, ()).await.unwrap();
    let first = machine.peek(|machine| machine.data().0).await.unwrap();
    let second = machine.peek(|machine| machine.data().0).await.unwrap();
    assert!(second > first);
    machine.suspend().await.unwrap();
    machine.resume().await.unwrap();
    rt.kill(machine.pid().unwrap());
    assert_eq!(machine.ended().await, ExitReason::Killed);
    assert_nothing_left(&rt).await;
}

async fn began(mut trace: Trace) -> Vec<(TraceItem, Option<String>)> {
    let mut items = Vec::new();
    while let Some(event) = trace.next().await {
        if let TraceEvent::Begin { item, content, .. } = event {
            items.push((item, content));
        }
    }
    items
}

#[tokio::test(start_paused = true)]
async fn each_event_is_traced_also_when_it_is_handled_again() {
    let running = Running::new().await;
    let format = |content: TraceContent<'_, regrow::Machine<Script>>| match content {
        TraceContent::Cast(Do(name, _)) => (*name).to_owned(),
        TraceContent::Call(_) => "call".to_owned(),
        _ => "other".to_owned(),
    };
    let trace = running.machine.trace_with(format).await.unwrap();
    let ask = running.machine.call(|reply| Call::Ask("p1", reply));
    running.cast(log("p2"));
    let go = async {
        settled().await;
        running.cast(act("go", |ctx| {
            ctx.next_event(Event::Internal(log("internal")));
            ctx.state_timeout(Duration::from_millis(5), log("time-out"));
            Ok(Next::State(State::B))
        }));
        sleep(Duration::from_millis(10)).await;
        running.machine.stop(ExitReason::Normal).await.unwrap();
    };
    assert_eq!(tokio::join!(ask, go).0, Ok(State::B));
    let items = began(trace).await;
    let text = |text: &str| Some(text.to_owned());
    let expected = [
        (TraceItem::Cast, text("p2")),
        (TraceItem::Call, text("call")),
        (TraceItem::Cast, text("go")),
        (TraceItem::Internal, None),
        (TraceItem::Cast, text("p2")),
        (TraceItem::Call, text("call")),
        (TraceItem::Timer, None),
        (TraceItem::Stop, None),
        (TraceItem::Terminate, None),
    ];
    assert_eq!(items, expected);
}

#[tokio::test(start_paused = true)]
async fn the_callback_of_a_time_out_is_tracked() {
    let rt = Runtime::new();
    rt.track_handlers(true);
    let (args, _log) = args(|_| (), |_, _| Ok(()));
    let machine = Script::start(&rt, args).await.unwrap();
    let pid = machine.pid().unwrap();
    let seen = {
        let rt = rt.clone();
        move || match rt.info(pid).unwrap().doing() {
            Doing::Handling(handling) => Some(handling.callback),
            _ => None,
        }
    };
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    machine.cast(act("set", move |ctx| {
        let look = act("look", move |_| {
            let _ = tell.send(seen());
            Ok(Next::Keep)
        });
        ctx.state_timeout(Duration::from_secs(1), look);
        Ok(Next::Keep)
    }));
    assert_eq!(told.recv().await.unwrap(), Some(Callback::HandleEvent));
}

/// A later event sees the data that an `update` has changed.
#[tokio::test(start_paused = true)]
async fn the_data_of_a_machine_is_changed_by_an_update() {
    let rt = Runtime::new();
    let machine = Endless::start(&rt, ()).await.unwrap();
    machine.update(|machine| machine.data_mut().0 = 1 << 40).await.unwrap();
    assert!(machine.peek(|machine| machine.data().0).await.unwrap() >= 1 << 40);
    rt.kill(machine.pid().unwrap());
}
