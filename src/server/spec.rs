//! A server as a value, before it runs.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::base::{MonitorRef, SharedStr};
use crate::kernel::{Mailboxes, NewProcess};
use crate::process::StartKey;
use crate::process::overflow_policy::Overflow;
use crate::runtime::{Inside, Runtime, StartError, Starting};
use crate::server::{GenServer, ServerName, ServerRef};

/// The description of a server that is to be started: its arguments, its name, the time limit of
/// its `init`. [`GenServer::spec`] makes it. OTP: the options of `gen_server:start/4`.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use regrow::{GenServer, Name, Reply, Result, Runtime, ServerContext, StartError};
///
/// struct Slow;
///
/// impl GenServer for Slow {
/// #     type Args = ();
/// #     type Call = Reply<()>;
/// #     type Cast = ();
///     async fn init((): (), _: &mut ServerContext<Self>) -> Result<Self> {
///         std::future::pending().await // … waits for a database …
///     }
/// #     async fn handle_call(&mut self, _: Reply<()>, _: &mut ServerContext<Self>) -> Result {
/// #         Ok(())
/// #     }
/// #     async fn handle_cast(&mut self, (): (), _: &mut ServerContext<Self>) -> Result {
/// #         Ok(())
/// #     }
/// }
/// const SLOW: Name<Slow> = Name::new("slow");
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true)
/// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
/// let rt = Runtime::new();
/// let limit = Duration::from_millis(100);
/// let slow = Slow::spec(()).named(SLOW).label("slow").init_timeout(limit);
/// assert_eq!(slow.start(&rt).await.unwrap_err(), StartError::InitTimeout(limit));
/// assert_eq!((rt.process_count(), rt.whereis("slow")), (0, None));
/// # }));
/// ```
#[must_use = "it does nothing until started"]
pub struct ServerSpec<S: GenServer> {
    pub(super) args: S::Args,
    pub(super) name: Option<SharedStr>,
    /// The key of a registry under which the server is registered.
    pub(crate) key: Option<Arc<dyn StartKey>>,
    pub(super) label: Option<SharedStr>,
    pub(super) init_timeout: Option<Duration>,
    pub(super) mailbox: Option<Mailboxes>,
    pub(super) warn_after: Option<Duration>,
}

impl<S: GenServer> ServerSpec<S> {
    pub(crate) fn new(args: S::Args) -> Self {
        let (name, label, mailbox) = (None, None, None);
        ServerSpec { args, name, key: None, label, init_timeout: None, mailbox, warn_after: None }
    }

    /// Sets the name of the server: a [`Name`](crate::Name) or any string. The server holds the
    /// name before its `init` runs. By default it has none. [`ServerSpec`] has an example.
    pub fn named(mut self, name: impl Into<ServerName<S>>) -> Self {
        self.name = Some(name.into().text);
        self
    }

    /// Sets the label of the server in the log and the census. By default it has none.
    /// [`ServerSpec`] has an example.
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into().into());
        self
    }

    /// Sets how long the `init` may take. A server that takes longer is killed, and its name is
    /// freed, before the start returns [`StartError::InitTimeout`]. By default there is no limit,
    /// as with [`Duration::MAX`]. Zero is too short for nearly every `init`. [`ServerSpec`] has an
    /// example.
    pub fn init_timeout(mut self, limit: Duration) -> Self {
        self.init_timeout = Some(limit);
        self
    }

    /// Sets how many messages, streams, casts and calls the mailbox of the server holds at most,
    /// and what happens to an item that is sent while the mailbox is full. By default the bound of
    /// the [runtime](Runtime::with_mailbox_capacity) applies, if it has one. [`Overflow`] has an
    /// example.
    ///
    /// # Panics
    ///
    /// If `capacity` is 0: no message could ever be received.
    pub fn mailbox_capacity(mut self, capacity: usize, overflow: Overflow) -> Self {
        self.mailbox = Some(Mailboxes::bounded(capacity, overflow));
        self
    }

    /// Sets the limit after which a handler of this server is logged as slow, in place of the limit
    /// that [`Runtime::warn_after`] sets for all servers. With [`Duration::MAX`] no handler is
    /// logged. By default the limit for all servers applies. A limit below 1 ms, zero included,
    /// counts as 1 ms.
    ///
    /// ```
    /// # use regrow::doc_counter::{Call, Counter};
    /// # use regrow::{GenServer, Runtime};
    /// use std::time::Duration;
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// rt.warn_after(Duration::from_millis(200));
    /// // The handlers of this counter may run longer.
    /// let counter = Counter::spec(40).warn_after(Duration::from_secs(2)).start(&rt).await?;
    /// assert_eq!(counter.call(Call::Get).await?, 40);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub fn warn_after(mut self, limit: Duration) -> Self {
        self.warn_after = Some(limit);
        self
    }

    /// Starts the server, linked to no process. Returns when its `init` has returned.
    /// [`ServerSpec`] has an example.
    ///
    /// # Errors
    ///
    /// As [`GenServer::start`]; [`StartError::AlreadyStarted`] if another process holds the name;
    /// [`StartError::NameReserved`] if the name is reserved for a child that is being restarted;
    /// [`StartError::InitTimeout`] if `init` exceeds its time limit. After an error nothing of the
    /// server is left.
    ///
    /// # Panics
    ///
    /// As [`GenServer::start`].
    ///
    /// # Cancel safety
    ///
    /// A start that is dropped kills the half-started server.
    pub async fn start(self, runtime: &Runtime) -> Result<ServerRef<S>, StartError> {
        let (starting, args) = self.starting(runtime);
        starting.run(args).await
    }

    /// Starts the server, linked to the process of this context. The link exists before the `init`
    /// of the server runs. A start that fails returns the error and sends no exit signal over the
    /// link. OTP: `gen_server:start_link`, where the parent receives the exit signal as well.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    ///
    /// # Cancel safety
    ///
    /// As [`start`](Self::start).
    ///
    /// ```
    /// # use regrow::doc_counter::{Cast, Counter};
    /// # use regrow::{GenServer, Runtime};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let owner = rt.spawn_fallible(|mut ctx| async move {
    ///     let counter = Counter::spec(0).start_link(&ctx).await?;
    ///     counter.cast(Cast::Crash);
    ///     drop(ctx.recv().await); // the exit of the counter ends this process
    ///     Ok(())
    /// });
    /// let reason = owner.join().await;
    /// assert_eq!(reason.crash().unwrap().message(), "as asked");
    /// # }));
    /// ```
    pub async fn start_link(self, parent: &impl Inside) -> Result<ServerRef<S>, StartError> {
        let (starting, args) = self.starting(&parent.runtime());
        starting.linked(parent.pid()).run(args).await
    }

    /// Starts the server, monitored by the process of this context. A start that fails leaves no
    /// `Down`. OTP: `gen_server:start_monitor`.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    ///
    /// # Cancel safety
    ///
    /// As [`start`](Self::start).
    ///
    /// ```
    /// # use regrow::doc_counter::Counter;
    /// # use regrow::{GenServer, Runtime};
    /// use regrow::{ExitReason, Received};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let watcher = rt.spawn_fallible(|mut ctx| async move {
    ///     let (counter, reference) = Counter::spec(0).start_monitor(&ctx).await?;
    ///     let pid = counter.pid().unwrap();
    ///     let reason = counter.stop(ExitReason::Shutdown).await?;
    ///     assert_eq!(ctx.recv().await, Received::Down { reference, pid, reason });
    ///     Ok(())
    /// });
    /// assert_eq!(watcher.join().await, ExitReason::Normal);
    /// # }));
    /// ```
    pub async fn start_monitor(
        self,
        watcher: &impl Inside,
    ) -> Result<(ServerRef<S>, MonitorRef), StartError> {
        let (starting, args) = self.starting(&watcher.runtime());
        starting.run_monitored(args, watcher.pid()).await
    }

    fn starting(self, runtime: &Runtime) -> (Starting, S::Args) {
        let ServerSpec { args, name, key, label, init_timeout, mailbox, warn_after } = self;
        let new_process = NewProcess { name, key, label, mailbox, ..NewProcess::default() };
        (Starting { new_process, init_timeout, warn_after, ..Starting::new(runtime) }, args)
    }
}

impl<S: GenServer> fmt::Debug for ServerSpec<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerSpec")
            .field("name", &self.name)
            .field("label", &self.label)
            .field("init_timeout", &self.init_timeout)
            .field("mailbox", &self.mailbox)
            .field("warn_after", &self.warn_after)
            .finish_non_exhaustive()
    }
}
