//! Exit signals, kills and the end of a whole runtime, as users see them.

use std::sync::Arc;

use crate::base::pid::Pid;
use crate::base::sync::atomic::Ordering;
use crate::exit::reason::ExitReason;
use crate::exit::signal::ExitKind;
use crate::kernel::exits::ExitSignal;
use crate::observe::lifecycle_log;
use crate::observe::log_level::LogLevel;
use crate::runtime::Runtime;

impl Runtime {
    /// Kills a process: untrappable, with reason [`Killed`](ExitReason::Killed), at its
    /// next await. Its values are dropped, its names freed and its watchers told, as at any
    /// other end. One log line, where [`set_log_level`](Self::set_log_level) asks for Info.
    ///
    /// True if it was alive, also if another reason came before: the first one sticks. False
    /// if it was not.
    ///
    /// OTP: `exit(Pid, kill)`. A body that never awaits can't be killed.
    ///
    /// ```
    /// use regrow::{ExitReason, Runtime};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let rt = Runtime::new();
    /// let stubborn = rt.spawn(|_| std::future::pending());
    /// rt.set_trap_exit(stubborn.pid(), true);
    /// assert!(rt.exit(stubborn.pid(), ExitReason::Shutdown)); // only a message to it
    /// assert!(rt.kill(stubborn.pid()));
    /// assert_eq!(stubborn.join().await, ExitReason::Killed);
    /// assert!(!rt.kill(stubborn.pid()));
    /// # });
    /// ```
    pub fn kill(&self, pid: Pid) -> bool {
        let alive = self.signal(pid, &ExitReason::Killed, ExitKind::Kill);
        if alive && self.wants_log(LogLevel::Info) {
            lifecycle_log::kill(pid);
        }
        alive
    }

    /// Sends an exit signal, from the process in whose body this is called, or from
    /// outside. False if the target is not alive. True doesn't say that it will end.
    ///
    /// A trapping process gets it as [`Received::Exit`](crate::Received::Exit). Otherwise
    /// [`Normal`](ExitReason::Normal) from another is ignored, and anything else ends
    /// the process with that reason at its next await. The first reason sticks. Nothing that
    /// is sent to it after this returned is handled.
    ///
    /// OTP: `exit/2`. The reason `Killed` is an ordinary, trappable one here; OTP's
    /// `kill` is [`kill`](Self::kill).
    ///
    /// ```
    /// use regrow::{ExitReason, Runtime};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let rt = Runtime::new();
    /// let worker = rt.spawn(|_| std::future::pending());
    /// assert!(rt.exit(worker.pid(), ExitReason::Normal)); // nothing to one that doesn't trap
    /// assert!(rt.exit(worker.pid(), ExitReason::Shutdown));
    /// assert_eq!(worker.join().await, ExitReason::Shutdown);
    /// assert!(!rt.exit(worker.pid(), ExitReason::Shutdown));
    /// # });
    /// ```
    #[allow(clippy::needless_pass_by_value)] // a reason is a value; its users write it in place
    pub fn exit(&self, pid: Pid, reason: ExitReason) -> bool {
        let own = pid == self.current_pid();
        self.signal(pid, &reason, if own { ExitKind::ExitSelf } else { ExitKind::Exit })
    }

    fn signal(&self, pid: Pid, reason: &ExitReason, kind: ExitKind) -> bool {
        let Some(process) = self.kernel.find(pid) else { return false };
        let signal = ExitSignal { from: self.current_pid(), reason, kind };
        self.kernel.signal_exit(&*process, signal).was_alive()
    }

    /// Turns trapping on or off: while it is on, exit signals that are accepted arrive
    /// as [`Received::Exit`](crate::Received::Exit). Returns the old value, or `None` if the
    /// process is not alive. A new process does not trap. A kill can't be trapped.
    ///
    /// OTP: `process_flag(trap_exit, Flag)`, which a process can set for itself only.
    ///
    /// ```
    /// use regrow::{ExitReason, Received, Runtime};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let rt = Runtime::new();
    /// let worker = rt.spawn(|_| std::future::pending()).pid();
    /// let watcher = rt.spawn(move |mut ctx| async move {
    ///     let exit = Received::Exit { from: worker, reason: ExitReason::Killed };
    ///     assert_eq!(ctx.recv().await, exit);
    /// });
    /// assert_eq!(rt.set_trap_exit(watcher.pid(), true), Some(false));
    /// rt.link(watcher.pid(), worker);
    /// rt.kill(worker);
    /// assert_eq!(watcher.join().await, ExitReason::Normal); // it was told, and went on
    /// # });
    /// ```
    pub fn set_trap_exit(&self, pid: Pid, trap: bool) -> Option<bool> {
        let process = self.kernel.find(pid)?;
        process.with(|locked| {
            let core = locked.core();
            core.is_open().then(|| std::mem::replace(&mut core.trap, trap))
        })
    }

    /// Closes the runtime for good: every process is killed, with normal teardown, and
    /// none is spawned any more, not even what a supervisor was restarting at this
    /// moment. Timers are dropped. Returns how many processes were alive and not ending
    /// already, supervisors included; they end as soon as tokio polls them.
    ///
    /// The orderly way to stop is the tree's own,
    /// [`SupervisorRef::stop`](crate::SupervisorRef::stop): here no `terminate` runs and
    /// nothing ends in order. OTP: `halt/0`, roughly; `init:stop/0` is the tree's stop.
    ///
    /// ```
    /// use regrow::{ExitReason, Leftovers, Runtime};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let rt = Runtime::new();
    /// let worker = rt.spawn(|_| std::future::pending());
    /// assert_eq!(rt.shutdown(), 1);
    /// assert_eq!(worker.join().await, ExitReason::Killed);
    ///
    /// let late = rt.spawn(|_| async { unreachable!("never runs") });
    /// assert_eq!(late.join().await, ExitReason::Killed);
    /// assert_eq!(rt.leftovers(), Leftovers::default());
    /// # });
    /// ```
    pub fn shutdown(&self) -> usize {
        let kernel = &self.kernel;
        kernel.closed.store(true, Ordering::SeqCst);
        kernel.timers.close();
        let processes = kernel.table.collect(|_, process| Some(Arc::clone(process)));
        let killed = kernel.kill_all(processes, Pid::OUTSIDE);
        kernel.deadlines.close();
        kernel.census.close();
        killed
    }
}
