//! Restarts one child on request, while the program goes on.
//!
//! One task restarts the child, so two restarts never overlap. Requests that come while the old
//! incarnation is stopped are joined into that restart, since the new incarnation has read nothing
//! yet. Requests that come later are joined into one more restart, since the new incarnation may
//! have read its configuration before they came.

use std::sync::Arc;

use futures_util::FutureExt;
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tracing::error;

use crate::base::catch::ignore_panic;
use crate::base::error_chain::ErrorChain;
use crate::base::one_line::{PAGE, excerpt, path_excerpt};
use crate::runtime::Runtime;
use crate::supervisor::{ChildError, ChildState, SupervisorRef};

/// Restarts a child on each request, until it is dropped: a program that is being stopped restarts
/// nothing.
pub(super) struct Reloads {
    asked: Arc<Notify>,
    task: AbortHandle,
}

impl Reloads {
    /// Of the child at this path.
    pub(super) fn of(runtime: &Runtime, tree: &SupervisorRef, path: &str) -> Self {
        let asked = Arc::new(Notify::new());
        let reload =
            Reload { runtime: runtime.clone(), path: path.to_owned(), asked: asked.clone() };
        let tree = tree.clone();
        let task = tokio::spawn(async move {
            loop {
                reload.asked.notified().await;
                if let Err(error) = reload.restart(tree.clone()).await {
                    tell(&reload.path, &error);
                }
            }
        });
        Reloads { asked, task: task.abort_handle() }
    }

    pub(super) fn ask(&self) {
        self.asked.notify_one();
    }
}

impl Drop for Reloads {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Reload {
    runtime: Runtime,
    path: String,
    asked: Arc<Notify>,
}

impl Reload {
    /// If something else is about to start the child again, this does nothing: the new incarnation
    /// reads its configuration in any case.
    async fn restart(&self, root: SupervisorRef) -> Result<(), ChildError> {
        let mut supervisor = root;
        let mut ids = self.path.split('/').peekable();
        while let Some(id) = ids.next() {
            if ids.peek().is_none() {
                supervisor.terminate_child(id).await?;
                // From here on the new incarnation may be reading.
                let _joined = self.asked.notified().now_or_never();
                return match supervisor.restart_child(id).await {
                    Ok(_) | Err(ChildError::Running { .. } | ChildError::Restarting(_)) => Ok(()),
                    Err(error) => Err(error),
                };
            }
            let pid = match supervisor.which_child(id).await?.state {
                ChildState::Running(pid) => pid,
                ChildState::Restarting { .. } => return Ok(()),
                ChildState::Stopped => return Err(ChildError::NotFound(id.to_owned())),
            };
            supervisor = SupervisorRef::new(self.runtime.server_at(pid)?);
        }
        Ok(())
    }
}

fn tell(path: &str, error: &ChildError) {
    let (path, reason) = (path_excerpt(path).to_string(), excerpt(ErrorChain(error), PAGE));
    ignore_panic(|| error!(target: "regrow::run", child = path, %reason, "reload failed"));
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    use tokio::time::sleep;

    use super::Reloads;
    use crate::child::ChildSpec;
    use crate::runtime::Runtime;
    use crate::supervisor::{ChildInfo, Supervisor, SupervisorRef};

    const SECOND: Duration = Duration::from_secs(1);

    /// A tree whose child takes a second to start and another to stop, and how often that was
    /// started.
    async fn slow(rt: &Runtime) -> (SupervisorRef, Arc<AtomicU32>) {
        let starts = Arc::new(AtomicU32::new(0));
        let counted = starts.clone();
        let child = ChildSpec::task("slow", move |mut ctx| {
            counted.fetch_add(1, Ordering::SeqCst);
            async move {
                sleep(SECOND).await;
                ctx.set_health(crate::Health::Ready);
                ctx.shutdown().await;
                sleep(SECOND).await;
                Ok(())
            }
        });
        let child = child.ready_within(Duration::from_secs(60));
        let inner = Supervisor::one_for_one().with_id("inner").child(child);
        let tree = Supervisor::one_for_one().child(inner).start(rt).await;
        (tree.expect("it starts"), starts)
    }

    async fn of_inner(rt: &Runtime, tree: &SupervisorRef) -> ChildInfo {
        let inner = tree.which_child("inner").await.expect("it is there").pid();
        let inner = rt.server_at(inner.expect("it runs")).expect("it is a supervisor");
        SupervisorRef::new(inner).which_child("slow").await.expect("it is there")
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_asked_for_while_a_restart_stops_the_child_is_one_with_it() {
        let rt = Runtime::new();
        let (tree, starts) = slow(&rt).await;
        let reloads = Reloads::of(&rt, &tree, "inner/slow");
        for _ in 0..5 {
            reloads.ask();
            sleep(SECOND / 10).await;
        }
        sleep(60 * SECOND).await;
        assert_eq!(starts.load(Ordering::SeqCst), 2);
        let slow = of_inner(&rt, &tree).await;
        assert_eq!((slow.restarts, slow.starts_by_hand, slow.history.len()), (0, 1, 1));
        assert!(slow.pid().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_asked_for_after_that_is_one_more() {
        let rt = Runtime::new();
        let (tree, starts) = slow(&rt).await;
        let reloads = Reloads::of(&rt, &tree, "inner/slow");
        reloads.ask();
        sleep(SECOND + SECOND / 2).await; // it starts
        for _ in 0..5 {
            reloads.ask();
        }
        sleep(60 * SECOND).await;
        assert_eq!(starts.load(Ordering::SeqCst), 3);
        let slow = of_inner(&rt, &tree).await;
        assert_eq!((slow.restarts, slow.starts_by_hand), (0, 2));
    }

    #[tokio::test(start_paused = true)]
    async fn once_the_program_stops_nothing_is_restarted() {
        let rt = Runtime::new();
        let (tree, starts) = slow(&rt).await;
        let reloads = Reloads::of(&rt, &tree, "inner/slow");
        reloads.ask();
        sleep(SECOND / 2).await; // it stops
        drop(reloads);
        sleep(60 * SECOND).await;
        assert_eq!(starts.load(Ordering::SeqCst), 1);
    }
}
