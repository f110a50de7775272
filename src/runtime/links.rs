//! Links and monitors, as users see them.

use crate::base::pid::{MonitorRef, Pid};
use crate::runtime::Runtime;

impl Runtime {
    /// Links two processes: when one ends abnormally the other ends with the same
    /// reason, or, if it traps, gets [`Received::Exit`](crate::Received::Exit). A
    /// trapping process hears of a normal end too.
    ///
    /// `a` is the linker. False if either is dead: of a dead `b`, a trapping `a` gets an
    /// `Exit` with `NoProc`; of a dead `a`, `b` hears nothing. No half link is left.
    /// Linking twice is linking once, and linking to oneself is nothing.
    ///
    /// For processes that can't go on without each other. One that only wants to know uses
    /// [`monitor`](Self::monitor).
    ///
    /// OTP: `link/1`, where the linker is the caller; of a dead `b`, an `a` that does not trap
    /// ends with `noproc` there and lives on here.
    ///
    /// ```
    /// use regrow::{ExitReason, Runtime};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let rt = Runtime::new();
    /// let reader = rt.spawn(|_| std::future::pending());
    /// let writer = rt.spawn(|_| std::future::pending());
    /// assert!(rt.link(reader.pid(), writer.pid()));
    /// rt.exit(reader.pid(), ExitReason::crashed("broken pipe"));
    /// assert_eq!(writer.join().await, ExitReason::crashed("broken pipe"));
    /// assert!(!rt.link(reader.pid(), writer.pid())); // too late
    /// # });
    /// ```
    pub fn link(&self, a: Pid, b: Pid) -> bool {
        self.kernel.link(a, b)
    }

    /// Removes a link, whichever side made it. After it returned, no `Exit` of that link
    /// is queued on either side any more. Without a link it does nothing. OTP: `unlink/1`, which
    /// leaves an exit that has arrived already.
    ///
    /// ```
    /// use regrow::{ExitReason, Runtime};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let rt = Runtime::new();
    /// let a = rt.spawn(|_| std::future::pending());
    /// let b = rt.spawn_link(a.pid(), |_| std::future::pending());
    /// rt.unlink(b.pid(), a.pid());
    /// b.kill();
    /// assert_eq!(b.join().await, ExitReason::Killed);
    /// assert!(rt.is_alive(a.pid()));
    /// # });
    /// ```
    pub fn unlink(&self, a: Pid, b: Pid) {
        self.kernel.unlink(a, b);
    }

    /// Watches a process: `watcher` gets one [`Received::Down`](crate::Received::Down)
    /// when `target` ends, or at once, with `NoProc`, if it is dead. A dead watcher keeps
    /// nothing. Two monitors of one process are two, and give two `Down`s. A monitor of oneself
    /// counts and can be taken back, and never sends anything.
    ///
    /// For code outside of any process: [`ended`](Self::ended). OTP:
    /// `monitor(process, Pid)`, where the watcher is the caller.
    ///
    /// ```
    /// use regrow::{ExitReason, Received, Runtime};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
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
    /// # });
    /// ```
    pub fn monitor(&self, watcher: Pid, target: Pid) -> MonitorRef {
        self.kernel.monitor(watcher, target)
    }

    /// Watches whoever holds the name now: `watcher` gets one
    /// [`Received::DownName`](crate::Received::DownName) when it ends, or at once, with
    /// `NoProc`, if nobody does. A later holder is not watched: monitor again. OTP:
    /// `monitor(process, Name)`.
    ///
    /// ```
    /// use regrow::{ExitReason, Received, Runtime};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
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
    /// # });
    /// ```
    pub fn monitor_name(&self, watcher: Pid, name: &str) -> MonitorRef {
        self.kernel.monitor_name(watcher, name.into())
    }

    /// Lets go of a monitor, of a process, a name or a group. True if it was in time: no
    /// `Down` came, nor will. A `Down` that is queued already stays. Repeating it, or an
    /// unknown reference, is harmless. It acts for the watcher that the reference was made for,
    /// from whichever process it is called. OTP: `demonitor/1`, by which a process takes back its
    /// own monitors only.
    ///
    /// ```
    /// use regrow::Runtime;
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let rt = Runtime::with_mailbox_depth();
    /// let watcher = rt.spawn(|_| std::future::pending()).pid();
    /// let worker = rt.spawn(|_| std::future::pending());
    /// let reference = rt.monitor(watcher, worker.pid());
    /// assert!(rt.demonitor(reference));
    /// assert!(!rt.demonitor(reference));
    /// worker.kill();
    /// worker.join().await;
    /// assert_eq!(rt.info(watcher).unwrap().mailbox_depth, 0); // no Down
    /// # });
    /// ```
    pub fn demonitor(&self, reference: MonitorRef) -> bool {
        self.kernel.demonitor(reference, false)
    }

    /// The same, and takes a `Down` that is queued already out of the mailbox: after it, none
    /// will be received. OTP: `demonitor(Ref, [flush, info])`.
    ///
    /// ```
    /// use regrow::Runtime;
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let rt = Runtime::with_mailbox_depth();
    /// let watcher = rt.spawn(|_| std::future::pending()).pid();
    /// let worker = rt.spawn(|_| async {});
    /// let reference = rt.monitor(watcher, worker.pid());
    /// worker.join().await;
    /// let queued = || rt.info(watcher).unwrap().mailbox_depth;
    /// assert!(!rt.demonitor(reference)); // too late, the Down is there
    /// assert_eq!(queued(), 1);
    /// assert!(!rt.demonitor_flush(reference));
    /// assert_eq!(queued(), 0);
    /// # });
    /// ```
    pub fn demonitor_flush(&self, reference: MonitorRef) -> bool {
        self.kernel.demonitor(reference, true)
    }
}
