//! Plain async children, and their context.

use crate::support;

use std::future::{Future, pending};
use std::time::Duration;

use regrow::{
    ChildSpec, ExitReason, Received, Restart, Result, Runtime, StartCause, Supervisor, TaskContext,
};
use support::injected_panics::hush_injected_panics;
use support::kinds::only_end;
use support::settled;
use tokio::sync::mpsc::unbounded_channel;

/// Starts a supervisor with one temporary child that runs this body.
async fn child<Fut>(
    rt: &Runtime,
    body: impl FnOnce(TaskContext) -> Fut + Clone + Send + Sync + 'static,
) -> (regrow::SupervisorRef, regrow::Pid)
where
    Fut: Future<Output = Result> + Send + 'static,
{
    let tree = Supervisor::one_for_one().start(rt).await.unwrap();
    let spec = ChildSpec::task("child", body).restart(Restart::Temporary);
    let pid = tree.start_child(spec).await.unwrap();
    (tree, pid)
}

/// A helper that a child spawned with a link ends with the child, whatever the reason.
#[tokio::test(start_paused = true)]
async fn a_linked_helper_ends_with_its_child() {
    hush_injected_panics();
    let ends =
        [ExitReason::Normal, ExitReason::Shutdown, ExitReason::crashed("x"), ExitReason::Killed];
    for reason in ends {
        let rt = Runtime::new();
        let (say, mut said) = unbounded_channel();
        let end = reason.clone();
        let (_tree, pid) = child(&rt, move |mut ctx| async move {
            let helper = ctx.spawn_link(pending());
            rt_trap(&ctx.runtime(), helper.pid());
            say.send(helper).unwrap();
            drop(ctx.recv().await);
            if end == ExitReason::Normal { Ok(()) } else { Err(end) }
        })
        .await;
        let helper = said.recv().await.unwrap();
        if reason == ExitReason::Killed {
            rt.kill(pid);
        } else {
            rt.send(pid, Vec::new());
        }
        assert_eq!(helper.join().await, reason);
        assert_eq!(rt.process_count(), 1);
    }
}

/// Makes a helper trap exits, which must not keep it alive.
fn rt_trap(rt: &Runtime, pid: regrow::Pid) {
    rt.set_trap_exit(pid, true);
}

/// A failure of a helper ends its child, also if the child traps exits. A normal end of the helper
/// has no effect.
#[tokio::test(start_paused = true)]
async fn a_failed_helper_ends_its_child() {
    for told in [false, true] {
        let rt = Runtime::new();
        let spec = ChildSpec::task("child", move |mut ctx| async move {
            let stop = told.then(|| ctx.cancellation_token());
            let fine = ctx.spawn_link(async { Ok(()) });
            fine.join().await;
            assert_eq!(ctx.recv_timeout(Duration::from_secs(1)).await, None);
            ctx.spawn_link(async { Err(ExitReason::crashed("helper")) });
            let item = ctx.recv().await;
            drop(stop);
            unreachable!("{item:?}")
        });
        assert_eq!(only_end(&rt, spec).await, ExitReason::crashed("helper"));
    }
}

/// The helpers of a child keep running while the child cleans up.
#[tokio::test(start_paused = true)]
async fn helpers_keep_running_during_the_clean_up_of_their_child() {
    let rt = Runtime::new();
    let (say, mut said) = unbounded_channel();
    let (tree, _) = child(&rt, move |mut ctx| async move {
        let (ask, mut asked) = unbounded_channel::<tokio::sync::oneshot::Sender<u8>>();
        ctx.spawn_link(async move {
            while let Some(reply) = asked.recv().await {
                reply.send(7).ok();
            }
            Ok(())
        });
        ctx.shutdown().await;
        let (reply, answer) = tokio::sync::oneshot::channel();
        ask.send(reply)?;
        say.send(answer.await?)?;
        Ok(())
    })
    .await;
    settled().await;
    tree.stop().await.unwrap();
    assert_eq!(said.recv().await, Some(7));
    settled().await;
    assert_eq!(rt.process_count(), 0);
}

/// The token is cancelled at every kind of end. Cancelling it by hand stops nothing else.
#[tokio::test]
async fn the_cancellation_token_is_cancelled_at_the_end_at_the_latest() {
    for kill in [false, true] {
        let rt = Runtime::new();
        let (say, mut said) = unbounded_channel();
        let (_tree, pid) = child(&rt, move |mut ctx| {
            // The context is dropped before the body begins to run.
            let (mine, token) = (ctx.cancellation_token(), ctx.cancellation_token());
            say.send((ctx.cancellation_token(), ctx.is_stopping())).unwrap();
            drop(ctx);
            async move {
                tokio::task::yield_now().await;
                assert!(!token.is_cancelled());
                mine.cancel();
                assert!(!token.is_cancelled());
                if kill { pending().await } else { Ok(()) }
            }
        })
        .await;
        let ended = rt.ended(pid);
        let (token, stopping) = said.recv().await.unwrap();
        assert!(!stopping);
        if kill {
            rt.kill(pid);
        }
        token.cancelled().await;
        let reason = if kill { ExitReason::Killed } else { ExitReason::Normal };
        assert_eq!(ended.await, reason, "it was not asked to stop");
    }
}

/// SHU-009: a child that stops when it is asked to ends as requested. An error in its stop stays an
/// error.
#[tokio::test]
async fn a_child_that_stops_when_asked_ends_with_shutdown() {
    let failures = [None, Some(ExitReason::crashed("disk full"))];
    for failure in failures {
        let rt = Runtime::new();
        let (say, mut said) = unbounded_channel();
        let end = failure.clone();
        let (tree, pid) = child(&rt, move |mut ctx| async move {
            let stop = ctx.cancellation_token();
            say.send("up")?;
            stop.cancelled().await;
            assert!(ctx.is_stopping());
            end.map_or(Ok(()), Err)
        })
        .await;
        said.recv().await;
        let ended = rt.ended(pid);
        tree.stop().await.unwrap();
        assert_eq!(ended.await, failure.unwrap_or(ExitReason::Shutdown));
    }
}

/// A task child can read whether it was restarted, and after which end.
#[tokio::test]
async fn a_task_child_can_read_its_start_cause() {
    let rt = Runtime::new();
    let (say, mut said) = unbounded_channel();
    let spec = ChildSpec::task("child", move |mut ctx| async move {
        say.send(ctx.start_cause().clone())?;
        let text = ctx.recv_match(|item| matches!(item, Received::Message(_))).await;
        Err(String::from_utf8(text.message().unwrap_or_default())?)?;
        Ok(())
    });
    let tree = Supervisor::one_for_one().child(spec).start(&rt).await.unwrap();
    assert_eq!(said.recv().await, Some(StartCause::First));
    for attempt in 1..=2 {
        let pid = tree.which_child("child").await.unwrap().pid().unwrap();
        rt.send(pid, b"fell".to_vec());
        let Some(StartCause::Restart { attempt: told, previous }) = said.recv().await else {
            panic!("a restart")
        };
        assert_eq!((told, previous.to_string().as_str()), (attempt, "error: fell"));
    }
}
