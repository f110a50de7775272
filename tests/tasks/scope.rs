//! Scopes: tasks that end before the code that has started them continues.

use crate::support;

use std::future::pending;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::time::Duration;

use futures_util::FutureExt;
use regrow::{
    CrashKind, ExitReason, GenServer, Pid, Reply, Result, Runtime, Scope, ScopeError,
    ServerContext, Shutdown, TaskError, scope,
};
use support::{OnDrop, assert_nothing_left, crash, settled};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep};

const SECOND: Duration = Duration::from_secs(1);

/// Returns the exit reason of the task that failed.
fn task_reason<T: std::fmt::Debug>(outcome: Result<T, ScopeError>) -> ExitReason {
    match outcome {
        Err(ScopeError::Task { reason, .. }) => reason,
        other => panic!("no task has failed: {other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_scope_returns_after_all_of_its_tasks() {
    let rt = Runtime::new();
    let begin = Instant::now();
    let value = scope(&rt, async |scope| {
        for seconds in 1..=3 {
            scope.spawn(move |_| async move {
                sleep(seconds * SECOND).await;
                Ok(())
            });
        }
        Ok("body")
    });
    assert_eq!(value.await, Ok("body"));
    assert_eq!(begin.elapsed(), 3 * SECOND);
    assert_nothing_left(&rt).await;
}

#[tokio::test(start_paused = true)]
async fn tasks_that_tasks_spawn_belong_to_the_scope() {
    let rt = Runtime::new();
    let count = Arc::new(AtomicU32::new(0));
    fn halve(scope: &Scope, size: u32, count: Arc<AtomicU32>) {
        let inner = scope.clone();
        scope.spawn(move |_| async move {
            sleep(SECOND).await;
            count.fetch_add(1, SeqCst);
            if size > 1 {
                halve(&inner, size / 2, count.clone());
                halve(&inner, size / 2, count);
            }
            Ok(())
        });
    }
    let all = scope(&rt, async |scope| {
        halve(&scope, 8, count.clone());
        Ok(())
    });
    all.await.unwrap();
    assert_eq!(count.load(SeqCst), 15);
    assert_nothing_left(&rt).await;
}

#[tokio::test(start_paused = true)]
async fn a_failed_task_drops_the_body_and_stops_its_siblings() {
    let rt = Runtime::new();
    let begin = Instant::now();
    let (dropped, flushed) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let outcome = scope(&rt, async |scope| {
        let body_dropped = dropped.clone();
        let _dropped = OnDrop::new(move || body_dropped.store(true, SeqCst));
        let flushes = flushed.clone();
        scope.spawn(move |mut ctx| async move {
            ctx.shutdown().await;
            sleep(2 * SECOND).await;
            flushes.store(true, SeqCst);
            Ok(())
        });
        scope.spawn(|_| pending::<Result>());
        let failing = scope.spawn::<(), _, _>(|_| async {
            sleep(SECOND).await;
            Err(ExitReason::crashed("no route"))
        });
        let other = scope.spawn::<(), _, _>(|_| async {
            sleep(SECOND + SECOND / 2).await;
            Err(ExitReason::crashed("too late to be the first"))
        });
        drop((failing, other));
        pending::<Result>().await
    });
    assert_eq!(task_reason(outcome.await), ExitReason::crashed("no route"));
    assert!(dropped.load(SeqCst) && flushed.load(SeqCst));
    assert_eq!(begin.elapsed(), 3 * SECOND);
    assert_nothing_left(&rt).await;
}

#[tokio::test(start_paused = true)]
async fn a_panic_and_a_kill_of_a_task_are_failures() {
    let rt = Runtime::new();
    let panicked = scope(&rt, async |scope| {
        scope.spawn::<(), _, _>(|_| async { panic!("no such page") });
        pending::<Result>().await
    });
    let reason = task_reason(panicked.await);
    assert_eq!(reason.crash().unwrap().kind(), CrashKind::Panic);
    assert_eq!(reason.crash().unwrap().message(), "no such page");

    let killed = scope(&rt, async |scope| {
        let task = scope.spawn(|_| pending::<Result>());
        rt.kill(task.pid());
        Ok(())
    });
    assert_eq!(task_reason(killed.await), ExitReason::Killed);
    assert_nothing_left(&rt).await;
}

#[tokio::test(start_paused = true)]
async fn a_clean_end_without_a_result_is_no_failure() {
    let rt = Runtime::new();
    let outcome = scope(&rt, async |scope| {
        let quiet = scope.spawn::<u32, _, _>(|_| async { Err(ExitReason::Shutdown) });
        Ok(quiet.await)
    });
    assert_eq!(outcome.await, Ok(Err(TaskError::Exited(ExitReason::Shutdown))));
}

#[tokio::test(start_paused = true)]
async fn an_error_of_the_body_stops_the_tasks() {
    let rt = Runtime::new();
    let outcome = scope(&rt, async |scope| {
        scope.spawn(|_| pending::<Result>());
        Err::<(), _>(ExitReason::crashed("no input"))
    });
    assert_eq!(outcome.await, Err(ScopeError::Body(ExitReason::crashed("no input"))));
    assert_nothing_left(&rt).await;
}

#[tokio::test(start_paused = true)]
async fn a_panic_of_the_body_continues_after_the_tasks_have_ended() {
    let rt = Runtime::new();
    let flushed = Arc::new(AtomicBool::new(false));
    let outcome = scope(&rt, async |scope| {
        let flushes = flushed.clone();
        scope.spawn(move |mut ctx| async move {
            ctx.shutdown().await;
            sleep(SECOND).await;
            flushes.store(true, SeqCst);
            Ok(())
        });
        sleep(SECOND).await;
        if rt.process_count() == 1 { panic!("of the body") } else { Ok(()) }
    });
    let panic = AssertUnwindSafe(outcome).catch_unwind().await.unwrap_err();
    assert_eq!(panic.downcast_ref(), Some(&"of the body"));
    assert!(flushed.load(SeqCst));
    assert_nothing_left(&rt).await;
}

/// A failure drops the body, and a destructor of the body panics.
#[tokio::test(start_paused = true)]
async fn a_panic_of_a_destructor_of_the_body_continues_after_the_tasks_have_ended() {
    let rt = Runtime::new();
    let flushed = Arc::new(AtomicBool::new(false));
    let outcome = scope(&rt, async |scope| {
        let _bomb = OnDrop::new(|| panic!("of a destructor"));
        let flushes = flushed.clone();
        scope.spawn(move |mut ctx| async move {
            ctx.shutdown().await;
            sleep(SECOND).await;
            flushes.store(true, SeqCst);
            Ok(())
        });
        scope.spawn::<(), _, _>(|_| async { Err("fails")? });
        pending::<Result>().await
    });
    let panic = AssertUnwindSafe(outcome).catch_unwind().await.unwrap_err();
    assert_eq!(panic.downcast_ref(), Some(&"of a destructor"));
    assert!(flushed.load(SeqCst));
    assert_nothing_left(&rt).await;
}

/// The body returns the error of the task that it awaits. The failure of the task came first, also
/// if the driver has not been woken by it yet.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_awaited_task_that_fails_is_the_failure() {
    let rt = Runtime::new();
    for _ in 0..2_000 {
        let outcome = scope(&rt, async |scope| {
            let task = scope.spawn::<(), _, _>(|_| async { Err(ExitReason::crashed("first")) });
            Ok(task.await?)
        });
        assert_eq!(task_reason(outcome.await), ExitReason::crashed("first"));
    }
    assert_nothing_left(&rt).await;
}

#[tokio::test(start_paused = true)]
async fn a_dropped_scope_kills_its_tasks() {
    let rt = Runtime::new();
    let running = scope(&rt, async |scope| {
        scope.spawn(|mut ctx| async move {
            ctx.cancellation_token();
            pending::<Result>().await
        });
        pending::<Result>().await
    });
    assert!(tokio::time::timeout(SECOND, running).await.is_err());
    settled().await;
    assert_eq!(rt.process_count(), 0, "the drop has killed the task");
    assert_nothing_left(&rt).await;

    drop(scope(&rt, async |scope| {
        scope.spawn(|_| pending::<Result>());
        Ok(())
    }));
    assert_eq!(rt.process_count(), 0, "a scope that is not polled does nothing");
}

/// A failure of a task is reported by the scope, so the owner gets no exit signal: neither one that
/// ends it nor, if it traps exits, a message.
#[tokio::test(start_paused = true)]
async fn a_failed_task_sends_its_owner_no_signal() {
    let rt = Runtime::new();
    for traps in [false, true] {
        let owner = rt.spawn_fallible(move |mut ctx| async move {
            ctx.runtime().set_trap_exit(ctx.pid(), traps);
            let failed = scope(&ctx, async |scope| {
                scope.spawn::<(), _, _>(|_| async { Err(ExitReason::crashed("bad")) });
                pending::<Result>().await
            });
            assert_eq!(task_reason(failed.await), ExitReason::crashed("bad"));
            assert_eq!(ctx.recv_timeout(SECOND).await, None);
            Ok(())
        });
        assert_eq!(owner.join().await, ExitReason::Normal);
    }
    assert_nothing_left(&rt).await;
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_owner_ends_the_tasks() {
    let rt = Runtime::new();
    let (sender, mut tasks) = mpsc::unbounded_channel::<Pid>();
    let owner = rt.spawn_fallible(|ctx| async move {
        let outcome = scope(&ctx, async |scope| {
            let inner = scope.spawn(|ctx| async move {
                let inner = scope_of_one(&ctx, sender).await;
                Ok(inner?)
            });
            Ok(inner.await?)
        });
        Ok(outcome.await?)
    });
    let task = rt.ended(tasks.recv().await.unwrap());
    owner.kill();
    assert_eq!(task.await, ExitReason::Killed);
    assert_nothing_left(&rt).await;
}

/// Runs a scope with one task, which reports its pid.
async fn scope_of_one(
    owner: &impl regrow::ScopeOwner,
    report: mpsc::UnboundedSender<Pid>,
) -> Result<(), ScopeError> {
    scope(owner, async |scope| {
        scope.spawn(|ctx| async move {
            report.send(ctx.pid())?;
            pending::<Result>().await
        });
        Ok(())
    })
    .await
}

/// The future of a scope is not bound to the body of its owner. The tasks are, by their links: they
/// end with the owner, and the scope fails even if the owner has ended normally.
#[tokio::test(start_paused = true)]
async fn a_scope_that_is_polled_elsewhere_fails_when_its_owner_ends() {
    let rt = Runtime::new();
    for body_returns in [true, false] {
        let (sender, receiver) = oneshot::channel();
        let (over, wait) = oneshot::channel::<()>();
        rt.spawn_fallible(move |ctx| async move {
            let body = async move |scope: Scope| {
                scope.spawn(|_| pending::<Result>());
                if body_returns { Ok(()) } else { pending().await }
            };
            let _ = sender.send(tokio::spawn(scope(&ctx, body)));
            wait.await?;
            Ok(())
        });
        let running = receiver.await.unwrap();
        settled().await;
        assert_eq!(rt.process_count(), 2);
        over.send(()).unwrap();
        assert_eq!(running.await.unwrap(), Err(ScopeError::OwnerEnded(ExitReason::Normal)));
    }
    assert_nothing_left(&rt).await;
}

/// Starts a scope in a handler.
struct Crawler;

impl GenServer for Crawler {
    type Args = ();
    type Call = (mpsc::UnboundedSender<Pid>, Reply<Result<(), ScopeError>>);
    type Cast = ();

    async fn init((): (), _: &mut ServerContext<Self>) -> Result<Self> {
        Ok(Crawler)
    }

    async fn handle_call(&mut self, call: Self::Call, ctx: &mut ServerContext<Self>) -> Result {
        let (report, reply) = call;
        reply.send(scope_of_one(&*ctx, report).await);
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn a_scope_in_a_handler_ends_with_its_server() {
    let rt = Runtime::new();
    let crawler = Crawler::start(&rt, ()).await.unwrap();
    let (sender, mut tasks) = mpsc::unbounded_channel();
    let caller = tokio::spawn({
        let crawler = crawler.clone();
        async move { crawler.call(|reply| (sender, reply)).await }
    });
    let task = tasks.recv().await.unwrap();
    let ended = rt.ended(task);
    rt.kill(task); // a failure is returned to the handler, and the server continues
    assert_eq!(ended.await, ExitReason::Killed);
    assert_eq!(task_reason(caller.await.unwrap().unwrap()), ExitReason::Killed);

    let (sender, mut tasks) = mpsc::unbounded_channel();
    let calling = crawler.clone();
    tokio::spawn(async move { calling.call(|reply| (sender, reply)).await });
    let ended = rt.ended(tasks.recv().await.unwrap());
    rt.kill(crawler.pid().unwrap());
    assert_eq!(ended.await, ExitReason::Killed);
    assert_nothing_left(&rt).await;
}

#[tokio::test(start_paused = true)]
async fn a_nested_scope_returns_its_failure_to_the_outer_one() {
    let rt = Runtime::new();
    let outcome = scope(&rt, async |outer| {
        let survivor = outer.spawn(|_| async {
            sleep(5 * SECOND).await;
            Ok("survived")
        });
        let task = outer.spawn(|ctx| async move {
            let inner = scope(&ctx, async |inner| {
                inner.spawn::<(), _, _>(|_| async { Err(ExitReason::crashed("inside")) });
                Ok(())
            });
            Ok(inner.await.unwrap_err().reason().clone())
        });
        let reason = task.await?;
        assert_eq!(survivor.await?, "survived");
        Ok(reason)
    });
    assert_eq!(outcome.await, Ok(ExitReason::crashed("inside")));
    assert_nothing_left(&rt).await;
}

#[tokio::test(start_paused = true)]
async fn a_scope_that_has_ended_spawns_nothing() {
    let rt = Runtime::new();
    let ran = Arc::new(AtomicBool::new(false));
    let left = scope(&rt, async |scope| Ok(scope)).await.unwrap();
    let runs = ran.clone();
    let late = left.spawn(move |_| async move {
        runs.store(true, SeqCst);
        Ok(())
    });
    assert!(!rt.is_alive(late.pid()));
    assert_eq!(late.await, Err(TaskError::Exited(ExitReason::NoProc)));
    assert!(!ran.load(SeqCst));
    assert_nothing_left(&rt).await;
}

#[tokio::test(start_paused = true)]
async fn a_stop_refuses_further_tasks_and_lets_the_body_continue() {
    let rt = Runtime::new();
    let outcome = scope(&rt, async |scope| {
        let polite = scope.spawn(|mut ctx| async move {
            ctx.shutdown().await;
            Ok("polite")
        });
        settled().await;
        scope.stop();
        scope.stop();
        let refused = scope.spawn(|_| async { Ok(()) }).await;
        assert_eq!(refused, Err(TaskError::Exited(ExitReason::NoProc)));
        Ok(polite.await?)
    });
    assert_eq!(outcome.await, Ok("polite"));
    assert_nothing_left(&rt).await;
}

#[tokio::test(start_paused = true)]
async fn a_task_that_overruns_its_stop_is_killed_and_is_a_failure() {
    for (how, expected) in [
        (Shutdown::Timeout(2 * SECOND), Err(ExitReason::Killed)),
        (Shutdown::BrutalKill, Ok(())), // killed as specified
    ] {
        let rt = Runtime::new();
        let begin = Instant::now();
        let outcome = scope(&rt, async |scope| {
            scope.set_shutdown(how);
            scope.spawn(|mut ctx| async move {
                ctx.cancellation_token();
                pending::<Result>().await
            });
            settled().await;
            scope.stop();
            Ok(())
        });
        let outcome = outcome.await.map_err(|error| error.reason().clone());
        assert_eq!(outcome, expected);
        assert_eq!(begin.elapsed() >= 2 * SECOND, outcome.is_err());
        assert_nothing_left(&rt).await;
    }
}

#[tokio::test(start_paused = true)]
async fn tasks_over_the_limit_wait_and_are_stopped_while_they_wait() {
    let rt = Runtime::new();
    let (most, now) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let outcome = scope(&rt, async |scope| {
        scope.limit_tasks(3);
        for at in 0..10 {
            let (most, now) = (most.clone(), now.clone());
            scope.spawn(move |_| async move {
                most.fetch_max(now.fetch_add(1, SeqCst) + 1, SeqCst);
                sleep(SECOND).await;
                now.fetch_sub(1, SeqCst);
                if at == 5 { Err(ExitReason::crashed("the sixth")) } else { Ok(()) }
            });
        }
        Ok(())
    });
    assert_eq!(task_reason(outcome.await), ExitReason::crashed("the sixth"));
    assert_eq!(most.load(SeqCst), 3);
    assert_nothing_left(&rt).await;
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "a limit of no tasks at all")]
async fn a_limit_of_no_tasks_panics() {
    let limited = scope(&Runtime::new(), async |scope| {
        scope.limit_tasks(0);
        Ok(())
    });
    limited.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_scope_of_a_runtime_that_was_shut_down_fails() {
    let rt = Runtime::new();
    rt.shutdown();
    let outcome = scope(&rt, async |scope| {
        scope.spawn(|_| async { Ok(()) });
        Ok(())
    });
    assert_eq!(task_reason(outcome.await), ExitReason::Killed);
}

/// Whatever the end of a scope and a spawn from another thread interleave: after the scope has
/// returned, no body of its tasks runs.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_spawn_that_races_with_the_end_of_the_scope_never_outlives_it() {
    let rt = Runtime::new();
    for round in 0..500 {
        let live = Arc::new(AtomicU32::new(0));
        let (sender, handle) = oneshot::channel::<Scope>();
        let counted = live.clone();
        let spawner = tokio::spawn(async move {
            let scope = handle.await.unwrap();
            for _ in 0..20 {
                let live = counted.clone();
                scope.spawn(move |_| async move {
                    live.fetch_add(1, SeqCst);
                    let _ended = OnDrop::new(move || {
                        live.fetch_sub(1, SeqCst);
                    });
                    tokio::task::yield_now().await;
                    Ok(())
                });
            }
        });
        let outcome = scope(&rt, async |scope| {
            sender.send(scope.clone()).unwrap();
            if round % 2 == 0 { Ok(()) } else { Err(crash("stopped")) }
        });
        drop(outcome.await);
        assert_eq!(live.load(SeqCst), 0, "round {round}");
        spawner.await.unwrap();
        assert_eq!(live.load(SeqCst), 0, "round {round}");
    }
    assert_nothing_left(&rt).await;
}
