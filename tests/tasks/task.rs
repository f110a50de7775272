//! Tasks: a process spawns concurrent work and waits for its result.

use crate::support;

use std::future::{Future, pending};
use std::time::Duration;

use regrow::{
    Context, CrashKind, ExitReason, Received, Result, Runtime, Shutdown, Task, TaskError,
};
use support::{OnDrop, TestProcess, assert_nothing_left, crash, exit, settled};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Runs `body` in a process. Asserts that the process ends normally and that nothing is left.
async fn inside<F, Fut>(body: F)
where
    F: FnOnce(Context) -> Fut + Send + 'static,
    Fut: Future<Output = Result> + Send + 'static,
{
    let rt = Runtime::new();
    assert_eq!(rt.spawn_fallible(body).join().await, ExitReason::Normal);
    assert_eq!(rt.process_count(), 0, "tasks are left");
    assert_nothing_left(&rt).await;
}

/// As `inside`, in a process that traps exits.
async fn inside_trapping<F, Fut>(body: F)
where
    F: FnOnce(Context) -> Fut + Send + 'static,
    Fut: Future<Output = Result> + Send + 'static,
{
    inside(|ctx| {
        ctx.runtime().set_trap_exit(ctx.pid(), true);
        body(ctx)
    })
    .await;
}

async fn is_empty(ctx: &mut Context) -> bool {
    settled().await;
    ctx.recv_timeout(Duration::ZERO).await.is_none()
}

fn exited<T>(reason: ExitReason) -> Result<T, TaskError> {
    Err(TaskError::Exited(reason))
}

/// TSK-001.
#[tokio::test(start_paused = true)]
async fn join_returns_the_result_and_leaves_no_message() {
    inside_trapping(|mut ctx| async move {
        let task = Task::spawn(&ctx, |task| async move { task.pid() });
        let pid = task.pid();
        assert_eq!(task.join().await, Ok(pid));
        assert!(!ctx.runtime().is_alive(pid));
        assert_eq!(ctx.runtime().info(ctx.pid()).unwrap().links, 0);
        assert!(is_empty(&mut ctx).await);
        Ok(())
    })
    .await;
}

/// The tasks are never joined. The link of a task delivers only exits that are not normal.
#[tokio::test(start_paused = true)]
async fn a_normal_exit_of_a_linked_task_sends_no_exit_to_a_trapping_caller() {
    inside_trapping(|mut ctx| async move {
        drop(Task::spawn(&ctx, |_| async { 42 }));
        assert!(is_empty(&mut ctx).await);
        assert_eq!(ctx.runtime().info(ctx.pid()).unwrap().links, 0);
        let stopped = Task::<()>::spawn(&ctx, |task| async move {
            task.runtime().exit(task.pid(), ExitReason::Shutdown);
            pending().await
        });
        let pid = stopped.pid();
        drop(stopped);
        assert_eq!(ctx.recv().await, exit(pid, ExitReason::Shutdown));
        Ok(())
    })
    .await;
}

/// TSK-002.
#[tokio::test(start_paused = true)]
async fn a_task_crash_ends_a_caller_that_does_not_trap_exits() {
    let rt = Runtime::new();
    let caller = rt.spawn_fallible(|ctx| async move {
        let task = Task::spawn(&ctx, |_| async { panic!("no luck") });
        task.join().await?;
        Ok(())
    });
    let reason = caller.join().await;
    assert_eq!(reason.crash().unwrap().kind(), CrashKind::Panic);
    assert_eq!(reason.crash().unwrap().message(), "no luck");
    assert_nothing_left(&rt).await;
}

/// TSK-003.
#[tokio::test(start_paused = true)]
async fn join_reports_a_crash_to_a_trapping_caller_without_an_exit_message() {
    inside_trapping(|mut ctx| async move {
        let start = Instant::now();
        let bad = Task::<()>::spawn(&ctx, |_| async { panic!("no luck") });
        let Err(TaskError::Exited(reason)) = bad.join().await else { panic!("it succeeded") };
        assert_eq!(reason.crash().unwrap().message(), "no luck");

        let exiting = Task::<()>::spawn(&ctx, |task| async move {
            task.runtime().exit(task.pid(), crash("r"));
            pending().await
        });
        assert_eq!(exiting.join().await, exited(crash("r")));
        assert_eq!(start.elapsed(), Duration::ZERO);
        assert!(is_empty(&mut ctx).await);
        Ok(())
    })
    .await;
}

/// A crash before the join puts an `Exit` message into the mailbox, as for any link. The join
/// removes this message.
#[tokio::test(start_paused = true)]
async fn a_crash_of_an_unjoined_task_sends_an_exit_to_a_trapping_caller() {
    inside_trapping(|mut ctx| async move {
        let joined = Task::spawn(&ctx, |_| async { panic!("first") });
        let dropped = Task::spawn(&ctx, |_| async { panic!("second") });
        let pid = dropped.pid();
        drop(dropped);
        settled().await;
        assert_eq!(ctx.runtime().info(ctx.pid()).unwrap().links, 0);
        assert!(Task::<()>::join(joined).await.is_err());
        let Received::Exit { from, reason } = ctx.recv().await else { panic!("no exit") };
        assert_eq!((from, reason.crash().unwrap().message()), (pid, "second"));
        assert!(is_empty(&mut ctx).await);
        Ok(())
    })
    .await;
}

/// TSK-005.
#[tokio::test(start_paused = true)]
async fn a_result_after_the_join_timeout_is_dropped() {
    inside_trapping(|mut ctx| async move {
        let task = Task::spawn(&ctx, |_| sleep(ms(60)));
        let pid = task.pid();
        let start = Instant::now();
        assert_eq!(task.join_timeout(ms(10)).await, Err(TaskError::Timeout(ms(10))));
        assert_eq!(start.elapsed(), ms(10));
        let ended = ctx.runtime().ended(pid);
        assert_eq!(ended.await, ExitReason::Normal); // the task continued
        assert_eq!(start.elapsed(), ms(60));
        assert!(is_empty(&mut ctx).await);
        Ok(())
    })
    .await;
}

/// `join` waits for five seconds, and `join_unlimited` has no limit.
#[tokio::test(start_paused = true)]
async fn join_waits_five_seconds_by_default() {
    inside(|ctx| async move {
        let limit = Duration::from_secs(5);
        let sleeper = |time| Task::spawn(&ctx, move |_| sleep(time));
        assert_eq!(sleeper(limit + ms(1)).join().await, Err(TaskError::Timeout(limit)));
        assert_eq!(sleeper(limit - ms(1)).join().await, Ok(()));
        assert_eq!(sleeper(limit * 100).join_unlimited().await, Ok(()));
        Ok(())
    })
    .await;
}

/// TSK-006.
#[tokio::test(start_paused = true)]
async fn yield_for_returns_none_until_the_result_is_ready() {
    inside(|ctx| async move {
        let mut task = Task::spawn(&ctx, |_| async {
            sleep(ms(40)).await;
            "result"
        });
        let start = Instant::now();
        assert_eq!(task.yield_for(ms(5)).await, None);
        assert_eq!(task.yield_for(Duration::ZERO).await, None);
        assert_eq!(start.elapsed(), ms(5));
        assert_eq!(task.yield_for(ms(100)).await, Some(Ok("result")));
        assert_eq!(start.elapsed(), ms(40));
        // The result is returned once.
        assert_eq!(task.yield_for(ms(100)).await, Some(Err(TaskError::Taken)));
        assert_eq!(task.join().await, Err(TaskError::Taken));
        Ok(())
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_dropped_yield_for_takes_no_result() {
    inside(|ctx| async move {
        let mut task = Task::spawn(&ctx, |_| async { "result" });
        tokio::select! {
            biased;
            _ = task.yield_for(ms(100)) => unreachable!("it has not run yet"),
            () = std::future::ready(()) => {}
        }
        assert_eq!(task.join().await, Ok("result"));
        Ok(())
    })
    .await;
}

/// TSK-007.
#[tokio::test(start_paused = true)]
async fn shutdown_ends_a_task_and_sends_its_caller_nothing() {
    for how in [Shutdown::default(), Shutdown::Infinity, Shutdown::BrutalKill] {
        inside(move |ctx| async move {
            let task = Task::spawn(&ctx, |_| pending::<()>());
            let pid = task.pid();
            assert_eq!(task.shutdown(how).await, None); // and the caller does not trap exits
            assert!(!ctx.runtime().is_alive(pid));
            Ok(())
        })
        .await;
        inside_trapping(move |mut ctx| async move {
            let task = Task::spawn(&ctx, |_| pending::<()>());
            settled().await;
            assert_eq!(task.shutdown(how).await, None);
            assert!(is_empty(&mut ctx).await);
            Ok(())
        })
        .await;
    }
}

/// TSK-008: the outcome of a crashed task is the reason of the crash.
#[tokio::test(start_paused = true)]
async fn shutdown_of_a_finished_task_returns_its_outcome() {
    inside_trapping(|mut ctx| async move {
        let good = Task::spawn(&ctx, |_| async { 42 });
        let bad = Task::<()>::spawn(&ctx, |_| async { panic!("as it should") });
        settled().await;
        assert_eq!(good.shutdown(Shutdown::BrutalKill).await, Some(Ok(42)));
        let outcome = bad.shutdown(Shutdown::default()).await;
        let Some(Err(TaskError::Exited(reason))) = outcome else { panic!("{outcome:?}") };
        assert_eq!(reason.crash().unwrap().message(), "as it should");
        assert!(is_empty(&mut ctx).await);
        Ok(())
    })
    .await;
}

/// The same exit reason gives the same outcome, whether the task ends before the shutdown or
/// because of it. Elixir: `Task.shutdown/2`.
#[tokio::test(start_paused = true)]
async fn shutdown_returns_the_same_outcome_for_an_exit_before_it() {
    let ways = [Shutdown::default(), Shutdown::Infinity, Shutdown::BrutalKill];
    let brutal = |how| how == Shutdown::BrutalKill;
    let other = ExitReason::shutdown_with("it has nothing to do");
    for how in ways {
        for (reason, is_asked_for) in [
            (ExitReason::Shutdown, !brutal(how)),
            (ExitReason::Killed, brutal(how)),
            (other.clone(), false),
        ] {
            inside_trapping(move |mut ctx| async move {
                let task = Task::spawn(&ctx, |_| pending::<()>());
                ctx.runtime().exit(task.pid(), reason.clone());
                settled().await;
                assert!(!ctx.runtime().is_alive(task.pid()));
                let outcome = (!is_asked_for).then(|| exited(reason));
                assert_eq!(task.shutdown(how).await, outcome, "{how:?}");
                assert!(is_empty(&mut ctx).await);
                Ok(())
            })
            .await;
        }
    }
}

/// The first task finishes within its shutdown time, the second is killed when this time is over,
/// and the third crashes when it is asked to stop.
#[tokio::test(start_paused = true)]
async fn a_task_has_its_shutdown_time_to_stop() {
    inside(|ctx| async move {
        let start = Instant::now();
        let finishing = Task::spawn(&ctx, |mut task| async move {
            task.shutdown().await;
            sleep(ms(30)).await;
            "finished"
        });
        settled().await;
        let outcome = finishing.shutdown(Shutdown::Timeout(ms(100))).await;
        assert_eq!((outcome, start.elapsed()), (Some(Ok("finished")), ms(31)));

        let stubborn = Task::<()>::spawn(&ctx, |mut task| async move {
            task.shutdown().await;
            pending().await
        });
        settled().await;
        let outcome = stubborn.shutdown(Shutdown::Timeout(ms(100))).await;
        assert_eq!(outcome, Some(exited(ExitReason::Killed))); // it did not stop as requested
        assert_eq!(start.elapsed(), ms(132));

        let failing = Task::<()>::spawn_nolink(&ctx.runtime(), |mut task| async move {
            task.shutdown().await;
            panic!("half way")
        });
        settled().await;
        let outcome = failing.shutdown(Shutdown::Infinity).await;
        let Some(Err(TaskError::Exited(reason))) = outcome else { panic!("{outcome:?}") };
        assert_eq!(reason.crash().unwrap().message(), "half way");
        Ok(())
    })
    .await;
}

/// TSK-011.
#[tokio::test(start_paused = true)]
async fn shutdown_with_brutal_kill_ends_a_trapping_task_at_once() {
    inside_trapping(|mut ctx| async move {
        let task = Task::spawn(&ctx, |_| pending::<()>());
        let pid = task.pid();
        ctx.runtime().set_trap_exit(pid, true);
        let start = Instant::now();
        assert_eq!(task.shutdown(Shutdown::BrutalKill).await, None);
        assert_eq!(start.elapsed(), Duration::ZERO);
        assert!(!ctx.runtime().is_alive(pid));
        assert!(is_empty(&mut ctx).await);
        Ok(())
    })
    .await;
}

/// The future of `shutdown` is dropped before the task has ended. No process is left.
#[tokio::test(start_paused = true)]
async fn dropping_a_shutdown_kills_the_task() {
    let rt = Runtime::new();
    let task = Task::<()>::spawn_nolink(&rt, |mut task| async move {
        task.shutdown().await;
        pending().await
    });
    let ended = rt.ended(task.pid());
    settled().await;
    let stop = tokio::time::timeout(ms(10), task.shutdown(Shutdown::Infinity));
    assert!(stop.await.is_err());
    assert_eq!(tokio::time::timeout(ms(10), ended).await, Ok(ExitReason::Killed));
}

/// TSK-012.
#[tokio::test(start_paused = true)]
async fn an_ignored_task_keeps_running_unlinked() {
    inside_trapping(|mut ctx| async move {
        let rt = ctx.runtime();
        let finished = Task::spawn(&ctx, |_| async { 42 });
        let failed = Task::<()>::spawn(&ctx, |task| async move {
            task.runtime().kill(task.pid());
            pending().await
        });
        let (told, dropped) = oneshot::channel();
        let running = Task::spawn(&ctx, |_| async {
            sleep(ms(10)).await;
            OnDrop::new(move || told.send(()).unwrap())
        });
        let crashing = Task::<()>::spawn(&ctx, |_| async {
            sleep(ms(10)).await;
            panic!("nobody cares")
        });
        settled().await;
        assert_eq!(finished.ignore(), Some(Ok(42)));
        assert_eq!(failed.ignore(), Some(exited(ExitReason::Killed)));
        let pid = running.pid();
        assert!(running.ignore().is_none());
        assert!(crashing.ignore().is_none());
        assert!(rt.is_alive(pid));
        assert_eq!(rt.info(ctx.pid()).unwrap().links, 0);
        assert_eq!(dropped.await, Ok(())); // the result was dropped
        assert!(is_empty(&mut ctx).await);
        Ok(())
    })
    .await;
}

/// TSK-013.
#[tokio::test(start_paused = true)]
async fn join_many_returns_results_in_the_order_of_the_tasks() {
    inside_trapping(|mut ctx| async move {
        let start = Instant::now();
        let tasks = [30, 10, 20].map(|time| {
            Task::spawn(&ctx, move |_| async move {
                sleep(ms(time)).await;
                time
            })
        });
        assert_eq!(Task::join_many(tasks, ms(100)).await, Ok(vec![30, 10, 20]));
        assert_eq!(start.elapsed(), ms(30));
        assert_eq!(Task::<()>::join_many([], ms(100)).await, Ok(vec![]));
        assert!(is_empty(&mut ctx).await);
        Ok(())
    })
    .await;
}

/// TSK-014: `join_many` also fails when the time is over.
#[tokio::test(start_paused = true)]
async fn join_many_returns_the_first_crash_at_once() {
    inside_trapping(|ctx| async move {
        let start = Instant::now();
        let endless = || Task::spawn(&ctx, |_| pending::<u32>());
        let rt = ctx.runtime();
        let crashing = Task::spawn(&ctx, |task| async move {
            sleep(ms(10)).await;
            task.runtime().exit(task.pid(), crash("r"));
            pending().await
        });
        let tasks = [endless(), Task::spawn(&ctx, |_| async { 1 }), crashing];
        let running = tasks[0].pid();
        assert_eq!(Task::join_many(tasks, ms(1_000)).await, exited(crash("r")));
        assert_eq!(start.elapsed(), ms(10));
        assert!(rt.is_alive(running));

        let late = Task::join_many([endless()], ms(100)).await;
        assert_eq!((late, start.elapsed()), (Err(TaskError::Timeout(ms(100))), ms(110)));
        for task in rt.list().into_iter().filter(|pid| *pid != ctx.pid()) {
            support::killed(&rt, task).await;
        }
        Ok(())
    })
    .await;
}

/// TSK-016.
#[tokio::test(start_paused = true)]
async fn yield_many_returns_ready_results_and_keeps_the_other_tasks() {
    inside_trapping(|mut ctx| async move {
        let rt = ctx.runtime();
        let mut tasks = [
            Task::spawn(&ctx, |_| async { 1 }),
            Task::spawn(&ctx, |_| async {
                sleep(ms(150)).await;
                2
            }),
            Task::spawn(&ctx, |task| async move {
                task.runtime().exit(task.pid(), crash("r"));
                pending().await
            }),
        ];
        let start = Instant::now();
        let outcomes = Task::yield_many(&mut tasks, ms(100)).await;
        assert_eq!(outcomes, [Some(Ok(1)), None, Some(exited(crash("r")))]);
        assert_eq!(start.elapsed(), ms(100));
        let taken = || Some(Err(TaskError::Taken));
        let outcomes = Task::yield_many(&mut tasks, ms(100)).await;
        assert_eq!(outcomes, [taken(), Some(Ok(2)), taken()]);
        assert_eq!(start.elapsed(), ms(150));
        assert!(is_empty(&mut ctx).await);
        assert_eq!(rt.info(ctx.pid()).unwrap().links, 0);
        Ok(())
    })
    .await;
}

/// TSK-018.
#[tokio::test(start_paused = true)]
async fn a_task_ends_with_an_abnormal_exit_of_its_caller_only() {
    let rt = Runtime::new();
    for (end, expected) in [
        (crash("r"), crash("r")),
        (ExitReason::Shutdown, ExitReason::Shutdown),
        (ExitReason::Normal, ExitReason::Normal),
    ] {
        let caller = TestProcess::new(&rt);
        let task = caller.ask(|ctx| Task::spawn(ctx, |_| sleep(ms(50)))).await;
        let ended = rt.ended(task.pid());
        match end {
            ExitReason::Normal => caller.finish(),
            reason => caller.fail(reason),
        }
        caller.ended().await;
        let outcome = task.join().await; // outside of processes: any owner of a handle may join
        assert_eq!(ended.await, expected);
        assert_eq!(outcome.is_ok(), expected == ExitReason::Normal);
    }
    assert_nothing_left(&rt).await;
}

/// A task with a shutdown signal has time to finish when its caller crashes. A normal end of the
/// caller does not stop the task.
#[tokio::test(start_paused = true)]
async fn a_task_can_wait_for_the_crash_of_its_caller() {
    let rt = Runtime::new();
    for (reason, expected) in [(crash("r"), Some(Ok(()))), (ExitReason::Normal, None)] {
        let caller = TestProcess::new(&rt);
        let spawn =
            |ctx: &mut Context| Task::spawn(ctx, |mut task| async move { task.shutdown().await });
        let mut task = caller.ask(spawn).await;
        settled().await;
        caller.fail(reason);
        assert_eq!(task.yield_for(ms(100)).await, expected);
    }
    assert_nothing_left(&rt).await;
}

/// The caller was killed and has not ended yet when it spawns the task. The task is killed with the
/// caller.
#[tokio::test(start_paused = true)]
async fn a_task_spawned_by_an_ending_caller_ends_with_it() {
    let rt = Runtime::new();
    let (tell, told) = oneshot::channel();
    let caller = rt.spawn(|ctx| async move {
        ctx.runtime().kill(ctx.pid());
        let _ = tell.send(Task::spawn(&ctx, |_| pending::<()>()));
        pending().await
    });
    let task = told.await.unwrap();
    assert_eq!(caller.join().await, ExitReason::Killed);
    assert_eq!(task.join().await, exited(ExitReason::Killed));
    assert_nothing_left(&rt).await;
}

#[tokio::test(start_paused = true)]
async fn a_task_of_a_closed_runtime_or_an_ended_caller_never_runs() {
    let rt = Runtime::new();
    let (tell, told) = oneshot::channel();
    let caller = rt.spawn(|ctx| async move {
        let _ = tell.send(ctx);
    });
    let context = told.await.unwrap();
    caller.join().await;
    let task = Task::<()>::spawn(&context, |_| async { unreachable!("it ran") });
    assert_eq!(task.join().await, exited(ExitReason::NoProc));
    assert_nothing_left(&rt).await;
    let task = Task::<()>::spawn_nolink(&rt, |_| async { unreachable!("it ran") });
    assert_eq!(task.join().await, exited(ExitReason::Killed));
    assert_nothing_left(&rt).await;
}

/// TSK-019.
#[tokio::test(start_paused = true)]
async fn join_of_an_unlinked_task_reports_its_crash_only() {
    inside(|ctx| async move {
        let rt = ctx.runtime();
        let crashing = || {
            Task::<()>::spawn_nolink(&rt, |task| async move {
                task.runtime().exit(task.pid(), crash("r"));
                pending().await
            })
        };
        assert_eq!(crashing().join().await, exited(crash("r")));
        assert_eq!(crashing().yield_for(ms(10)).await, Some(exited(crash("r"))));
        Ok(())
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_task_whose_handle_is_dropped_keeps_running() {
    inside_trapping(|mut ctx| async move {
        let (tell, told) = oneshot::channel();
        drop(Task::spawn(&ctx, |_| async move {
            sleep(ms(10)).await;
            tell.send(()).unwrap();
        }));
        assert_eq!(told.await, Ok(()));
        assert!(is_empty(&mut ctx).await);
        Ok(())
    })
    .await;
}

/// The inner task crashes while the outer task joins it. The caller of the outer task traps exits,
/// and gets one `Exit` message, with the reason of the inner task.
#[tokio::test(start_paused = true)]
async fn a_crash_of_a_nested_task_ends_its_outer_task() {
    let rt = Runtime::new();
    let caller = TestProcess::trapping(&rt);
    let spawn = |ctx: &mut Context| {
        Task::spawn(ctx, |outer| async move {
            let inner = Task::spawn(&outer, |_| async { panic!("deep") });
            inner.join().await
        })
    };
    let task = caller.ask(spawn).await;
    let pid = task.pid();
    drop(task);
    settled().await;
    let mut caller = caller;
    let mail = caller.mail().await;
    let [Received::Exit { from, reason }] = &mail[..] else { panic!("{mail:?}") };
    assert_eq!((*from, reason.crash().unwrap().message()), (pid, "deep"));
    assert_eq!(mail, [exit(pid, reason.clone())]);
    assert_nothing_left(&rt).await;
}

/// A thousand tasks have ended, more than the cooperative budget of one turn. Each wait returns all
/// results at once.
#[tokio::test(start_paused = true)]
async fn waits_for_a_thousand_finished_tasks_return_all_results() {
    let rt = Runtime::new();
    let start = || (0..1_000).map(|n| Task::spawn_nolink(&rt, move |_| async move { n }));
    let mut tasks: Vec<_> = start().collect();
    settled().await;
    let looked = Task::yield_many(&mut tasks, Duration::ZERO).await;
    assert!(looked.iter().zip(0..).all(|(outcome, n)| *outcome == Some(Ok(n))));
    let tasks: Vec<_> = start().collect();
    settled().await;
    assert_eq!(Task::join_many(tasks, Duration::ZERO).await, Ok((0..1_000).collect()));
    let tasks: Vec<_> = start().collect();
    settled().await;
    assert!(tasks.into_iter().zip(0..).all(|(task, n)| task.ignore() == Some(Ok(n))));
    assert_nothing_left(&rt).await;
}
