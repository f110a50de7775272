//! Settings of a plain process at its birth: its label, and the bound of its mailbox.

use std::fmt;

use crate::base::{MonitorRef, Pid, SharedStr};
use crate::driver::Body;
use crate::exit::Result;
use crate::kernel::{Mailboxes, NewProcess};
use crate::message::Envelope;
use crate::process::overflow_policy::Overflow;
use crate::process::{Link, LinkRole};
use crate::runtime::spawn::{fallible, plain};
use crate::runtime::{Context, ProcessHandle, Runtime};

/// The settings of a process that is to be spawned. [`Runtime::process`] makes it, and has an
/// example.
#[must_use = "it does nothing until a process is spawned"]
#[derive(Clone)]
pub struct ProcessBuilder {
    runtime: Runtime,
    label: Option<SharedStr>,
    mailbox: Option<Mailboxes>,
}

impl Runtime {
    /// Sets up a process before it is spawned: its label, the bound of its mailbox. OTP:
    /// `spawn_opt/2`.
    ///
    /// ```
    /// use regrow::{Overflow, Runtime};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let display = rt
    ///     .process()
    ///     .label("display")
    ///     .mailbox_capacity(2, Overflow::DropOldest)
    ///     .spawn(|mut ctx| async move {
    ///         assert_eq!(ctx.recv().await.message().unwrap(), b"102");
    ///         assert_eq!(ctx.recv().await.message().unwrap(), b"103");
    ///     });
    /// for price in ["101", "102", "103"] {
    ///     assert!(rt.send(display.pid(), price.into()));
    /// }
    /// let info = rt.info(display.pid()).unwrap();
    /// assert_eq!((info.mailbox_capacity, info.dropped_messages), (Some(2), 1));
    /// assert!(display.join().await.is_clean());
    /// # }));
    /// ```
    pub fn process(&self) -> ProcessBuilder {
        ProcessBuilder { runtime: self.clone(), label: None, mailbox: None }
    }
}

impl ProcessBuilder {
    /// Sets the label of the process in the log and the census. By default it has none.
    /// [`Runtime::process`] has an example.
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into().into());
        self
    }

    /// Sets how many messages and streams the mailbox of the process holds at most, and what
    /// happens to an item that is sent while the mailbox is full: [`Overflow`]. By default the
    /// bound of the [runtime](Runtime::with_mailbox_capacity) applies, if it has one.
    /// [`Runtime::process`] has an example.
    ///
    /// A plain send never waits: with [`Overflow::Wait`] a full mailbox refuses it, as with
    /// [`Overflow::Reject`].
    ///
    /// # Panics
    ///
    /// If `capacity` is 0: no message could ever be received.
    pub fn mailbox_capacity(mut self, capacity: usize, overflow: Overflow) -> Self {
        self.mailbox = Some(Mailboxes::bounded(capacity, overflow));
        self
    }

    /// Spawns the process, as [`Runtime::spawn`] does. [`Runtime::process`] has an example.
    ///
    /// # Panics
    ///
    /// In the same cases as [`Runtime::spawn`].
    pub fn spawn<F, Fut>(self, body: F) -> ProcessHandle
    where
        F: FnOnce(Context) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.launch(None, |_| (), plain(body))
    }

    /// Spawns the process, whose body may fail, as [`Runtime::spawn_fallible`] does.
    ///
    /// # Panics
    ///
    /// In the same cases as [`Runtime::spawn`].
    pub fn spawn_fallible<F, Fut>(self, body: F) -> ProcessHandle
    where
        F: FnOnce(Context) -> Fut + Send + 'static,
        Fut: Future<Output = Result> + Send + 'static,
    {
        self.launch(None, |_| (), fallible(body))
    }

    /// Spawns the process, linked to `parent`, as [`Runtime::spawn_link`] does.
    ///
    /// # Panics
    ///
    /// In the same cases as [`Runtime::spawn`].
    pub fn spawn_link<F, Fut>(self, parent: Pid, body: F) -> ProcessHandle
    where
        F: FnOnce(Context) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let link = Link::active(self.runtime.kernel.fresh_id(), LinkRole::Peer);
        self.launch(Some((parent, link)), |_| (), plain(body))
    }

    /// Spawns the process, monitored by `watcher`, as [`Runtime::spawn_monitor`] does.
    ///
    /// # Panics
    ///
    /// In the same cases as [`Runtime::spawn`].
    pub fn spawn_monitor<F, Fut>(self, watcher: Pid, body: F) -> (ProcessHandle, MonitorRef)
    where
        F: FnOnce(Context) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let kernel = self.runtime.kernel.clone();
        let mut reference = None;
        let monitor = |pid| reference = Some(kernel.monitor(watcher, pid));
        let handle = self.launch(None, monitor, plain(body));
        (handle, reference.expect("the monitor is set before the body runs"))
    }

    /// Admits the process, calls `before_run` with its pid, and spawns its task.
    fn launch(
        self,
        link: Option<(Pid, Link)>,
        before_run: impl FnOnce(Pid),
        body: impl FnOnce(Context) -> Body,
    ) -> ProcessHandle {
        let ProcessBuilder { runtime, label, mailbox } = self;
        let new_process = NewProcess { label, mailbox, link, ..NewProcess::default() };
        let (process, admitted) = runtime.admit::<Envelope>(&new_process);
        if let (Some(label), true) = (&new_process.label, admitted.is_ok()) {
            runtime.log_spawn(process.pid(), label, "");
        }
        before_run(process.pid());
        runtime.run(process, admitted.is_ok(), body)
    }
}

impl fmt::Debug for ProcessBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProcessBuilder")
            .field("label", &self.label)
            .field("mailbox", &self.mailbox)
            .finish_non_exhaustive()
    }
}
