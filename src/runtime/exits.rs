//! Exit signals, kills, and the shutdown of a runtime.

use crate::base::Pid;
use crate::base::sync::atomic::Ordering;
use crate::exit::{ExitKind, ExitReason, NoRestart, Scope};
use crate::kernel::exits::ExitSignal;
use crate::observe::log_flood::LineKind;
use crate::observe::{LogLevel, lifecycle_log};
use crate::runtime::Runtime;

impl Runtime {
    /// Returns the reason of an end of this process, in which the process decides that it has no
    /// successor.
    pub(crate) fn no_restart<E: Into<ExitReason> + 'static>(
        &self,
        process: Pid,
        scope: Scope,
        reason: E,
    ) -> ExitReason {
        NoRestart::decide((self.kernel.number(), process), scope, reason)
    }

    /// Kills a process. The process ends at its next await with reason
    /// [`Killed`](ExitReason::Killed), and can't trap the kill. OTP: `exit(Pid, kill)`.
    ///
    /// The values of the process are dropped, its names are freed and its watchers are notified, as
    /// at any other end. A body that never awaits can't be killed. The kill is logged at level
    /// Info: see [`set_log_level`](Self::set_log_level).
    ///
    /// Returns true if the process was alive. A process that is ending already counts as alive, and
    /// keeps its first reason. For a process of another node (feature `cluster`), the result is true
    /// if the signal was sent; a node of this crate has to allow it.
    ///
    /// ```
    /// use regrow::{ExitReason, Runtime};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let stubborn = rt.spawn(|_| std::future::pending());
    /// rt.set_trap_exit(stubborn.pid(), true);
    /// assert!(rt.exit(stubborn.pid(), ExitReason::Shutdown)); // a message: exits are trapped
    /// assert!(rt.kill(stubborn.pid()));
    /// assert_eq!(stubborn.join().await, ExitReason::Killed);
    /// assert!(!rt.kill(stubborn.pid()));
    /// # }));
    /// ```
    pub fn kill(&self, pid: Pid) -> bool {
        let alive = self.signal(pid, &ExitReason::Killed, ExitKind::Kill);
        if alive && self.wants_log(LogLevel::Info) {
            self.kernel.line(LineKind::Kill, || lifecycle_log::kill(pid));
        }
        alive
    }

    /// Sends an exit signal to a process. Returns false if the process is not alive. A result of
    /// true does not mean that the process will end; for a process of another node (feature
    /// `cluster`), it does not mean that the process is alive. OTP: `exit/2`.
    ///
    /// The sender is the process in whose body this is called, or [`Pid::OUTSIDE`].
    ///
    /// A process that traps exits gets the signal as [`Received::Exit`](crate::Received::Exit). Any
    /// other process ignores the reason [`Normal`](ExitReason::Normal), unless it sent the signal
    /// to itself, and ends with any other reason at its next await. A process that is ending
    /// already keeps its first reason. A process that ends because of the signal handles no message
    /// that is sent to it after this call has returned.
    ///
    /// The reason `Killed` is an ordinary reason here, and can be trapped. The counterpart of OTP's
    /// reason `kill` is the method [`kill`](Self::kill).
    ///
    /// ```
    /// use regrow::{ExitReason, Runtime};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let worker = rt.spawn(|_| std::future::pending());
    /// assert!(rt.exit(worker.pid(), ExitReason::Normal)); // ignored: exits are not trapped
    /// assert!(rt.exit(worker.pid(), ExitReason::Shutdown));
    /// assert_eq!(worker.join().await, ExitReason::Shutdown);
    /// assert!(!rt.exit(worker.pid(), ExitReason::Shutdown));
    /// # }));
    /// ```
    #[allow(clippy::needless_pass_by_value)] // callers write the reason in place
    pub fn exit(&self, pid: Pid, reason: ExitReason) -> bool {
        let own = pid == self.current_pid();
        self.signal(pid, &reason, if own { ExitKind::ExitSelf } else { ExitKind::Exit })
    }

    fn signal(&self, pid: Pid, reason: &ExitReason, kind: ExitKind) -> bool {
        let signal = ExitSignal { from: self.current_pid(), reason, kind };
        let Some(process) = self.kernel.find(pid) else {
            #[cfg(feature = "cluster")]
            if let Some(nodes) = self.kernel.other_nodes().filter(|_| pid.is_foreign()) {
                return nodes.exit(pid, signal);
            }
            return false;
        };
        self.kernel.signal_exit(&*process, signal).was_alive()
    }

    /// Sets whether a process traps exits. While a process traps exits, exit signals arrive as
    /// [`Received::Exit`](crate::Received::Exit). Returns the old value, or `None` if the process
    /// is not alive. A new process does not trap exits. A kill can't be trapped.
    ///
    /// OTP: `process_flag(trap_exit, Flag)`, which a process can set for itself only.
    ///
    /// ```
    /// use regrow::{ExitReason, Received, Runtime};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let worker = rt.spawn(|_| std::future::pending()).pid();
    /// let watcher = rt.spawn(move |mut ctx| async move {
    ///     let exit = Received::Exit { from: worker, reason: ExitReason::Killed };
    ///     assert_eq!(ctx.recv().await, exit);
    /// });
    /// assert_eq!(rt.set_trap_exit(watcher.pid(), true), Some(false));
    /// rt.link(watcher.pid(), worker);
    /// rt.kill(worker);
    /// assert_eq!(watcher.join().await, ExitReason::Normal); // it got a message, and lived on
    /// # }));
    /// ```
    pub fn set_trap_exit(&self, pid: Pid, trap: bool) -> Option<bool> {
        let process = self.kernel.find(pid)?;
        process.with(|locked| {
            let core = locked.core();
            core.is_open().then(|| std::mem::replace(&mut core.trap, trap))
        })
    }

    /// Kills all processes of the runtime and closes it for good. OTP: `halt/0`, roughly.
    ///
    /// Each process is torn down as at any other end. No process is spawned afterwards, not even a
    /// child that a supervisor is restarting at this moment. All timers are dropped. Returns the
    /// number of processes that were alive and not ending already, supervisors included. These
    /// processes end as soon as tokio polls them.
    ///
    /// No `terminate` runs, and processes end in no particular order. To stop a tree in order, use
    /// [`SupervisorRef::stop`](crate::SupervisorRef::stop), which corresponds to OTP's
    /// `init:stop/0`.
    ///
    /// ```
    /// use regrow::{ExitReason, Leftovers, Runtime};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let worker = rt.spawn(|_| std::future::pending());
    /// assert_eq!(rt.shutdown(), 1);
    /// assert_eq!(worker.join().await, ExitReason::Killed);
    ///
    /// let late = rt.spawn(|_| async { unreachable!("never runs") });
    /// assert_eq!(late.join().await, ExitReason::Killed);
    /// assert_eq!(rt.leftovers(), Leftovers::default());
    /// # }));
    /// ```
    pub fn shutdown(&self) -> usize {
        let kernel = &self.kernel;
        kernel.closed.store(true, Ordering::SeqCst);
        kernel.timers.close();
        let processes = kernel.table.values();
        let killed = kernel.kill_all(processes, Pid::OUTSIDE);
        kernel.deadlines.close();
        kernel.census.close();
        killed
    }
}
