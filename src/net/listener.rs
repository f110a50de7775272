//! The specification of a listener.

use std::fmt;
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::base::{CaughtDrop, consume_budget};
use crate::child::{ChildSpec, Restart};
use crate::net::acceptor::{Make, Settings};
use crate::net::port::{Announce, Borrow, GivenUp, Incoming};
use crate::net::tree::Plan;
use crate::restart::Backoff;
use crate::supervisor::{Supervisor, SupervisorSpec};

/// The default of the pause after an error of `accept`.
const PAUSE: Duration = Duration::from_millis(100);

/// Closes the port of one child, unless another one has it.
type Release = Arc<dyn Fn(&GivenUp) + Send + Sync>;

/// The specification of a listener: a port, and one process for each connection that is accepted
/// from it. It is a child of any supervisor. Needs the feature `net`.
///
/// | made by | a connection is |
/// |---|---|
/// | [`ChildSpec::tcp_listener`], `ChildSpec::unix_listener` | an async function that gets the socket |
/// | [`ChildSpec::tcp_listener_with`], `ChildSpec::unix_listener_with` | a child that is made of the socket, for example a server |
///
/// | setting | default |
/// |---|---|
/// | [`max_connections`](Self::max_connections) | any number |
/// | [`refuse_with`](Self::refuse_with) | beyond the limit, clients wait in the backlog |
/// | [`drain`](Self::drain) | a stop drops connections that don't wait for it |
/// | [`accept_pause`](Self::accept_pause) | 100 ms |
/// | [`nodelay`](Self::nodelay), for TCP | as the operating system says |
/// | [`restart`](Self::restart) | [`Restart::Permanent`] |
///
/// **The tree.** A listener is a supervisor (`rest_for_one`) with two children: `connections`, a
/// dynamic supervisor, and `acceptor`. Each connection is a temporary child of `connections`: a
/// crash closes that connection, is logged, and affects no other process.
///
/// **The port** is bound when the listener is started. If that fails, the listener is not started,
/// and the error contains a [`BindError`](crate::BindError). The port stays open while the acceptor
/// or the whole listener is restarted: clients that connect meanwhile wait in the backlog of the
/// operating system. When the listener is stopped for good, the port is closed first, so new
/// clients are refused while connections still finish. When the listener has ended, its supervisor
/// lives on, and no restart follows, the port is closed, too: the supervisor has given it up
/// ([`Exhausted::GiveUp`](crate::Exhausted::GiveUp)) or forgotten it, a stop has cancelled its restart,
/// or it has ended normally and is not permanent. So it is if all this befalls a supervisor that
/// has the listener as a declared child. A client is refused, instead of waiting for a process that
/// does not come. The next start binds the port again.
///
/// **Errors of `accept`.** An error of one connection is logged at DEBUG, and the next connection
/// is accepted at once. A lack of files or memory is logged at WARN, once until a connection is
/// accepted again, and the acceptor tries again after a pause. If the listener itself is broken, the
/// acceptor ends with an [`AcceptError`](crate::AcceptError), and its next incarnation binds the
/// port again.
///
/// **A client is never left waiting** for a process that has ended. If the acceptor ends in the
/// middle of handing a connection over, the connection is either served or closed.
///
/// **A clone** of a specification has the port and the address of the original. One of them can
/// run at a time: the start of the other one waits until the port is given back or closed.
///
/// OTP: `ranch`, with its listener supervisor, acceptors and connection supervisor. `ranch` has
/// several acceptors for each port; here one is enough, because it does not wait for a start.
///
/// # Examples
///
/// ```
/// use std::net::SocketAddr;
/// use std::time::Duration;
/// use regrow::{ChildSpec, Result, Runtime, Supervisor, TaskContext};
/// use tokio::io::{AsyncReadExt, AsyncWriteExt};
/// use tokio::net::TcpStream;
///
/// async fn echo(_: TaskContext, mut stream: TcpStream, _: SocketAddr) -> Result {
///     let (mut read, mut write) = stream.split();
///     tokio::io::copy(&mut read, &mut write).await?;
///     Ok(())
/// }
///
/// # tokio::runtime::Builder::new_current_thread().enable_all()
/// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
/// let rt = Runtime::new();
/// let listener = ChildSpec::tcp_listener("echo", "127.0.0.1:0", echo)
///     .max_connections(1_000)
///     .drain(Duration::from_secs(10));
/// let address = listener.address();
/// let tree = Supervisor::one_for_one().child(listener).start(&rt).await?;
///
/// let address = address.get().unwrap(); // the port that the operating system chose
/// let mut client = TcpStream::connect(address).await?;
/// client.write_all(b"hello").await?;
/// let mut answer = [0; 5];
/// client.read_exact(&mut answer).await?;
/// assert_eq!(&answer, b"hello");
///
/// // A second listener on the same port is not started, and the error says why.
/// let second = ChildSpec::tcp_listener("second", address, echo);
/// let error = tree.start_child(second).await.unwrap_err();
/// # let mut chain = error.to_string();
/// # let mut cause = std::error::Error::source(&error);
/// # while let Some(next) = cause { chain += &format!(": {next}"); cause = next.source(); }
/// # assert!(chain.contains(&format!("{address} can't be listened to")), "{chain}");
/// # drop(client);
/// tree.stop().await?;
/// assert!(TcpStream::connect(address).await.is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })).unwrap();
/// ```
#[must_use = "it does nothing until a supervisor is given it"]
pub struct ListenerSpec<S> {
    child: ChildSpec,
    settings: Settings,
    tree: Arc<dyn Fn(Settings, GivenUp) -> SupervisorSpec + Send + Sync>,
    announce: Announce,
    /// Closes the port of a listener that has ended for good; `None` if the port is the user's.
    release: Option<Release>,
    sockets: PhantomData<fn() -> S>,
}

impl<S> ListenerSpec<S> {
    /// Makes a specification. `is_users` says whether the `Keep` of the port belongs to the user.
    pub(crate) fn new<I: Incoming>(
        id: impl Into<String>,
        (borrow, is_users): (Borrow<I>, bool),
        make: Make<I>,
    ) -> Self {
        let settings =
            Settings { most: None, refusal: None, pause: PAUSE, drain: None, nodelay: None };
        let announce: Announce = Arc::new(watch::Sender::new(None));
        let sender = announce.clone();
        let (own, closed) = (borrow.clone(), announce.clone());
        let release = move |given_up: &GivenUp| {
            if own.of_child(given_up.clone()).give_up() {
                closed.send_replace(None);
            }
        };
        let release = (!is_users).then(|| Arc::new(release) as Release);
        let tree = move |settings: Settings, given_up: GivenUp| {
            let plan = Plan {
                borrow: borrow.of_child(given_up),
                is_users,
                make: make.clone(),
                settings,
                announce: sender.clone(),
            };
            Supervisor::with_init(move |_| {
                let plan = plan.clone();
                async move { Ok(plan.tree()) }
            })
        };
        let child = ChildSpec::from(tree(settings.clone(), GivenUp::default())).with_id(id);
        let tree = Arc::new(tree);
        ListenerSpec { child, settings, tree, announce, release, sockets: PhantomData }
    }

    /// Sets the maximum number of connections. By default there is no maximum.
    ///
    /// At the limit nothing is accepted until a connection has ended: further clients wait in the
    /// backlog of the operating system. With [`refuse_with`](Self::refuse_with) they are answered
    /// and closed instead. OTP: `max_connections` of `ranch`, which by default is 1024.
    ///
    /// # Panics
    ///
    /// If `most` is 0, because no connection could be accepted.
    pub fn max_connections(mut self, most: usize) -> Self {
        let most = NonZeroUsize::new(most);
        self.settings.most = Some(most.expect("a listener needs at least one connection"));
        self
    }

    /// Refuses connections beyond [`max_connections`](Self::max_connections): such a client is
    /// accepted, gets these bytes and is closed. Without bytes it is only closed. By default such
    /// clients wait.
    ///
    /// The bytes are written at once, without waiting; of a long answer, the part that the socket
    /// doesn't take is dropped.
    pub fn refuse_with(mut self, answer: impl Into<Vec<u8>>) -> Self {
        self.settings.refusal = Some(answer.into().into());
        self
    }

    /// Lets connections finish when the listener is stopped: each continues, and is killed when it
    /// has not ended within `limit`. The port is closed before that. [`Duration::MAX`] means no
    /// limit, and zero kills at once.
    ///
    /// By default connections are stopped as any other child: an async function is dropped at its
    /// next await, unless it uses
    /// [`TaskContext::cancellation_token`](crate::TaskContext::cancellation_token) or
    /// [`TaskContext::shutdown`](crate::TaskContext::shutdown), and has 5 s after that. With a
    /// `drain`, an async function that doesn't look at its context simply continues. So a
    /// connection that waits for a silent client takes the whole time, unless it also waits for
    /// [`TaskContext::shutdown`](crate::TaskContext::shutdown). For a connection that is a server,
    /// this is the time for its `terminate`, unless its own
    /// [`shutdown`](crate::OnceChild::shutdown) is set.
    ///
    /// All connections have the same time, which begins when they are asked to stop. A
    /// [`Run`](crate::Run) kills what is left at its own deadline.
    pub fn drain(mut self, limit: Duration) -> Self {
        self.settings.drain = Some(limit);
        self
    }

    /// Sets the pause after an accept that failed for a lack of files or memory, by default 100 ms.
    /// A pause below 1 ms, zero included, counts as 1 ms. After [`Duration::MAX`] nothing is
    /// accepted again until the acceptor is restarted.
    pub fn accept_pause(mut self, pause: Duration) -> Self {
        self.settings.pause = pause;
        self
    }

    /// Sets the listener's id: [`ChildSpec::with_id`].
    pub fn with_id(self, id: impl Into<String>) -> Self {
        ListenerSpec { child: self.child.with_id(id), ..self }
    }

    /// Sets the name of the listener, which is a supervisor: [`ChildSpec::named`].
    pub fn named(self, name: impl Into<String>) -> Self {
        ListenerSpec { child: self.child.named(name), ..self }
    }

    /// Sets when the listener is restarted: [`ChildSpec::restart`].
    pub fn restart(self, restart: Restart) -> Self {
        ListenerSpec { child: self.child.restart(restart), ..self }
    }

    /// Sets the delay before restarts of the listener: [`ChildSpec::backoff`].
    pub fn backoff(self, backoff: Backoff) -> Self {
        ListenerSpec { child: self.child.backoff(backoff), ..self }
    }

    /// Sets whether the listener's end may end its supervisor: [`ChildSpec::significant`].
    pub fn significant(self, significant: bool) -> Self {
        ListenerSpec { child: self.child.significant(significant), ..self }
    }
}

/// Settings and readers for TCP.
impl ListenerSpec<tokio::net::TcpStream> {
    /// Sets `TCP_NODELAY` on each accepted socket: small writes are sent at once, instead of being
    /// collected while an acknowledgement is awaited. By default the operating system decides, which
    /// collects.
    pub fn nodelay(mut self, nodelay: bool) -> Self {
        self.settings.nodelay = Some(nodelay);
        self
    }

    /// Returns a handle to the local address, for a port that the operating system chooses.
    /// [`ListenerSpec`] has an example.
    pub fn address(&self) -> ListenerAddress {
        ListenerAddress { current: self.announce.subscribe() }
    }
}

/// A handle to the local address of a listener, which is known once the port is bound.
/// [`ListenerSpec::address`] returns it. The handle does not keep the port open.
#[derive(Debug, Clone)]
pub struct ListenerAddress {
    current: watch::Receiver<Option<SocketAddr>>,
}

impl ListenerAddress {
    /// Returns the address; `None` before the port is bound and after it is closed. Once the
    /// supervisor of the listener has started, the port is bound. [`ListenerSpec`] has an example.
    pub fn get(&self) -> Option<SocketAddr> {
        *self.current.borrow()
    }

    /// Waits until the port is bound, and returns the address. Returns `None` if the listener, and
    /// all copies of its specification, have been dropped.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn bound(&self) -> Option<SocketAddr> {
        consume_budget().await;
        let mut current = self.current.clone();
        let bound = current.wait_for(Option::is_some).await;
        bound.ok().and_then(|address| *address)
    }
}

impl<S> Clone for ListenerSpec<S> {
    fn clone(&self) -> Self {
        ListenerSpec {
            child: self.child.clone(),
            settings: self.settings.clone(),
            tree: self.tree.clone(),
            announce: self.announce.clone(),
            release: self.release.clone(),
            sockets: PhantomData,
        }
    }
}

impl<S> fmt::Debug for ListenerSpec<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ListenerSpec")
            .field("child", &self.child)
            .field("max_connections", &self.settings.most)
            .field("drain", &self.settings.drain)
            .finish_non_exhaustive()
    }
}

impl<S> From<ListenerSpec<S>> for ChildSpec {
    fn from(listener: ListenerSpec<S>) -> Self {
        let ListenerSpec { mut child, settings, tree, release, .. } = listener;
        let given_up = GivenUp::default();
        let built = ChildSpec::from(tree(settings, given_up.clone()));
        let spec = child.edit();
        spec.start.clone_from(&built.spec.start);
        spec.nested.clone_from(&built.spec.nested);
        spec.release = release.map(|release| {
            CaughtDrop::new(Arc::new(move || release(&given_up)) as Arc<dyn Fn() + Send + Sync>)
        });
        child
    }
}
