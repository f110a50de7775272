//! The stash of servers and of bare processes: order, metadata, deadlines and bounds of what is put
//! aside, and what becomes of it if the other side ends.

use crate::support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use regrow::{
    CallError, DeadLetterCause, ExitReason, GenServer, LifecycleEvent, Message, Overflow, Received,
    Reply, Result, Runtime, ServerContext, ServerRef, Supervisor,
};
use support::race::on_workers;
use support::{killed, settled};
use tokio::task::JoinHandle;
use tokio::time::Instant;

const SECOND: Duration = Duration::from_secs(1);
const FULL: u32 = u32::MAX;

/// Handles what it receives while it is open, and puts it aside while it is shut.
#[derive(Default)]
struct Gate {
    open: bool,
    /// What it has handled, with the metadata of each.
    seen: Vec<(u32, Option<u64>)>,
    deadlines: Vec<Option<Instant>>,
    refused: Vec<u32>,
}

enum Call {
    Ask(u32, Reply<u32>),
    /// Dropped by the stash if its caller has given up.
    Awaited(u32, Reply<u32>),
}

enum Cast {
    Write(u32),
    /// Opens the gate and takes everything back.
    Open,
    /// The same, and handles nothing for a second after that.
    OpenSlowly,
    /// Takes back this number of items, and handles them.
    Pass(usize),
    /// Takes one item back, and stays shut.
    Again,
    Crash,
}

#[derive(Clone, Default)]
struct Setup {
    capacity: Option<usize>,
    drain: bool,
    passes: bool,
}

impl Gate {
    fn note(&mut self, n: u32, ctx: &ServerContext<Self>) {
        self.seen.push((n, ctx.metadata().get::<u64>().as_deref().copied()));
        self.deadlines.push(ctx.deadline().at());
    }
}

impl GenServer for Gate {
    type Args = Setup;
    type Call = Call;
    type Cast = Cast;

    async fn init(setup: Setup, ctx: &mut ServerContext<Self>) -> Result<Self> {
        if let Some(capacity) = setup.capacity {
            ctx.stash_capacity(capacity);
        }
        if setup.drain {
            ctx.drain_on_stop(SECOND);
        }
        Ok(Gate { open: setup.passes, ..Gate::default() })
    }

    async fn handle_call(&mut self, call: Call, ctx: &mut ServerContext<Self>) -> Result {
        match call {
            Call::Ask(n, reply) | Call::Awaited(n, reply) if self.open => {
                self.note(n, ctx);
                reply.send(n);
            }
            Call::Awaited(n, reply) => {
                let stashed = ctx.stash_awaited(reply, |reply| Call::Awaited(n, reply));
                stashed.map_err(|full| full.message.send(FULL)).ok();
            }
            ask @ Call::Ask(..) => {
                if let Err(full) = ctx.stash_call(ask) {
                    let Call::Ask(n, reply) = full.message else { panic!("another call") };
                    self.refused.push(n);
                    reply.send(FULL);
                }
            }
        }
        Ok(())
    }

    async fn handle_cast(&mut self, cast: Cast, ctx: &mut ServerContext<Self>) -> Result {
        match cast {
            Cast::Write(n) if self.open => self.note(n, ctx),
            write @ Cast::Write(_) => {
                if let Err(full) = ctx.stash_cast(write) {
                    let Cast::Write(n) = full.message else { panic!("another cast") };
                    self.refused.push(n);
                }
            }
            Cast::Open => {
                self.open = true;
                ctx.unstash_all();
            }
            Cast::OpenSlowly => {
                self.open = true;
                ctx.unstash_all();
                tokio::time::sleep(SECOND).await;
            }
            Cast::Pass(count) => {
                self.open = true;
                assert_eq!(ctx.unstash(count), count);
            }
            Cast::Again => {
                ctx.unstash(1);
            }
            Cast::Crash => panic!("as asked"),
        }
        Ok(())
    }

    async fn handle_info(&mut self, info: Received, ctx: &mut ServerContext<Self>) -> Result {
        match info {
            Received::Message(text) if self.open => self.note(u32::from(text[0]), ctx),
            other => ctx.stash_info(other).expect("room"),
        }
        Ok(())
    }
}

async fn gate(rt: &Runtime) -> ServerRef<Gate> {
    Gate::start(rt, Setup::default()).await.unwrap()
}

type Answer = JoinHandle<Result<u32, CallError>>;

/// Calls from a task of its own, and returns when the server has handled the call.
async fn ask(gate: &ServerRef<Gate>, n: u32) -> Answer {
    let caller = gate.clone();
    let asked =
        tokio::spawn(
            async move { caller.call_timeout(|reply| Call::Ask(n, reply), 60 * SECOND).await },
        );
    settled().await;
    asked
}

async fn seen(gate: &ServerRef<Gate>) -> Vec<u32> {
    gate.peek(|gate| gate.seen.iter().map(|(n, _)| *n).collect()).await.unwrap()
}

fn left(events: &mut regrow::Events) -> Option<[usize; 3]> {
    std::iter::from_fn(|| events.next().now_or_never().flatten()).find_map(|event| match event {
        LifecycleEvent::LeftUnhandled { calls, casts, messages, .. } => {
            Some([calls, casts, messages])
        }
        _ => None,
    })
}

#[tokio::test(start_paused = true)]
async fn what_a_server_takes_back_is_handled_in_order_before_what_is_queued() {
    let rt = Runtime::new();
    let gate = gate(&rt).await;
    let first = ask(&gate, 1).await;
    gate.cast(Cast::Write(2));
    rt.send(gate.pid().unwrap(), vec![3]);
    settled().await;
    assert!(seen(&gate).await.is_empty());
    // `Open` is handled while 4 and 5 are queued behind it.
    for cast in [Cast::Open, Cast::Write(4), Cast::Write(5)] {
        gate.cast(cast);
    }
    assert_eq!(first.await.unwrap(), Ok(1));
    settled().await;
    assert_eq!(seen(&gate).await, [1, 2, 3, 4, 5]);
}

#[tokio::test(start_paused = true)]
async fn a_server_takes_back_the_oldest_items_and_keeps_the_others() {
    let rt = Runtime::new();
    let gate = gate(&rt).await;
    (1..=4).for_each(|n| assert!(gate.cast(Cast::Write(n))));
    gate.cast(Cast::Pass(2));
    gate.cast(Cast::Write(5));
    settled().await;
    assert_eq!(seen(&gate).await, [1, 2, 5]);
    gate.cast(Cast::Pass(2));
    settled().await;
    assert_eq!(seen(&gate).await, [1, 2, 5, 3, 4]);
}

#[tokio::test(start_paused = true)]
async fn an_item_that_is_put_aside_again_goes_behind_the_others() {
    let rt = Runtime::new();
    let gate = gate(&rt).await;
    (1..=3).for_each(|n| assert!(gate.cast(Cast::Write(n))));
    gate.cast(Cast::Again); // 1 is taken back, and put aside again
    gate.cast(Cast::Open);
    settled().await;
    assert_eq!(seen(&gate).await, [2, 3, 1]);
}

#[tokio::test(start_paused = true)]
async fn metadata_stays_with_each_item_that_a_server_puts_aside() {
    let rt = Runtime::new();
    let gate = gate(&rt).await;
    let pid = gate.pid().unwrap();
    let caller = gate.clone();
    let call = async move { caller.call_timeout(|reply| Call::Ask(1, reply), 60 * SECOND).await };
    let call = tokio::spawn(rt.with_metadata(10_u64, call));
    settled().await;
    rt.with_metadata(20_u64, async { gate.cast(Cast::Write(2)) }).await;
    rt.with_metadata(30_u64, async { rt.send(pid, vec![3]) }).await;
    gate.cast(Cast::Write(4));
    // The metadata of what takes them back is not theirs.
    rt.with_metadata(50_u64, async { gate.cast(Cast::Open) }).await;
    assert_eq!(call.await.unwrap(), Ok(1));
    settled().await;
    let seen = gate.peek(|gate| gate.seen.clone()).await.unwrap();
    assert_eq!(seen, [(1, Some(10)), (2, Some(20)), (3, Some(30)), (4, None)]);
}

#[tokio::test(start_paused = true)]
async fn a_call_keeps_its_deadline_in_the_stash() {
    let rt = Runtime::new();
    rt.propagate_deadlines(true);
    let gate = gate(&rt).await;
    let due = Instant::now() + 60 * SECOND;
    let call = ask(&gate, 1).await;
    gate.cast(Cast::Write(2));
    tokio::time::advance(SECOND).await;
    gate.cast(Cast::Open);
    assert_eq!(call.await.unwrap(), Ok(1));
    settled().await;
    let deadlines = gate.peek(|gate| gate.deadlines.clone()).await.unwrap();
    assert_eq!(deadlines, [Some(due), None]);
}

#[tokio::test(start_paused = true)]
async fn a_full_stash_gives_the_message_back() {
    let rt = Runtime::new();
    let gate = Gate::start(&rt, Setup { capacity: Some(2), ..Setup::default() }).await.unwrap();
    (1..=3).for_each(|n| assert!(gate.cast(Cast::Write(n))));
    assert_eq!(ask(&gate, 4).await.await.unwrap(), Ok(FULL));
    assert_eq!(gate.call(|reply| Call::Awaited(5, reply)).await, Ok(FULL));
    assert_eq!(gate.peek(|gate| gate.refused.clone()).await.unwrap(), [3, 4]);
    gate.cast(Cast::Open);
    settled().await;
    assert_eq!(seen(&gate).await, [1, 2]);
}

#[tokio::test(start_paused = true)]
async fn the_stash_of_a_bounded_server_has_the_bound_of_its_mailbox() {
    let rt = Runtime::new();
    let spec = Gate::spec(Setup::default()).mailbox_capacity(2, Overflow::Reject);
    let gate = spec.start(&rt).await.unwrap();
    let depth = || rt.info(gate.pid().unwrap()).unwrap().mailbox_depth;
    for n in 1..=3 {
        assert!(gate.cast(Cast::Write(n)), "the stash takes no room in the mailbox");
        settled().await;
    }
    assert_eq!(gate.peek(|gate| gate.refused.clone()).await.unwrap(), [3]);
    assert_eq!(depth(), 2, "the stash counts in the depth");
    // The message that opens the gate has room.
    assert!(gate.cast(Cast::Open));
    settled().await;
    assert_eq!((seen(&gate).await, depth()), (vec![1, 2], 0));
    assert!(gate.cast(Cast::Write(4)) && gate.cast(Cast::Write(5)));
    assert!(!gate.cast(Cast::Write(6)), "the counts are exact after the stash");
}

#[tokio::test(start_paused = true)]
async fn no_policy_of_a_full_mailbox_drops_what_was_taken_back() {
    let rt = Runtime::new();
    let spec = Gate::spec(Setup::default()).mailbox_capacity(2, Overflow::DropOldest);
    let gate = spec.start(&rt).await.unwrap();
    for n in 1..=2 {
        gate.cast(Cast::Write(n));
        settled().await;
    }
    gate.cast(Cast::OpenSlowly);
    settled().await;
    // 1 and 2 fill the mailbox, and cannot be dropped: 3 finds none to drop, and is one too many.
    (3..=5).for_each(|n| assert!(gate.cast(Cast::Write(n))));
    assert_eq!(rt.dropped_messages(), 2);
    let counted = rt.info(gate.pid().unwrap()).unwrap().dropped_messages;
    tokio::time::sleep(2 * SECOND).await;
    assert_eq!((seen(&gate).await, counted), (vec![1, 2, 5], 2));
}

/// Puts a call, a cast and a message aside.
async fn put_some_aside(rt: &Runtime, gate: &ServerRef<Gate>) -> Answer {
    let call = ask(gate, 1).await;
    gate.cast(Cast::Write(2));
    rt.send(gate.pid().unwrap(), vec![3]);
    settled().await;
    call
}

#[tokio::test(start_paused = true)]
async fn a_server_that_ends_leaves_its_stash_unhandled_and_its_callers_get_the_reason() {
    let crash = |gate: ServerRef<Gate>| async move {
        gate.cast(Cast::Crash);
        gate.ended().await
    };
    let stop =
        |gate: ServerRef<Gate>| async move { gate.stop(ExitReason::Shutdown).await.unwrap() };
    let rt = Runtime::new();
    let kill = |gate: ServerRef<Gate>| {
        let rt = rt.clone();
        async move {
            killed(&rt, gate.pid().unwrap()).await;
            ExitReason::Killed
        }
    };
    let ends: [&dyn Fn(ServerRef<Gate>) -> futures_util::future::BoxFuture<'static, ExitReason>;
        3] = [&|gate| crash(gate).boxed(), &|gate| stop(gate).boxed(), &|gate| kill(gate).boxed()];
    for end in ends {
        for drain in [false, true] {
            let gate = Gate::start(&rt, Setup { drain, ..Setup::default() }).await.unwrap();
            let (mut events, mut letters) = (rt.events(), rt.dead_letters());
            let call = put_some_aside(&rt, &gate).await;
            let reason = end(gate).await;
            assert_eq!(call.await.unwrap(), Err(CallError::Exited(reason)));
            assert_eq!(left(&mut events), Some([1, 1, 1]));
            for _ in 0..3 {
                let letter = letters.next().await.unwrap();
                assert_eq!(letter.cause, DeadLetterCause::Unhandled);
            }
        }
    }
    support::assert_nothing_left(&rt).await;
}

#[tokio::test(start_paused = true)]
async fn what_was_taken_back_before_a_stop_is_handled_and_the_rest_is_not() {
    let rt = Runtime::new();
    let gate = gate(&rt).await;
    let mut events = rt.events();
    let first = ask(&gate, 1).await;
    let second = ask(&gate, 2).await;
    gate.cast(Cast::Pass(1));
    assert_eq!(gate.stop(ExitReason::Normal).await, Ok(ExitReason::Normal));
    assert_eq!(first.await.unwrap(), Ok(1));
    assert_eq!(second.await.unwrap(), Err(CallError::Exited(ExitReason::Normal)));
    assert_eq!(left(&mut events), Some([1, 0, 0]));
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_caller_has_given_up_is_dropped_when_it_is_taken_back() {
    let rt = Runtime::new();
    let gate = gate(&rt).await;
    let limit = SECOND;
    let (timed_out, kept) = tokio::join!(
        gate.call_timeout(|reply| Call::Awaited(1, reply), limit),
        gate.call_timeout(|reply| Call::Ask(2, reply), limit),
    );
    assert_eq!((timed_out, kept), (Err(CallError::Timeout), Err(CallError::Timeout)));
    let waits = gate.clone();
    let waits = tokio::spawn(async move { waits.call(|reply| Call::Awaited(3, reply)).await });
    settled().await;
    gate.cast(Cast::Open);
    assert_eq!(waits.await.unwrap(), Ok(3));
    // A call whose caller the stash does not know is handled, as any queued call.
    assert_eq!(seen(&gate).await, [2, 3]);
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_ends_does_not_change_the_stash() {
    let rt = Runtime::new();
    let gate = gate(&rt).await;
    let asked = gate.clone();
    let caller = rt.spawn(|_| async move {
        asked.cast(Cast::Write(1));
        drop(asked.call(|reply| Call::Awaited(2, reply)).await);
    });
    settled().await;
    killed(&rt, caller.pid()).await;
    gate.cast(Cast::Open);
    settled().await;
    assert_eq!(seen(&gate).await, [1]);
}

#[tokio::test(start_paused = true)]
async fn a_suspended_server_keeps_its_stash_and_what_it_has_taken_back() {
    let rt = Runtime::new();
    for capacity in [None, Some(8)] {
        let mut spec = Gate::spec(Setup::default());
        if let Some(capacity) = capacity {
            spec = spec.mailbox_capacity(capacity, Overflow::Reject);
        }
        let gate = spec.start(&rt).await.unwrap();
        gate.cast(Cast::Write(1));
        settled().await;
        gate.suspend().await.unwrap();
        gate.cast(Cast::Open);
        settled().await;
        assert!(seen(&gate).await.is_empty());
        gate.resume().await.unwrap();
        settled().await;
        assert_eq!(seen(&gate).await, [1]);

        // Taken back by a handler that a request to suspend waits behind.
        let second = Gate::start(&rt, Setup::default()).await.unwrap();
        second.cast(Cast::Write(1));
        second.cast(Cast::Open);
        second.suspend().await.unwrap();
        second.resume().await.unwrap();
        settled().await;
        assert_eq!(seen(&second).await, [1]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_keeps_its_queue_leaves_its_stash_to_its_successor() {
    let rt = Runtime::new();
    let first_start = Arc::new(AtomicUsize::new(0));
    let starts = first_start.clone();
    let child = Gate::child_with(move || {
        let passes = starts.fetch_add(1, Ordering::SeqCst) > 0;
        Setup { passes, ..Setup::default() }
    });
    let tree = Supervisor::one_for_one().child(child.named("gate").keep_queue());
    let _tree = tree.start(&rt).await.unwrap();
    let gate = rt.server::<Gate>("gate");
    let call = put_some_aside(&rt, &gate).await;
    let awaited = gate.clone();
    let awaited = tokio::spawn(async move { awaited.call(|reply| Call::Awaited(4, reply)).await });
    settled().await;
    gate.cast(Cast::Crash);
    gate.cast(Cast::Write(5));
    assert_eq!(call.await.unwrap(), Ok(1));
    assert_eq!(awaited.await.unwrap(), Ok(4));
    settled().await;
    assert_eq!(seen(&gate).await, [1, 2, 3, 4, 5]);
    assert_eq!(rt.unhandled_messages(), 0);
}

/// The call goes through the stashes of three incarnations, and its caller gets the end of the last.
#[tokio::test(start_paused = true)]
async fn the_caller_of_a_stashed_call_waits_for_the_successor_that_has_its_call() {
    let rt = Runtime::new();
    let child = Gate::child(Setup::default()).named("gate").keep_queue();
    let tree = Supervisor::one_for_one().child(child).start(&rt).await.unwrap();
    let gate = rt.server::<Gate>("gate");
    let call = ask(&gate, 1).await;
    for _ in 0..2 {
        gate.cast(Cast::Crash);
        settled().await;
        assert!(!call.is_finished());
    }
    tree.stop().await.unwrap();
    assert_eq!(call.await.unwrap(), Err(CallError::Exited(ExitReason::Shutdown)));
}

#[tokio::test(start_paused = true)]
async fn a_process_takes_back_what_it_has_put_aside_in_order_with_its_metadata() {
    let rt = Runtime::new();
    let body = rt.spawn(|mut ctx| async move {
        let open = |item: &Received| *item == support::message("open");
        loop {
            match ctx.recv().await {
                item if open(&item) => break,
                item => ctx.stash(item).unwrap(),
            }
        }
        assert_eq!((ctx.stashed(), ctx.unstash(1), ctx.stashed()), (2, 1, 1));
        let mut got = Vec::new();
        for _ in 0..2 {
            let text: Message = ctx.recv().await.message().unwrap();
            got.push((text[0], ctx.metadata().get::<u64>().as_deref().copied()));
        }
        // 3 was queued, 2 is in the stash.
        assert_eq!(got, [(1, Some(10)), (3, None)]);
        assert_eq!(ctx.unstash_all(), 1);
        assert_eq!(ctx.recv().await.message().unwrap(), [2]);
        assert_eq!(ctx.metadata().get::<u64>().as_deref(), Some(&20));
        assert_eq!((ctx.unstash_all(), ctx.recv_timeout(SECOND).await), (0, None));
    });
    let pid = body.pid();
    rt.with_metadata(10_u64, async { rt.send(pid, vec![1]) }).await;
    rt.with_metadata(20_u64, async { rt.send(pid, vec![2]) }).await;
    rt.send(pid, b"open".to_vec());
    rt.send(pid, vec![3]);
    assert_eq!(body.join().await, ExitReason::Normal);
}

#[tokio::test(start_paused = true)]
async fn a_signal_and_a_stream_can_be_put_aside() {
    let rt = Runtime::new();
    let target = support::idle(&rt);
    let body = rt.spawn(|mut ctx| async move {
        let (down, stream) = (ctx.recv().await, ctx.recv().await);
        assert!(matches!(down, Received::Down { .. }), "{down:?}");
        ctx.stash(down).unwrap();
        ctx.stash(stream).unwrap();
        ctx.unstash_all();
        assert!(matches!(ctx.recv().await, Received::Down { .. }));
        assert!(matches!(ctx.recv().await, Received::Stream(_)));
    });
    rt.monitor(body.pid(), target);
    settled().await;
    killed(&rt, target).await;
    rt.send_stream(body.pid(), regrow::stream().1);
    assert_eq!(body.join().await, ExitReason::Normal);
}

#[tokio::test(start_paused = true)]
async fn a_process_that_ends_leaves_its_stash_unhandled_and_fails_the_writers_of_its_streams() {
    let rt = Runtime::new();
    let body = rt.spawn(|mut ctx| async move {
        loop {
            let item = ctx.recv().await;
            ctx.stash(item).unwrap();
        }
    });
    let (writer, stream) = regrow::stream();
    rt.send(body.pid(), vec![1]);
    rt.send_stream(body.pid(), stream);
    settled().await;
    killed(&rt, body.pid()).await;
    assert_eq!(rt.unhandled_messages(), 2);
    assert!(writer.write(vec![2]).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_message_whose_destructor_panics_is_dropped_with_the_rest_of_the_stash() {
    struct Bomb(Arc<AtomicUsize>);
    impl Drop for Bomb {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
            panic!("dropped");
        }
    }
    struct Keeper;
    impl GenServer for Keeper {
        type Args = ();
        type Call = Reply<()>;
        type Cast = Bomb;
        async fn init((): (), _: &mut ServerContext<Self>) -> Result<Self> {
            Ok(Keeper)
        }
        async fn handle_cast(&mut self, bomb: Bomb, ctx: &mut ServerContext<Self>) -> Result {
            ctx.stash_cast(bomb).unwrap();
            Ok(())
        }
    }
    let rt = Runtime::new();
    let keeper = Keeper::start(&rt, ()).await.unwrap();
    let dropped = Arc::new(AtomicUsize::new(0));
    (0..3).for_each(|_| assert!(keeper.cast(Bomb(dropped.clone()))));
    settled().await;
    assert_eq!(keeper.stop(ExitReason::Normal).await, Ok(ExitReason::Normal));
    assert_eq!((dropped.load(Ordering::SeqCst), rt.unhandled_messages()), (3, 3));
}

/// A process is killed while it takes its stash back. Each message was handled or is counted.
#[test]
fn every_message_is_handled_or_counted_while_a_kill_races_with_the_stash() {
    on_workers(async |rt| {
        let (handled, mut accepted) = (Arc::new(AtomicU64::new(0)), 0);
        for round in 0..300 {
            let counter = handled.clone();
            let body = rt.spawn(|mut ctx| async move {
                while ctx.stashed() < 3 {
                    let item = ctx.recv().await;
                    ctx.stash(item).unwrap();
                }
                drop(ctx.recv().await);
                counter.fetch_add(1, Ordering::SeqCst);
                ctx.unstash_all();
                loop {
                    drop(ctx.recv().await);
                    counter.fetch_add(1, Ordering::SeqCst);
                }
            });
            let pid = body.pid();
            (0..3).for_each(|n| assert!(rt.send(pid, vec![n])));
            let (sender, killer) = (rt.clone(), rt.clone());
            let send = tokio::spawn(async move { sender.send(pid, b"open".to_vec()) });
            if round % 3 == 0 {
                tokio::task::yield_now().await;
            }
            let kill = tokio::spawn(async move { killer.kill(pid) });
            accepted += 3 + u64::from(send.await.unwrap());
            assert!(kill.await.unwrap());
            body.join().await;
            assert_eq!(handled.load(Ordering::SeqCst) + rt.unhandled_messages(), accepted);
        }
        support::assert_nothing_left(&rt).await;
    });
}

/// Callers give up while their calls are taken back: each call is handled at most once, and each
/// caller has a result.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn callers_that_give_up_while_their_calls_are_taken_back_lose_no_other_call() {
    let rt = Runtime::new();
    let gate = gate(&rt).await;
    let callers: Vec<_> = (0..400_u32)
        .map(|n| {
            let gate = gate.clone();
            tokio::spawn(async move {
                let limit = if n % 2 == 0 { Duration::from_micros(500) } else { 60 * SECOND };
                (n, gate.call_timeout(|reply| Call::Awaited(n, reply), limit).await)
            })
        })
        .collect();
    // The gate is opened while calls arrive and give up.
    tokio::task::yield_now().await;
    gate.cast(Cast::Open);
    let mut answered = 0;
    for caller in callers {
        match caller.await.unwrap() {
            (n, Ok(answer)) => {
                assert_eq!(answer, n);
                answered += 1;
            }
            (n, Err(error)) => assert_eq!((n % 2, error), (0, CallError::Timeout)),
        }
    }
    let handled = seen(&gate).await;
    let mut unique = handled.clone();
    unique.sort_unstable();
    unique.dedup();
    assert_eq!(unique.len(), handled.len(), "no call is handled twice");
    assert!((200..=handled.len()).contains(&answered));
}
