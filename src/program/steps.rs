//! Steps 1 and 2 of a run: the start of the tree, and the wait for the beginning of its stop.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::exit::{ExitReason, install_panic_hook};
use crate::program::reload::Reloader;
use crate::program::run::next_request;
use crate::program::signal_and_watchdog_thread::WatchdogConfig;
use crate::program::stop::Watch;
use crate::program::{
    Run, RunError, ServiceManager, SignalRequest, StopCause, StopReport, StopState, Watchdog,
    first, outcome_log,
};
use crate::runtime::Runtime;
use crate::supervisor::SupervisorRef;

impl Run {
    /// Runs the tree. If `with_watchdog` is true, starts a watchdog, and returns it as well.
    pub(super) async fn run_with_watchdog(
        self,
        with_watchdog: bool,
    ) -> (Result<StopReport, RunError>, Option<Watchdog>) {
        if cfg!(panic = "abort") {
            return (Err(RunError::NoUnwinding), None);
        }
        install_panic_hook();
        let stop_state = Arc::new(StopState::default());
        let watchdog = || self.watchdog(&stop_state).map_err(RunError::Signals);
        let mut watchdog = match with_watchdog.then(watchdog).transpose() {
            Ok(watchdog) => watchdog,
            Err(error) => return (Err(error), None),
        };
        let owns_runtime = self.runtime.is_none();
        let runtime = self.runtime.clone().unwrap_or_default();
        let manager = self.connect_to_service_manager();
        let watch = Watch { stop_state: &stop_state, manager: &manager };
        let outcome = self.start_and_wait(&runtime, watch, &mut watchdog).await;
        if owns_runtime {
            runtime.shutdown();
        }
        if let Some(manager) = manager {
            manager.ended(&outcome);
        }
        outcome_log::log_outcome(&outcome);
        (outcome, watchdog)
    }

    #[cfg(all(unix, feature = "systemd"))]
    fn connect_to_service_manager(&self) -> Option<ServiceManager> {
        ServiceManager::connect(self.systemd?)
    }

    #[cfg(not(all(unix, feature = "systemd")))]
    fn connect_to_service_manager(&self) -> Option<ServiceManager> {
        None
    }

    fn watchdog(&self, stop_state: &Arc<StopState>) -> std::io::Result<Watchdog> {
        Watchdog::start(WatchdogConfig {
            stop_state: stop_state.clone(),
            deadline: self.deadline,
            stop_on: self.stop_on.clone(),
            handle_signals: self.signals,
            handle_hangup: self.on_hangup.is_handled(),
        })
    }

    async fn start_and_wait(
        self,
        runtime: &Runtime,
        watch: Watch<'_>,
        watchdog: &mut Option<Watchdog>,
    ) -> Result<StopReport, RunError> {
        let Watch { stop_state, manager } = watch;
        let root = self.tree.id.to_string();
        let (pid, starting) = self.tree.clone().begin(runtime).map_err(RunError::Start)?;
        stop_state.set_root(runtime, pid, &root);
        let mut starting = pin!(starting);
        let started = async { Ok(starting.as_mut().await) };
        let hung_up = AtomicBool::new(false);
        let note_hangup = || hung_up.store(true, Ordering::Relaxed);
        let requested = async { Err(self.stop_requested(watchdog, note_hangup).await) };
        let tree = match first(started, requested).await {
            Ok(started) => started.map_err(RunError::Start)?,
            Err(cause) => {
                let stop = self.begin_stop(watch, watchdog, cause);
                return self.stop_during_start(starting, watchdog, stop).await;
            }
        };
        if let Some(manager) = manager {
            manager.tree_started(&tree);
        }
        // Without a closure, hangups during the start are ignored: the children read their
        // configuration when they start.
        let reload_first = hung_up.load(Ordering::Relaxed) && self.on_hangup.call.is_some();
        let reloader = self.on_hangup.is_handled().then(|| {
            let reloader = Reloader::start(runtime, &tree, &self.on_hangup, manager.as_ref());
            if reload_first {
                reloader.request();
            }
            reloader
        });
        let cause = match self.wait_for_stop(&tree, watchdog, reloader).await {
            Ok(cause) => cause,
            Err(reason) => return Err(RunError::from_root(runtime, (&root, pid), reason)),
        };
        let stop = self.begin_stop(watch, watchdog, cause);
        self.stop(&tree, watchdog, stop).await
    }

    /// Waits for a request to stop or the end of the tree. Until then, [reloads](Reloader) on each
    /// `SIGHUP`. The error is the exit reason of a root that did not end cleanly.
    async fn wait_for_stop(
        &self,
        tree: &SupervisorRef,
        watchdog: &mut Option<Watchdog>,
        reloader: Option<Reloader>,
    ) -> Result<StopCause, ExitReason> {
        let ended = async {
            let reason = tree.ended().await;
            if reason.is_clean() { Ok(StopCause::TreeEnded) } else { Err(reason) }
        };
        let reload = || reloader.iter().for_each(Reloader::request);
        first(ended, async { Ok(self.stop_requested(watchdog, reload).await) }).await
    }

    /// Waits for a request to stop. Until then, calls `reload` on each request to reload.
    async fn stop_requested(
        &self,
        watchdog: &mut Option<Watchdog>,
        reload: impl Fn(),
    ) -> StopCause {
        let signal = async {
            loop {
                match next_request(watchdog).await {
                    SignalRequest::Stop(signal) => return StopCause::Signal(signal),
                    // The thread has seen the token cancelled before the signal, so the signal is the
                    // second request, also if this task sees both at once.
                    now @ SignalRequest::StopNow(_) => {
                        watchdog.iter_mut().for_each(|watchdog| watchdog.put_back(now));
                        return self.token_cancelled().await;
                    }
                    SignalRequest::Reload => reload(),
                }
            }
        };
        first(signal, self.token_cancelled()).await
    }
}
