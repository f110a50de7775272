//! What a program does on `SIGHUP`, while it goes on running: calls a closure, restarts one child, or
//! both.
//!
//! One task does this, so two reloads never overlap. A reload has two steps:
//!
//! 1. **The closure.** Requests that arrive while it runs cause one more reload together, since it
//!    may have read the configuration before they arrived. If the closure returns an error or
//!    panics, that is logged, and the second step is left out.
//! 2. **The restart.** Requests that arrive while the old incarnation is being stopped cause no
//!    further restart, since the new incarnation has not read its configuration yet. With a closure
//!    they do, since the closure has. Requests that arrive while the new incarnation starts cause
//!    one more reload together.
//!
//! A request that arrives while the tree starts causes a reload after the start, if there is a
//! closure: the closure may watch something that the start has read before the request.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tracing::error;

use crate::base::{ErrorChain, PAGE, excerpt, ignore_panic, path_excerpt};
use crate::exit::{Crash, ExitReason, Result};
use crate::program::ServiceManager;
use crate::runtime::Runtime;
use crate::supervisor::{ChildError, ChildState, SupervisorRef};

/// What a run does on `SIGHUP`. By default nothing: the run does not listen to the signal.
#[derive(Default, Clone)]
pub(super) struct OnHangup {
    pub(super) call: Option<HangupClosure>,
    /// The path of the child to restart.
    pub(super) restart: Option<String>,
}

/// The closure of [`Run::on_hangup`](crate::Run::on_hangup).
#[derive(Clone)]
pub(super) struct HangupClosure(Arc<dyn Fn() -> BoxFuture<'static, Result> + Send + Sync>);

impl HangupClosure {
    pub(super) fn new<F, Fut>(closure: F) -> Self
    where
        F: FnOnce() -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Result> + Send + 'static,
    {
        HangupClosure(Arc::new(move || {
            let closure = closure.clone();
            async move { closure().await }.boxed()
        }))
    }

    /// Calls the closure. A panic is the error, as the crash of a process is.
    async fn call(&self) -> Result {
        let called = AssertUnwindSafe(async { (self.0)().await }).catch_unwind();
        let crashed = |panic| Err(ExitReason::Crashed(Crash::from_panic(panic)));
        called.await.unwrap_or_else(crashed)
    }
}

impl OnHangup {
    /// Whether the run listens to `SIGHUP`.
    pub(super) fn is_handled(&self) -> bool {
        self.call.is_some() || self.restart.is_some()
    }
}

impl fmt::Debug for OnHangup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnHangup")
            .field("call", &self.call.is_some())
            .field("restart", &self.restart)
            .finish()
    }
}

/// Reloads on each request, until the `Reloader` is dropped. A run drops it when the stop begins, so
/// a program that is being stopped reloads nothing, and a closure that runs is dropped.
pub(super) struct Reloader {
    requested: Arc<Notify>,
    task: AbortHandle,
}

impl Reloader {
    /// Starts the task that reloads.
    pub(super) fn start(
        runtime: &Runtime,
        tree: &SupervisorRef,
        on_hangup: &OnHangup,
        manager: Option<&ServiceManager>,
    ) -> Self {
        let requested = Arc::new(Notify::new());
        let (call, tree) = (on_hangup.call.clone(), tree.clone());
        let target = on_hangup.restart.clone().map(|path| ReloadTarget {
            runtime: runtime.clone(),
            path,
            requested: requested.clone(),
            joins: call.is_none(),
        });
        let requests = requested.clone();
        let reports = manager.map(ServiceManager::reload_reports);
        let task = tokio::spawn(async move {
            loop {
                requests.notified().await;
                let report = reports.as_ref().map(|reports| reports.begin());
                let result = reload(call.as_ref(), target.as_ref(), &tree).await;
                if let Some(report) = report {
                    report.finish(result.is_ok());
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
    /// Whether requests that arrive during the stop of the child join its restart.
    joins: bool,
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
                if self.joins {
                    // Requests up to here are satisfied by this restart: the new incarnation has
                    // read nothing yet.
                    let _joined = self.requested.notified().now_or_never();
                }
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

/// Calls the closure, then restarts the child. Logs a failure, which is reported once.
async fn reload(
    call: Option<&HangupClosure>,
    target: Option<&ReloadTarget>,
    tree: &SupervisorRef,
) -> Result<(), ReloadFailed> {
    if let Some(call) = call
        && let Err(reason) = call.call().await
    {
        log_refusal(&reason);
        return Err(ReloadFailed);
    }
    if let Some(target) = target
        && let Err(error) = target.restart(tree.clone()).await
    {
        log_failure(&target.path, &error);
        return Err(ReloadFailed);
    }
    Ok(())
}

/// A reload has failed, which was logged.
struct ReloadFailed;

fn log_refusal(reason: &ExitReason) {
    let reason = excerpt(reason, PAGE).to_string();
    ignore_panic(|| error!(target: "regrow::run", %reason, "reload refused"));
}

fn log_failure(path: &str, error: &ChildError) {
    let (path, reason) = (path_excerpt(path).to_string(), excerpt(ErrorChain(error), PAGE));
    ignore_panic(|| error!(target: "regrow::run", child = path, %reason, "reload failed"));
}

#[cfg(test)]
mod tests;
