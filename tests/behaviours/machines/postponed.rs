//! How many events a machine postpones, and what becomes of postponed calls whose callers give up.

use std::time::Duration;

use futures_util::future::join_all;
use regrow::{
    CallError, Event, MachineContext, MachineRef, MachineStatus, Next, Overflow, Reply, Result,
    Runtime, StateMachine,
};
use tokio::task::JoinHandle;

use crate::support::injected_panics::{BOOM, hush_injected_panics};
use crate::support::{assert_nothing_left, settled, until};

/// Answers its calls while it is open, and postpones them while it is closed.
struct Gate(u32);

enum Call {
    /// Postponed with its event.
    Plain(Reply<u32>),
    /// Postponed with its reply. The destructor of its load may panic.
    Awaited(Load, Reply<u32>),
}

struct Load {
    panics: bool,
}

impl Drop for Load {
    fn drop(&mut self) {
        assert!(!self.panics || std::thread::panicking(), "{BOOM}");
    }
}

impl StateMachine for Gate {
    type Args = ();
    type State = bool;
    type Call = Call;
    type Cast = bool;
    type Payload = ();

    async fn init((): (), _: &mut MachineContext<'_, Self>) -> Result<(bool, Self)> {
        Ok((false, Gate(0)))
    }

    async fn handle_event(
        &mut self,
        open: &bool,
        event: Event<Self>,
        ctx: &mut MachineContext<'_, Self>,
    ) -> Result<Next<bool>> {
        Ok(match event {
            Event::Cast(open) => Next::State(open),
            Event::Call(Call::Awaited(load, reply)) if !open => {
                ctx.postpone_awaited(reply, |reply| Call::Awaited(load, reply))
            }
            event @ Event::Call(_) if !open => ctx.postpone(event),
            Event::Call(Call::Plain(reply) | Call::Awaited(_, reply)) => {
                self.0 += 1;
                reply.send(self.0);
                Next::Keep
            }
            event => event.unhandled(open)?,
        })
    }

    fn state_name(open: &bool) -> &'static str {
        if *open { "open" } else { "closed" }
    }
}

type Calling = JoinHandle<Result<u32, CallError>>;

fn awaited(reply: Reply<u32>) -> Call {
    Call::Awaited(Load { panics: false }, reply)
}

/// Calls from another task.
fn calling(gate: &MachineRef<Gate>, make: fn(Reply<u32>) -> Call) -> Calling {
    let gate = gate.clone();
    tokio::spawn(async move { gate.call(make).await })
}

async fn bounded(rt: &Runtime, capacity: usize) -> MachineRef<Gate> {
    Gate::spec(()).mailbox_capacity(capacity, Overflow::Reject).start(rt).await.unwrap()
}

/// What is published, when the machine is idle.
async fn status(rt: &Runtime, gate: &MachineRef<Gate>) -> MachineStatus {
    settled().await;
    rt.machine_status(gate.pid().unwrap()).unwrap()
}

/// The mailbox accepts the event that ends the wait.
#[tokio::test(start_paused = true)]
async fn a_machine_postpones_as_many_events_as_its_mailbox_holds() {
    let rt = Runtime::new();
    let gate = bounded(&rt, 4).await;
    let mut calls = Vec::new();
    for _ in 0..4 {
        calls.push(calling(&gate, Call::Plain));
        settled().await;
    }
    assert_eq!(status(&rt, &gate).await.postponed, 4);
    assert_eq!(gate.call(Call::Plain).await, Err(CallError::Overloaded));
    assert_eq!(gate.call(awaited).await, Err(CallError::Overloaded));
    assert!(gate.cast(true));
    let answers: Vec<_> = join_all(calls).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(answers, [Ok(1), Ok(2), Ok(3), Ok(4)]);
    assert_eq!(gate.call(Call::Plain).await, Ok(5));
    assert_eq!(status(&rt, &gate).await.postponed, 0);
}

#[tokio::test(start_paused = true)]
async fn a_machine_whose_mailbox_has_no_bound_postpones_any_number() {
    let rt = Runtime::new();
    let gate = Gate::start(&rt, ()).await.unwrap();
    let calls: Vec<_> = (0..5_000).map(|_| calling(&gate, Call::Plain)).collect();
    assert_eq!(status(&rt, &gate).await.postponed, 5_000);
    gate.cast(true);
    assert!(join_all(calls).await.into_iter().all(|answer| answer.unwrap().is_ok()));
}

/// Postponed calls whose callers have given up are dropped some hundred at a time, and a system message that
/// is queued meanwhile is answered between.
#[tokio::test(start_paused = true)]
async fn very_many_given_up_calls_are_dropped_in_slices_before_the_next_event() {
    let rt = Runtime::new();
    let gate = Gate::start(&rt, ()).await.unwrap();
    let calls: Vec<_> = (0..20_000).map(|_| calling(&gate, awaited)).collect();
    assert_eq!(status(&rt, &gate).await.postponed, 20_000);
    calls.iter().for_each(JoinHandle::abort);
    let last = calling(&gate, Call::Plain);
    settled().await;
    gate.cast(true);
    gate.get_status().await.unwrap();
    assert!(!last.is_finished(), "a system message waits for at most 32 slices");
    assert_eq!(last.await.unwrap(), Ok(1));
    assert_eq!(status(&rt, &gate).await.postponed, 0);
    assert_nothing_left(&rt).await;
}

/// A call that was postponed as an event is handled although its caller has given up.
#[tokio::test(start_paused = true)]
async fn a_call_that_was_postponed_with_its_reply_is_dropped_when_its_caller_has_given_up() {
    let rt = Runtime::new();
    let gate = Gate::start(&rt, ()).await.unwrap();
    let limit = Duration::from_secs(1);
    let (first, second) =
        tokio::join!(gate.call_timeout(awaited, limit), gate.call_timeout(Call::Plain, limit));
    assert_eq!((first, second), (Err(CallError::Timeout), Err(CallError::Timeout)));
    let waits = calling(&gate, awaited);
    assert_eq!(status(&rt, &gate).await.postponed, 3);
    gate.cast(true);
    assert_eq!(
        waits.await.unwrap(),
        Ok(2),
        "only the call that was postponed as an event was first"
    );
    assert_eq!((status(&rt, &gate).await.postponed, rt.unhandled_messages()), (0, 0));
}

/// The mailbox is read when no event is left.
#[tokio::test(start_paused = true)]
async fn a_machine_whose_postponed_calls_are_all_given_up_handles_its_mailbox() {
    let rt = Runtime::new();
    let gate = Gate::start(&rt, ()).await.unwrap();
    let calls: Vec<_> = (0..100).map(|_| calling(&gate, awaited)).collect();
    assert_eq!(status(&rt, &gate).await.postponed, 100);
    calls.iter().for_each(Calling::abort);
    settled().await;
    for open in [true, false, true] {
        gate.cast(open);
    }
    assert_eq!(gate.call(Call::Plain).await, Ok(1));
}

#[tokio::test(start_paused = true)]
async fn postponed_calls_whose_callers_have_given_up_make_room_for_others() {
    let rt = Runtime::new();
    let gate = bounded(&rt, 16).await;
    let mut calls = Vec::new();
    for _ in 0..16 {
        calls.push(calling(&gate, awaited));
        settled().await;
    }
    assert_eq!(gate.call(awaited).await, Err(CallError::Overloaded));
    calls[1..].iter().for_each(Calling::abort);
    settled().await;
    // The search before has found none, so the next one comes after two refused events.
    for _ in 0..2 {
        assert_eq!(gate.call(awaited).await, Err(CallError::Overloaded));
    }
    let late = calling(&gate, awaited);
    assert_eq!(status(&rt, &gate).await.postponed, 2);
    gate.cast(true);
    assert_eq!((calls.remove(0).await.unwrap(), late.await.unwrap()), (Ok(1), Ok(2)));
}

#[tokio::test(start_paused = true)]
async fn a_destructor_that_panics_in_a_call_that_is_given_up_ends_no_machine() {
    hush_injected_panics();
    let rt = Runtime::new();
    let bomb = |reply: Reply<u32>| Call::Awaited(Load { panics: true }, reply);
    let limit = Duration::from_millis(10);
    // Dropped in its turn.
    let gate = Gate::start(&rt, ()).await.unwrap();
    gate.call_timeout(bomb, limit).await.unwrap_err();
    gate.cast(true);
    assert_eq!(gate.call(Call::Plain).await, Ok(1));
    // Dropped to make room.
    let gate = bounded(&rt, 1).await;
    gate.call_timeout(bomb, limit).await.unwrap_err();
    let waits = calling(&gate, Call::Plain);
    settled().await;
    gate.cast(true);
    assert_eq!(waits.await.unwrap(), Ok(1));
}

/// Clients give up while the machine opens and closes, on other threads.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_call_of_impatient_clients_is_answered_refused_or_times_out() {
    let rt = Runtime::new();
    let gate = bounded(&rt, 8).await;
    let client = |client: u64| {
        let gate = gate.clone();
        tokio::spawn(async move {
            for n in 0..200 {
                gate.cast((client + n).is_multiple_of(3));
                let limit = Duration::from_micros((client * 331 + n * 97) % 1_500);
                match gate.call_timeout(awaited, limit).await {
                    Ok(_) | Err(CallError::Timeout | CallError::Overloaded) => {}
                    other => panic!("{other:?}"),
                }
            }
        })
    };
    let clients: Vec<_> = (0..12).map(client).collect();
    for client in clients {
        client.await.unwrap();
    }
    until("room in the mailbox", || gate.cast(true)).await;
    assert!(gate.call(awaited).await.is_ok());
    assert_eq!(gate.peek(|machine| machine.postponed()).await, Ok(0));
    assert_nothing_left(&rt).await;
}
