//! Spawning processes, as users call it, and the steps that servers and children share.

use std::sync::Arc;

use crate::base::{MonitorRef, Pid};
use crate::driver::{self, Body, ProcessFuture};
use crate::exit::{ExitReason, Result};
use crate::kernel::{End, NO_TOKIO, NewProcess, NotAdmitted, ORDINARY};
use crate::mailbox::{Item, Mailbox, Process};
use crate::message::Envelope;
use crate::observe::LogLevel;
use crate::process::{AnyProcess, Link, LinkRole};
use crate::runtime::{Context, ProcessHandle, Runtime};

impl Runtime {
    /// Spawns a process. OTP: `spawn/1`.
    ///
    /// The process is in the table before its body first runs, so a message that is sent at once is
    /// not lost. The closure is called inside the process: if it panics, the process crashes.
    ///
    /// On a runtime that was [shut down](Self::shutdown) the body never runs, and the handle refers
    /// to a process that has ended. The same holds if the tokio runtime has shut down; the first
    /// such spawn is logged as a warning. In both cases the exit reason is `Killed`.
    ///
    /// A failure of this process affects only the processes that are linked to it. Processes that
    /// monitor it and handles that [join](ProcessHandle::join) it are notified of its end. Most
    /// processes should run under a supervisor instead: [`ChildSpec`](crate::ChildSpec).
    ///
    /// # Panics
    ///
    /// If called outside a tokio runtime, unless an earlier use of this `Runtime` was inside one.
    ///
    /// ```
    /// use regrow::{CrashKind, Runtime};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let body = rt.spawn(|mut ctx| async move {
    ///     let text = ctx.recv().await.message().unwrap();
    ///     panic!("got {}", text.len());
    /// });
    /// assert!(rt.send(body.pid(), b"1234".to_vec())); // before the body first runs
    /// let reason = body.join().await;
    /// let crash = reason.crash().unwrap();
    /// assert_eq!((crash.kind(), crash.message()), (CrashKind::Panic, "got 4"));
    /// # }));
    /// ```
    pub fn spawn<F, Fut>(&self, body: F) -> ProcessHandle
    where
        F: FnOnce(Context) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.launch(&ORDINARY, plain(body))
    }

    /// Spawns a process whose body may fail. `Err(reason)`, or `?` on any error, ends the process
    /// with that reason. An error costs less than a panic, which unwinds the stack. OTP: `spawn/1`,
    /// with a body that calls `exit/1`.
    ///
    /// # Panics
    ///
    /// In the same cases as [`spawn`](Self::spawn).
    ///
    /// ```
    /// use regrow::Runtime;
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let reader = rt.spawn_fallible(|_| async {
    ///     std::fs::read("/no/such/file")?;
    ///     Ok(())
    /// });
    /// let reason = reader.join().await;
    /// let error = reason.crash().unwrap().downcast_ref::<std::io::Error>().unwrap();
    /// assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
    /// # }));
    /// ```
    pub fn spawn_fallible<F, Fut>(&self, body: F) -> ProcessHandle
    where
        F: FnOnce(Context) -> Fut + Send + 'static,
        Fut: Future<Output = Result> + Send + 'static,
    {
        self.launch(&ORDINARY, fallible(body))
    }

    /// Spawns a process and links it to `parent` before its body runs. If the parent is dead, the
    /// body never runs, and the process ends with [`NoProc`](ExitReason::NoProc). OTP:
    /// `spawn_link/1`, where the parent is the caller.
    ///
    /// A [`spawn`](Self::spawn) followed by a [`link`](Self::link) is not the same: the body may
    /// end in between.
    ///
    /// # Panics
    ///
    /// In the same cases as [`spawn`](Self::spawn).
    ///
    /// ```
    /// use regrow::{ExitReason, Runtime};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let parent = rt.spawn(|_| std::future::pending());
    /// let child = rt.spawn_link(parent.pid(), |_| async { panic!("boom") });
    /// assert!(parent.join().await.is_abnormal()); // it ended with its child,
    /// assert_eq!(parent.join().await, child.join().await); // for the same reason
    ///
    /// let orphan = rt.spawn_link(parent.pid(), |_| async { unreachable!("never runs") });
    /// assert_eq!(orphan.join().await, ExitReason::NoProc);
    /// # }));
    /// ```
    pub fn spawn_link<F, Fut>(&self, parent: Pid, body: F) -> ProcessHandle
    where
        F: FnOnce(Context) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let link = Link::active(self.kernel.fresh_id(), LinkRole::Peer);
        let new_process = NewProcess { link: Some((parent, link)), ..NewProcess::default() };
        self.launch(&new_process, plain(body))
    }

    /// Spawns a process that `watcher` monitors before its body runs. So the `Down` has the true
    /// reason, even if the process ends at once. OTP: `spawn_monitor/1`, where the watcher is the
    /// caller.
    ///
    /// # Panics
    ///
    /// In the same cases as [`spawn`](Self::spawn).
    ///
    /// ```
    /// use regrow::{ExitReason, Received, Runtime};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let watcher = rt.spawn(|mut ctx| async move {
    ///     let (worker, reference) = ctx.runtime().spawn_monitor(ctx.pid(), |_| async {});
    ///     let down = Received::Down { reference, pid: worker.pid(), reason: ExitReason::Normal };
    ///     assert_eq!(ctx.recv().await, down);
    /// });
    /// assert_eq!(watcher.join().await, ExitReason::Normal);
    /// # }));
    /// ```
    pub fn spawn_monitor<F, Fut>(&self, watcher: Pid, body: F) -> (ProcessHandle, MonitorRef)
    where
        F: FnOnce(Context) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let (process, admitted) = self.admit::<Envelope>(&ORDINARY);
        let reference = self.kernel.monitor(watcher, process.pid());
        (self.run(process, admitted.is_ok(), plain(body)), reference)
    }

    /// Returns the pid of the process that holds the name. If there is none, spawns a process that
    /// has this name and runs this body.
    ///
    /// If several callers race, all get the same process, and only one body runs. On a runtime that
    /// was [shut down](Self::shutdown), and while the name is [reserved](Self::try_register) for a
    /// child that is being restarted, the body is not run, and the returned pid is that of a
    /// process that has ended.
    ///
    /// A [`whereis`](Self::whereis) followed by a [`spawn`](Self::spawn) and a
    /// [`register`](Self::register) is not the same: two callers may both find that no process
    /// holds the name. OTP has no counterpart.
    ///
    /// # Panics
    ///
    /// In the same cases as [`spawn`](Self::spawn).
    ///
    /// ```
    /// use regrow::Runtime;
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let first = rt.whereis_or_spawn("cache", |_| std::future::pending());
    /// let second = rt.whereis_or_spawn("cache", |_| async { unreachable!("never runs") });
    /// assert_eq!(first, second);
    /// assert_eq!(rt.spawned(), 1);
    /// # }));
    /// ```
    pub fn whereis_or_spawn<F, Fut>(&self, name: impl Into<String>, body: F) -> Pid
    where
        F: FnOnce(Context) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let name = name.into();
        if let Some(holder) = self.whereis(&name) {
            return holder;
        }
        let new_process = NewProcess { name: Some(name.into()), ..NewProcess::default() };
        match self.admit::<Envelope>(&new_process) {
            (_, Err(NotAdmitted::NameTaken(holder))) => holder,
            (process, Err(NotAdmitted::NameReserved(_))) => process.pid(),
            (process, admitted) => self.run(process, admitted.is_ok(), plain(body)).pid(),
        }
    }

    pub(crate) fn launch(
        &self,
        new_process: &NewProcess,
        body: impl FnOnce(Context) -> Body,
    ) -> ProcessHandle {
        let (process, admitted) = self.admit::<Envelope>(new_process);
        self.run(process, admitted.is_ok(), body)
    }

    /// Creates the record of a process and adds it to the tables.
    pub(crate) fn admit<M: Item>(
        &self,
        new_process: &NewProcess,
    ) -> (Arc<Process<M>>, Result<(), NotAdmitted>) {
        assert!(self.kernel.tokio().is_some(), "{NO_TOKIO}");
        if self.wants_log(LogLevel::Info) {
            // If the log level was set before a tokio runtime was known, the census task was not
            // started then.
            self.start_census();
        }
        let process = Process::<M>::new(self.kernel.clone(), new_process.relations(&self.kernel));
        let any: Arc<dyn AnyProcess> = process.clone();
        let admitted = self.kernel.admit(&any, new_process);
        if new_process.keeps_queue && admitted.is_ok() {
            process.take_over_queue();
        }
        (process, admitted)
    }

    /// Spawns the task of a plain process that was admitted. The body of a process that was not
    /// admitted is dropped.
    pub(crate) fn run(
        &self,
        process: Arc<Process<Envelope>>,
        admitted: bool,
        body: impl FnOnce(Context) -> Body,
    ) -> ProcessHandle {
        if admitted {
            let context = Context::new(Mailbox::new(process.clone()));
            self.spawn_body(body(context));
        }
        ProcessHandle { runtime: self.clone(), process }
    }

    pub(crate) fn spawn_body(&self, body: Body) {
        let handle = self.kernel.tokio().expect(NO_TOKIO);
        #[cfg(feature = "chaos")]
        let body = crate::driver::with_faults(body);
        drop(handle.spawn(ProcessFuture::new(body)));
    }
}

/// Boxes a body that returns no result. The closure is called inside the process, and its captures
/// are stored once.
pub(crate) fn plain<F, Fut>(body: F) -> impl FnOnce(Context) -> Body
where
    F: FnOnce(Context) -> Fut + Send + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    |ctx| {
        let process = ctx.process().clone();
        driver::body(process, || body(ctx), |()| End::Returned(ExitReason::Normal))
    }
}

pub(crate) fn fallible<F, Fut>(body: F) -> impl FnOnce(Context) -> Body
where
    F: FnOnce(Context) -> Fut + Send + 'static,
    Fut: Future<Output = Result> + Send + 'static,
{
    |ctx| {
        let returned = |result: Result| result.err().unwrap_or(ExitReason::Normal);
        let process = ctx.process().clone();
        driver::body(process, || body(ctx), move |result| End::Returned(returned(result)))
    }
}
