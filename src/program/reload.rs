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
use crate::program::service_manager::ServiceManager;
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
                ChildState::Stopped => return Err(ChildError::NotFound(id.to_owned())),
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
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    use tokio::time::sleep;

    use super::{HangupClosure, OnHangup, Reloader};
    use crate::base::PlainMutex;
    use crate::child::ChildSpec;
    use crate::exit::{ExitReason, Result};
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

    fn restart_slow() -> OnHangup {
        OnHangup { call: None, restart: Some("inner/slow".to_owned()) }
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
        let reloader = Reloader::start(&rt, &tree, &restart_slow(), None);
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
        let reloader = Reloader::start(&rt, &tree, &restart_slow(), None);
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
        let reloader = Reloader::start(&rt, &tree, &restart_slow(), None);
        reloader.request();
        sleep(SECOND / 2).await; // the child is stopping
        drop(reloader);
        sleep(60 * SECOND).await;
        assert_eq!(starts.load(Ordering::SeqCst), 1);
    }

    /// Returns a closure that takes one second, and the number of its calls. The calls return these
    /// results, the first one first, and after that `Ok(())`.
    fn slow_closure(results: Vec<Result>) -> (HangupClosure, Arc<AtomicU32>) {
        let (calls, results) = (Arc::new(AtomicU32::new(0)), Arc::new(PlainMutex::new(results)));
        let counted = calls.clone();
        let closure = async move || {
            counted.fetch_add(1, Ordering::SeqCst);
            sleep(SECOND).await;
            let next = results.lock().pop();
            next.unwrap_or(Ok(()))
        };
        (HangupClosure::new(closure), calls)
    }

    #[tokio::test(start_paused = true)]
    async fn requests_while_the_closure_runs_cause_one_more_call() {
        let rt = Runtime::new();
        let (tree, starts) = start_slow_tree(&rt).await;
        let (call, calls) = slow_closure(Vec::new());
        let on_hangup = OnHangup { call: Some(call), restart: None };
        let reloader = Reloader::start(&rt, &tree, &on_hangup, None);
        for _ in 0..5 {
            reloader.request();
            sleep(SECOND / 10).await;
        }
        sleep(60 * SECOND).await;
        assert_eq!((calls.load(Ordering::SeqCst), starts.load(Ordering::SeqCst)), (2, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn requests_during_the_stop_of_the_child_cause_one_more_call_and_restart() {
        let rt = Runtime::new();
        let (tree, starts) = start_slow_tree(&rt).await;
        let (call, calls) = slow_closure(Vec::new());
        let on_hangup = OnHangup { call: Some(call), ..restart_slow() };
        let reloader = Reloader::start(&rt, &tree, &on_hangup, None);
        reloader.request();
        sleep(SECOND + SECOND / 2).await; // the child is stopping
        reloader.request();
        reloader.request();
        sleep(60 * SECOND).await;
        assert_eq!((calls.load(Ordering::SeqCst), starts.load(Ordering::SeqCst)), (2, 3));
    }

    #[tokio::test(start_paused = true)]
    async fn a_closure_that_fails_leaves_the_child_alone() {
        let rt = Runtime::new();
        let (tree, starts) = start_slow_tree(&rt).await;
        let (call, calls) = slow_closure(vec![Err(ExitReason::crashed("no such port"))]);
        let on_hangup = OnHangup { call: Some(call), ..restart_slow() };
        let reloader = Reloader::start(&rt, &tree, &on_hangup, None);
        for expected in [1, 2] {
            reloader.request();
            sleep(60 * SECOND).await;
            assert_eq!(starts.load(Ordering::SeqCst), expected);
        }
        assert_eq!(calls.load(Ordering::SeqCst), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_panic_of_the_closure_is_its_error() {
        let panics = |early| {
            HangupClosure::new(move || {
                assert!(!early, "before the future");
                async { panic!("in the future") }
            })
        };
        for (early, text) in [(true, "before the future"), (false, "in the future")] {
            let reason = panics(early).call().await.unwrap_err();
            assert!(reason.crash().expect("a panic").message().contains(text), "{reason}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_dropped_reloader_drops_a_closure_that_runs() {
        let rt = Runtime::new();
        let (tree, _) = start_slow_tree(&rt).await;
        let alive = Arc::new(());
        let held = Arc::downgrade(&alive);
        let call = HangupClosure::new(async move || {
            let _alive = alive;
            std::future::pending().await
        });
        let on_hangup = OnHangup { call: Some(call), restart: None };
        let reloader = Reloader::start(&rt, &tree, &on_hangup, None);
        reloader.request();
        sleep(SECOND).await;
        drop((reloader, on_hangup));
        sleep(SECOND).await;
        assert!(held.upgrade().is_none());
    }
}
