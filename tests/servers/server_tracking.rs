//! The activity of a server, as `info` shows it.

use crate::support;

use std::time::Duration;

use regrow::{
    Callback, ExitReason, GenServer, Handling, Overflow, Pid, ProcessInfo, Received, Reply, Result,
    Runtime, ServerContext, ServerRef,
};
use support::settled;
use tokio::time::{Instant, sleep};

/// A server whose callbacks all take time.
struct Slow;

#[derive(Clone, Default)]
struct Setup {
    init: Duration,
    idle: Option<Duration>,
}

impl GenServer for Slow {
    type Args = Setup;
    type Call = (Duration, Reply<()>);
    type Cast = Duration;

    async fn init(setup: Setup, ctx: &mut ServerContext<Self>) -> Result<Self> {
        sleep(setup.init).await;
        if let Some(idle) = setup.idle {
            ctx.idle_timeout(idle);
        }
        Ok(Slow)
    }

    async fn handle_call(&mut self, call: Self::Call, _: &mut ServerContext<Self>) -> Result {
        sleep(call.0).await;
        call.1.send(());
        Ok(())
    }

    async fn handle_cast(&mut self, time: Duration, _: &mut ServerContext<Self>) -> Result {
        sleep(time).await;
        Ok(())
    }

    async fn handle_info(&mut self, info: Received, _: &mut ServerContext<Self>) -> Result {
        if let Received::Message(seconds) = info {
            sleep(Duration::from_secs(u64::from(seconds[0]))).await;
        }
        Ok(())
    }

    async fn handle_timeout(&mut self, _: &mut ServerContext<Self>) -> Result {
        sleep(SECOND).await;
        Ok(())
    }

    async fn terminate(&mut self, _: &ExitReason) {
        sleep(SECOND).await;
    }
}

const SECOND: Duration = Duration::from_secs(1);

fn info(rt: &Runtime, server: &ServerRef<Slow>) -> ProcessInfo {
    rt.info(server.pid().unwrap()).unwrap()
}

/// Returns the running callback, and its elapsed milliseconds.
fn handling(rt: &Runtime, pid: Pid) -> Option<(Callback, u128)> {
    let handling = rt.info(pid)?.handling?;
    let Handling { callback, elapsed, .. } = handling;
    Some((callback, elapsed.as_millis()))
}

/// Returns how long the oldest message has waited, in milliseconds.
fn age(rt: &Runtime, server: &ServerRef<Slow>) -> Option<u128> {
    info(rt, server).oldest_queued.map(|age| age.as_millis())
}

#[tokio::test(start_paused = true)]
async fn handler_tracking_is_off_by_default_and_applies_only_to_servers() {
    let rt = Runtime::new();
    let raw = rt.spawn(|_| std::future::pending()).pid();
    let server = Slow::start(&rt, Setup::default()).await.unwrap();
    server.cast(SECOND);
    server.cast(SECOND);
    settled().await;
    let untold = |info: ProcessInfo| {
        assert_eq!((info.handled, info.handling, info.oldest_queued), (None, None, None));
    };
    untold(info(&rt, &server));
    rt.track_handlers(true);
    rt.send(raw, b"one".to_vec());
    untold(rt.info(raw).unwrap());
}

/// `info` shows every kind of callback, with its elapsed time.
#[tokio::test(start_paused = true)]
async fn info_has_the_running_callback_and_its_elapsed_time() {
    let rt = Runtime::new();
    rt.track_handlers(true);
    let setup = Setup { init: SECOND, idle: Some(SECOND * 5) };
    let starting = tokio::spawn({
        let rt = rt.clone();
        async move { Slow::start(&rt, setup).await.unwrap() }
    });
    settled().await;
    let pid = rt.list()[0];
    assert_eq!(handling(&rt, pid), Some((Callback::Init, 1)));
    let server = starting.await.unwrap();
    settled().await;
    assert_eq!(handling(&rt, pid), None);
    sleep(SECOND * 5).await;
    assert_eq!(handling(&rt, pid), Some((Callback::HandleTimeout, 1)));

    sleep(SECOND).await;
    let call = tokio::spawn({
        let server = server.clone();
        async move { server.call(|reply| (SECOND, reply)).await }
    });
    settled().await;
    assert_eq!(handling(&rt, pid), Some((Callback::HandleCall, 1)));
    call.await.unwrap().unwrap();
    server.cast(SECOND);
    settled().await;
    assert_eq!(handling(&rt, pid), Some((Callback::HandleCast, 1)));
    rt.send(pid, vec![2]);
    sleep(SECOND * 2).await;
    let info = info(&rt, &server);
    assert_eq!(info.handling.map(|handling| handling.callback), Some(Callback::HandleInfo));
    assert_eq!(info.handled, Some(3), "a time-out, a call and a cast");

    let ended = server.ended();
    let stop = tokio::spawn(async move { server.stop(ExitReason::Normal).await });
    sleep(SECOND).await;
    settled().await;
    let terminating = handling(&rt, pid).unwrap();
    assert_eq!(terminating.0, Callback::Terminate);
    assert_eq!((ended.await, stop.await.unwrap()), (ExitReason::Normal, Ok(ExitReason::Normal)));
}

/// The age is that of the oldest waiting message itself, not of its batch or of the message before
/// it.
#[tokio::test(start_paused = true)]
async fn oldest_queued_is_the_age_of_the_oldest_waiting_message() {
    for rt in [Runtime::new(), Runtime::with_mailbox_depth()] {
        rt.track_handlers(true);
        let server = Slow::start(&rt, Setup::default()).await.unwrap();
        assert_eq!(age(&rt, &server), None, "it is empty");
        let start = Instant::now();
        let at = |ms: u64| tokio::time::sleep_until(start + Duration::from_millis(ms));
        for queued in [0, 0, 100, 300] {
            at(queued).await;
            server.cast(SECOND);
        }
        at(500).await;
        assert_eq!(age(&rt, &server), Some(500), "the second, while the first is handled");
        at(1_500).await;
        assert_eq!(age(&rt, &server), Some(1_400), "the third");
        at(2_500).await;
        assert_eq!(age(&rt, &server), Some(2_200), "the fourth");
        assert_eq!(info(&rt, &server).handled, Some(2));
        at(3_500).await;
        assert_eq!(age(&rt, &server), None, "it is in hand");
        at(4_500).await;
        assert_eq!((info(&rt, &server).handled, age(&rt, &server)), (Some(4), None));
    }
}

/// Signals count as messages. A suspended server keeps all of them waiting.
#[tokio::test(start_paused = true)]
async fn oldest_queued_grows_while_a_server_is_suspended() {
    for rt in [Runtime::new(), Runtime::with_mailbox_depth()] {
        rt.track_handlers(true);
        let server = Slow::start(&rt, Setup::default()).await.unwrap();
        server.suspend().await.unwrap();
        rt.monitor(server.pid().unwrap(), support::dead_pid(&rt).await);
        sleep(SECOND).await;
        server.cast(Duration::ZERO);
        sleep(SECOND).await;
        assert_eq!(age(&rt, &server), Some(2_000));
        assert_eq!(server.get_status().await.unwrap().to_string(), "suspended");
        assert_eq!((age(&rt, &server), info(&rt, &server).handling), (Some(2_000), None));
        server.resume().await.unwrap();
        settled().await;
        assert_eq!((age(&rt, &server), info(&rt, &server).handled), (None, Some(2)));
    }
}

/// After the oldest messages were evicted, the age is that of the oldest remaining one.
#[tokio::test(start_paused = true)]
async fn oldest_queued_ignores_evicted_messages() {
    let rt = Runtime::new();
    rt.track_handlers(true);
    let spec = Slow::spec(Setup::default()).mailbox_capacity(2, Overflow::DropOldest);
    let server = spec.start(&rt).await.unwrap();
    server.cast(SECOND * 60);
    settled().await;
    for _ in 0..4 {
        server.cast(SECOND);
        sleep(SECOND).await;
    }
    assert_eq!(age(&rt, &server), Some(2_000), "two are left");
    assert_eq!(info(&rt, &server).mailbox_depth, 2);
}

/// Tracking can be switched on and off while servers run. Earlier messages have no data.
#[tokio::test(start_paused = true)]
async fn track_handlers_may_be_switched_while_servers_run() {
    let rt = Runtime::new();
    let server = Slow::start(&rt, Setup::default()).await.unwrap();
    for _ in 0..3 {
        server.cast(SECOND);
    }
    settled().await;
    rt.track_handlers(true);
    assert_eq!((info(&rt, &server).handled, info(&rt, &server).handling), (Some(0), None));
    assert_eq!(age(&rt, &server), None, "two wait, and came before");
    server.cast(SECOND);
    sleep(SECOND).await;
    assert!(info(&rt, &server).handling.is_some(), "it began since");
    assert_eq!(age(&rt, &server), Some(1_000), "one waits that came since");
    sleep(SECOND * 2).await;
    assert_eq!(info(&rt, &server).handled, Some(2));

    rt.track_handlers(false);
    assert_eq!(info(&rt, &server).handled, None);
    server.cast(SECOND);
    server.call(|reply| (SECOND, reply)).await.unwrap();
    assert_eq!(info(&rt, &server).handled, None);
    rt.track_handlers(true);
    server.call(|reply| (SECOND, reply)).await.unwrap();
    settled().await;
    assert_eq!(info(&rt, &server).handled, Some(1), "counted anew");
}

/// Servers start, end and handle calls while the switch changes. At the end every server has the
/// last setting.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_switches_of_track_handlers_reach_every_server() {
    let rt = Runtime::new();
    let turning = rt.clone();
    let turner = tokio::task::spawn_blocking(move || {
        for turn in 0..2_000 {
            turning.track_handlers(turn % 2 == 1);
            std::thread::yield_now();
        }
    });
    let mut servers = Vec::new();
    while !turner.is_finished() || servers.len() < 50 {
        let server = Slow::start(&rt, Setup::default()).await.unwrap();
        server.call(|reply| (Duration::ZERO, reply)).await.unwrap();
        servers.push(server);
        if servers.len() > 50 {
            servers.remove(0).stop(ExitReason::Normal).await.ok();
        }
    }
    turner.await.unwrap();
    for server in &servers {
        let before = info(&rt, server).handled.expect("it was turned on last");
        for _ in 0..3 {
            server.call(|reply| (Duration::ZERO, reply)).await.unwrap();
        }
        // The last of the three handlers may not have returned yet.
        let handled = || info(&rt, server).handled >= Some(before + 2);
        support::until("three more handlers", handled).await;
    }
    rt.track_handlers(false);
    assert!(servers.iter().all(|server| info(&rt, server).handled.is_none()));
    rt.shutdown();
}
