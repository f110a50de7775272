//! The test kit: contexts made by hand, mock servers, probes, and waits.

use crate::support;

use std::time::Duration;

use regrow::testing::{Asked, Mock, Probe, TestContext, await_exit, await_restart};
use regrow::{
    Backoff, CallError, ChildSpec, ExitReason, GenServer, Inside, Leftovers, Received, Reply,
    Result, Runtime, ServerContext, Supervisor,
};
use support::ledger::{Call, Cast, LEDGER, Ledger, Setup};
use support::{crash, down, exit, settled, text};
use tokio::time::{Instant, MissedTickBehavior};

fn ms(time: u64) -> Duration {
    Duration::from_millis(time)
}

/// A server that makes every kind of request to its context.
struct Asker(Vec<&'static str>);

impl GenServer for Asker {
    type Args = ();
    type Call = Reply<u8>;
    type Cast = &'static str;

    async fn init((): (), ctx: &mut ServerContext<Self>) -> Result<Self> {
        ctx.continue_with("first");
        ctx.continue_with("second");
        ctx.idle_timeout(ms(70));
        ctx.cast_after_as("lease", ms(300), "lease");
        ctx.cast_every(ms(200), MissedTickBehavior::Skip, || "tick");
        ctx.cast_after(ms(100), "once");
        Ok(Asker(Vec::new()))
    }

    async fn handle_call(&mut self, reply: Reply<u8>, ctx: &mut ServerContext<Self>) -> Result {
        let work = tokio::time::sleep(ms(10));
        ctx.spawn_task(work, |()| "worked");
        drop(reply);
        Ok(())
    }

    async fn handle_cast(&mut self, word: &'static str, _: &mut ServerContext<Self>) -> Result {
        self.0.push(word);
        Ok(())
    }

    async fn handle_info(&mut self, info: Received, _: &mut ServerContext<Self>) -> Result {
        self.0.push(if info.message().is_some() { "message" } else { "signal" });
        Ok(())
    }

    async fn handle_timeout(&mut self, _: &mut ServerContext<Self>) -> Result {
        self.0.push("idle");
        Ok(())
    }
}

/// The test can read what a handler requested from its context.
#[tokio::test(start_paused = true)]
async fn a_test_context_shows_continues_timeouts_and_timers() {
    let rt = Runtime::new();
    let mut ctx = TestContext::new(&rt);
    Asker::init((), &mut ctx).await.unwrap();
    assert_eq!(ctx.take_continues(), ["first", "second"]);
    assert_eq!(ctx.take_continues(), [""; 0]);
    assert_eq!(ctx.take_idle_timeout(), Some(ms(70)));
    assert_eq!(ctx.take_idle_timeout(), None);
    let timers = ctx.timers();
    let timers: Vec<_> = timers.iter().map(|t| (t.key(), t.remaining(), t.period())).collect();
    let expected =
        [(None, ms(100), None), (None, ms(200), Some(ms(200))), (Some("lease"), ms(300), None)];
    assert_eq!(timers, expected);
    assert!(ctx.cancel_key("lease"));
    assert_eq!(ctx.timers().len(), 2);
}

/// `handle_next` handles one event at a time in the order of a running server: continue values,
/// messages, timers, the idle time-out, and the result of a task.
#[tokio::test(start_paused = true)]
async fn handle_next_handles_one_event_in_the_order_of_a_server() {
    let rt = Runtime::new();
    let start = Instant::now();
    let mut ctx = TestContext::new(&rt);
    let mut asker = Asker::init((), &mut ctx).await.unwrap();
    assert!(ctx.this().cast("a cast"));
    assert!(rt.send(ctx.pid(), b"bytes".to_vec()));
    for _ in 0..4 {
        ctx.handle_next(&mut asker).await.unwrap();
    }
    assert_eq!(asker.0, ["first", "second", "a cast", "message"]);
    ctx.idle_timeout(ms(50));
    for at in [50, 100, 200, 300, 400] {
        ctx.handle_next(&mut asker).await.unwrap();
        assert_eq!(start.elapsed(), ms(at));
    }
    assert_eq!(asker.0[4..], ["idle", "once", "tick", "lease", "tick"]);

    let (call, answer) = ctx.question(|reply| reply);
    asker.handle_call(call, &mut ctx).await.unwrap();
    assert_eq!(answer.await, Err(CallError::NoReply));
    ctx.handle_next(&mut asker).await.unwrap();
    assert_eq!((asker.0.last(), start.elapsed()), (Some(&"worked"), ms(410)));
}

/// A caller gets the true outcome, also if no handler runs and another process drops the reply.
#[tokio::test(start_paused = true)]
async fn a_test_context_question_resolves_as_a_call_does() {
    let rt = Runtime::new();
    let mut ctx = TestContext::<Ledger>::new(&rt);
    let mut ledger = Ledger::init(Setup::default(), &mut ctx).await.unwrap();
    let (call, mut answer) = ctx.question(Call::Later);
    ledger.handle_call(call, &mut ctx).await.unwrap();
    assert_eq!(answer.by_now(), None);
    ledger.handle_cast(Cast::ReplyAll, &mut ctx).await.unwrap();
    assert_eq!(answer.by_now(), Some(Ok(0)));
    assert_eq!(answer.by_now(), None, "it was taken");

    let (call, answer) = ctx.question(Call::Later);
    let start = Instant::now();
    let waiting = tokio::spawn(tokio::time::timeout(ms(1_000), answer));
    tokio::task::yield_now().await;
    drop(call);
    assert_eq!(waiting.await.unwrap(), Ok(Err(CallError::NoReply)));
    assert_eq!(start.elapsed(), Duration::ZERO, "it was not woken");

    let (call, answer) = ctx.question(Call::Later);
    rt.exit(ctx.pid(), crash("out of paper"));
    drop(call);
    assert_eq!(answer.await, Err(CallError::Exited(crash("out of paper"))));
    let next = ctx.handle_next(&mut ledger).await;
    assert_eq!(next, Err(crash("out of paper")));
}

/// A stop is reported with the reason that would end the server. A dropped context leaves nothing.
#[tokio::test]
async fn a_test_context_ends_as_a_server_does() {
    let rt = Runtime::new();
    let mut ctx = TestContext::<Ledger>::new(&rt);
    let mut ledger = Ledger::init(Setup::default(), &mut ctx).await.unwrap();
    let this = ctx.this();
    let stopping = tokio::spawn(async move { this.stop(ExitReason::Shutdown).await });
    assert_eq!(ctx.handle_next(&mut ledger).await, Err(ExitReason::Shutdown));
    let again = TestContext::<Ledger>::restarted(&rt, 2, crash("x"));
    assert_eq!(again.start_cause().restarts(), 2);
    let (this, other) = (ctx.this(), again.this());
    drop((ctx, again));
    assert_eq!((this.ended().await, other.ended().await), (ExitReason::Normal, ExitReason::Normal));
    // The context was dropped, so it did not end with the requested reason.
    assert_eq!(stopping.await.unwrap(), Err(CallError::Exited(ExitReason::Normal)));
    assert_eq!(rt.leftovers(), Leftovers::default());
}

/// Calls, casts, messages, signals and a stop arrive in the order in which they were sent.
#[tokio::test]
async fn a_mock_receives_requests_in_order() {
    let rt = Runtime::new();
    let mut mock = Mock::named(&rt, LEDGER);
    let server = rt.server(LEDGER);
    let asking = tokio::spawn(async move {
        server.cast(Cast::Write(1));
        let lines = server.call(Call::Lines).await;
        (lines, server.stop(ExitReason::Shutdown).await)
    });
    assert!(matches!(mock.next_cast().await, Cast::Write(1)));
    let Call::Lines(reply) = mock.next_call().await else { panic!("another call") };
    rt.send(mock.pid(), b"bytes".to_vec());
    reply.send(vec![7]);
    assert!(matches!(mock.next().await, Asked::Info(info) if info == text("bytes")));
    let Asked::Stop(reason) = mock.next().await else { panic!("no stop") };
    assert_eq!(mock.end(reason).await, ExitReason::Shutdown);
    let stopped = Ok(ExitReason::Shutdown);
    assert_eq!(asking.await.unwrap(), (Ok(vec![7]), stopped));
    assert_eq!(rt.leftovers(), Leftovers::default());
}

/// The caller of a mock gets its exit reason, whether the test has taken the call or not.
#[tokio::test]
async fn calls_to_a_mock_resolve_as_calls_to_a_server() {
    let rt = Runtime::new();
    let mut mock = Mock::<Ledger>::new(&rt);
    let call = || {
        let server = mock.server();
        tokio::spawn(async move { server.call(Call::Lines).await })
    };
    let calls = [call(), call(), call(), call()];
    let server = mock.server();
    drop(mock.next_call().await);
    let taken = mock.next_call().await;
    let [dropped, held, queued, unread] = calls;
    assert_eq!(dropped.await.unwrap(), Err(CallError::NoReply));
    let reason = crash("no ink");
    assert_eq!(mock.end(reason.clone()).await, reason);
    for call in [queued, unread] {
        assert_eq!(call.await.unwrap(), Err(CallError::Exited(reason.clone())));
    }
    drop(taken);
    assert_eq!(held.await.unwrap(), Err(CallError::Exited(reason)));
    assert_eq!(server.call(Call::Lines).await, Err(CallError::NoProc));
}

/// A mock that is killed or dropped ends like any server, and its monitors are notified.
#[tokio::test]
async fn a_mock_ends_when_killed_or_dropped() {
    let rt = Runtime::new();
    let mut probe = Probe::new(&rt);
    for killed in [true, false] {
        let mut mock = Mock::named(&rt, LEDGER);
        let (pid, server) = (mock.pid(), mock.server());
        let reference = probe.monitor(pid);
        let calls = [server.clone(), server]
            .map(|server| tokio::spawn(async move { server.call(Call::Lines).await }));
        let taken = mock.next_call().await;
        let reason = if killed { ExitReason::Killed } else { ExitReason::Normal };
        if killed {
            rt.kill(pid);
        } else {
            drop(mock);
        }
        probe.expect(down(reference, pid, reason.clone())).await;
        drop(taken);
        for call in calls {
            assert_eq!(call.await.unwrap(), Err(CallError::Exited(reason.clone())));
        }
        assert_eq!(rt.whereis("ledger"), None);
    }
}

/// A mock with a full mailbox tests how code reacts to it.
#[tokio::test]
async fn a_mock_can_be_overloaded() {
    let rt = Runtime::with_mailbox_capacity(1);
    let mut mock = Mock::<Ledger>::new(&rt);
    let server = mock.server();
    assert!(server.cast(Cast::Write(1)));
    assert!(!server.cast(Cast::Write(2)));
    assert_eq!(server.call(Call::Lines).await, Err(CallError::Overloaded));
    assert!(matches!(mock.next_cast().await, Cast::Write(1)));
    assert!(server.cast(Cast::Write(3)));
}

/// A probe is a process like any other: it links, monitors, traps exits, and is a parent.
#[tokio::test]
async fn a_probe_can_link_monitor_trap_and_start_children() {
    let rt = Runtime::new();
    let mut probe = Probe::new(&rt);
    assert!(!probe.trap_exit(true));
    let child = Ledger::spec(Setup::default()).start_link(&probe).await.unwrap();
    assert_eq!(Inside::pid(&probe), probe.pid());
    let pid = child.pid().unwrap();
    let reference = probe.monitor(pid);
    child.stop(crash("x")).await.unwrap();
    let mut got = probe.so_far();
    got.sort_by_key(|item| matches!(item, Received::Exit { .. }));
    assert_eq!(got, [down(reference, pid, crash("x")), exit(pid, crash("x"))]);
    probe.assert_silent();

    for n in 0..1_000_u32 {
        rt.send(probe.pid(), n.to_string().into_bytes());
    }
    assert_eq!(probe.next().await, text("0"));
    assert_eq!(probe.so_far().len(), 999, "all of it, however much");

    let worker = rt.spawn(|_| std::future::pending());
    assert!(probe.link(worker.pid()));
    assert!(probe.trap_exit(false));
    let pid = probe.pid();
    let probes_end = await_exit(&rt, pid);
    worker.kill();
    assert_eq!(probes_end.await, ExitReason::Killed);
}

/// A wait that times out panics with what it expected. With paused time it does so at once.
#[tokio::test(start_paused = true)]
async fn a_wait_of_the_test_kit_that_times_out_panics_with_what_it_expected() {
    let rt = Runtime::new();
    let said = async |waiting: tokio::task::JoinHandle<()>| {
        let panic = waiting.await.unwrap_err().into_panic();
        panic.downcast_ref::<String>().cloned().unwrap()
    };
    let mut probe = Probe::new(&rt);
    let silent = said(tokio::spawn(async move { drop(probe.next().await) })).await;
    assert!(silent.contains("waited a day for something to be received"), "{silent}");

    let mut probe = Probe::new(&rt);
    rt.send(probe.pid(), b"b".to_vec());
    let other = said(tokio::spawn(async move { probe.expect(text("a")).await })).await;
    assert!(other.contains("but received"), "{other}");

    let mut probe = Probe::new(&rt);
    rt.kill(probe.pid());
    let ended = said(tokio::spawn(async move { drop(probe.next().await) })).await;
    assert!(ended.ends_with("nothing more: killed"), "{ended}");

    let mut mock = Mock::<Ledger>::new(&rt);
    mock.server().cast(Cast::Write(1));
    let cast = said(tokio::spawn(async move { drop(mock.next_call().await) })).await;
    assert!(cast.ends_with(": expected a call, but got Cast(..)"), "{cast}");

    let waits = await_restart(&rt, "nobody");
    let gone = said(tokio::spawn(async move { assert!(waits.await.raw() > 0) })).await;
    assert!(gone.contains("a new holder of \"nobody\""), "{gone}");
}

/// The wait may begin before or after the restart. The successor may come after a backoff, after a
/// restart of its supervisor, or without any supervisor.
#[tokio::test(start_paused = true)]
async fn await_restart_returns_the_next_holder_of_a_name() {
    let rt = Runtime::new();
    let idle = || ChildSpec::task("a", |_| std::future::pending()).named("a");
    let pause = Backoff::new().first(ms(3_000)).jitter(0.0);
    let inner = Supervisor::one_for_one().intensity(1, ms(1_000)).child(idle().backoff(pause));
    let tree = Supervisor::one_for_one().child(inner).start(&rt).await.unwrap();

    let start = Instant::now();
    let first = rt.whereis("a").unwrap();
    let (waited, late) = (await_restart(&rt, "a"), await_restart(&rt, "a"));
    rt.kill(first);
    let second = waited.await;
    assert_eq!((second > first, start.elapsed()), (true, ms(3_000)));
    assert_eq!(late.await, second, "the restart was over before");

    let again = await_restart(&rt, "a");
    rt.kill(second);
    assert!(again.await > second);
    tree.stop().await.unwrap();

    let free = await_restart(&rt, "a");
    let (free, taken) = tokio::join!(free, async {
        settled().await;
        rt.whereis_or_spawn("a", |_| std::future::pending())
    });
    assert_eq!(free, taken);
}
