//! Links and monitors.

use crate::base::{MonitorRef, Pid};
use crate::runtime::Runtime;

impl Runtime {
    /// Links two processes. When one ends with any reason but
    /// [`Normal`](crate::ExitReason::Normal), the other ends with the same reason. A process that
    /// traps exits gets a [`Received::Exit`](crate::Received::Exit) instead, also for a normal end.
    ///
    /// `a` is the process that makes the link. Returns false if either process is dead. If `b` is
    /// dead and `a` traps exits, `a` gets an `Exit` with `NoProc`. If `a` is dead, `b` is not
    /// notified. In both cases there is no link afterwards. Two processes have at most one link,
    /// and linking a process to itself has no effect.
    ///
    /// Link processes that can't work without each other. A process that only needs to be notified
    /// uses [`monitor`](Self::monitor).
    ///
    /// One of the two may be of another node (feature `cluster`). Then the result is true if the link
    /// was requested: if the other process is dead, this one gets the exit signal `NoProc` later, and
    /// if the connection is lost, or none can be made, it gets
    /// [`NoConnection`](crate::ExitReason::NoConnection). As any exit signal, these end a process that
    /// does not trap exits.
    ///
    /// OTP: `link/1`, where `a` is the caller. If `b` is dead and `a` does not trap exits, `a` ends
    /// with `noproc` in OTP, and lives on here.
    ///
    /// ```
    /// use regrow::{ExitReason, Runtime};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let reader = rt.spawn(|_| std::future::pending());
    /// let writer = rt.spawn(|_| std::future::pending());
    /// assert!(rt.link(reader.pid(), writer.pid()));
    /// rt.exit(reader.pid(), ExitReason::crashed("broken pipe"));
    /// assert_eq!(writer.join().await, ExitReason::crashed("broken pipe"));
    /// assert!(!rt.link(reader.pid(), writer.pid())); // too late
    /// # }));
    /// ```
    pub fn link(&self, a: Pid, b: Pid) -> bool {
        self.kernel.link(a, b)
    }

    /// Removes the link between two processes, whichever of them made it. When this call has
    /// returned, no `Exit` of that link is queued on either side; at another node, until that node has
    /// received the request. If the processes were not linked, the call has no effect.
    ///
    /// The call has no effect either if one process is the supervisor of the other: only the end of the
    /// child removes that link, by which the supervisor learns of the end.
    ///
    /// OTP: `unlink/1`, which does not remove an exit that has arrived
    /// already.
    ///
    /// ```
    /// use regrow::{ExitReason, Runtime};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let a = rt.spawn(|_| std::future::pending());
    /// let b = rt.spawn_link(a.pid(), |_| std::future::pending());
    /// rt.unlink(b.pid(), a.pid());
    /// b.kill();
    /// assert_eq!(b.join().await, ExitReason::Killed);
    /// assert!(rt.is_alive(a.pid()));
    /// # }));
    /// ```
    pub fn unlink(&self, a: Pid, b: Pid) {
        self.kernel.unlink(a, b);
    }

    /// Monitors a process: `watcher` gets one [`Received::Down`](crate::Received::Down) when
    /// `target` ends. If `target` is dead, the `Down` arrives at once, with `NoProc`.
    ///
    /// If the watcher is dead, nothing is monitored. Each monitor is independent, so two monitors
    /// of one process give two `Down`s. A process can monitor itself. Such a monitor is counted and
    /// can be removed, but never sends a `Down`.
    ///
    /// The target may be of another node (feature `cluster`). If the connection is lost, or none can be
    /// made, the reason of the `Down` is [`NoConnection`](crate::ExitReason::NoConnection).
    ///
    /// Code outside of any process uses [`ended`](Self::ended). OTP: `monitor(process, Pid)`, where
    /// the watcher is the caller.
    ///
    /// ```
    /// use regrow::{ExitReason, Received, Runtime};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let worker = rt.spawn(|_| std::future::pending());
    /// let target = worker.pid();
    /// let watcher = rt.spawn(move |mut ctx| async move {
    ///     let reference = ctx.runtime().monitor(ctx.pid(), target);
    ///     ctx.runtime().kill(target);
    ///     let down = Received::Down { reference, pid: target, reason: ExitReason::Killed };
    ///     assert_eq!(ctx.recv().await, down);
    /// });
    /// assert_eq!(watcher.join().await, ExitReason::Normal);
    /// # }));
    /// ```
    pub fn monitor(&self, watcher: Pid, target: Pid) -> MonitorRef {
        self.kernel.monitor(watcher, target)
    }

    /// Monitors the process that holds the name now: `watcher` gets one
    /// [`Received::DownName`](crate::Received::DownName) when that process ends. If no process
    /// holds the name, the `DownName` arrives at once, with `NoProc`. A later holder is not
    /// monitored: to watch that process, monitor the name again. OTP: `monitor(process, Name)`.
    ///
    /// ```
    /// use regrow::{ExitReason, Received, Runtime};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let store = rt.spawn(|_| std::future::pending());
    /// rt.register("store", store.pid());
    /// let watcher = rt.spawn(|mut ctx| async move {
    ///     let rt = ctx.runtime();
    ///     let reference = rt.monitor_name(ctx.pid(), "store");
    ///     rt.kill(rt.whereis("store").unwrap());
    ///     let reason = ExitReason::Killed;
    ///     let down = Received::DownName { reference, name: "store".into(), reason };
    ///     assert_eq!(ctx.recv().await, down);
    /// });
    /// assert_eq!(watcher.join().await, ExitReason::Normal);
    /// # }));
    /// ```
    pub fn monitor_name(&self, watcher: Pid, name: &str) -> MonitorRef {
        self.kernel.monitor_name(watcher, name.into())
    }

    /// Removes a monitor of a process, a name or a group. Returns true if the monitor was active:
    /// no `Down` was sent, and none will be. A `Down` that is queued already stays queued, but
    /// queued messages of a group monitor are removed.
    ///
    /// Removing a monitor again, or an unknown reference, has no effect and returns false. Any
    /// process may remove the monitor of any watcher. OTP: `demonitor/1`, which removes a monitor
    /// of the calling process only.
    ///
    /// ```
    /// use regrow::Runtime;
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::with_mailbox_depth();
    /// let watcher = rt.spawn(|_| std::future::pending()).pid();
    /// let worker = rt.spawn(|_| std::future::pending());
    /// let reference = rt.monitor(watcher, worker.pid());
    /// assert!(rt.demonitor(reference));
    /// assert!(!rt.demonitor(reference));
    /// worker.kill();
    /// worker.join().await;
    /// assert_eq!(rt.info(watcher).unwrap().mailbox_depth, 0); // no Down
    /// # }));
    /// ```
    pub fn demonitor(&self, reference: MonitorRef) -> bool {
        self.kernel.demonitor(reference, false)
    }

    /// Removes a monitor, as [`demonitor`](Self::demonitor) does, and removes a `Down` that is
    /// queued already from the mailbox. So the watcher receives no `Down` of this monitor after
    /// this call. OTP: `demonitor(Ref, [flush, info])`.
    ///
    /// ```
    /// use regrow::Runtime;
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::with_mailbox_depth();
    /// let watcher = rt.spawn(|_| std::future::pending()).pid();
    /// let worker = rt.spawn(|_| async {});
    /// let reference = rt.monitor(watcher, worker.pid());
    /// worker.join().await;
    /// let queued = || rt.info(watcher).unwrap().mailbox_depth;
    /// assert!(!rt.demonitor(reference)); // too late, the Down is queued
    /// assert_eq!(queued(), 1);
    /// assert!(!rt.demonitor_flush(reference));
    /// assert_eq!(queued(), 0);
    /// # }));
    /// ```
    pub fn demonitor_flush(&self, reference: MonitorRef) -> bool {
        self.kernel.demonitor(reference, true)
    }
}
