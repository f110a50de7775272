//! Races between the end of a task and requests for its result, on real threads.

use crate::support;

use std::future::pending;

use regrow::{ExitReason, Received, Runtime, Shutdown, Task, TaskError, TaskSupervisor};
use support::{assert_nothing_left, until};

const ROUNDS: usize = 300;

/// TSK-018: the caller may be killed between the spawn of a task and its link. The task then ends
/// too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_that_is_killed_while_it_spawns_tasks_leaves_none() {
    let rt = Runtime::new();
    for supervised in [false, true] {
        for _ in 0..ROUNDS {
            let tasks = TaskSupervisor::new().start(&rt).await.unwrap();
            let spawning = tasks.clone();
            let caller = rt.spawn(move |ctx| async move {
                for _ in 0..20 {
                    let task = match supervised {
                        false => Task::spawn(&ctx, |_| pending::<()>()),
                        true => spawning.spawn(&ctx, |_| pending::<()>()).await.unwrap(),
                    };
                    drop(task);
                    tokio::task::yield_now().await;
                }
                pending().await
            });
            until("the first task", || rt.process_count() > 3).await;
            rt.kill(caller.pid());
            caller.join().await;
            until("the end of all tasks", || rt.process_count() == 1).await;
            // A task is removed from the table just before its supervisor is notified.
            while !tasks.children().await.unwrap().is_empty() {
                tokio::task::yield_now().await;
            }
            tasks.stop().await.unwrap();
        }
    }
    assert_nothing_left(&rt).await;
}

/// TSK-007, TSK-008: a task that finishes or crashes while it is shut down has its own outcome or
/// that of the shutdown. The mailbox of the caller, which traps exits, stays empty.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_shutdown_that_races_with_its_end_leaves_no_exit_message() {
    let rt = Runtime::new();
    let body = rt.spawn(|mut ctx| async move {
        let rt = ctx.runtime();
        rt.set_trap_exit(ctx.pid(), true);
        for round in 0..ROUNDS * 4 {
            let crashes = round % 2 == 0;
            let task = Task::spawn(&ctx, move |_| async move {
                tokio::task::yield_now().await;
                assert!(!crashes, "as it should");
                round
            });
            for _ in 0..round % 7 {
                std::thread::yield_now();
            }
            let how = [Shutdown::BrutalKill, Shutdown::default()][round / 2 % 2];
            match task.shutdown(how).await {
                None => {}
                Some(Ok(result)) => assert_eq!((result, crashes), (round, false)),
                Some(Err(TaskError::Exited(reason))) => {
                    assert!(crashes);
                    assert_eq!(reason.crash().unwrap().message(), "as it should");
                }
                Some(Err(error)) => panic!("{error}"),
            }
            assert!(rt.send(ctx.pid(), b"mark".to_vec()));
            assert_eq!(ctx.recv().await, Received::Message(b"mark".to_vec()));
            assert_eq!(rt.info(ctx.pid()).unwrap().links, 0);
        }
    });
    assert_eq!(body.join().await, ExitReason::Normal);
    assert_nothing_left(&rt).await;
}

/// TSK-012: a task crashes while, or after, its caller ignores it. The crash notifies no process.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ignored_task_that_crashes_concurrently_sends_no_exit() {
    let rt = Runtime::new();
    let body = rt.spawn(|mut ctx| async move {
        let rt = ctx.runtime();
        rt.set_trap_exit(ctx.pid(), true);
        for round in 0..ROUNDS * 4 {
            let task = Task::<()>::spawn(&ctx, |_| async { panic!("as it should") });
            let ended = rt.ended(task.pid());
            for _ in 0..round % 7 {
                std::thread::yield_now();
            }
            drop(task.ignore());
            ended.await;
            assert!(rt.send(ctx.pid(), b"mark".to_vec()));
            assert_eq!(ctx.recv().await, Received::Message(b"mark".to_vec()));
        }
    });
    assert_eq!(body.join().await, ExitReason::Normal);
    assert_nothing_left(&rt).await;
}
