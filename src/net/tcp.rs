//! Listeners of TCP.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::net::{TcpListener, TcpSocket, TcpStream, ToSocketAddrs, lookup_host};

use crate::child::{ChildSpec, Keep, OnceChild, TaskContext};
use crate::exit::Result;
use crate::net::error::BindError;
use crate::net::listener::ListenerSpec;
use crate::net::port::{Borrow, Incoming, Listen, borrow};
use crate::net::tree::{connection, drained};

/// How many clients wait in the backlog by default, as for tokio's own `bind`.
const BACKLOG: u32 = 1024;

/// The port of a TCP listener: an address that is bound at the start, or a listener that exists
/// already.
///
/// It is made of an address of any type that tokio resolves (`"localhost:80"`, `SocketAddr`,
/// `("0.0.0.0", 80)`), or of a [`Keep`] with a listener: one that was inherited, for example by
/// systemd's socket activation, or one with options that are not here.
///
/// An address is bound at the first start, the first of its addresses that can be bound if it is a
/// name. On Unix, `SO_REUSEADDR` is set, so that connections of an earlier program that are still
/// closing don't prevent that.
///
/// A listener in a [`Keep`] belongs to the program: a stop of the listener returns it to the `Keep`
/// and doesn't close it.
///
/// # Examples
///
/// ```
/// use regrow::{ChildSpec, Keep, Runtime, Supervisor, TcpPort};
/// use tokio::net::{TcpListener, TcpStream};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all()
/// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
/// let rt = Runtime::new();
/// let inherited = std::net::TcpListener::bind("127.0.0.1:0")?; // … by systemd, say
/// inherited.set_nonblocking(true)?;
/// let address = inherited.local_addr()?;
/// let port = Keep::of(TcpListener::from_std(inherited)?);
/// let first = ChildSpec::tcp_listener("first", port, |_, _, _| std::future::pending());
///
/// let port = TcpPort::bind("localhost:0").backlog(16);
/// let second = ChildSpec::tcp_listener("second", port, |_, _, _| std::future::pending());
/// let _tree = Supervisor::one_for_one().child(first).child(second).start(&rt).await?;
/// TcpStream::connect(address).await?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })).unwrap();
/// ```
#[must_use = "it does nothing until a listener is given it"]
pub struct TcpPort {
    source: Source,
}

enum Source {
    Address { address: Arc<dyn Address>, backlog: u32 },
    Kept(Keep<TcpListener>),
}

impl TcpPort {
    /// Makes a port of an address, for its settings. [`TcpPort`] has an example.
    pub fn bind<A>(address: A) -> Self
    where
        A: ToSocketAddrs + fmt::Debug + Send + Sync + 'static,
    {
        TcpPort { source: Source::Address { address: Arc::new(address), backlog: BACKLOG } }
    }

    /// Sets how many clients may wait until they are accepted, by default 1024. The operating
    /// system has a maximum of its own.
    ///
    /// # Panics
    ///
    /// If the port is made of a [`Keep`], because its listener has a backlog already.
    pub fn backlog(mut self, clients: u32) -> Self {
        match &mut self.source {
            Source::Address { backlog, .. } => *backlog = clients,
            Source::Kept(_) => {
                panic!("a kept listener has a backlog already: set it where it is bound")
            }
        }
        self
    }

    /// Returns the function that borrows the port, and whether the `Keep` is the user's.
    fn into_borrow(self) -> (Borrow<Accepted>, bool) {
        match self.source {
            Source::Address { address, backlog } => {
                let bind = move || bind(address.clone(), backlog);
                (borrow(Keep::new(bind)), false)
            }
            Source::Kept(keep) => (borrow(keep), true),
        }
    }
}

impl<A> From<A> for TcpPort
where
    A: ToSocketAddrs + fmt::Debug + Send + Sync + 'static,
{
    fn from(address: A) -> Self {
        TcpPort::bind(address)
    }
}

impl From<Keep<TcpListener>> for TcpPort {
    fn from(keep: Keep<TcpListener>) -> Self {
        TcpPort { source: Source::Kept(keep) }
    }
}

impl fmt::Debug for TcpPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            Source::Address { address, .. } => {
                f.debug_tuple("TcpPort").field(&address.text()).finish()
            }
            Source::Kept(keep) => f.debug_tuple("TcpPort").field(keep).finish(),
        }
    }
}

/// An address of any type that tokio resolves.
#[async_trait::async_trait]
pub(crate) trait Address: Send + Sync + 'static {
    async fn resolve(&self) -> io::Result<Vec<SocketAddr>>;

    fn text(&self) -> String;
}

#[async_trait::async_trait]
impl<A: ToSocketAddrs + fmt::Debug + Send + Sync + 'static> Address for A {
    async fn resolve(&self) -> io::Result<Vec<SocketAddr>> {
        let found: Vec<_> = lookup_host(self).await?.collect();
        match found.is_empty() {
            true => Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address")),
            false => Ok(found),
        }
    }

    /// Returns the text without the quotes that the `Debug` of a string has.
    fn text(&self) -> String {
        let text = format!("{self:?}");
        let inner = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
        inner.map_or(text.clone(), str::to_owned)
    }
}

async fn bind(address: Arc<dyn Address>, backlog: u32) -> Result<TcpListener, BindError> {
    let bound = async {
        let mut failed = None;
        for address in address.resolve().await? {
            match listen(address, backlog) {
                Ok(listener) => return Ok(listener),
                Err(error) => failed = Some(error),
            }
        }
        Err(failed.unwrap_or_else(|| io::ErrorKind::NotFound.into()))
    };
    bound.await.map_err(|source| BindError { address: address.text(), source })
}

fn listen(address: SocketAddr, backlog: u32) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // On Windows this option would let another program take over the port.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(backlog)
}

/// An accepted client.
pub(crate) type Accepted = (TcpStream, SocketAddr);

impl Incoming for Accepted {
    fn refuse(self, answer: &[u8]) {
        // The connection is closed in any case.
        drop(self.0.try_write(answer));
    }

    fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.0.set_nodelay(nodelay)
    }
}

impl Listen<Accepted> for TcpListener {
    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<Accepted>> {
        let accepted = ready!(TcpListener::poll_accept(self, cx));
        Poll::Ready(accepted)
    }

    fn address(&self) -> String {
        self.local_addr().map_or_else(|_| "a TCP port".to_owned(), |address| address.to_string())
    }

    fn socket_address(&self) -> Option<SocketAddr> {
        self.local_addr().ok()
    }
}

impl ChildSpec {
    /// Specifies a listener that runs an async function for each TCP connection, in a process of
    /// its own. The function gets the socket and the address of the client. Needs the feature
    /// `net`. [`ListenerSpec`] describes the settings, and has an example.
    ///
    /// Each connection clones the function. The id of a connection is the address of its client. An
    /// error that the function returns counts as a crash, and is logged at ERROR: return `Ok(())` if
    /// the client has closed the connection.
    pub fn tcp_listener<F, Fut>(
        id: impl Into<String>,
        port: impl Into<TcpPort>,
        serve: F,
    ) -> ListenerSpec<TcpStream>
    where
        F: FnOnce(TaskContext, TcpStream, SocketAddr) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Result> + Send + 'static,
    {
        let make = move |client: Accepted, drains| {
            let (id, serve) = (client.1.to_string(), serve.clone());
            ChildSpec::once_with(id, client, move |ctx, (stream, peer)| {
                serve(drained(ctx, drains), stream, peer)
            })
        };
        ListenerSpec::new(
            id,
            port.into().into_borrow(),
            Arc::new(move |client, settings| {
                connection(make(client, settings.drain.is_some()), settings)
            }),
        )
    }

    /// Specifies a listener that makes a child of each TCP connection, for example a server, by
    /// [`child_once`](crate::GenServer::child_once). Needs the feature `net`. [`ListenerSpec`]
    /// describes the settings.
    ///
    /// `make` runs in the acceptor, so it must not block, and a panic of it restarts the acceptor
    /// and closes that connection. The child is started in the background: a slow `init` delays no
    /// other connection. A start that fails closes its connection.
    ///
    /// ```
    /// use regrow::{ChildSpec, GenServer, Reply, Result, Runtime, ServerContext, Supervisor};
    /// use tokio::io::{AsyncReadExt, AsyncWriteExt};
    /// use tokio::net::TcpStream;
    ///
    /// struct Session(TcpStream);
    ///
    /// impl GenServer for Session {
    ///     type Args = TcpStream;
    ///     type Call = Reply<()>;
    ///     type Cast = ();
    ///
    ///     async fn init(mut stream: TcpStream, _: &mut ServerContext<Self>) -> Result<Self> {
    ///         stream.write_all(b"hello").await?;
    ///         Ok(Session(stream))
    ///     }
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_all()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let listener = ChildSpec::tcp_listener_with("sessions", "127.0.0.1:0", |stream, client| {
    ///     Session::child_once(stream).with_id(format!("session of {client}"))
    /// });
    /// let address = listener.address();
    /// let tree = Supervisor::one_for_one().child(listener).start(&rt).await?;
    /// let mut hello = [0; 5];
    /// TcpStream::connect(address.get().unwrap()).await?.read_exact(&mut hello).await?;
    /// assert_eq!(&hello, b"hello");
    /// # tree.stop().await?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub fn tcp_listener_with<F, V>(
        id: impl Into<String>,
        port: impl Into<TcpPort>,
        make: F,
    ) -> ListenerSpec<TcpStream>
    where
        F: Fn(TcpStream, SocketAddr) -> OnceChild<V> + Send + Sync + 'static,
    {
        ListenerSpec::new(
            id,
            port.into().into_borrow(),
            Arc::new(move |(stream, peer), settings| connection(make(stream, peer), settings)),
        )
    }
}
