//! Children that connect to another program, and connect again when the connection is lost.

use std::fmt;
use std::io;
use std::marker::PhantomData;
#[cfg(unix)]
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

#[cfg(unix)]
use tokio::net::UnixStream;
use tokio::net::{TcpStream, ToSocketAddrs};
use tokio::time::{Instant, timeout};

use crate::base::CaughtDrop;
use crate::child::start::Start;
use crate::child::{ChildSpec, Restart, TaskContext};
use crate::exit::{ExitReason, Result, Shutdown};
use crate::net::error::ConnectError;
use crate::net::tcp::Address;
use crate::observe::Health;
use crate::restart::Backoff;

/// The default of the time limit of a connect.
const LIMIT: Duration = Duration::from_secs(10);

/// The specification of a child that connects to another program, runs an async function with the
/// connection, and connects again after the function has ended. [`ChildSpec::connect`] and
/// `ChildSpec::connect_unix` make one. Needs the feature `net`.
///
/// | setting | default |
/// |---|---|
/// | [`connect_timeout`](Self::connect_timeout) | 10 s |
/// | [`backoff`](Self::backoff) | [`Backoff::new`]: 1 s, doubling up to 30 s |
/// | [`restart`](Self::restart) | [`Restart::Permanent`] |
/// | [`shutdown`](Self::shutdown) | 5 s |
/// | [`nodelay`](Self::nodelay), for TCP | as the operating system says |
///
/// The child counts as started before it has connected, so a tree starts although the other program
/// is down; with [`ready_within`](Self::ready_within) the start waits for the connection. Until it
/// is connected its [health](Health) is `Starting`, then `Ready`.
///
/// An attempt that fails ends the incarnation with a [`ConnectError`]. The end
/// of the function ends it too, in any way. The supervisor then starts the next one after the delay
/// of the backoff. Such a restart counts against no restart budget, and a backoff
/// [gives up](Backoff::give_up_after) after 15 minutes without a healthy run: for a program that
/// should wait for ever, set [`Duration::MAX`] there.
///
/// A name is resolved at each attempt, and its addresses are tried in order. Each has an equal part
/// of the time that the limit leaves, so that an address that never answers leaves time for the
/// next one.
/// While the child connects, a stop drops it. After that it is stopped as any
/// [task](ChildSpec::task): the function is dropped at its next await, unless it uses
/// [`TaskContext::shutdown`] or [`TaskContext::cancellation_token`].
///
/// OTP: a `gen_statem` that connects in its `init` or with `{connect, …}` events, as `db_connection`
/// and `gun` do.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use regrow::{Backoff, ChildSpec, Result, Runtime, Supervisor, TaskContext};
/// use tokio::io::AsyncWriteExt;
/// use tokio::net::{TcpListener, TcpStream};
///
/// async fn report(mut ctx: TaskContext, mut stream: TcpStream) -> Result {
///     stream.write_all(b"up\n").await?;
///     ctx.shutdown().await;
///     stream.write_all(b"down\n").await?; // asked to stop, within the shutdown time
///     Ok(())
/// }
///
/// # tokio::runtime::Builder::new_current_thread().enable_all()
/// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
/// let rt = Runtime::new();
/// let collector = TcpListener::bind("127.0.0.1:0").await?;
/// let client = ChildSpec::connect("report", collector.local_addr()?, report)
///     .connect_timeout(Duration::from_secs(3))
///     .backoff(Backoff::new().first(Duration::from_millis(100)));
/// let tree = Supervisor::one_for_one().child(client).start(&rt).await?;
/// let (mut stream, _) = collector.accept().await?;
/// # let mut up = [0; 3];
/// # tokio::io::AsyncReadExt::read_exact(&mut stream, &mut up).await?;
/// tree.stop().await?;
/// # let mut rest = String::new();
/// # tokio::io::AsyncReadExt::read_to_string(&mut stream, &mut rest).await?;
/// # assert_eq!((&up, rest.as_str()), (b"up\n", "down\n"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })).unwrap();
/// ```
#[must_use = "it does nothing until a supervisor is given it"]
pub struct ConnectSpec<S> {
    child: ChildSpec,
    settings: Settings,
    start: Arc<dyn Fn(Settings) -> Start + Send + Sync>,
    sockets: PhantomData<fn() -> S>,
}

#[derive(Debug, Clone, Copy)]
struct Settings {
    limit: Duration,
    nodelay: Option<bool>,
}

impl<S> ConnectSpec<S> {
    fn new(
        id: impl Into<String>,
        start: impl Fn(Settings) -> Start + Send + Sync + 'static,
    ) -> Self {
        let settings = Settings { limit: LIMIT, nodelay: None };
        // The start function is replaced when the settings are known.
        let child = ChildSpec::task(id, |_| std::future::pending()).backoff(Backoff::new());
        ConnectSpec { child, settings, start: Arc::new(start), sockets: PhantomData }
    }

    /// Sets the time limit of one attempt, with the resolution of the name, by default 10 s. With
    /// zero an attempt fails unless it succeeds at once; [`Duration::MAX`] means no limit other
    /// than that of the operating system.
    pub fn connect_timeout(mut self, limit: Duration) -> Self {
        self.settings.limit = limit;
        self
    }

    /// Sets the child's id: [`ChildSpec::with_id`].
    pub fn with_id(self, id: impl Into<String>) -> Self {
        ConnectSpec { child: self.child.with_id(id), ..self }
    }

    /// Sets the name that the child is registered under: [`ChildSpec::named`].
    pub fn named(self, name: impl Into<String>) -> Self {
        ConnectSpec { child: self.child.named(name), ..self }
    }

    /// Sets when the child is restarted: [`ChildSpec::restart`].
    pub fn restart(self, restart: Restart) -> Self {
        ConnectSpec { child: self.child.restart(restart), ..self }
    }

    /// Sets how the child is stopped: [`ChildSpec::shutdown`].
    pub fn shutdown(self, shutdown: Shutdown) -> Self {
        ConnectSpec { child: self.child.shutdown(shutdown), ..self }
    }

    /// Sets the delay before the next attempt: [`ChildSpec::backoff`].
    pub fn backoff(self, backoff: Backoff) -> Self {
        ConnectSpec { child: self.child.backoff(backoff), ..self }
    }

    /// Counts the child as started only when it is connected: [`ChildSpec::ready_within`].
    pub fn ready_within(self, limit: Duration) -> Self {
        ConnectSpec { child: self.child.ready_within(limit), ..self }
    }

    /// Sets whether the child's end may end its supervisor: [`ChildSpec::significant`].
    pub fn significant(self, significant: bool) -> Self {
        ConnectSpec { child: self.child.significant(significant), ..self }
    }
}

impl ConnectSpec<TcpStream> {
    /// Sets `TCP_NODELAY` on the socket, as [`ListenerSpec::nodelay`](crate::ListenerSpec::nodelay)
    /// does.
    pub fn nodelay(mut self, nodelay: bool) -> Self {
        self.settings.nodelay = Some(nodelay);
        self
    }
}

impl<S> Clone for ConnectSpec<S> {
    fn clone(&self) -> Self {
        ConnectSpec {
            child: self.child.clone(),
            settings: self.settings,
            start: self.start.clone(),
            sockets: PhantomData,
        }
    }
}

impl<S> fmt::Debug for ConnectSpec<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectSpec")
            .field("child", &self.child)
            .field("connect_timeout", &self.settings.limit)
            .finish_non_exhaustive()
    }
}

impl<S> From<ConnectSpec<S>> for ChildSpec {
    fn from(connect: ConnectSpec<S>) -> Self {
        let ConnectSpec { mut child, settings, start, .. } = connect;
        child.edit().start = CaughtDrop::new(start(settings));
        child
    }
}

impl ChildSpec {
    /// Specifies a child that connects to this address by TCP, and runs an async function with the
    /// socket. Needs the feature `net`. [`ConnectSpec`] describes the child, and has an example.
    ///
    /// The address may be a name, and has any type that tokio resolves. Each incarnation clones the
    /// function.
    pub fn connect<A, F, Fut>(
        id: impl Into<String>,
        address: A,
        session: F,
    ) -> ConnectSpec<TcpStream>
    where
        A: ToSocketAddrs + fmt::Debug + Send + Sync + 'static,
        F: FnOnce(TaskContext, TcpStream) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Result> + Send + 'static,
    {
        let address: Arc<dyn Address> = Arc::new(address);
        ConnectSpec::new(id, move |settings| {
            let (address, session) = (address.clone(), session.clone());
            Start::task(async move |ctx: TaskContext| {
                let stream = connect_tcp(&*address, settings.limit);
                let stream = within(settings.limit, address.text(), stream);
                let stream = connected(&ctx, stream).await?;
                if let Some(nodelay) = settings.nodelay {
                    stream.set_nodelay(nodelay)?;
                }
                session(ctx, stream).await
            })
        })
    }

    /// Specifies a child that connects to the Unix socket at this path, as
    /// [`connect`](Self::connect) does by TCP. Needs the feature `net`.
    #[cfg(unix)]
    #[cfg_attr(docsrs, doc(cfg(all(unix, feature = "net"))))]
    pub fn connect_unix<F, Fut>(
        id: impl Into<String>,
        path: impl Into<PathBuf>,
        session: F,
    ) -> ConnectSpec<UnixStream>
    where
        F: FnOnce(TaskContext, UnixStream) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Result> + Send + 'static,
    {
        let path = path.into();
        ConnectSpec::new(id, move |settings| {
            let (path, session) = (path.clone(), session.clone());
            Start::task(async move |ctx: TaskContext| {
                let text = path.display().to_string();
                let stream = within(settings.limit, text, UnixStream::connect(path));
                let stream = connected(&ctx, stream).await?;
                session(ctx, stream).await
            })
        })
    }
}

/// Waits for the connection. The health of the child says whether it has one.
async fn connected<S>(
    ctx: &TaskContext,
    connecting: impl Future<Output = Result<S, ConnectError>>,
) -> Result<S> {
    ctx.set_health(Health::Starting);
    let stream = connecting.await.map_err(ExitReason::from_library)?;
    ctx.set_health(Health::Ready);
    Ok(stream)
}

async fn within<S>(
    limit: Duration,
    address: String,
    connecting: impl Future<Output = io::Result<S>>,
) -> Result<S, ConnectError> {
    let connected = timeout(limit, connecting).await.unwrap_or_else(|_| Err(late(limit)));
    connected.map_err(|source| ConnectError { address, source })
}

fn late(limit: Duration) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, format!("no connection within {limit:?}"))
}

/// Connects to the first address that accepts the connection.
async fn connect_tcp(address: &dyn Address, limit: Duration) -> io::Result<TcpStream> {
    let (begun, mut failed) = (Instant::now(), None);
    let addresses = address.resolve().await?;
    for (tried, address) in addresses.iter().enumerate() {
        let left = u32::try_from(addresses.len() - tried).unwrap_or(u32::MAX);
        let part = limit.saturating_sub(begun.elapsed()) / left;
        match timeout(part, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => failed = Some(error),
            Err(_) => failed = Some(late(limit)),
        }
    }
    Err(failed.unwrap_or_else(|| io::ErrorKind::NotFound.into()))
}
