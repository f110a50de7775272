//! Zero and `Duration::MAX` for every setting that is a duration: nothing hangs, nothing panics
//! unless its documentation says so, and each value has its documented meaning. Zero means "check
//! without waiting" or is refused; `MAX` means never.

mod behaviours;

use crate::support;

use std::collections::BTreeSet;
use std::future::pending;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use futures_util::{FutureExt, StreamExt, stream};
use regrow::{
    Backoff, CallError, ChildSpec, ChildState, DynamicSupervisor, Exhausted, ExitReason, Finding,
    GenServer, Heartbeat, KeyedError, KeyedServers, Overflow, PartitionSupervisor, Phase, Received,
    Reply, Result, Run, Runtime, ServerContext, ServerRef, Shutdown, StartError, Supervisor, Task,
    TaskError, TaskStream, TaskSupervisor, TimerRef,
};
use support::source::sources;
use support::{idle, settled};
use tokio::time::{Instant, MissedTickBehavior, sleep};

const ZERO: Duration = Duration::ZERO;
const MAX: Duration = Duration::MAX;
const SECOND: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);

/// The methods that the tests of this module call with zero and with `MAX`.
const TESTED: &[&str] = &[
    "src/child/blocking/context.rs: recv_timeout",
    "src/child/blocking/context.rs: wait_stop",
    "src/child/command/mod.rs: stop_window",
    "src/child/heartbeat.rs: every",
    "src/child/heartbeat.rs: restart_after",
    "src/child/once.rs: init_timeout",
    "src/child/once.rs: ready_within",
    "src/child/once.rs: warn_after",
    "src/child/settings.rs: init_timeout",
    "src/child/settings.rs: ready_within",
    "src/child/settings.rs: restart_budget",
    "src/child/settings.rs: warn_after",
    "src/child/task_context.rs: recv_timeout",
    "src/keyed/mod.rs: call_or_start",
    "src/keyed/mod.rs: cast_or_start",
    "src/net/connect.rs: connect_timeout",
    "src/net/connect.rs: ready_within",
    "src/net/listener.rs: accept_pause",
    "src/net/listener.rs: drain",
    "src/observation/observing.rs: sample_every",
    "src/program/builder.rs: shutdown_timeout",
    "src/program/phases.rs: start_within",
    "src/program/phases.rs: stop_within",
    "src/program/run.rs: deadline",
    "src/restart/backoff/mod.rs: first",
    "src/restart/backoff/mod.rs: give_up_after",
    "src/restart/backoff/mod.rs: max",
    "src/restart/backoff/mod.rs: reset_after",
    "src/runtime/context.rs: recv_match_timeout",
    "src/runtime/context.rs: recv_timeout",
    "src/runtime/crash_reports.rs: limit_crash_reports",
    "src/runtime/poll_watch.rs: watch_polls",
    "src/runtime/timers.rs: exit_after",
    "src/runtime/timers.rs: kill_after",
    "src/runtime/timers.rs: send_after",
    "src/runtime/timers.rs: send_interval",
    "src/runtime/tracking.rs: warn_after",
    "src/server/context/next_step.rs: idle_after",
    "src/server/context/next_step.rs: idle_timeout",
    "src/server/context/self_casts.rs: cast_after",
    "src/server/context/self_casts.rs: cast_after_as",
    "src/server/context/self_casts.rs: cast_every",
    "src/server/handle/calls.rs: call_blocking",
    "src/server/handle/calls.rs: call_many",
    "src/server/handle/calls.rs: call_waiting",
    "src/server/handle/casts.rs: cast_timeout",
    "src/server/handle/sender.rs: call_timeout",
    "src/server/handle/server_ref.rs: call_timeout",
    "src/server/handle/stop.rs: stop_timeout",
    "src/server/run/drain.rs: drain_on_stop",
    "src/server/spec.rs: init_timeout",
    "src/server/spec.rs: warn_after",
    "src/snapshot/collect.rs: tree_within",
    "src/snapshot/routes.rs: tree_routes_within",
    "src/supervisor/dynamic/dynamic_ref.rs: start_child_waiting",
    "src/supervisor/dynamic/spec.rs: child_intensity",
    "src/supervisor/dynamic/spec.rs: intensity",
    "src/supervisor/fixed/supervisor_ref.rs: start_child_waiting",
    "src/supervisor/partition/mod.rs: intensity",
    "src/supervisor/spec/mod.rs: intensity",
    "src/task/join_many.rs: join_many",
    "src/task/join_many.rs: yield_many",
    "src/task/mod.rs: join_timeout",
    "src/task/mod.rs: yield_for",
    "src/task/stream.rs: timeout",
    "src/task/supervisor.rs: intensity",
    "src/task/supervisor_ref.rs: start_child_waiting",
    "src/testing/collector.rs: drain_for",
    "src/testing/collector.rs: next_within",
    "src/testing/tree.rs: stop_within",
    // By `behaviours.rs`.
    "src/agent/agent_ref.rs: get_timeout",
    "src/agent/agent_ref.rs: get_waiting",
    "src/agent/agent_ref.rs: stop_timeout",
    "src/agent/agent_ref.rs: update_timeout",
    "src/agent/agent_ref.rs: update_waiting",
    "src/child/failure_settings.rs: resume_budget",
    "src/child/once.rs: resume_budget",
    "src/events/manager/handler_ref.rs: call_timeout",
    "src/limits/breaker.rs: run_within",
    "src/limits/breaker_rules.rs: failures",
    "src/limits/rate.rs: new",
    "src/machine/context.rs: event_timeout",
    "src/machine/context.rs: state_timeout",
    "src/machine/context.rs: timeout",
    "src/pipeline/spec.rs: drain_within",
    "src/pipeline/spec.rs: intensity",
    "src/pipeline/stages.rs: batch",
    "src/pool/handle.rs: checkout_within",
    "src/pool/spec.rs: check_every",
    "src/pool/spec.rs: intensity",
    "src/pool/spec.rs: max_idle",
    "src/pool/spec.rs: max_lifetime",
    "src/pool/spec.rs: overflow_idle",
    "src/runtime/log_limit.rs: limit_log_lines",
    "src/tower/server_service.rs: timeout",
    // By `observe/observation_folded.rs`.
    "src/observation/observing.rs: keep_ended_for",
    // By `observe/metrics.rs`, which needs the feature.
    "src/metrics/settings.rs: every",
    // By `cluster/pairs.rs`, which needs the feature.
    "src/cluster/node.rs: handshake_timeout",
    "src/cluster/node.rs: tick_time",
    // By `cluster/remote_calls.rs`.
    "src/cluster/calls/remote_server.rs: call_timeout",
    "src/cluster/calls/untyped.rs: call_timeout",
    // By `chaos/checks.rs`, which needs the feature.
    "src/testing/chaos/plan.rs: apart",
    "src/testing/chaos/plan.rs: duration",
    "src/testing/chaos/plan.rs: eventually",
];

#[test]
fn every_public_method_with_a_duration_is_listed_as_tested() {
    let mut found = BTreeSet::new();
    for source in sources("src") {
        let code = source.shipped();
        for (at, _) in code.match_indices("pub ") {
            let head = &code[at..code[at..].find(['{', ';']).map_or(code.len(), |end| at + end)];
            let Some((before, arguments)) = head.split_once("fn ") else { continue };
            let is_method =
                before.trim_end().split(' ').all(|w| ["pub", "const", "async"].contains(&w));
            let takes_time = [": Duration", "Into<Option<Duration>>"];
            if is_method && takes_time.iter().any(|time| arguments.contains(time)) {
                let name = arguments.split(['(', '<']).next().unwrap();
                found.insert(format!("{}: {name}", source.path));
            }
        }
    }
    let tested: BTreeSet<String> = TESTED.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(found, tested);
}

/// A server that acts on request, and reports what it handles.
struct Clerk {
    told: tokio::sync::mpsc::UnboundedSender<&'static str>,
}

type Act = Box<dyn FnOnce(&mut ServerContext<Clerk>) + Send>;

enum Cast {
    Act(Act),
    Say(&'static str),
    Sleep(Duration),
}

impl GenServer for Clerk {
    type Args = (tokio::sync::mpsc::UnboundedSender<&'static str>, Duration);
    type Call = Reply<u8>;
    type Cast = Cast;

    async fn init((told, takes): Self::Args, _: &mut ServerContext<Self>) -> Result<Self> {
        if !takes.is_zero() {
            sleep(takes).await;
        }
        Ok(Clerk { told })
    }

    async fn handle_call(&mut self, call: Reply<u8>, _: &mut ServerContext<Self>) -> Result {
        call.send(7);
        Ok(())
    }

    async fn handle_cast(&mut self, cast: Cast, ctx: &mut ServerContext<Self>) -> Result {
        match cast {
            Cast::Act(act) => act(ctx),
            Cast::Say(word) => self.told.send(word)?,
            Cast::Sleep(time) => sleep(time).await,
        }
        Ok(())
    }

    async fn handle_timeout(&mut self, _: &mut ServerContext<Self>) -> Result {
        Ok(self.told.send("idle")?)
    }
}

struct Desk {
    clerk: ServerRef<Clerk>,
    told: tokio::sync::mpsc::UnboundedReceiver<&'static str>,
}

impl Desk {
    async fn new() -> Desk {
        let (rt, (tell, told)) = (Runtime::new(), tokio::sync::mpsc::unbounded_channel());
        let clerk = Clerk::start(&rt, (tell, ZERO)).await.unwrap();
        Desk { clerk, told }
    }

    fn act(&self, act: impl FnOnce(&mut ServerContext<Clerk>) + Send + 'static) {
        assert!(self.clerk.cast(Cast::Act(Box::new(act))));
    }

    /// Waits a second, and returns the reports of the server.
    async fn handled(&mut self) -> Vec<&'static str> {
        sleep(SECOND).await;
        std::iter::from_fn(|| self.told.try_recv().ok()).collect()
    }
}

fn args(takes: Duration) -> <Clerk as GenServer>::Args {
    (tokio::sync::mpsc::unbounded_channel().0, takes)
}

fn same(reply: Reply<u8>) -> Reply<u8> {
    reply
}

#[tokio::test(start_paused = true)]
async fn a_zero_timer_fires_at_once_and_a_max_timer_never() {
    let rt = Runtime::new();
    type Arm = fn(&Runtime, regrow::Pid, Duration) -> TimerRef;
    let arms: [Arm; 3] = [
        |rt, pid, delay| rt.send_after(pid, delay, b"due".to_vec()),
        |rt, pid, delay| rt.exit_after(pid, delay, ExitReason::Shutdown),
        |rt, pid, delay| rt.kill_after(pid, delay),
    ];
    for arm in arms {
        let body = rt.spawn(|mut ctx| async move { drop(ctx.recv().await) });
        let never = arm(&rt, body.pid(), MAX);
        assert_eq!(never.remaining(), Some(MAX), "what was asked");
        sleep(3_600 * SECOND).await;
        assert_eq!(never.remaining(), Some(MAX - 3_600 * SECOND));
        let start = Instant::now();
        arm(&rt, body.pid(), ZERO);
        body.join().await;
        assert!(start.elapsed() <= MS, "{:?}", start.elapsed());
        assert_eq!((never.cancel(), never.remaining()), (false, None));
    }
    let pid = idle(&rt);
    let never = rt.send_interval(pid, MAX, b"tick".to_vec());
    assert_eq!((never.remaining(), never.cancel()), (Some(MAX), true));
    let year = 365 * 24 * 3_600 * SECOND;
    assert_eq!(rt.send_after(pid, 90 * year, vec![]).remaining(), Some(90 * year));
    let zero = || drop(rt.send_interval(pid, ZERO, b"tick".to_vec()));
    assert!(catch_unwind(AssertUnwindSafe(zero)).is_err(), "documented");
}

#[tokio::test(start_paused = true)]
async fn a_zero_receive_only_looks_and_a_max_receive_waits_for_ever() {
    let rt = Runtime::new();
    let body = rt.spawn(|mut ctx| async move {
        let all = |_: &Received| true;
        assert_eq!(ctx.recv_timeout(ZERO).await, None);
        assert_eq!(ctx.recv_match_timeout(all, ZERO).await, None);
        for _ in 0..2 {
            ctx.runtime().send_after(ctx.pid(), 3_600 * SECOND, b"late".to_vec());
        }
        assert!(ctx.recv_timeout(MAX).await.is_some());
        assert!(ctx.recv_match_timeout(all, MAX).await.is_some());
        assert!(ctx.runtime().send(ctx.pid(), b"there".to_vec()));
        assert!(ctx.recv_timeout(ZERO).await.is_some());
        assert!(ctx.runtime().send(ctx.pid(), b"there".to_vec()));
        assert!(ctx.recv_match_timeout(all, ZERO).await.is_some());
    });
    assert_eq!(body.join().await, ExitReason::Normal);
    let task = Task::spawn_nolink(&rt, |mut ctx| async move {
        ctx.runtime().send_after(ctx.pid(), SECOND, b"late".to_vec());
        (ctx.recv_timeout(ZERO).await.is_some(), ctx.recv_timeout(MAX).await.is_some())
    });
    assert_eq!(task.join().await, Ok((false, true)));
}

#[tokio::test]
async fn a_zero_blocking_wait_only_looks_and_a_max_one_waits_for_ever() {
    let rt = Runtime::new();
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let body = ChildSpec::blocking("body", move |mut ctx| {
        let mut seen = vec![ctx.wait_stop(ZERO), ctx.recv_timeout(ZERO).is_some()];
        for limit in [ZERO, MAX] {
            assert!(ctx.runtime().send(ctx.pid(), b"there".to_vec()));
            seen.push(ctx.recv_timeout(limit).is_some());
        }
        tell.send(seen)?;
        tell.send(vec![ctx.wait_stop(MAX), ctx.wait_stop(ZERO)])?;
        Ok(())
    });
    let tree = Supervisor::one_for_one().child(body).start(&rt).await.unwrap();
    assert_eq!(told.recv().await.unwrap(), [false, false, true, true]);
    tree.stop().await.unwrap();
    assert_eq!(told.recv().await.unwrap(), [true, true]);
}

#[tokio::test(start_paused = true)]
async fn a_zero_cast_only_looks_and_a_max_cast_waits_for_ever() {
    let (rt, (tell, _told)) = (Runtime::new(), tokio::sync::mpsc::unbounded_channel());
    let spec = Clerk::spec((tell, ZERO)).mailbox_capacity(1, Overflow::Wait);
    let clerk = spec.start(&rt).await.unwrap();
    assert!(clerk.cast(Cast::Sleep(3_600 * SECOND)));
    settled().await;
    assert!(clerk.cast_timeout(Cast::Say("fits"), ZERO).await.is_ok());
    let refused = clerk.cast_timeout(Cast::Say("no room"), ZERO).await.unwrap_err();
    assert_eq!(refused.reason, CallError::Overloaded);
    assert!(clerk.cast_timeout(Cast::Say("waits"), MAX).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_zero_drain_handles_nothing_and_a_max_drain_everything() {
    for (limit, expected) in [(ZERO, vec![]), (MAX, vec!["late"])] {
        let mut desk = Desk::new().await;
        desk.act(move |ctx| assert!(ctx.drain_on_stop(limit)));
        assert!(desk.clerk.cast(Cast::Sleep(SECOND)) && desk.clerk.cast(Cast::Say("late")));
        settled().await;
        assert!(desk.clerk.stop(ExitReason::Normal).await.is_ok());
        assert_eq!(desk.handled().await, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_zero_call_times_out_and_a_max_call_waits_for_ever() {
    let desk = Desk::new().await;
    let clerk = &desk.clerk;
    let caller = clerk.caller(|(), reply| reply);
    for (limit, expected) in [(ZERO, Err(CallError::Timeout)), (MAX, Ok(7))] {
        assert!(clerk.cast(Cast::Sleep(3_600 * SECOND)));
        assert_eq!(clerk.call_timeout(same, limit).await, expected);
        assert!(clerk.cast(Cast::Sleep(3_600 * SECOND)));
        assert_eq!(caller.call_timeout((), limit).await, expected);
        assert!(clerk.cast(Cast::Sleep(3_600 * SECOND)));
        assert_eq!(clerk.call_waiting(same, limit).await, expected);
        assert!(clerk.cast(Cast::Sleep(3_600 * SECOND)));
        assert_eq!(
            ServerRef::call_many(std::slice::from_ref(clerk), same, limit).await,
            [expected]
        );
    }
    let ended = clerk.ended();
    assert!(clerk.cast(Cast::Sleep(SECOND)));
    assert_eq!(clerk.stop_timeout(ExitReason::Normal, ZERO).await, Err(CallError::Timeout));
    assert_eq!(ended.await, ExitReason::Normal, "it was asked all the same");
    let other = Desk::new().await.clerk;
    assert!(other.cast(Cast::Sleep(SECOND)));
    let stopped = other.stop_timeout(ExitReason::Normal, MAX).await;
    assert_eq!(stopped, Ok(ExitReason::Normal));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_zero_blocking_call_may_time_out_and_a_max_one_waits_for_ever() {
    let desk = Desk::new().await;
    let clerk = desk.clerk.clone();
    let calls = move || [ZERO, MAX].map(|limit| clerk.call_blocking(same, limit));
    let [zero, max] = tokio::task::spawn_blocking(calls).await.unwrap();
    assert!(matches!(zero, Ok(7) | Err(CallError::Timeout)), "{zero:?}");
    assert_eq!(max, Ok(7));
}

#[tokio::test(start_paused = true)]
async fn a_zero_start_timeout_fails_a_slow_start_and_a_max_one_waits_for_ever() {
    let rt = Runtime::new();
    for (limit, takes, starts) in
        [(ZERO, ZERO, true), (ZERO, SECOND, false), (MAX, 3_600 * SECOND, true)]
    {
        let started = Clerk::spec(args(takes)).init_timeout(limit).start(&rt).await;
        match started {
            Ok(clerk) => assert!(starts && clerk.call(same).await == Ok(7), "{limit:?} {takes:?}"),
            Err(error) => {
                assert!(!starts || takes.is_zero(), "{limit:?} {takes:?}: {error}");
                assert_eq!(error, StartError::InitTimeout(limit));
            }
        }
        let child = Clerk::child_with(move || args(takes)).init_timeout(limit);
        let tree = Supervisor::one_for_one().child(child).start(&rt).await;
        assert!(starts == tree.is_ok() || takes.is_zero(), "{limit:?} {takes:?}");
    }
    for (limit, starts) in [(ZERO, false), (MAX, true)] {
        let child = ChildSpec::task("late", |ctx| async move {
            sleep(3_600 * SECOND).await;
            ctx.set_health(regrow::Health::Ready);
            pending().await
        });
        let tree = Supervisor::one_for_one().child(child.ready_within(limit)).start(&rt).await;
        assert_eq!(tree.is_ok(), starts, "{limit:?}: {tree:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_zero_limit_starts_no_keyed_server_and_a_max_one_waits_for_ever() {
    let supervisor = DynamicSupervisor::new().start(&Runtime::new()).await.unwrap();
    let keyed: KeyedServers<u8, Clerk> = KeyedServers::new(&supervisor);
    let spec = || Clerk::spec(args(3_600 * SECOND));
    let not_ready = KeyedError::NotReady { key: 1, limit: ZERO };
    assert_eq!(keyed.call_or_start(&1, spec, same, ZERO).await, Err(not_ready.clone()));
    let refused = keyed.cast_or_start(&1, spec, Cast::Sleep(ZERO), ZERO).await.unwrap_err();
    assert_eq!(refused.error, not_ready);
    assert_eq!(supervisor.count_children().await.unwrap().active, 0);
    assert_eq!(keyed.call_or_start(&1, spec, same, MAX).await, Ok(7));
    assert!(keyed.cast_or_start(&2, spec, Cast::Sleep(ZERO), MAX).await.is_ok());
}

/// With a window of zero, crash reports are not limited; a window of `MAX` never ends.
#[tokio::test(start_paused = true)]
async fn a_zero_window_of_crash_reports_limits_nothing_and_a_max_one_for_ever() {
    for (within, left_out) in [(ZERO, 0), (MAX, 2)] {
        let rt = Runtime::new();
        rt.limit_crash_reports(1, within);
        let _events = rt.events();
        for _ in 0..3 {
            rt.spawn(|_| async { panic!("boom") }).join().await;
            sleep(SECOND).await;
        }
        assert_eq!(rt.left_out_crash_reports(), left_out);
    }
}

/// A limit of zero works like one of 1 ms: a handler that sleeps is reported, and the paused clock
/// advances.
#[tokio::test(start_paused = true)]
async fn a_zero_slow_handler_limit_warns_and_a_max_one_never() {
    for (limit, warnings) in [(ZERO, 1), (MAX, 0)] {
        let log = support::log::Log::listen();
        let rt = Runtime::new();
        let own = Clerk::spec(args(ZERO)).warn_after(limit).start(&rt).await.unwrap();
        let child = Clerk::child_with(|| args(ZERO)).named("child").warn_after(limit);
        let _tree = Supervisor::one_for_one().child(child).start(&rt).await.unwrap();
        let child = rt.server(regrow::Name::<Clerk>::new("child"));
        let plain = Clerk::start(&rt, args(ZERO)).await.unwrap();
        for (all, server) in [(None, own), (None, child), (Some(limit), plain)] {
            rt.warn_after(all);
            for _ in 0..100 {
                assert!(server.cast(Cast::Sleep(ZERO)));
            }
            assert_eq!(server.call(same).await, Ok(7));
            sleep(SECOND).await;
            assert!(server.cast(Cast::Sleep(SECOND)));
            sleep(2 * SECOND).await;
            let slow = log.take().into_iter().filter(|l| l.head() == "WARN a handler runs long");
            let long: Vec<_> = slow.filter(|line| line.field("elapsed") != "0ns").collect();
            assert_eq!(long.len(), warnings, "{limit:?}: {long:?}");
        }
    }
}

/// What each value means is tested where a process blocks, in `poll_watch`.
#[tokio::test]
async fn polls_are_watched_with_any_limit() {
    let rt = Runtime::new();
    for limit in [ZERO, MAX, SECOND] {
        rt.watch_polls(limit).unwrap();
        assert_eq!(rt.spawn(|_| async {}).join().await, ExitReason::Normal);
    }
    rt.watch_polls(None).unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_zero_self_cast_arrives_at_once_and_a_max_one_never() {
    let mut desk = Desk::new().await;
    for (delay, word) in [(ZERO, "after"), (MAX, "never")] {
        desk.act(move |ctx| {
            ctx.cast_after(delay, Cast::Say(word));
        });
    }
    desk.act(|ctx| ctx.cast_after_as("key", ZERO, Cast::Say("keyed")));
    desk.act(|ctx| ctx.cast_after_as("other", MAX, Cast::Say("never")));
    assert_eq!(desk.handled().await, ["after", "keyed"]);
    for missed in [MissedTickBehavior::Burst, MissedTickBehavior::Delay, MissedTickBehavior::Skip] {
        desk.act(move |ctx| {
            ctx.cast_every(MAX, missed, || Cast::Say("never"));
            let zero = || ctx.cast_every(ZERO, missed, || Cast::Say("never"));
            assert!(catch_unwind(AssertUnwindSafe(zero)).is_err(), "documented");
        });
    }
    assert_eq!(desk.handled().await, [""; 0]);
    desk.act(|ctx| ctx.idle_timeout(ZERO));
    assert_eq!(desk.handled().await, ["idle"]);
    desk.act(|ctx| ctx.idle_timeout(MAX));
    assert_eq!(desk.handled().await, [""; 0]);
    desk.act(|ctx| ctx.idle_after(ZERO));
    assert_eq!(desk.handled().await, ["idle"]);
    desk.act(|ctx| ctx.idle_after(MAX));
    assert_eq!(desk.handled().await, [""; 0]);
    assert_eq!(desk.clerk.call(same).await, Ok(7));
}

/// An interval of zero is one of 1 ms.
#[tokio::test(start_paused = true)]
async fn a_zero_heartbeat_is_missed_at_once_and_a_max_one_never() {
    let cases = [
        (Heartbeat::every(ZERO).restart_after(ZERO), Some(MS)),
        (Heartbeat::every(MAX).restart_after(ZERO), None),
        (Heartbeat::every(SECOND).restart_after(MAX), None),
    ];
    for (heartbeat, ends_after) in cases {
        let (rt, start) = (Runtime::new(), Instant::now());
        let child = ChildSpec::task("child", |_| pending()).named("child");
        let child = child.restart(regrow::Restart::Transient).heartbeat(heartbeat);
        let _tree = Supervisor::one_for_one().child(child).start(&rt).await.unwrap();
        let ended = rt.ended(rt.whereis("child").unwrap());
        let ended = tokio::time::timeout(3_600 * SECOND, ended).await.ok();
        assert_eq!(ended.map(|_| start.elapsed()), ends_after, "{heartbeat:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_zero_task_wait_only_looks_and_a_max_one_waits_for_ever() {
    let rt = Runtime::new();
    let hour = || Task::spawn_nolink(&rt, |_| sleep(3_600 * SECOND));
    let out_of_time = Err(TaskError::Timeout(ZERO));
    assert_eq!(hour().join_timeout(ZERO).await, out_of_time);
    assert_eq!(hour().join_timeout(MAX).await, Ok(()));
    assert_eq!(hour().yield_for(ZERO).await, None);
    assert_eq!(hour().yield_for(MAX).await, Some(Ok(())));
    assert_eq!(Task::join_many([hour(), hour()], ZERO).await, Err(TaskError::Timeout(ZERO)));
    assert_eq!(Task::join_many([hour(), hour()], MAX).await, Ok(vec![(), ()]));
    assert_eq!(Task::yield_many(&mut [hour(), hour()], ZERO).await, [None, None]);
    let all = Task::yield_many(&mut [hour(), hour()], MAX).await;
    assert_eq!(all, [Some(Ok(())), Some(Ok(()))]);
    for (limit, expected) in [(ZERO, out_of_time), (MAX, Ok(()))] {
        let input = stream::iter([1, 2, 3]);
        let naps = TaskStream::nolink(&rt, input, |_| sleep(3_600 * SECOND)).timeout(limit);
        let naps: Vec<_> = naps.collect().await;
        assert_eq!(naps, [expected.clone(), expected.clone(), expected]);
    }
    let deaf = |hours: u32| {
        Task::<()>::spawn_nolink(&rt, move |mut ctx| async move {
            ctx.shutdown().await;
            sleep(hours * 3_600 * SECOND).await;
        })
    };
    let [zero, max] = [deaf(1), deaf(1)];
    settled().await;
    let killed = Some(Err(TaskError::Exited(ExitReason::Killed)));
    assert_eq!(zero.shutdown(Shutdown::Timeout(ZERO)).await, killed);
    assert_eq!(max.shutdown(Shutdown::Timeout(MAX)).await, Some(Ok(())));
}

/// A start that takes an hour.
#[tokio::test(start_paused = true)]
async fn a_zero_waiting_start_times_out_and_a_max_one_waits_for_ever() {
    let rt = Runtime::new();
    let slow = Clerk::child(args(3_600 * SECOND));
    for (limit, fine) in [(ZERO, false), (MAX, true)] {
        let fixed = Supervisor::one_for_one().start(&rt).await.unwrap();
        let dynamic = DynamicSupervisor::new().start(&rt).await.unwrap();
        let tasks = TaskSupervisor::new().start(&rt).await.unwrap();
        assert_eq!(fixed.start_child_waiting(slow.clone(), limit).await.is_ok(), fine);
        assert_eq!(dynamic.start_child_waiting(slow.clone(), limit).await.is_ok(), fine);
        assert!(tasks.start_child_waiting(|_| pending(), MAX).await.is_ok());
        assert!(tasks.start_child_waiting(|_| pending(), ZERO).await.is_err());
    }
}

#[tokio::test(start_paused = true)]
async fn a_zero_intensity_window_is_refused_and_a_max_one_is_accepted() {
    let rt = Runtime::new();
    for (period, fine) in [(ZERO, false), (MAX, true)] {
        let fixed = Supervisor::one_for_one().intensity(1, period).start(&rt).await;
        let dynamic = DynamicSupervisor::new().intensity(1, period).start(&rt).await;
        let each = DynamicSupervisor::new().child_intensity(1, period, Exhausted::GiveUp);
        let each = each.start(&rt).await;
        let tasks = TaskSupervisor::new().intensity(1, period).start(&rt).await;
        let parts = PartitionSupervisor::<Clerk>::new("parts", |_| args(ZERO)).partitions(2);
        let parts = parts.intensity(1, period).start(&rt).await;
        let own = ChildSpec::task("own", |_| pending());
        let own = own.restart_budget(1, period, Exhausted::GiveUp);
        let own = Supervisor::one_for_one().child(own).start(&rt).await;
        let errors = [fixed.err(), dynamic.err(), each.err(), tasks.err(), parts.err(), own.err()];
        for error in errors {
            match error {
                None => assert!(fine),
                Some(error) => assert!(!fine && matches!(error, StartError::Invalid(_)), "{error}"),
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_zero_backoff_is_refused_and_a_max_one_waits_for_ever() {
    let new = Backoff::new;
    for (backoff, fine) in [
        (new().first(ZERO), false),
        (new().max(ZERO), false),
        (new().give_up_after(ZERO), false),
        (new().reset_after(ZERO), true),
        (new().first(MAX), false),
        (new().first(MAX).max(MAX).never_give_up(), true),
        (new().max(MAX).reset_after(ZERO), true),
        (new().reset_after(MAX), true),
        (new().reset_after(MAX).never_give_up(), true),
        (new().give_up_after(MAX), true),
    ] {
        let rt = Runtime::new();
        let child = ChildSpec::task("child", |_| async { panic!("at once") });
        let spec = Supervisor::one_for_one().child(child.backoff(backoff));
        let is_refused = |found: &Finding| matches!(found, Finding::Refused { .. });
        assert_eq!(!spec.lint().findings.iter().any(is_refused), fine, "{backoff:?}");
        let tree = spec.start(&rt).await;
        assert_eq!(tree.is_ok(), fine, "{backoff:?}: {tree:?}");
        let Ok(tree) = tree else { continue };
        sleep(SECOND / 100).await;
        let state = tree.which_child("child").await.unwrap().state;
        assert!(matches!(state, ChildState::Restarting { .. }), "{backoff:?}: {state:?}");
        let snapshot = tree.tree().await.unwrap();
        assert!(snapshot.to_string().contains("child"));
        #[cfg(feature = "serde")]
        assert!(snapshot.to_json().contains("child"));
        assert_eq!(tree.stop().await, Ok(ExitReason::Shutdown));
    }
}

#[tokio::test(start_paused = true)]
async fn a_zero_shutdown_time_kills_at_once_and_a_max_one_waits() {
    for (limit, took) in [(ZERO, ZERO), (MAX, 3_600 * SECOND)] {
        let rt = Runtime::new();
        let polite = || {
            ChildSpec::task("polite", |mut ctx| async move {
                ctx.shutdown().await;
                sleep(3_600 * SECOND).await;
                Ok(())
            })
        };
        let child = polite().shutdown(Shutdown::Timeout(limit));
        let spec = Supervisor::one_for_one().intensity(2, MAX).child(child);
        let inner = Supervisor::one_for_one().with_id("inner").child(spec.clone().with_id("spec"));
        let _no_panic = Supervisor::one_for_one().intensity(2, MAX).child(inner).lint();
        let tree = spec.start(&rt).await.unwrap();
        settled().await;
        let start = Instant::now();
        assert_eq!(tree.stop().await, Ok(ExitReason::Shutdown));
        assert_eq!(start.elapsed(), took);

        let stop = tokio_util::sync::CancellationToken::new();
        let tree = Supervisor::one_for_one().child(polite().shutdown(Shutdown::Infinity));
        let run = Run::new(tree).without_signals().stop_on(stop.clone()).deadline(limit);
        let run = tokio::spawn(run.run());
        settled().await;
        let start = Instant::now();
        stop.cancel();
        assert_eq!(run.await.unwrap().unwrap().forced, limit.is_zero());
        assert_eq!(start.elapsed(), took);

        let stop = tokio_util::sync::CancellationToken::new();
        let tree = Supervisor::one_for_one().child(polite().shutdown(Shutdown::Infinity));
        let phases = regrow::Phases::new("all").phase("one", Phase::new(tree).stop_within(limit));
        let run = Run::from(phases).without_signals().stop_on(stop.clone()).deadline(MAX);
        let run = tokio::spawn(run.run());
        settled().await;
        let start = Instant::now();
        stop.cancel();
        assert_eq!(run.await.unwrap().unwrap().is_clean(), !limit.is_zero());
        assert_eq!(start.elapsed(), took);
    }
}

#[tokio::test(start_paused = true)]
async fn a_phase_with_zero_time_to_start_fails_and_one_with_max_starts() {
    for limit in [ZERO, MAX] {
        let slow = ChildSpec::task("slow", |ctx| async move {
            sleep(SECOND).await;
            ctx.set_health(regrow::Health::Ready);
            pending().await
        });
        let phase = Phase::new(Supervisor::one_for_one().child(slow.ready_within(MAX)));
        let phases = regrow::Phases::new("all").phase("one", phase.start_within(limit));
        let started = phases.tree().start(&Runtime::new()).await;
        assert_eq!(started.is_err(), limit.is_zero());
    }
}

#[tokio::test(start_paused = true)]
async fn a_zero_sample_interval_is_the_shortest_and_a_max_one_takes_no_sample() {
    let rt = Runtime::new();
    let tree = Supervisor::one_for_one().start(&rt).await.unwrap();
    for (every, expected) in [(ZERO, true), (MAX, false)] {
        let mut observation = tree.observe().unwrap().sample_every(every);
        assert!(observation.next().await.is_some(), "the picture");
        let sample = tokio::time::timeout(SECOND, observation.next()).await;
        assert_eq!(sample.is_ok(), expected);
    }
}

/// With a limit of zero, the snapshot waits for no supervisor, and shows the last published state.
#[tokio::test(start_paused = true)]
async fn a_zero_snapshot_limit_returns_at_once_and_a_max_one_waits() {
    let rt = Runtime::new();
    let slow = ChildSpec::task("slow", |ctx| async move {
        sleep(SECOND).await;
        ctx.set_health(regrow::Health::Ready);
        pending().await
    });
    let dynamic = DynamicSupervisor::new().named("dynamic");
    let tree = Supervisor::one_for_one().named("app").child(dynamic).start(&rt).await.unwrap();
    let dynamic = regrow::DynamicSupervisorRef::named(&rt, "dynamic");
    for (limit, took) in [(ZERO, ZERO), (MAX, SECOND)] {
        let (slow, starting) = (slow.clone().ready_within(MAX), tree.clone());
        let started = tokio::spawn(async move { starting.start_child(slow).await });
        while rt.process_count() < 3 {
            tokio::task::yield_now().await;
        }
        let start = Instant::now();
        let snapshot = tree.tree_within(limit).await.unwrap();
        assert!(snapshot.find("dynamic").is_some());
        assert_eq!(start.elapsed(), took);
        assert!(dynamic.tree_within(limit).await.is_ok());
        started.await.unwrap().unwrap();
        tree.terminate_child("slow").await.unwrap();
        tree.delete_child("slow").await.unwrap();
        #[cfg(feature = "axum")]
        {
            use tower::ServiceExt;
            let request =
                axum::http::Request::builder().uri("/tree").body(axum::body::Body::empty());
            let routes = regrow::tree_routes_within(&tree, limit);
            let answer = routes.oneshot(request.unwrap()).await.unwrap();
            assert_eq!(answer.status().as_u16(), 200);
        }
    }
}

/// With zero, the shutdown of tokio waits for nothing; with `MAX`, it waits until all tasks have
/// ended.
#[tokio::test(start_paused = true)]
async fn a_zero_wait_of_a_collector_only_looks_and_a_max_one_waits_for_ever() {
    let rt = Runtime::new();
    let mut numbers = regrow::testing::collector::<u8>(&rt);
    numbers.send(7);
    assert_eq!(numbers.next_within(ZERO).await, 7);
    assert_eq!(numbers.drain_for(ZERO).await, [0_u8; 0]);
    assert!(AssertUnwindSafe(numbers.next_within(ZERO)).catch_unwind().await.is_err());
    assert!(tokio::time::timeout(SECOND * 3600, numbers.next_within(MAX)).await.is_err());
    assert!(tokio::time::timeout(SECOND * 3600, numbers.drain_for(MAX)).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_zero_stop_of_a_test_tree_fails_and_a_max_one_waits() {
    let slow = || {
        let slow = ChildSpec::task("slow", |mut ctx| async move {
            ctx.cancellation_token().cancelled().await;
            sleep(SECOND * 3600).await;
            Ok(())
        });
        Supervisor::one_for_one().child(slow.shutdown(Shutdown::Infinity))
    };
    let tree = |limit| regrow::testing::tree(slow()).stop_within(limit);
    let failed = AssertUnwindSafe(tree(ZERO).run(async |_: &_| {})).catch_unwind().await;
    assert!(failed.is_err());
    let start = Instant::now();
    tree(MAX).run(async |_: &_| {}).await;
    assert!(start.elapsed() >= SECOND * 3600);
}

#[test]
fn a_zero_tokio_shutdown_timeout_returns_at_once_and_a_max_one_waits() {
    for limit in [ZERO, MAX] {
        let stop = tokio_util::sync::CancellationToken::new();
        let stopped = stop.clone();
        let child = ChildSpec::task("child", move |_| {
            stopped.cancel();
            pending()
        });
        let tree = Supervisor::one_for_one().child(child);
        let program = regrow::Program::new().shutdown_timeout(limit).report_with(|_| ());
        let code = program.run(async || Ok(Run::new(tree).without_signals().stop_on(stop)));
        assert_eq!(code, std::process::ExitCode::SUCCESS);
    }
}

/// A program ends by a signal that is no stop request. With a window of `MAX`, the exit reason
/// stays undecided until the supervisor stops the child.
#[cfg(all(unix, feature = "process"))]
#[tokio::test]
async fn a_zero_stop_window_ends_a_program_child_at_once_and_a_max_one_waits() {
    let rt = Runtime::new();
    let shell = || {
        let mut shell = tokio::process::Command::new("sh");
        shell.args(["-c", "kill -TERM $$"]);
        shell
    };
    for window in [ZERO, MAX] {
        let child = ChildSpec::command("shell", shell).stop_window(window);
        let child = child.restart(regrow::Restart::Temporary);
        let tree = Supervisor::one_for_one().child(child).start(&rt).await.unwrap();
        if window.is_zero() {
            while tree.count_children().await.unwrap().specs > 0 {
                tokio::task::yield_now().await;
            }
        } else {
            let shell = tree.which_child("shell").await.unwrap().pid().unwrap();
            let ended = rt.ended(shell);
            tokio::spawn(async move { tree.stop().await });
            assert_eq!(ended.await, ExitReason::Shutdown);
        }
    }
}

/// With a zero drain the connection is killed at the stop; with `MAX` the stop waits for it. The
/// pause of an acceptor matters only after an error.
#[cfg(feature = "net")]
#[tokio::test]
async fn a_zero_drain_ends_connections_at_once_and_a_max_one_waits() {
    use tokio::io::AsyncReadExt;
    use tokio::net::TcpStream;
    for limit in [ZERO, MAX] {
        let rt = Runtime::new();
        let (go, gone) = tokio::sync::watch::channel(false);
        let serve = move |_, mut stream: TcpStream, _| async move {
            let mut gone = gone;
            tokio::io::AsyncWriteExt::write_all(&mut stream, b"a").await?;
            gone.changed().await?;
            tokio::io::AsyncWriteExt::write_all(&mut stream, b"b").await?;
            Ok(())
        };
        let listener = ChildSpec::tcp_listener("listener", "127.0.0.1:0", serve);
        let listener = listener.drain(limit).accept_pause(limit);
        let address = listener.address();
        let tree = Supervisor::one_for_one().child(listener).start(&rt).await.unwrap();
        let mut client = TcpStream::connect(address.get().unwrap()).await.unwrap();
        client.read_exact(&mut [0]).await.unwrap();
        let stopping = tokio::spawn(async move { tree.stop().await });
        let mut rest = Vec::new();
        if limit == MAX {
            while address.get().is_some() {
                tokio::task::yield_now().await; // the acceptor ends first
            }
            go.send(true).unwrap();
        }
        drop(client.read_to_end(&mut rest).await);
        assert_eq!(rest, if limit == MAX { &b"b"[..] } else { b"" });
        assert_eq!(stopping.await.unwrap().unwrap(), ExitReason::Shutdown);
    }
}

/// With zero, a connect fails unless it succeeds at once, which a socket whose backlog is full does
/// not. With `MAX` it waits, here for the stop.
#[cfg(all(target_os = "linux", feature = "net"))]
#[tokio::test]
async fn a_zero_connect_timeout_fails_at_once_and_a_max_one_waits() {
    use tokio::net::{TcpSocket, TcpStream};
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let full = socket.listen(0).unwrap();
    let address = full.local_addr().unwrap();
    let _queued = TcpStream::connect(address).await.unwrap();
    let connect = || ChildSpec::connect("client", address, |_, _| pending());
    let start = |child| Supervisor::one_for_one().child(child);
    let rt = Runtime::new();
    let late = connect().connect_timeout(ZERO).ready_within(MAX);
    assert!(matches!(start(late).start(&rt).await, Err(StartError::Child { .. })));
    let unready = connect().connect_timeout(MAX).ready_within(ZERO);
    let error = start(unready).start(&rt).await.unwrap_err();
    let StartError::Child { error, .. } = error else { panic!("{error:?}") };
    assert_eq!(*error, StartError::NotReady(ZERO));
    let tree = start(connect().connect_timeout(MAX)).start(&rt).await.unwrap();
    assert_eq!(tree.stop().await.unwrap(), ExitReason::Shutdown);
}
