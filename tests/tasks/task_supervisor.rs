//! Supervisors of tasks.

use crate::support;

use std::future::pending;
use std::time::Duration;

use futures_util::{FutureExt, stream};
use regrow::{
    ChildError, ExitReason, ProcessHandle, Restart, Runtime, Shutdown, StartError, Supervisor,
    Task, TaskError, TaskStream, TaskSupervisor, TaskSupervisorRef,
};
use support::{assert_nothing_left, crash, settled};
use tokio::sync::mpsc::unbounded_channel;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

async fn started() -> (Runtime, TaskSupervisorRef) {
    let rt = Runtime::new();
    let tasks = TaskSupervisor::new().start(&rt).await.unwrap();
    (rt, tasks)
}

/// Spawns a caller process that spawns a supervised task. Returns both, and a sender that makes the
/// task crash.
async fn crashing(
    rt: &Runtime,
    tasks: &TaskSupervisorRef,
    traps: bool,
) -> (ProcessHandle, Task<()>, oneshot::Sender<()>) {
    let (crash_now, told) = oneshot::channel::<()>();
    let (tell, spawned) = oneshot::channel();
    let tasks = tasks.clone();
    let caller = rt.spawn_fallible(move |ctx| async move {
        ctx.runtime().set_trap_exit(ctx.pid(), traps);
        let task = tasks.spawn(&ctx, |task| async move {
            let _ = told.await;
            task.runtime().exit(task.pid(), crash("r"));
            pending().await
        });
        let _ = tell.send(task.await?);
        pending().await
    });
    (caller, spawned.await.unwrap(), crash_now)
}

/// The label of all supervised tasks is `task`. The label has no number that could be mistaken for
/// a pid, and the census counts all tasks under one label.
#[tokio::test(start_paused = true)]
async fn all_supervised_tasks_have_one_label_and_different_pids() {
    let (rt, tasks) = started().await;
    let mut pids = vec![tasks.start_child(|_| pending()).await.unwrap()];
    pids.push(tasks.spawn_nolink(|_| pending::<()>()).await.unwrap().pid());
    pids.push(tasks.start_child_with(Restart::Permanent, |_| pending()).await.unwrap());
    let labels: Vec<_> = pids.iter().map(|&pid| rt.info(pid).unwrap().label).collect();
    assert!(labels.iter().all(|label| label.as_deref() == Some("task")), "{labels:?}");
    assert_eq!(rt.census().labels.get("task"), Some(&3));
    assert_eq!(tasks.children().await.unwrap(), pids);
}

/// TSK-021.
#[tokio::test(start_paused = true)]
async fn a_supervised_task_is_a_child_and_linked_to_its_caller() {
    let (rt, tasks) = started().await;
    for traps in [false, true] {
        let (caller, task, crash_now) = crashing(&rt, &tasks, traps).await;
        assert_eq!(tasks.children().await.unwrap(), [task.pid()]);
        assert_eq!(rt.info(task.pid()).unwrap().links, 2);
        crash_now.send(()).unwrap();
        assert_eq!(task.join().await, Err(TaskError::Exited(crash("r"))));
        settled().await;
        assert_eq!(rt.is_alive(caller.pid()), traps);
        if !traps {
            assert_eq!(caller.join().await, crash("r"));
        }
        assert!(rt.is_alive(tasks.pid().unwrap()));
        assert_eq!(tasks.children().await.unwrap(), []);
    }
    assert_nothing_left(&rt).await;
}

/// The result of a supervised task leaves no message and no child. A crash of the caller ends the
/// task, and a normal end of the caller does not.
#[tokio::test(start_paused = true)]
async fn a_supervised_task_follows_its_caller_as_an_unsupervised_one() {
    let (rt, tasks) = started().await;
    let handle = tasks.clone();
    let body = rt.spawn_fallible(move |mut ctx| async move {
        ctx.runtime().set_trap_exit(ctx.pid(), true);
        let task = handle.spawn(&ctx, |task| async move { task.pid() }).await?;
        let pid = task.pid();
        assert_eq!(task.join().await, Ok(pid));
        let endless = handle.spawn(&ctx, |_| pending::<()>()).await?;
        assert_eq!(endless.shutdown(Shutdown::default()).await, None);
        settled().await;
        assert_eq!(ctx.recv_timeout(Duration::ZERO).await, None);
        assert_eq!(handle.children().await, Ok(vec![]));
        Ok(())
    });
    assert_eq!(body.join().await, ExitReason::Normal);

    for (end, expected) in
        [(crash("x"), Err(TaskError::Exited(crash("x")))), { (ExitReason::Normal, Ok(())) }]
    {
        let handle = tasks.clone();
        let (tell, spawned) = oneshot::channel();
        rt.spawn_fallible(move |ctx| async move {
            let _ = tell.send(handle.spawn(&ctx, |_| sleep(ms(10))).await?);
            Err(end)
        });
        assert_eq!(spawned.await.unwrap().join().await, expected);
    }
    assert_nothing_left(&rt).await;
}

/// A task with a shutdown signal is notified of its caller's crash, although the caller is not the
/// parent of the task.
#[tokio::test(start_paused = true)]
async fn a_supervised_task_can_wait_for_the_crash_of_its_caller() {
    let (rt, tasks) = started().await;
    let (tell, spawned) = oneshot::channel();
    let caller = rt.spawn_fallible(move |ctx| async move {
        let told = tasks.spawn(&ctx, |mut task| async move { task.shutdown().await });
        let _ = tell.send(told.await?);
        sleep(ms(10)).await;
        Err(crash("x"))
    });
    assert_eq!(spawned.await.unwrap().join().await, Ok(()));
    assert_eq!(caller.join().await, crash("x"));
    assert_nothing_left(&rt).await;
}

/// TSK-019, under a supervisor.
#[tokio::test(start_paused = true)]
async fn a_crash_of_an_unlinked_supervised_task_ends_no_other_process() {
    let (rt, tasks) = started().await;
    let task = tasks.spawn_nolink::<(), _, _>(|_| async { panic!("no luck") }).await.unwrap();
    let Err(TaskError::Exited(reason)) = task.join().await else { panic!("it succeeded") };
    assert_eq!(reason.crash().unwrap().message(), "no luck");
    assert!(rt.is_alive(tasks.pid().unwrap()));
    assert_nothing_left(&rt).await;
}

/// TSK-022.
#[tokio::test(start_paused = true)]
async fn a_task_child_is_restarted_only_with_restart_permanent() {
    let (rt, tasks) = started().await;
    let (tell, mut told) = unbounded_channel();
    let say = tell.clone();
    let once = tasks.start_child(move |task| async move {
        say.send(task.pid())?;
        Err(crash("r"))
    });
    let pid = once.await.unwrap();
    assert_eq!(told.recv().await, Some(pid));
    settled().await;
    assert!(told.try_recv().is_err());
    assert_eq!(tasks.children().await.unwrap(), []);

    let again = tasks.start_child_with(Restart::Permanent, move |mut task| async move {
        tell.send(task.pid())?;
        drop(task.recv().await);
        Ok(())
    });
    let pid = again.await.unwrap();
    assert_eq!(told.recv().await, Some(pid));
    rt.send(pid, b"finish".to_vec());
    let second = told.recv().await.unwrap();
    assert_ne!(second, pid);
    assert_eq!(tasks.children().await.unwrap(), [second]);
    assert_eq!(tasks.terminate_child(second).await, Ok(()));
    assert_eq!(tasks.children().await.unwrap(), []);
    assert_nothing_left(&rt).await;
}

/// TSK-023.
#[tokio::test(start_paused = true)]
async fn each_task_is_stopped_by_its_own_shutdown_setting() {
    let (rt, tasks) = started().await;
    let brutal = tasks.clone().with_shutdown(Shutdown::BrutalKill);
    let brutal = brutal.start_child(|_| pending()).await.unwrap();
    let polite = tasks.start_child(|_| pending()).await.unwrap();
    let stubborn = tasks
        .start_child(|mut task| async move {
            task.shutdown().await;
            pending().await
        })
        .await
        .unwrap();
    settled().await;
    let ends = [brutal, polite, stubborn].map(|pid| rt.ended(pid));
    let start = Instant::now();
    assert_eq!(tasks.stop().await, Ok(ExitReason::Shutdown));
    assert_eq!(start.elapsed(), Duration::from_secs(5));
    let mut reasons = vec![];
    for end in ends {
        reasons.push(end.await);
    }
    assert_eq!(reasons, [ExitReason::Killed, ExitReason::Shutdown, ExitReason::Killed]);
    assert_eq!(rt.process_count(), 0);
    assert_nothing_left(&rt).await;
}

/// TSK-025.
#[tokio::test(start_paused = true)]
async fn terminate_child_ends_a_task_once() {
    let (rt, tasks) = started().await;
    let endless = tasks.start_child(|_| pending()).await.unwrap();
    let ended = rt.ended(endless);
    assert_eq!(tasks.terminate_child(endless).await, Ok(()));
    assert_eq!(ended.await, ExitReason::Shutdown);
    let not_found = Err(ChildError::NotFound(endless.to_string()));
    assert_eq!(tasks.terminate_child(endless).await, not_found);
    assert_nothing_left(&rt).await;
}

/// The tasks of a killed supervisor are killed, and so are the callers that are linked to them.
#[tokio::test(start_paused = true)]
async fn a_killed_task_supervisor_ends_its_tasks() {
    let (rt, tasks) = started().await;
    let (caller, task, _crash_now) = crashing(&rt, &tasks, false).await;
    rt.kill(tasks.pid().unwrap());
    assert_eq!(task.join().await, Err(TaskError::Exited(ExitReason::Killed)));
    assert_eq!(caller.join().await, ExitReason::Killed);
    assert_nothing_left(&rt).await;
}

/// A start fails while no supervisor has the name. A killed task supervisor in a tree is restarted,
/// and the handle then reaches the new incarnation.
#[tokio::test(start_paused = true)]
async fn a_named_task_supervisor_is_reachable_after_its_restart() {
    let rt = Runtime::new();
    let tasks = TaskSupervisorRef::named(&rt, "tasks");
    let error = tasks.start_child(|_| async { Ok(()) }).await.unwrap_err();
    assert!(matches!(error, StartError::Unreachable(_)));

    let child = TaskSupervisor::new().named("tasks").intensity(1, ms(1_000));
    let tree = Supervisor::one_for_one().child(child).start(&rt).await.unwrap();
    let first = tasks.pid().unwrap();
    let ended = rt.ended(first);
    rt.kill(first);
    ended.await;
    tree.count_children().await.unwrap();
    assert_ne!(tasks.pid(), Some(first));
    assert_eq!(tasks.spawn_nolink(|_| async { 42 }).await.unwrap().join().await, Ok(42));
    tree.stop().await.unwrap();
    assert_nothing_left(&rt).await;
}

/// The caller has ended before the request. The body of the task never runs, and the supervisor
/// keeps no child.
#[tokio::test(start_paused = true)]
async fn spawn_for_an_ended_caller_fails_with_noproc() {
    let (rt, tasks) = started().await;
    let (tell, told) = oneshot::channel();
    let caller = rt.spawn(|ctx| async move { drop(tell.send(ctx)) });
    let context = told.await.unwrap();
    caller.join().await;
    let task = tasks.spawn::<(), _, _>(&context, |_| async { unreachable!("it ran") }).await;
    assert_eq!(task.unwrap_err(), StartError::Failed(ExitReason::NoProc));
    assert_eq!(tasks.children().await.unwrap(), []);
    assert_eq!(rt.process_count(), 1);
    assert_nothing_left(&rt).await;
}

/// The caller drops its request before the supervisor handles it. No task is started.
#[tokio::test(start_paused = true)]
async fn a_spawn_that_is_dropped_before_it_is_served_starts_nothing() {
    let (rt, tasks) = started().await;
    let (tell, mut told) = unbounded_channel::<()>();
    let mut late = Box::pin(tasks.spawn_nolink(move |_| async move { tell.send(()) }));
    assert!(late.as_mut().now_or_never().is_none(), "it is asked for");
    drop(late);
    assert_eq!(tasks.children().await.unwrap(), []);
    assert_eq!(told.recv().await, None); // the body was dropped and never ran
    assert_nothing_left(&rt).await;
}

/// All tasks ignore the request to stop. The supervisor asks all of them at once, so the stop takes
/// as long as the longest shutdown time.
#[tokio::test(start_paused = true)]
async fn a_task_supervisor_stops_its_tasks_concurrently() {
    let (rt, tasks) = started().await;
    for time in [300, 100, 200] {
        let slow = tasks.clone().with_shutdown(Shutdown::Timeout(ms(time)));
        let deaf = |mut task: regrow::TaskContext| async move {
            task.shutdown().await;
            pending().await
        };
        slow.start_child(deaf).await.unwrap();
    }
    settled().await;
    let began = Instant::now();
    assert_eq!(tasks.stop().await, Ok(ExitReason::Shutdown));
    assert_eq!(began.elapsed(), ms(300));
    assert_nothing_left(&rt).await;
}

/// A start above the maximum is refused, and its body is dropped. The end of a task makes room for
/// another one.
#[tokio::test(start_paused = true)]
async fn max_children_limits_the_tasks_of_a_supervisor() {
    let rt = Runtime::new();
    let tasks = TaskSupervisor::new().max_children(2).start(&rt).await.unwrap();
    let first = tasks.spawn_nolink(|_| pending::<()>()).await.unwrap();
    tasks.start_child(|_| pending()).await.unwrap();
    let refused = Some(StartError::MaxChildren(2));
    assert_eq!(tasks.spawn_nolink(|_| async {}).await.err(), refused);
    assert_eq!(tasks.start_child(|_| async { Ok(()) }).await.err(), refused);
    assert_eq!(first.shutdown(Shutdown::BrutalKill).await, None);
    assert_eq!(tasks.spawn_nolink(|_| async { 3 }).await.unwrap().join().await, Ok(3));
    tasks.stop().await.unwrap();
    assert_nothing_left(&rt).await;
}

/// The caller drops its request after the supervisor has started the task. The task is killed, and
/// the linked caller gets no exit signal.
#[tokio::test(start_paused = true)]
async fn a_spawn_that_is_dropped_after_the_start_kills_the_task() {
    let (rt, tasks) = started().await;
    let body = rt.spawn_fallible(move |ctx| async move {
        let mut spawning = Box::pin(tasks.spawn(&ctx, |_| pending::<()>()));
        assert!(spawning.as_mut().now_or_never().is_none());
        settled().await;
        let [task] = tasks.children().await?[..] else { panic!("it was not started") };
        let ended = ctx.runtime().ended(task);
        drop(spawning);
        assert_eq!(ended.await, ExitReason::Killed);
        settled().await;
        assert_eq!(tasks.children().await?, []);
        Ok(())
    });
    assert_eq!(body.join().await, ExitReason::Normal);
    assert_nothing_left(&rt).await;
}

async fn nap(time: u64) -> u64 {
    sleep(ms(time)).await;
    time
}

/// TSK-026, TSK-029 under a supervisor: the items are children of the supervisor while they run.
#[tokio::test(start_paused = true)]
async fn a_supervised_stream_behaves_as_an_unsupervised_one() {
    let (rt, tasks) = started().await;
    let body = rt.spawn_fallible(move |ctx| async move {
        let naps = TaskStream::new(&ctx, stream::iter([30, 1_000, 10, 20]), nap);
        let mut naps = naps.supervised_by(&tasks).concurrency(3).timeout(ms(50));
        assert_eq!(naps.next().await, Some(Ok(30)));
        assert_eq!(tasks.children().await?.len(), 1);
        assert_eq!(naps.next().await, Some(Err(TaskError::Timeout(ms(50)))));
        assert_eq!(naps.next().await, Some(Ok(10)));
        assert_eq!(naps.next().await, Some(Ok(20)));
        assert_eq!(naps.next().await, None);
        assert_eq!(tasks.children().await?, []);
        Ok(())
    });
    assert_eq!(body.join().await, ExitReason::Normal);
    assert_nothing_left(&rt).await;
}

/// The stream is dropped before or after the supervisor has started the items. No child is left.
/// After the end of the supervisor the items of a stream fail, and the stream does not wait.
#[tokio::test(start_paused = true)]
async fn a_dropped_supervised_stream_leaves_no_children() {
    let (rt, tasks) = started().await;
    for asked in [false, true] {
        let endless = TaskStream::nolink(&rt, stream::iter([(); 9]), |()| pending::<()>());
        let mut endless = endless.supervised_by(&tasks).concurrency(3);
        assert!(endless.next().now_or_never().is_none());
        if asked {
            settled().await; // the items run, and the stream was not polled since
            assert_eq!(tasks.children().await.unwrap().len(), 3);
        }
        drop(endless);
        settled().await;
        assert_eq!(tasks.children().await.unwrap(), []);
    }
    let naps = TaskStream::nolink(&rt, stream::iter([20, 20]), nap);
    let mut naps = naps.supervised_by(&tasks).concurrency(1);
    assert!(tokio::time::timeout(ms(10), naps.next()).await.is_err());
    tasks.stop().await.unwrap();
    assert_eq!(naps.next().await, Some(Err(TaskError::Exited(ExitReason::Shutdown))));
    assert!(matches!(naps.next().await, Some(Err(TaskError::NotStarted(_)))));
    assert_eq!(naps.next().await, None);
    assert_nothing_left(&rt).await;
}

#[tokio::test(start_paused = true)]
async fn an_exit_that_a_running_task_sends_to_its_supervisor_is_not_its_end() {
    let rt = Runtime::new();
    let tasks = TaskSupervisor::new().named("tasks").start(&rt).await.unwrap();
    let sender = tasks.start_child(|ctx| async move {
        let supervisor = ctx.runtime().whereis("tasks").unwrap();
        assert!(ctx.runtime().exit(supervisor, crash("sent")));
        pending().await
    });
    let sender = sender.await.unwrap();
    settled().await;
    assert_eq!(tasks.children().await, Ok(vec![sender]));
    tasks.stop().await.unwrap();
    assert_eq!(rt.process_count(), 0);
}
