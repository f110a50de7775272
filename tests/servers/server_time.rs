//! Timers, tasks and idle timeouts of a server.

use std::future::Future;
use std::task::{Context, Waker};
use std::time::Duration;

use futures_util::stream;
use regrow::{
    CallError, CastTimer, ExitReason, GenServer, Pid, Received, Reply, Result, Runtime,
    ServerContext, ServerRef,
};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{Instant, MissedTickBehavior};

fn ms(time: u64) -> Duration {
    Duration::from_millis(time)
}

/// A received event, and its time since the start in milliseconds.
type Heard = (&'static str, u128);

/// A server that runs each step of a test with its context, and reports the events that it
/// receives.
struct Clock {
    begun: Instant,
    heard: UnboundedSender<Heard>,
}

type Step = Box<dyn FnOnce(&mut ServerContext<Clock>) + Send>;

enum Cast {
    Do(Step),
    Say(&'static str),
    Work(&'static str, Duration),
}

impl GenServer for Clock {
    type Args = UnboundedSender<Heard>;
    type Call = Reply<()>;
    type Cast = Cast;

    async fn init(heard: Self::Args, _: &mut ServerContext<Self>) -> Result<Self> {
        Ok(Clock { begun: Instant::now(), heard })
    }

    async fn handle_call(&mut self, reply: Reply<()>, _: &mut ServerContext<Self>) -> Result {
        reply.send(());
        Ok(())
    }

    async fn handle_cast(&mut self, cast: Cast, ctx: &mut ServerContext<Self>) -> Result {
        match cast {
            Cast::Do(step) => step(ctx),
            Cast::Say(word) => self.say(word),
            Cast::Work(word, time) => {
                tokio::time::sleep(time).await;
                self.say(word);
            }
        }
        Ok(())
    }

    async fn handle_info(&mut self, _: Received, _: &mut ServerContext<Self>) -> Result {
        self.say("info");
        Ok(())
    }

    async fn handle_timeout(&mut self, _: &mut ServerContext<Self>) -> Result {
        self.say("timeout");
        Ok(())
    }
}

impl Clock {
    fn say(&self, word: &'static str) {
        self.heard.send((word, self.begun.elapsed().as_millis())).unwrap();
    }
}

struct Fixture {
    rt: Runtime,
    server: ServerRef<Clock>,
    heard: UnboundedReceiver<Heard>,
}

impl Fixture {
    async fn new() -> Self {
        let (heard, hears) = unbounded_channel();
        let rt = Runtime::new();
        let server = Clock::start(&rt, heard).await.unwrap();
        Fixture { rt, server, heard: hears }
    }

    fn run(&self, step: impl FnOnce(&mut ServerContext<Clock>) + Send + 'static) {
        assert!(self.server.cast(Cast::Do(Box::new(step))));
    }

    /// Returns all events that arrive within this time.
    async fn within(&mut self, time: Duration) -> Vec<Heard> {
        tokio::time::sleep(time).await;
        std::iter::from_fn(|| self.heard.try_recv().ok()).collect()
    }
}

/// A tick with an interval of `Duration::MAX` never comes.
#[tokio::test(start_paused = true)]
async fn a_max_interval_never_ticks() {
    let mut f = Fixture::new().await;
    for missed in [MissedTickBehavior::Burst, MissedTickBehavior::Delay, MissedTickBehavior::Skip] {
        f.run(move |ctx| {
            ctx.cast_every(Duration::MAX, missed, || Cast::Say("tick"));
        });
    }
    assert_eq!(f.within(ms(1_000)).await, []);
    assert_eq!(f.server.call(|reply| reply).await, Ok(()));
}

/// A call with a time-out of hours, or without an end, does not delay the shorter time-out of a
/// later call.
#[tokio::test(start_paused = true)]
async fn a_long_call_timeout_does_not_delay_a_shorter_one() {
    for long in [ms(3 * 3_600_000), Duration::from_secs(1 << 40), Duration::MAX] {
        let f = Fixture::new().await;
        f.server.cast(Cast::Work("late", ms(10_000)));
        let mut first = Box::pin(f.server.call_timeout(|reply| reply, long));
        assert!(first.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        for _ in 0..3 {
            let start = Instant::now();
            let second = f.server.call_timeout(|reply| reply, ms(1_000));
            assert_eq!(second.await, Err(CallError::Timeout));
            assert_eq!(start.elapsed(), ms(1_000));
        }
        assert_eq!(first.await, Ok(()));
    }
}

/// GS-032.
#[tokio::test(start_paused = true)]
async fn the_idle_timeout_fires_once() {
    let mut f = Fixture::new().await;
    f.run(|ctx| ctx.idle_timeout(ms(100)));
    assert_eq!(f.within(ms(1_000)).await, [("timeout", 100)]);
}

/// GS-033: a call, a cast and a plain message all cancel the idle time-out.
#[tokio::test(start_paused = true)]
async fn any_message_cancels_the_idle_timeout() {
    for message in 0..3 {
        let mut f = Fixture::new().await;
        f.run(|ctx| ctx.idle_timeout(ms(100)));
        tokio::time::sleep(ms(50)).await;
        let expected = match message {
            0 => f.server.call(|reply| reply).await.map_or(vec![], |()| vec![]),
            1 => [("said", 50)].into_iter().filter(|_| f.server.cast(Cast::Say("said"))).collect(),
            _ => {
                assert!(f.rt.send(f.server.pid().unwrap(), vec![]));
                vec![("info", 50)]
            }
        };
        assert_eq!(f.within(ms(1_000)).await, expected);
    }
}

/// A zero time-out fires only if no message is queued.
#[tokio::test(start_paused = true)]
async fn a_zero_idle_timeout_loses_to_a_queued_message() {
    let mut f = Fixture::new().await;
    f.run(|ctx| {
        ctx.this().cast(Cast::Say("queued"));
        ctx.idle_timeout(Duration::ZERO);
    });
    assert_eq!(f.within(ms(10)).await, [("queued", 0)]);
    f.run(|ctx| ctx.idle_timeout(Duration::ZERO));
    assert_eq!(f.within(ms(10)).await, [("timeout", 10)]);
}

/// Delayed casts arrive in the order of their due times. Cancelled ones never arrive.
#[tokio::test(start_paused = true)]
async fn delayed_casts_arrive_in_time_order_unless_cancelled() {
    let mut f = Fixture::new().await;
    f.run(|ctx| {
        ctx.cast_after(ms(200), Cast::Say("b"));
        let cancelled = ctx.cast_after(ms(150), Cast::Say("never"));
        ctx.cast_after(ms(100), Cast::Say("a"));
        assert!(ctx.cancel(cancelled));
        assert!(!ctx.cancel(cancelled));
    });
    assert_eq!(f.within(ms(1_000)).await, [("a", 100), ("b", 200)]);
}

/// T39. A key that is set again replaces the earlier timer, even if that timer was due and its
/// message is in the mailbox.
#[tokio::test(start_paused = true)]
async fn a_replaced_or_cancelled_keyed_timer_never_arrives() {
    let mut f = Fixture::new().await;
    f.run(|ctx| {
        ctx.cast_after_as("g", ms(100), Cast::Say("old"));
        ctx.cast_after_as("g", ms(300), Cast::Say("new"));
        ctx.cast_after_as("h", ms(50), Cast::Say("never"));
        assert!(ctx.cancel_key("h"));
        assert!(!ctx.cancel_key("h"));
    });
    assert_eq!(f.within(ms(1_000)).await, [("new", 300)]);

    f.run(|ctx| ctx.cast_after_as("k", ms(10), Cast::Say("due while busy")));
    f.server.cast(Cast::Work("busy", ms(50)));
    f.run(|ctx| assert!(ctx.cancel_key("k"), "its expiry is queued, and was not seen"));
    assert_eq!(f.within(ms(1_000)).await, [("busy", 1_050)]);
}

/// Ticks come on time. A busy server handles the missed ticks according to its
/// `MissedTickBehavior`.
#[tokio::test(start_paused = true)]
async fn ticks_follow_the_missed_tick_behavior() {
    let late = [
        (MissedTickBehavior::Burst, vec![100, 350, 350, 400, 500]),
        (MissedTickBehavior::Delay, vec![100, 350, 450]),
        (MissedTickBehavior::Skip, vec![100, 350, 400, 500]),
    ];
    for (missed, expected) in late {
        let mut f = Fixture::new().await;
        let (tell, mut timer) = unbounded_channel::<CastTimer>();
        f.run(move |ctx| {
            let timer = ctx.cast_every(ms(100), missed, || Cast::Say("tick"));
            tell.send(timer).unwrap();
        });
        tokio::time::sleep(ms(150)).await;
        f.server.cast(Cast::Work("busy", ms(200)));
        let heard = f.within(ms(360)).await;
        let ticks: Vec<_> = heard.iter().filter(|(word, _)| *word == "tick").map(|h| h.1).collect();
        assert_eq!(ticks, expected, "{missed:?}");
        let timer = timer.recv().await.unwrap();
        f.run(move |ctx| assert!(ctx.cancel(timer)));
        assert_eq!(f.within(ms(1_000)).await, []);
    }
}

/// Timers end with the incarnation that set them.
#[tokio::test(start_paused = true)]
async fn timers_of_a_server_end_with_it() {
    let f = Fixture::new().await;
    f.run(|ctx| {
        ctx.cast_after(ms(100), Cast::Say("never"));
        ctx.cast_every(ms(10), MissedTickBehavior::Skip, || Cast::Say("tick"));
    });
    f.server.call(|reply| reply).await.unwrap();
    assert_eq!(f.rt.leftovers().timers, 2);
    f.server.stop(ExitReason::Normal).await.unwrap();
    assert_eq!(f.rt.leftovers().timers, 0);
}

/// The result of a task arrives as a cast. Meanwhile the server handles other messages.
#[tokio::test(start_paused = true)]
async fn a_server_handles_messages_while_its_task_runs() {
    let mut f = Fixture::new().await;
    f.run(|ctx| {
        ctx.trap_exit(true);
        ctx.spawn_task(tokio::time::sleep(ms(100)), |()| Cast::Say("done"));
    });
    f.server.cast(Cast::Say("meanwhile"));
    assert_eq!(f.within(ms(1_000)).await, [("meanwhile", 0), ("done", 100)]);
}

/// The number of concurrent tasks never exceeds the limit.
#[tokio::test(start_paused = true)]
async fn limit_tasks_limits_the_concurrent_tasks() {
    let mut f = Fixture::new().await;
    f.run(|ctx| {
        ctx.limit_tasks(2);
        for _ in 0..4 {
            let work = async { tokio::time::sleep(ms(100)).await };
            ctx.spawn_task(work, |()| Cast::Say("done"));
        }
    });
    let at = [100, 100, 200, 200].map(|at| ("done", at));
    assert_eq!(f.within(ms(1_000)).await, at);
}

/// A task ends with its server, for every exit reason. A task that panics ends its server.
#[tokio::test]
async fn a_task_and_its_server_end_together() {
    for reason in [ExitReason::Normal, ExitReason::Shutdown, ExitReason::crashed("x")] {
        let f = Fixture::new().await;
        let task = spawn_endless(&f).await;
        let ended = f.rt.ended(task);
        f.server.stop(reason.clone()).await.unwrap();
        assert_eq!(ended.await, reason);
        assert_eq!(f.rt.leftovers(), regrow::Leftovers::default());
    }
    let f = Fixture::new().await;
    f.run(|ctx| {
        ctx.spawn_task(async { panic!("no luck") }, |()| Cast::Say("done"));
    });
    assert_eq!(f.server.ended().await.crash().unwrap().message(), "no luck");
}

async fn spawn_endless(f: &Fixture) -> Pid {
    let (tell, mut task) = unbounded_channel();
    f.run(move |ctx| {
        let pid = ctx.spawn_task(std::future::pending::<()>(), |()| Cast::Say("done"));
        tell.send(pid).unwrap();
    });
    task.recv().await.unwrap()
}

/// A pipe delivers every item of a stream in order, and then the end.
#[tokio::test]
async fn a_pipe_casts_every_item_and_the_end_in_order() {
    let mut f = Fixture::new().await;
    f.run(|ctx| {
        let words = stream::iter(["a", "b", "c"]);
        ctx.pipe(words, |word| Cast::Say(word.unwrap_or("end")));
    });
    for word in ["a", "b", "c", "end"] {
        assert_eq!(f.heard.recv().await.unwrap().0, word);
    }
    assert_eq!(f.server.call(|reply| reply).await, Ok::<(), CallError>(()));
}
