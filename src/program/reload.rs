//! Restarts one child on request, while the program goes on running.
//!
//! One task restarts the child, so two restarts never overlap. Requests that arrive while the old
//! incarnation is being stopped cause no further restart, since the new incarnation has not read
//! its configuration yet. Requests that arrive while the new incarnation starts cause one more
//! restart together, since it may have read its configuration before they arrived.

use std::sync::Arc;

use futures_util::FutureExt;
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tracing::error;

use crate::base::{ErrorChain, PAGE, excerpt, ignore_panic, path_excerpt};
use crate::runtime::Runtime;
use crate::supervisor::{ChildError, ChildState, SupervisorRef};

/// Restarts a child on each request, until the `Reloader` is dropped. A run drops it when the stop
/// begins, so a program that is being stopped restarts nothing.
pub(super) struct Reloader {
    requested: Arc<Notify>,
    task: AbortHandle,
}

impl Reloader {
    /// Starts the task that restarts the child at this path.
    pub(super) fn start(runtime: &Runtime, tree: &SupervisorRef, path: &str) -> Self {
        let requested = Arc::new(Notify::new());
        let target = ReloadTarget {
            runtime: runtime.clone(),
            path: path.to_owned(),
            requested: requested.clone(),
        };
        let tree = tree.clone();
        let task = tokio::spawn(async move {
            loop {
                target.requested.notified().await;
                if let Err(error) = target.restart(tree.clone()).await {
                    log_failure(&target.path, &error);
                }
            }
        });
        Reloader { requested, task: task.abort_handle() }
    }

    pub(super) fn request(&self) {
        self.requested.notify_one();
    }
}

impl Drop for Reloader {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct ReloadTarget {
    runtime: Runtime,
    path: String,
    requested: Arc<Notify>,
}

impl ReloadTarget {
    /// Restarts the child. Does nothing if a supervisor above the child is already being restarted,
    /// or if the child was restarted after it was stopped here: the new incarnation reads its
    /// configuration in any case.
    async fn restart(&self, root: SupervisorRef) -> Result<(), ChildError> {
        let mut supervisor = root;
        let mut ids = self.path.split('/').peekable();
        while let Some(id) = ids.next() {
            if ids.peek().is_none() {
                supervisor.terminate_child(id).await?;
                // Requests up to here are satisfied by this restart: the new incarnation has read
                // nothing yet.
                let _joined = self.requested.notified().now_or_never();
                return match supervisor.restart_child(id).await {
                    Ok(_) | Err(ChildError::Running { .. } | ChildError::Restarting(_)) => Ok(()),
                    Err(error) => Err(error),
                };
            }
            let pid = match supervisor.which_child(id).await?.state {
                ChildState::Running(pid) => pid,
                ChildState::Restarting { .. } => return Ok(()),
                ChildState::Stopped | ChildState::GivenUp => {
                    return Err(ChildError::NotFound(id.to_owned()));
                }
            };
            supervisor = SupervisorRef { server: self.runtime.server_at(pid)? };
        }
        Ok(())
    }
}

fn log_failure(path: &str, error: &ChildError) {
    let (path, reason) = (path_excerpt(path).to_string(), excerpt(ErrorChain(error), PAGE));
    ignore_panic(|| error!(target: "regrow::run", child = path, %reason, "reload failed"));
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    use tokio::time::sleep;

    use super::Reloader;
    use crate::child::ChildSpec;
    use crate::runtime::Runtime;
    use crate::supervisor::{ChildInfo, Supervisor, SupervisorRef};

    const SECOND: Duration = Duration::from_secs(1);

    /// Starts a tree whose child takes one second to start and one second to stop. Also returns the
    /// number of starts of the child.
    async fn start_slow_tree(rt: &Runtime) -> (SupervisorRef, Arc<AtomicU32>) {
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

    async fn info_of_slow(rt: &Runtime, tree: &SupervisorRef) -> ChildInfo {
        let inner = tree.which_child("inner").await.expect("it is there").pid();
        let inner = rt.server_at(inner.expect("it runs")).expect("it is a supervisor");
        SupervisorRef { server: inner }.which_child("slow").await.expect("it is there")
    }

    #[tokio::test(start_paused = true)]
    async fn requests_during_the_stop_of_the_child_join_that_restart() {
        let rt = Runtime::new();
        let (tree, starts) = start_slow_tree(&rt).await;
        let reloader = Reloader::start(&rt, &tree, "inner/slow");
        for _ in 0..5 {
            reloader.request();
            sleep(SECOND / 10).await;
        }
        sleep(60 * SECOND).await;
        assert_eq!(starts.load(Ordering::SeqCst), 2);
        let slow = info_of_slow(&rt, &tree).await;
        assert_eq!((slow.restarts, slow.starts_by_hand, slow.history.len()), (0, 1, 1));
        assert!(slow.pid().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn requests_during_the_start_of_the_child_cause_one_more_restart() {
        let rt = Runtime::new();
        let (tree, starts) = start_slow_tree(&rt).await;
        let reloader = Reloader::start(&rt, &tree, "inner/slow");
        reloader.request();
        sleep(SECOND + SECOND / 2).await; // the child is starting
        for _ in 0..5 {
            reloader.request();
        }
        sleep(60 * SECOND).await;
        assert_eq!(starts.load(Ordering::SeqCst), 3);
        let slow = info_of_slow(&rt, &tree).await;
        assert_eq!((slow.restarts, slow.starts_by_hand), (0, 2));
    }

    #[tokio::test(start_paused = true)]
    async fn a_dropped_reloader_restarts_nothing() {
        let rt = Runtime::new();
        let (tree, starts) = start_slow_tree(&rt).await;
        let reloader = Reloader::start(&rt, &tree, "inner/slow");
        reloader.request();
        sleep(SECOND / 2).await; // the child is stopping
        drop(reloader);
        sleep(60 * SECOND).await;
        assert_eq!(starts.load(Ordering::SeqCst), 1);
    }
}
