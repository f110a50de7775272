//! Dynamic supervisors: children are started and stopped at run time, concurrently, and are
//! addressed by pid.

use crate::support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use regrow::GenServer;
use regrow::{
    Backoff, ChildCounts, ChildError, ChildSpec, ChildState, DynamicSupervisor,
    DynamicSupervisorRef, Exhausted, ExitReason, Leftovers, Pid, Restart, Runtime, Shutdown,
    StartChild, StartContext, StartError, Started, Supervisor,
};
use support::scripted_children::{ScriptedChildren, Start, Stop, limit};
use support::{crash, idle, settled};
use tokio::time::Instant;

const SECOND: Duration = Duration::from_secs(1);

/// A child that waits for a message, and ends with the reason that the message names.
fn ends_on_request(id: &str, restart: Restart) -> ChildSpec {
    let body = |mut ctx: regrow::TaskContext| async move {
        loop {
            match ctx.recv().await.message().as_deref() {
                Some(b"normal") => return Ok(()),
                Some(b"shutdown") => return Err(ExitReason::Shutdown),
                Some(b"shutdown with") => return Err(ExitReason::shutdown_with("x")),
                Some(b"crash") => return Err(crash("boom")),
                _ => {}
            }
        }
    };
    ChildSpec::task(id, body).restart(restart)
}

async fn end(rt: &Runtime, pid: Pid, word: &str) {
    let ended = rt.ended(pid);
    assert!(rt.send(pid, word.as_bytes().to_vec()));
    ended.await;
    settled().await;
}

async fn counts(jobs: &DynamicSupervisorRef) -> (usize, usize, usize, usize) {
    let ChildCounts { specs, active, supervisors, workers, .. } =
        jobs.count_children().await.unwrap();
    (specs, active, supervisors, workers)
}

async fn only_child(jobs: &DynamicSupervisorRef) -> Pid {
    let children = jobs.which_children().await.unwrap();
    assert_eq!(children.len(), 1, "{children:?}");
    children[0].pid().unwrap()
}

/// DYN-001.
#[tokio::test(start_paused = true)]
async fn start_child_starts_several_children_from_one_spec() {
    let rt = Runtime::new();
    let jobs = DynamicSupervisor::new().start(&rt).await.unwrap();
    let job = ends_on_request("job", Restart::Permanent);
    let one = jobs.start_child(job.clone()).await.unwrap();
    let two = jobs.start_child(job).await.unwrap();
    assert_ne!(one, two);
    assert_eq!(counts(&jobs).await, (2, 2, 0, 2));
    let nested = jobs.start_child(Supervisor::one_for_one()).await.unwrap();
    assert_eq!(counts(&jobs).await, (3, 3, 1, 2));
    let pids: Vec<_> = jobs.which_children().await.unwrap().iter().map(|c| c.pid()).collect();
    assert_eq!(pids, [Some(one), Some(two), Some(nested)]);
}

struct Panicking;

#[async_trait::async_trait]
impl StartChild for Panicking {
    async fn start(&self, _: &mut StartContext) -> regrow::Result<Started, StartError> {
        panic!("in its start")
    }
}

/// DYN-002: a start succeeds, is ignored, fails or panics. A successful start returns the pid and
/// no other value. A caller that needs a value calls the server by the handle that `start_server`
/// returns.
#[tokio::test(start_paused = true)]
async fn start_child_reports_success_ignore_failure_and_panic() {
    let t = ScriptedChildren::new();
    let jobs = DynamicSupervisor::new().start(&t.rt).await.unwrap();
    assert!(jobs.start_child(ends_on_request("task", Restart::Permanent)).await.is_ok());
    let server = jobs.start_child(t.child("server")).await.unwrap();
    assert_eq!(t.server("server").call(|reply| reply).await, Ok(server));
    t.next_starts("no", [Start::Ignores]);
    assert_eq!(jobs.start_child(t.child("no")).await, Err(StartError::Ignored));
    t.next_starts("bad", [Start::Fails]);
    let failed = Err(StartError::Failed(crash("bad has no luck")));
    assert_eq!(jobs.start_child(t.child("bad")).await, failed);
    let panicked = jobs.start_child(ChildSpec::new("panic", Panicking)).await;
    let Err(StartError::Failed(reason)) = panicked else { panic!("{panicked:?}") };
    assert_eq!(reason.crash().unwrap().message(), "in its start");
    assert_eq!(counts(&jobs).await, (2, 2, 0, 2));
    for gone in ["no", "bad"] {
        assert_eq!(t.rt.whereis(gone), None);
        assert!(jobs.start_child(t.child(gone)).await.is_ok());
    }
}

/// DYN-003, T44.
#[tokio::test(start_paused = true)]
async fn a_temporary_child_that_ends_is_dropped_together_with_its_arguments() {
    let rt = Runtime::new();
    let jobs = DynamicSupervisor::new().intensity(0, SECOND).start(&rt).await.unwrap();
    let arguments = std::sync::Arc::new(());
    for word in ["normal", "shutdown", "shutdown with", "crash"] {
        let held = arguments.clone();
        let body = |mut ctx: regrow::TaskContext| async move {
            drop(held);
            match ctx.recv().await.message().as_deref() {
                Some(b"crash") => Err(crash("boom")),
                _ => Ok(()),
            }
        };
        let job = ChildSpec::task("job", body).restart(Restart::Temporary);
        let pid = jobs.start_child(job).await.unwrap();
        settled().await;
        assert_eq!(std::sync::Arc::strong_count(&arguments), 1, "kept while it runs");
        end(&rt, pid, word).await;
        assert_eq!(counts(&jobs).await, (0, 0, 0, 0));
    }
}

/// DYN-004.
#[tokio::test(start_paused = true)]
async fn a_transient_dynamic_child_is_restarted_only_after_a_crash() {
    let rt = Runtime::new();
    let jobs = DynamicSupervisor::new().start(&rt).await.unwrap();
    for word in ["normal", "shutdown", "shutdown with"] {
        let pid = jobs.start_child(ends_on_request("job", Restart::Transient)).await.unwrap();
        end(&rt, pid, word).await;
        assert_eq!(counts(&jobs).await, (0, 0, 0, 0), "{word}");
    }
    let pid = jobs.start_child(ends_on_request("job", Restart::Transient)).await.unwrap();
    end(&rt, pid, "crash").await;
    assert_ne!(only_child(&jobs).await, pid);
    assert_eq!(counts(&jobs).await, (1, 1, 0, 1));
}

/// DYN-005.
#[tokio::test(start_paused = true)]
async fn a_permanent_dynamic_child_is_restarted_after_every_kind_of_exit() {
    let rt = Runtime::new();
    let jobs = DynamicSupervisor::new().intensity(9, SECOND).start(&rt).await.unwrap();
    let mut pid = jobs.start_child(ends_on_request("job", Restart::Permanent)).await.unwrap();
    for word in ["normal", "shutdown", "shutdown with", "crash"] {
        end(&rt, pid, word).await;
        let next = only_child(&jobs).await;
        assert_ne!(next, pid, "{word}");
        pid = next;
    }
    assert_eq!(jobs.which_children().await.unwrap()[0].restarts, 4);
}

/// DYN-006.
#[tokio::test(start_paused = true)]
async fn max_children_counts_running_and_starting_children() {
    let t = ScriptedChildren::new();
    let jobs = DynamicSupervisor::new().max_children(1).start(&t.rt).await.unwrap();
    let pid = jobs.start_child(ends_on_request("job", Restart::Temporary)).await.unwrap();
    let refused = jobs.start_child(ends_on_request("job", Restart::Temporary)).await;
    assert_eq!(refused, Err(StartError::MaxChildren(1)));
    end(&t.rt, pid, "normal").await;
    // A child that is still starting counts, too.
    t.next_starts("slow", [Start::FailsAfter(SECOND)]);
    let (slow, other) = tokio::join!(jobs.start_child(t.child("slow")), async {
        settled().await;
        jobs.start_child(ends_on_request("job", Restart::Temporary)).await
    });
    assert!(matches!(slow, Err(StartError::Failed(_))), "{slow:?}");
    assert_eq!(other, Err(StartError::MaxChildren(1)));
    assert!(jobs.start_child(ends_on_request("job", Restart::Temporary)).await.is_ok());
}

/// DYN-008, DYN-010.
#[tokio::test(start_paused = true)]
async fn terminate_child_stops_a_child_by_pid_and_refuses_other_pids() {
    let rt = Runtime::new();
    let jobs = DynamicSupervisor::new().intensity(0, SECOND).start(&rt).await.unwrap();
    let pid = jobs.start_child(ends_on_request("job", Restart::Permanent)).await.unwrap();
    let ended = rt.ended(pid);
    assert_eq!(jobs.terminate_child(pid).await, Ok(()));
    assert_eq!(ended.await, ExitReason::Shutdown);
    assert_eq!(counts(&jobs).await, (0, 0, 0, 0));
    let gone = Err(ChildError::NotFound(pid.to_string()));
    assert_eq!(jobs.terminate_child(pid).await, gone);
    let stranger = idle(&rt);
    let unknown = Err(ChildError::NotFound(stranger.to_string()));
    assert_eq!(jobs.terminate_child(stranger).await, unknown);
    assert!(rt.is_alive(stranger));
}

/// A child that exceeds its shutdown time is killed when this time is over, and no other request
/// waits for the child.
#[tokio::test(start_paused = true)]
async fn a_slow_stop_and_a_slow_start_do_not_delay_other_requests() {
    let mut t = ScriptedChildren::new();
    let jobs = DynamicSupervisor::new().start(&t.rt).await.unwrap();
    t.on_stop("deaf", Stop::Deaf);
    let deaf = t.child("deaf").shutdown(Shutdown::Timeout(2 * SECOND));
    let deaf = jobs.start_child(deaf).await.unwrap();
    t.next_starts("late", [Start::FailsAfter(3 * SECOND)]);
    let began = Instant::now();
    let stop = async { (jobs.terminate_child(deaf).await, began.elapsed()) };
    let again = async { (jobs.terminate_child(deaf).await, began.elapsed()) };
    let late = async { (jobs.start_child(t.child("late")).await.is_err(), began.elapsed()) };
    let quick = async {
        settled().await;
        jobs.start_child(ends_on_request("quick", Restart::Temporary)).await.unwrap();
        began.elapsed() < SECOND
    };
    let (stop, again, late, quick) = tokio::join!(stop, again, late, quick);
    assert_eq!(stop, (Ok(()), 2 * SECOND));
    assert_eq!(again, (Err(ChildError::NotFound(deaf.to_string())), 2 * SECOND));
    assert_eq!(late, (true, 3 * SECOND));
    assert!(quick);
    assert_eq!(t.reports().await, ["deaf starts", "deaf stops: shutdown", "late fails"]);
}

/// An unlink has no effect between a supervisor and its child, so the end of the child finishes the
/// stop at once.
#[tokio::test(start_paused = true)]
async fn terminate_child_stops_a_child_that_has_called_unlink() {
    let rt = Runtime::new();
    let jobs = DynamicSupervisor::new().start(&rt).await.unwrap();
    let all = [Shutdown::Timeout(SECOND), Shutdown::BrutalKill, Shutdown::Infinity];
    for shutdown in all {
        let job = ends_on_request("job", Restart::Permanent).shutdown(shutdown);
        let pid = jobs.start_child(job).await.unwrap();
        rt.unlink(pid, jobs.pid().unwrap());
        let began = Instant::now();
        assert_eq!(jobs.terminate_child(pid).await, Ok(()));
        assert!(!rt.is_alive(pid) && began.elapsed() == Duration::ZERO, "{shutdown:?}");
    }
    assert_eq!(counts(&jobs).await, (0, 0, 0, 0));
}

/// DYN-012.
#[tokio::test(start_paused = true)]
async fn exceeding_the_restart_intensity_stops_the_supervisor_and_all_children() {
    let rt = Runtime::new();
    let jobs = DynamicSupervisor::new().intensity(1, SECOND).start(&rt).await.unwrap();
    let bystander =
        jobs.start_child(ends_on_request("bystander", Restart::Permanent)).await.unwrap();
    let bad = jobs.start_child(ends_on_request("bad", Restart::Permanent)).await.unwrap();
    let (ended, stopped) = (jobs.ended(), rt.ended(bystander));
    end(&rt, bad, "crash").await;
    let bad = jobs.which_children().await.unwrap()[1].pid().unwrap();
    rt.send(bad, b"crash".to_vec());
    let reason = ended.await;
    assert_eq!((limit(&reason).child.as_str(), limit(&reason).restarts), ("bad", 1));
    assert_eq!(stopped.await, ExitReason::Shutdown);
    assert_eq!(rt.leftovers(), Leftovers::default());
}

/// DYN-015, DYN-018: a stop asks all children at once, and each child has its own shutdown time.
#[tokio::test(start_paused = true)]
async fn a_dynamic_supervisor_stops_its_children_concurrently() {
    let t = ScriptedChildren::new();
    let jobs = DynamicSupervisor::new().start(&t.rt).await.unwrap();
    t.on_stop("slow", Stop::Takes(3 * SECOND));
    t.on_stop("deaf", Stop::Deaf);
    t.on_stop("other", Stop::Panics);
    let children = [
        t.child("brutal").shutdown(Shutdown::BrutalKill),
        t.child("slow").shutdown(Shutdown::Infinity),
        t.child("deaf").shutdown(Shutdown::Timeout(SECOND)),
        t.child("other"),
        ends_on_request("plain", Restart::Permanent),
    ];
    let mut ends = Vec::new();
    for child in children {
        ends.push(t.rt.ended(jobs.start_child(child).await.unwrap()));
    }
    let began = Instant::now();
    assert_eq!(jobs.stop().await, Ok(ExitReason::Shutdown));
    assert_eq!(began.elapsed(), 3 * SECOND);
    let [brutal, slow, deaf, other, plain] =
        <[_; 5]>::try_from(futures_util::future::join_all(ends).await).unwrap();
    let shutdown = ExitReason::Shutdown;
    assert_eq!([brutal, deaf], [ExitReason::Killed, ExitReason::Killed]);
    assert_eq!([slow, plain], [shutdown.clone(), shutdown]);
    assert_eq!(other.crash().unwrap().message(), "boom, while it stopped");
    assert_eq!(t.rt.leftovers(), Leftovers::default());
}

/// DYN-019.
#[tokio::test(start_paused = true)]
async fn two_thousand_children_are_listed_counted_and_removed_after_a_kill() {
    let rt = Runtime::new();
    let jobs = DynamicSupervisor::new().start(&rt).await.unwrap();
    for _ in 0..2_000 {
        jobs.start_child(ends_on_request("job", Restart::Temporary)).await.unwrap();
    }
    assert_eq!(counts(&jobs).await, (2_000, 2_000, 0, 2_000));
    let children = jobs.which_children().await.unwrap();
    for child in &children {
        rt.kill(child.pid().unwrap());
    }
    settled().await;
    assert_eq!((children.len(), counts(&jobs).await), (2_000, (0, 0, 0, 0)));
}

/// DYN-021.
#[tokio::test(start_paused = true)]
async fn a_killed_dynamic_supervisor_restarts_without_children_under_its_name() {
    let t = ScriptedChildren::new();
    let tree = Supervisor::one_for_one().child(DynamicSupervisor::new().named("jobs"));
    let tree = tree.start(&t.rt).await.unwrap();
    let jobs = DynamicSupervisorRef::named(&t.rt, "jobs");
    let plain = jobs.start_child(ends_on_request("job", Restart::Permanent)).await.unwrap();
    let trapping = jobs.start_child(t.child("trapping")).await.unwrap();
    let (old, ended, other) = (jobs.pid().unwrap(), t.rt.ended(plain), t.rt.ended(trapping));
    t.rt.kill(old);
    assert_eq!((ended.await, other.await), (ExitReason::Killed, ExitReason::Killed));
    settled().await;
    assert_ne!(jobs.pid(), Some(old));
    assert_eq!(counts(&jobs).await, (0, 0, 0, 0));
    assert_eq!(t.rt.whereis("trapping"), None);
    tree.stop().await.unwrap();
}

/// DYN-022.
#[tokio::test(start_paused = true)]
async fn invalid_dynamic_supervisor_settings_are_refused_at_the_start() {
    let rt = Runtime::new();
    let specs = [
        (DynamicSupervisor::new().max_children(0), "max_children"),
        (DynamicSupervisor::new().intensity(1, Duration::ZERO), "intensity"),
        (
            DynamicSupervisor::new().child_intensity(1, Duration::ZERO, Exhausted::Escalate),
            "child_intensity",
        ),
    ];
    for (spec, field) in specs {
        let Err(StartError::Invalid(what)) = spec.start(&rt).await else { panic!("{field}") };
        assert!(what.contains(field), "{what}");
    }
    assert_eq!(rt.spawned(), 0);
    let jobs = DynamicSupervisor::new().start(&rt).await.unwrap();
    let loud = ends_on_request("loud", Restart::Transient).significant(true);
    assert!(matches!(jobs.start_child(loud).await, Err(StartError::Invalid(_))));
    assert_eq!(counts(&jobs).await, (0, 0, 0, 0));
}

/// A restart that fails is attempted again after the next delay of the backoff. The supervisor
/// serves requests between two attempts. `terminate_child` with the last pid of the child cancels
/// the next attempt.
#[tokio::test(start_paused = true)]
async fn a_failed_restart_is_retried_with_backoff_until_the_child_is_terminated() {
    let t = ScriptedChildren::new();
    let backoff = Backoff::default().first(10 * SECOND).jitter(0.0);
    let jobs = DynamicSupervisor::new().backoff(backoff).start(&t.rt).await.unwrap();
    let pid = jobs.start_child(t.child("a")).await.unwrap();
    t.next_starts("a", [Start::Fails]);
    t.crash("a");
    settled().await;
    let waits = |left: Duration| ChildState::Restarting { retry_in: Some(left) };
    let state = async || jobs.which_children().await.unwrap()[0].state;
    assert_eq!(state().await, waits(10 * SECOND - Duration::from_millis(1)));
    tokio::time::sleep(10 * SECOND).await;
    assert_eq!(state().await, waits(20 * SECOND - Duration::from_millis(1)));
    assert_eq!(jobs.terminate_child(pid).await, Ok(()));
    tokio::time::sleep(60 * SECOND).await;
    assert_eq!((counts(&jobs).await, t.rt.whereis("a")), ((0, 0, 0, 0), None));
}

/// The child is terminated while its restart is in progress. It is stopped as soon as its `init`
/// has finished, and its name is free.
#[tokio::test(start_paused = true)]
async fn terminate_child_cancels_a_restart_in_progress_and_frees_the_name() {
    let mut t = ScriptedChildren::new();
    let jobs = DynamicSupervisor::new().start(&t.rt).await.unwrap();
    let pid = jobs.start_child(slow_server("slow")).await.unwrap();
    t.rt.kill(pid);
    settled().await;
    assert_eq!(counts(&jobs).await, (1, 0, 0, 1));
    assert_eq!(jobs.terminate_child(pid).await, Ok(()));
    tokio::time::sleep(10 * SECOND).await;
    assert_eq!((counts(&jobs).await, t.rt.whereis("slow")), ((0, 0, 0, 0), None));
    assert_eq!(t.rt.leftovers().processes, 1);
    assert!(jobs.start_child(t.child("slow")).await.is_ok());
    assert_eq!(t.reports().await.len(), 1);
}

/// A server with an `init` of one second.
fn slow_server(id: &str) -> ChildSpec {
    Slow::child(()).with_id(id).named(id)
}

struct Slow;

impl GenServer for Slow {
    type Args = ();
    type Call = regrow::Reply<()>;
    type Cast = ();

    async fn init((): (), _: &mut regrow::ServerContext<Self>) -> regrow::Result<Self> {
        tokio::time::sleep(SECOND).await;
        Ok(Slow)
    }

    async fn handle_call(
        &mut self,
        reply: regrow::Reply<()>,
        _: &mut regrow::ServerContext<Self>,
    ) -> regrow::Result {
        reply.send(());
        Ok(())
    }

    async fn handle_cast(&mut self, (): (), _: &mut regrow::ServerContext<Self>) -> regrow::Result {
        Ok(())
    }
}

/// A server whose `init` takes a second, and that crashes directly afterwards.
struct Brief;

impl GenServer for Brief {
    type Args = ();
    type Call = ();
    type Cast = ();

    async fn init((): (), ctx: &mut regrow::ServerContext<Self>) -> regrow::Result<Self> {
        tokio::time::sleep(SECOND).await;
        ctx.continue_with(());
        Ok(Brief)
    }

    async fn handle_call(&mut self, (): (), _: &mut regrow::ServerContext<Self>) -> regrow::Result {
        Ok(())
    }

    async fn handle_cast(&mut self, (): (), _: &mut regrow::ServerContext<Self>) -> regrow::Result {
        Err(crash("brief"))
    }
}

/// The child of a cancelled restart crashes before the supervisor handles the end of the start. The
/// request to terminate the child is still answered.
#[tokio::test(start_paused = true)]
async fn a_cancelled_restart_that_crashes_by_itself_is_not_waited_for() {
    let rt = Runtime::new();
    let jobs = DynamicSupervisor::new().start(&rt).await.unwrap();
    let brief = Brief::child(()).named("brief").shutdown(Shutdown::Infinity);
    let pid = jobs.start_child(brief).await.unwrap();
    settled().await;
    assert_eq!((counts(&jobs).await, rt.process_count()), ((1, 0, 0, 1), 2));
    assert_eq!(jobs.terminate_child(pid).await, Ok(()));
    tokio::time::sleep(SECOND).await;
    assert_eq!((counts(&jobs).await, rt.process_count()), ((0, 0, 0, 0), 1));
    assert!(
        jobs.start_child(ends_on_request("next", Restart::Temporary).named("brief")).await.is_ok()
    );
}

#[tokio::test(start_paused = true)]
async fn a_stop_or_kill_during_starts_leaves_no_process() {
    for kill in [false, true] {
        let t = ScriptedChildren::new();
        let jobs = DynamicSupervisor::new().start(&t.rt).await.unwrap();
        for id in ["one", "two"] {
            let (jobs, child) = (jobs.clone(), slow_server(id));
            tokio::spawn(async move { jobs.start_child(child).await });
        }
        settled().await;
        assert_eq!(t.rt.process_count(), 3);
        if kill {
            t.rt.kill(jobs.pid().unwrap());
            jobs.ended().await;
            settled().await;
        } else {
            assert_eq!(jobs.stop().await, Ok(ExitReason::Shutdown));
        }
        assert_eq!(t.rt.leftovers(), Leftovers::default(), "killed: {kill}");
    }
}

/// Each child has a restart budget of its own. With `GiveUp` only the child that exceeds its budget
/// is given up; with `Escalate` the supervisor ends.
#[tokio::test(start_paused = true)]
async fn a_child_that_is_given_up_alone_stays_listed_as_stopped() {
    let t = ScriptedChildren::new();
    let spec = DynamicSupervisor::new().child_intensity(1, SECOND, Exhausted::GiveUp);
    let jobs = spec.start(&t.rt).await.unwrap();
    let good = jobs.start_child(t.child("good")).await.unwrap();
    jobs.start_child(t.child("bad")).await.unwrap();
    t.crash("bad");
    settled().await;
    t.crash("bad");
    settled().await;
    let children = jobs.which_children().await.unwrap();
    assert_eq!(children[0].state, ChildState::Running(good));
    assert_eq!((children[1].id.as_str(), children[1].state), ("bad", ChildState::GivenUp));
    assert_eq!((counts(&jobs).await, t.rt.whereis("bad")), ((2, 1, 0, 2), None));
    let escalating = DynamicSupervisor::new().child_intensity(0, SECOND, Exhausted::Escalate);
    let jobs = escalating.start(&t.rt).await.unwrap();
    let pid = jobs.start_child(ends_on_request("bad", Restart::Permanent)).await.unwrap();
    let ended = jobs.ended();
    t.rt.kill(pid);
    assert_eq!(limit(&ended.await).last, ExitReason::Killed);
}

/// The first caller starts a child under the name, and concurrent callers get the pid of this
/// child. A later caller finds the holder of the name.
#[tokio::test(start_paused = true)]
async fn concurrent_get_or_start_calls_for_one_name_start_one_child() {
    let t = ScriptedChildren::new();
    let rooms = DynamicSupervisor::new().start(&t.rt).await.unwrap();
    let ask = || rooms.get_or_start("slow", slow_server("room"));
    let (one, two, three) = tokio::join!(ask(), ask(), ask());
    assert_eq!((&one, &two), (&two, &three));
    assert_eq!(t.rt.whereis("slow"), one.clone().ok());
    assert_eq!((ask().await, t.rt.spawned()), (one.clone(), 2));
    // While the holder is ending, a request waits for its end, and then starts another child.
    t.rt.exit(one.clone().unwrap(), ExitReason::Shutdown);
    let next = ask().await.unwrap();
    assert_ne!(Ok(next), one);
    assert_eq!(t.rt.whereis("slow"), Some(next));
    // All waiting callers get the error of a failed start. The next call starts the child again.
    t.next_starts("bad", [Start::FailsAfter(SECOND)]);
    let ask = || rooms.get_or_start("bad", t.child("bad"));
    let failed = Err(StartError::Failed(crash("bad has no luck")));
    assert_eq!(tokio::join!(ask(), ask()), (failed.clone(), failed));
    assert!(ask().await.is_ok());
}

/// A request during the `init` of the child waits until the `init` has finished, also if the
/// request is made to another supervisor. If the start fails, all callers of the same supervisor
/// get its error.
#[tokio::test(start_paused = true)]
async fn get_or_start_waits_for_the_init_of_a_child_that_is_starting() {
    let t = ScriptedChildren::new();
    let rooms = DynamicSupervisor::new().start(&t.rt).await.unwrap();
    let others = DynamicSupervisor::new().start(&t.rt).await.unwrap();
    let began = Instant::now();
    let ask = |rooms: &DynamicSupervisorRef, delay: Duration, room: ChildSpec| {
        let (rooms, name) = (rooms.clone(), room.id().to_owned());
        async move {
            tokio::time::sleep(delay).await;
            (rooms.get_or_start(name, room).await, began.elapsed())
        }
    };
    let room = || slow_server("room");
    let (one, two, three) = tokio::join!(
        ask(&rooms, Duration::ZERO, room()),
        ask(&rooms, SECOND / 2, room()),
        ask(&others, SECOND / 2, room()),
    );
    assert_eq!((&two, &three, one.1), (&one, &one, SECOND));
    assert_eq!(t.rt.whereis("room"), one.0.ok());

    t.next_starts("bad", [Start::FailsAfter(SECOND), Start::FailsAfter(SECOND)]);
    let (one, two) = tokio::join!(
        ask(&rooms, Duration::ZERO, t.child("bad")),
        ask(&rooms, SECOND / 2, t.child("bad")),
    );
    assert_eq!((&one, one.1), (&two, 2 * SECOND));
    assert!(matches!(one.0, Err(StartError::Failed(_))), "{one:?}");
}

/// A server that calls `get_or_start` with its own name in its `init`, and keeps the result.
struct Own(Pid);

impl GenServer for Own {
    type Args = DynamicSupervisorRef;
    type Call = regrow::Reply<Pid>;
    type Cast = ();

    async fn init(
        rooms: DynamicSupervisorRef,
        _: &mut regrow::ServerContext<Self>,
    ) -> regrow::Result<Self> {
        Ok(Own(rooms
            .get_or_start("own", ends_on_request("other", Restart::Temporary))
            .await
            .unwrap()))
    }

    async fn handle_call(
        &mut self,
        reply: regrow::Reply<Pid>,
        _: &mut regrow::ServerContext<Self>,
    ) -> regrow::Result {
        reply.send(self.0);
        Ok(())
    }

    async fn handle_cast(&mut self, (): (), _: &mut regrow::ServerContext<Self>) -> regrow::Result {
        Ok(())
    }
}

/// DYN-002: `start_server` returns a handle, or `Unreachable` after the supervisor has ended.
#[tokio::test(start_paused = true)]
async fn start_server_returns_a_handle_to_the_started_child() {
    let rt = Runtime::new();
    let jobs = DynamicSupervisor::new().start(&rt).await.unwrap();
    let slow = jobs.start_server::<Slow>(()).await.unwrap();
    assert_eq!(slow.call(|reply| reply).await, Ok(()));
    assert_eq!(slow.pid(), Some(only_child(&jobs).await));
    jobs.stop().await.unwrap();
    let gone = jobs.start_server::<Slow>(()).await;
    assert!(matches!(gone, Err(StartError::Unreachable(_))), "{gone:?}");
}

/// The caller is the child that holds the name, in its `init`. The call does not wait for this
/// `init`.
#[tokio::test(start_paused = true)]
async fn get_or_start_of_its_own_name_in_an_init_returns_its_own_pid() {
    let rt = Runtime::new();
    let rooms = DynamicSupervisor::new().start(&rt).await.unwrap();
    let own = rooms.get_or_start("own", Own::child(rooms.clone())).await.unwrap();
    assert_eq!(rt.server::<Own>("own").call(|reply| reply).await, Ok(own));
}

#[tokio::test(start_paused = true)]
async fn a_tree_shows_the_first_hundred_children_and_counts_the_rest() {
    let rt = Runtime::new();
    let jobs = DynamicSupervisor::new().named("jobs").start(&rt).await.unwrap();
    for _ in 0..103 {
        jobs.start_child(ends_on_request("job", Restart::Temporary)).await.unwrap();
    }
    let tree = jobs.tree().await.unwrap();
    assert_eq!((tree.root.children.len(), tree.root.more), (100, 3));
    assert!(tree.to_string().ends_with("\n└─ … and 3 more"), "{tree}");
}

/// A captured value that panics at its first drop, and only then: a second panic during the
/// unwinding would abort the program. Clones of the value do not panic.
struct Bomb(Arc<AtomicBool>);

impl Clone for Bomb {
    fn clone(&self) -> Self {
        Bomb(Arc::default())
    }
}

impl Drop for Bomb {
    fn drop(&mut self) {
        assert!(!self.0.swap(false, Ordering::SeqCst), "as armed");
    }
}

/// The arguments of a temporary child are dropped at once. A panic of their destructors neither
/// crashes the supervisor nor fails the start.
#[tokio::test(start_paused = true)]
async fn a_panicking_destructor_captured_by_a_temporary_child_is_caught() {
    let rt = Runtime::new();
    let jobs = DynamicSupervisor::new().start(&rt).await.unwrap();
    let armed = Arc::new(AtomicBool::new(true));
    let bomb = Bomb(armed.clone());
    let child = ChildSpec::task("job", move |_| async move {
        let _bomb = bomb;
        std::future::pending().await
    });
    let job = jobs.start_child(child.restart(Restart::Temporary)).await.unwrap();
    assert!(!armed.load(Ordering::SeqCst), "it went off");
    assert!(rt.is_alive(job) && rt.is_alive(jobs.pid().unwrap()));
    assert_eq!(jobs.count_children().await.unwrap().active, 1);
    jobs.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_child_that_ignores_its_restart_is_removed_and_one_whose_restart_fails_counts() {
    let t = ScriptedChildren::new();
    let jobs = DynamicSupervisor::new().unlimited_restarts().max_children(2);
    let jobs = jobs.start(&t.rt).await.unwrap();
    let a = jobs.start_child(t.child("a")).await.unwrap();
    t.next_starts("a", [Start::Ignores]);
    t.crash("a");
    settled().await;
    assert_eq!(counts(&jobs).await, (0, 0, 0, 0));
    assert_eq!(jobs.terminate_child(a).await, Err(ChildError::NotFound(a.to_string())));
    let b = jobs.start_child(t.child("b")).await.unwrap();
    jobs.start_child(t.child("a")).await.unwrap();
    t.next_starts("b", vec![Start::FailsAfter(SECOND); 9]);
    t.crash("b");
    tokio::time::sleep(SECOND * 5 / 2).await;
    assert_eq!(counts(&jobs).await, (2, 1, 0, 2));
    assert_eq!(jobs.start_child(t.child("c")).await, Err(StartError::MaxChildren(2)));
    assert_eq!(jobs.terminate_child(b).await, Ok(()));
    assert_eq!(counts(&jobs).await, (1, 1, 0, 1));
    assert!(jobs.start_child(t.child("c")).await.is_ok());
}
