//! The guarantees of servers and their callers when the other side fails.

use crate::support;

use std::time::Duration;

use regrow::testing::{Mock, Probe};
use regrow::{
    Backoff, CallError, ChildSpec, ExitReason, GenServer, Name, Reply, Result, Runtime,
    ServerContext, ServerRef, StartError, Supervisor,
};
use support::down;
use support::ledger::{Call, Init, Ledger, Setup, ledger};
use support::log::Log;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::time::{Instant, sleep};

fn ms(time: u64) -> Duration {
    Duration::from_millis(time)
}

/// A slow server that passes its replies on.
struct Slow {
    hand_on: UnboundedSender<Reply<u32>>,
    heard: Vec<u32>,
}

enum Ask {
    HandOn(Reply<u32>),
    Heard(Reply<Vec<u32>>),
    ReplyAndStop(Reply<u32>),
    /// Calls another server in the handler.
    Through(ServerRef<Ledger>, Reply<Vec<u32>>),
}

enum Tell {
    Note(u32),
    Work(Duration),
    Continue,
    Stop,
}

impl GenServer for Slow {
    type Args = UnboundedSender<Reply<u32>>;
    type Call = Ask;
    type Cast = Tell;

    async fn init(hand_on: Self::Args, _: &mut ServerContext<Self>) -> Result<Self> {
        Ok(Slow { hand_on, heard: Vec::new() })
    }

    async fn handle_call(&mut self, ask: Ask, _: &mut ServerContext<Self>) -> Result {
        match ask {
            Ask::HandOn(reply) => self.hand_on.send(reply).map_err(|_| "nobody there")?,
            Ask::Heard(reply) => reply.send(self.heard.clone()),
            Ask::ReplyAndStop(reply) => {
                reply.send(7);
                return Err(ExitReason::Normal);
            }
            Ask::Through(other, reply) => reply.send(other.call(Call::Lines).await?),
        }
        Ok(())
    }

    async fn handle_cast(&mut self, tell: Tell, ctx: &mut ServerContext<Self>) -> Result {
        match tell {
            Tell::Note(number) => self.heard.push(number),
            Tell::Work(time) => sleep(time).await,
            Tell::Continue => ctx.continue_with(Tell::Stop),
            Tell::Stop => return Err(ExitReason::Normal),
        }
        Ok(())
    }

    async fn terminate(&mut self, _: &ExitReason) {
        sleep(ms(1_000)).await;
    }
}

/// GS-022. The reply is also delivered after the called server has ended.
#[tokio::test(start_paused = true)]
async fn a_reply_may_be_sent_by_another_process() {
    let rt = Runtime::new();
    let (hand_on, mut handed) = unbounded_channel();
    let slow = Slow::start(&rt, hand_on).await.unwrap();
    let process = rt.spawn(async move |_| {
        handed.recv().await.unwrap().send(1);
        let second = handed.recv().await.unwrap();
        sleep(ms(2_000)).await;
        second.send(2);
    });
    assert_eq!(slow.call(Ask::HandOn).await, Ok(1));
    let (late, stopped) = tokio::join!(slow.call(Ask::HandOn), slow.stop(ExitReason::Normal));
    assert_eq!((late, stopped), (Ok(2), Ok(ExitReason::Normal)));
    assert_eq!(process.join().await, ExitReason::Normal);
}

/// GS-027. An unhandled message is logged once, and the server stays alive.
#[tokio::test(start_paused = true)]
async fn an_unhandled_message_is_logged_and_dropped() {
    let log = Log::listen();
    let rt = Runtime::new();
    let (hand_on, _handed) = unbounded_channel();
    let slow = Slow::start(&rt, hand_on).await.unwrap();
    assert!(rt.send(slow.pid().unwrap(), b"what?".to_vec()));
    assert_eq!(slow.call(Ask::Heard).await, Ok(vec![]));
    let lines: Vec<_> = log.take().into_iter().filter(|l| l.target == "regrow::server").collect();
    let [line] = &lines[..] else { panic!("one line, not {lines:?}") };
    assert_eq!(line.head(), "WARN unexpected message dropped");
    assert_eq!(line.field("pid"), slow.pid().unwrap().to_string());
}

/// GS-031.
#[tokio::test(start_paused = true)]
async fn a_continue_may_stop_the_server() {
    let rt = Runtime::new();
    let mut probe = Probe::new(&rt);
    let (hand_on, _handed) = unbounded_channel();
    let (slow, reference) = Slow::spec(hand_on).start_monitor(&probe).await.unwrap();
    let start = Instant::now();
    slow.cast(Tell::Continue);
    slow.cast(Tell::Work(ms(500)));
    let pid = slow.pid().unwrap();
    probe.expect(down(reference, pid, ExitReason::Normal)).await;
    assert_eq!(start.elapsed(), ms(1_000), "terminate ran, and nothing that was queued");
}

/// T40. The caller of an OTP server would wait for the clean-up.
#[tokio::test(start_paused = true)]
async fn a_reply_before_a_stop_does_not_wait_for_terminate() {
    let rt = Runtime::new();
    let (hand_on, _handed) = unbounded_channel();
    let slow = Slow::start(&rt, hand_on).await.unwrap();
    let start = Instant::now();
    assert_eq!(slow.call(Ask::ReplyAndStop).await, Ok(7));
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert_eq!(slow.ended().await, ExitReason::Normal);
    assert_eq!(start.elapsed(), ms(1_000));
}

/// T42. A server with a long queue still notices at once that its own call was answered, and that a
/// reply was dropped.
#[tokio::test(start_paused = true)]
async fn a_reply_does_not_wait_behind_queued_messages() {
    let rt = Runtime::new();
    let (hand_on, mut handed) = unbounded_channel();
    let (other, slow) = (ledger(&rt).await, Slow::start(&rt, hand_on).await.unwrap());
    let through = slow.call(|reply| Ask::Through(other.clone(), reply));
    let dropped = slow.call(Ask::HandOn);
    let backlog = async {
        for number in 0..10_000 {
            slow.cast(Tell::Note(number));
        }
        for _ in 0..1_000 {
            slow.cast(Tell::Work(ms(1)));
        }
        drop(handed.recv().await.unwrap());
        Instant::now()
    };
    let start = Instant::now();
    let (through, (dropped, told), from) =
        tokio::join!(through, async { (dropped.await, Instant::now()) }, backlog);
    assert_eq!((through, dropped), (Ok(vec![]), Err(CallError::NoReply)));
    assert!(told - from <= ms(1), "notified {:?} later: it waited in the queue", told - from);
    let heard = slow.call(Ask::Heard).await.unwrap();
    assert_eq!(heard, (0..10_000).collect::<Vec<_>>(), "what was overtaken keeps its order");
    assert_eq!(start.elapsed(), ms(1_000));
}

/// GS-014, T31. A late reply reaches no mailbox.
#[tokio::test(start_paused = true)]
async fn a_late_reply_is_dropped() {
    let rt = Runtime::with_mailbox_depth();
    let mut mock = Mock::<Ledger>::new(&rt);
    let server = mock.server();
    let caller = rt.spawn(async move |mut ctx| {
        let limit = ms(50);
        assert_eq!(server.call_timeout(Call::Lines, limit).await, Err(CallError::Timeout));
        assert_eq!(server.call(Call::Lines).await, Ok(vec![2]));
        assert_eq!(ctx.recv_timeout(ms(1_000)).await, None);
        assert_eq!(ctx.runtime().info(ctx.pid()).unwrap().mailbox_depth, 0);
    });
    let Call::Lines(first) = mock.next_call().await else { panic!() };
    let Call::Lines(second) = mock.next_call().await else { panic!() };
    assert!(!first.is_awaited());
    first.send(vec![1]);
    second.send(vec![2]);
    assert_eq!(caller.join().await, ExitReason::Normal);
}

/// T30. A caller that starts or stops a child waits for the supervisor without a limit.
#[tokio::test(start_paused = true)]
async fn requests_to_a_supervisor_have_no_timeout() {
    /// A server that takes a minute to start and a minute to stop.
    struct Tanker;
    impl GenServer for Tanker {
        type Args = ();
        type Call = Reply<()>;
        type Cast = ();
        async fn init((): (), ctx: &mut ServerContext<Self>) -> Result<Self> {
            ctx.trap_exit(true);
            sleep(ms(60_000)).await;
            Ok(Tanker)
        }
        async fn handle_call(&mut self, reply: Reply<()>, _: &mut ServerContext<Self>) -> Result {
            reply.send(());
            Ok(())
        }
        async fn handle_cast(&mut self, (): (), _: &mut ServerContext<Self>) -> Result {
            Ok(())
        }
        async fn terminate(&mut self, _: &ExitReason) {
            sleep(ms(60_000)).await;
        }
    }
    let rt = Runtime::new();
    let tree = Supervisor::one_for_one().start(&rt).await.unwrap();
    let start = Instant::now();
    let child = Tanker::child(()).shutdown(regrow::Shutdown::Infinity);
    tree.start_child(child).await.unwrap();
    assert_eq!(start.elapsed(), ms(60_000));
    tree.terminate_child("Tanker").await.unwrap();
    assert_eq!(start.elapsed(), ms(120_000));
    tree.stop().await.unwrap();
}

/// Returns how long the future waits before it times out.
async fn timed(wait: impl Future<Output = Result<(), CallError>>) -> Duration {
    let start = Instant::now();
    assert_eq!(wait.await, Err(CallError::Timeout));
    start.elapsed()
}

/// GS-008, GS-013, GS-047. Every wait with a limit times out exactly at the limit, to the
/// millisecond.
#[tokio::test(start_paused = true)]
async fn every_timeout_is_exact_to_the_millisecond() {
    for limit in [1, 7, 333, 5_000, 86_400_000].map(ms) {
        let rt = Runtime::new();
        let mock = Mock::<Ledger>::new(&rt);
        let server = mock.server();
        let ask = server.caller(|(), reply| Call::Lines(reply));
        let call = async { server.call(Call::Lines).await.map(drop) };
        assert_eq!(timed(call).await, ms(5_000));
        let call = async { server.call_timeout(Call::Lines, limit).await.map(drop) };
        assert_eq!(timed(call).await, limit);
        let call = async { ask.call_timeout((), limit).await.map(drop) };
        assert_eq!(timed(call).await, limit);
        let both = [server.clone(), server.clone()];
        let calls =
            async { ServerRef::call_many(&both, Call::Lines, limit).await.remove(1).map(drop) };
        assert_eq!(timed(calls).await, limit);
        let stop = async { server.stop_timeout(ExitReason::Normal, limit).await.map(drop) };
        assert_eq!(timed(stop).await, limit);

        let start = Instant::now();
        let init = Setup { init: Init::Hangs, ..Setup::default() };
        let started = Ledger::spec(init).init_timeout(limit).start(&rt).await.unwrap_err();
        assert_eq!((started, start.elapsed()), (StartError::InitTimeout(limit), limit));
        assert_eq!(in_the_gap(&rt, limit).await, limit);
    }
}

/// Returns how long a call that may wait for a restart waits, if the restart comes after its limit.
async fn in_the_gap(rt: &Runtime, limit: Duration) -> Duration {
    const GAP: Name<Ledger> = Name::new("gap");
    let child: ChildSpec = Ledger::child(Setup::default()).named(GAP.as_str());
    let late = Backoff::new().first(2 * limit).max(2 * limit).jitter(0.0);
    let tree = Supervisor::one_for_one().child(child.backoff(late)).start(rt).await.unwrap();
    let pid = rt.whereis("gap").unwrap();
    let ended = rt.ended(pid);
    rt.kill(pid);
    ended.await;
    let start = Instant::now();
    let answer = rt.server(GAP).call_waiting(Call::Lines, limit).await;
    assert!(matches!(answer, Err(CallError::Restarting { .. })), "{answer:?}");
    let waited = start.elapsed();
    tree.stop().await.unwrap();
    waited
}
