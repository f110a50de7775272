//! Idle time-outs that re-arm, and what counts as activity.

use std::time::Duration;

use regrow::{ExitReason, GenServer, Received, Reply, Result, Runtime, ServerContext, ServerRef};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{Instant, sleep};

fn ms(time: u64) -> Duration {
    Duration::from_millis(time)
}

/// A server that reports its idle time-outs, in milliseconds since its start. It has no handler of
/// its own for calls and messages.
struct Idle {
    begun: Instant,
    elapsed: UnboundedSender<u128>,
}

type Step = Box<dyn FnOnce(&mut ServerContext<Idle>) + Send>;

impl GenServer for Idle {
    type Args = UnboundedSender<u128>;
    type Call = Reply<()>;
    type Cast = Step;

    async fn init(elapsed: Self::Args, _: &mut ServerContext<Self>) -> Result<Self> {
        Ok(Idle { begun: Instant::now(), elapsed })
    }

    async fn handle_cast(&mut self, step: Step, ctx: &mut ServerContext<Self>) -> Result {
        step(ctx);
        Ok(())
    }

    async fn handle_timeout(&mut self, _: &mut ServerContext<Self>) -> Result {
        self.elapsed.send(self.begun.elapsed().as_millis()).unwrap();
        Ok(())
    }
}

struct Fixture {
    rt: Runtime,
    server: ServerRef<Idle>,
    elapsed: UnboundedReceiver<u128>,
}

impl Fixture {
    async fn new() -> Self {
        let (sender, elapsed) = unbounded_channel();
        let rt = Runtime::new();
        let server = Idle::start(&rt, sender).await.unwrap();
        Fixture { rt, server, elapsed }
    }

    fn run(&self, step: impl FnOnce(&mut ServerContext<Idle>) + Send + 'static) {
        assert!(self.server.cast(Box::new(step)));
    }

    /// Returns the time-outs that elapse within this time.
    async fn within(&mut self, time: Duration) -> Vec<u128> {
        sleep(time).await;
        std::iter::from_fn(|| self.elapsed.try_recv().ok()).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn each_message_starts_the_time_anew_and_the_timeout_runs_once_for_each_idle_period() {
    let mut f = Fixture::new().await;
    f.run(|ctx| ctx.idle_after(ms(100)));
    for _ in 0..3 {
        sleep(ms(60)).await;
        f.run(|_| ());
    }
    // The last message came at 180 ms.
    assert_eq!(f.within(ms(1_000)).await, [280]);
    f.run(|_| ());
    assert_eq!(f.within(ms(1_000)).await, [1_280]);
}

#[tokio::test(start_paused = true)]
async fn a_zero_limit_elapses_each_time_that_the_mailbox_is_empty() {
    let mut f = Fixture::new().await;
    f.run(|ctx| ctx.idle_after(Duration::ZERO));
    f.run(|_| ());
    assert_eq!(f.within(ms(10)).await, [0], "both messages were queued");
    f.run(|_| ());
    assert_eq!(f.within(ms(10)).await, [10]);
}

/// A call, a cast, a message and a stream that default handlers drop leave both kinds of time-out
/// as they are.
#[tokio::test(start_paused = true)]
async fn an_item_that_a_default_handler_drops_is_no_activity() {
    for rearms in [false, true] {
        let mut f = Fixture::new().await;
        f.run(move |ctx| if rearms { ctx.idle_after(ms(100)) } else { ctx.idle_timeout(ms(100)) });
        sleep(ms(40)).await;
        assert!(f.server.call(|reply| reply).await.is_err());
        f.rt.send(f.server.pid().unwrap(), b"stray".to_vec());
        sleep(ms(40)).await;
        let (writer, stream) = regrow::stream();
        f.rt.send_stream(f.server.pid().unwrap(), stream);
        assert_eq!(f.within(ms(1_000)).await, [100]);
        assert!(writer.write(b"x".to_vec()).await.is_err(), "the stream was dropped");
    }
}

/// The stray message is handled before the server has begun to wait.
#[tokio::test(start_paused = true)]
async fn a_stray_message_behind_the_message_that_sets_the_timeout_does_not_cancel_it() {
    let mut f = Fixture::new().await;
    f.run(|ctx| ctx.idle_timeout(ms(100)));
    f.rt.send(f.server.pid().unwrap(), b"stray".to_vec());
    assert_eq!(f.within(ms(1_000)).await, [100]);
}

#[tokio::test(start_paused = true)]
async fn requests_about_the_server_are_no_activity() {
    let mut f = Fixture::new().await;
    f.run(|ctx| ctx.idle_after(ms(100)));
    sleep(ms(60)).await;
    f.server.get_status().await.unwrap();
    f.server.peek(|_| ()).await.unwrap();
    f.server.update(|_| ()).await.unwrap();
    assert_eq!(f.within(ms(1_000)).await, [100]);
}

#[tokio::test(start_paused = true)]
async fn a_handler_can_declare_its_message_to_be_no_activity() {
    let mut f = Fixture::new().await;
    f.run(|ctx| ctx.idle_after(ms(100)));
    sleep(ms(60)).await;
    f.run(ServerContext::keep_idle_timeout);
    assert_eq!(f.within(ms(1_000)).await, [100]);
    f.run(ServerContext::keep_idle_timeout);
    assert_eq!(f.within(ms(1_000)).await, [], "no time-out was armed");
}

#[tokio::test(start_paused = true)]
async fn the_last_setting_counts() {
    let mut f = Fixture::new().await;
    f.run(|ctx| ctx.idle_after(ms(100)));
    f.run(ServerContext::cancel_idle_timeout);
    f.run(|_| ());
    assert_eq!(f.within(ms(1_000)).await, [], "cancelled");
    f.run(|ctx| ctx.idle_after(ms(100)));
    f.run(|ctx| ctx.idle_timeout(ms(200)));
    assert_eq!(f.within(ms(1_000)).await, [1_200], "replaced by a one-shot time-out");
    f.run(|_| ());
    assert_eq!(f.within(ms(1_000)).await, []);
    f.run(|ctx| ctx.idle_after(ms(500)));
    f.run(|_| ());
    f.run(|ctx| ctx.idle_after(ms(50)));
    assert_eq!(f.within(ms(1_000)).await, [3_050], "replaced by a shorter one");
}

#[tokio::test(start_paused = true)]
async fn a_suspended_server_keeps_its_rearming_timeout() {
    let mut f = Fixture::new().await;
    f.run(|ctx| ctx.idle_after(ms(100)));
    sleep(ms(60)).await;
    f.server.suspend().await.unwrap();
    assert_eq!(f.within(ms(1_000)).await, []);
    f.server.resume().await.unwrap();
    assert_eq!(f.within(ms(1_000)).await, [1_100]);
    f.run(|_| ());
    assert_eq!(f.within(ms(1_000)).await, [2_160]);
}

/// A server with a handler of its own for messages.
struct Listener;

impl GenServer for Listener {
    type Args = ();
    type Call = Reply<()>;
    type Cast = ();

    async fn init((): (), ctx: &mut ServerContext<Self>) -> Result<Self> {
        ctx.idle_after(ms(100));
        Ok(Listener)
    }

    async fn handle_info(&mut self, _: Received, _: &mut ServerContext<Self>) -> Result {
        Ok(())
    }

    async fn handle_timeout(&mut self, _: &mut ServerContext<Self>) -> Result {
        Err(ExitReason::Shutdown)
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_with_a_handler_is_activity() {
    let (rt, start) = (Runtime::new(), Instant::now());
    let listener = Listener::start(&rt, ()).await.unwrap();
    sleep(ms(60)).await;
    rt.send(listener.pid().unwrap(), b"expected".to_vec());
    listener.ended().await;
    assert_eq!(start.elapsed(), ms(160));
}

/// The timer of the longer time-out runs already.
#[tokio::test(start_paused = true)]
async fn a_shorter_timeout_that_replaces_a_running_one_elapses_in_time() {
    let mut f = Fixture::new().await;
    f.run(|ctx| ctx.idle_after(ms(1_000)));
    assert_eq!(f.within(ms(100)).await, []);
    f.run(|ctx| ctx.idle_timeout(ms(10)));
    assert_eq!(f.within(ms(500)).await, [110]);
}
