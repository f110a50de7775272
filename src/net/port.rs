//! Ports: bound listeners that are borrowed from a `Keep`, and the lease that decides whether a port
//! outlives its acceptor.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use tokio::sync::watch;

use crate::base::Pid;
use crate::child::{Keep, KeepGuard};
use crate::exit::Result;
use crate::runtime::Runtime;

/// A client that was accepted: its socket, and its address if the transport has one.
pub(crate) trait Incoming: Send + Sized + 'static {
    /// Sends data at once, without waiting, as far as the socket takes it. Closes the connection.
    fn refuse(self, answer: &[u8]);

    fn set_nodelay(&self, nodelay: bool) -> io::Result<()>;
}

/// A listener of the operating system.
pub(crate) trait Listen<I>: Send + 'static {
    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<I>>;

    /// Returns the local address as text.
    fn address(&self) -> String;

    /// Returns the local address, if it is one of TCP.
    fn socket_address(&self) -> Option<SocketAddr>;
}

/// A listener that is borrowed from a `Keep`. The drop returns the listener to the `Keep`.
pub(crate) trait Port<I>: Send {
    fn listener(&self) -> &dyn Listen<I>;

    /// Closes the listener. The next use of the `Keep` binds another.
    fn close(self: Box<Self>);
}

impl<I, L: Listen<I>> Port<I> for KeepGuard<L> {
    fn listener(&self) -> &dyn Listen<I> {
        &**self
    }

    fn close(self: Box<Self>) {
        drop(self.take());
    }
}

/// Borrows a port. Binds it first, if it is not bound.
type Lend<I> = Arc<dyn Fn() -> BoxFuture<'static, Result<Box<dyn Port<I>>>> + Send + Sync>;

/// Where the port of a listener is borrowed from.
pub(crate) struct Borrow<I> {
    lend: Lend<I>,
    /// Closes the port, unless it is lent. Returns whether it closed one.
    close: Arc<dyn Fn() -> bool + Send + Sync>,
    given_up: GivenUp,
}

/// Whether the supervisor has ended one listener for good. Each child has its own, also if it has
/// the port of another one.
pub(crate) type GivenUp = Arc<AtomicBool>;

impl<I> Clone for Borrow<I> {
    fn clone(&self) -> Self {
        let (lend, close) = (self.lend.clone(), self.close.clone());
        Borrow { lend, close, given_up: self.given_up.clone() }
    }
}

impl<I> Borrow<I> {
    /// Returns the same port for one child.
    pub(crate) fn of_child(&self, given_up: GivenUp) -> Self {
        Borrow { given_up, ..self.clone() }
    }

    pub(crate) async fn lend(&self) -> Result<Box<dyn Port<I>>> {
        self.given_up.store(false, Ordering::SeqCst);
        (self.lend)().await
    }

    /// Closes the port of a listener that was given up, also if an acceptor that ends has it yet. The
    /// acceptor returns the port first, and then checks the mark; this function sets the mark first.
    /// So at least one of them finds the port in the `Keep`. Returns whether this call closed it.
    pub(crate) fn give_up(&self) -> bool {
        self.given_up.store(true, Ordering::SeqCst);
        (self.close)()
    }

    fn close_if_given_up(&self) -> bool {
        self.given_up.load(Ordering::SeqCst) && (self.close)()
    }
}

/// Borrows the port from this `Keep`.
pub(crate) fn borrow<I: 'static, L: Listen<I>>(keep: Keep<L>) -> Borrow<I> {
    let own = keep.clone();
    let lend: Lend<I> = Arc::new(move || {
        let keep = keep.clone();
        Box::pin(async move { Ok(Box::new(keep.lend().await?) as Box<dyn Port<I>>) })
    });
    let close = Arc::new(move || own.reset_unless_lent());
    Borrow { lend, close, given_up: GivenUp::default() }
}

/// The sender of the current address of a listener.
pub(crate) type Announce = Arc<watch::Sender<Option<SocketAddr>>>;

/// The port of one acceptor. The lease begins with the start of the acceptor, before its body runs:
/// a listener that has started has an address.
///
/// The drop decides what becomes of the port. If the owner is to be started again, or the `Keep`
/// belongs to the user, the port returns to the `Keep` and stays open. Otherwise the port is closed,
/// so that clients are refused while connections still finish. The port of a listener that has ended
/// for good is closed as well, whichever comes first: that decision or the drop.
pub(crate) struct PortLease<I: 'static> {
    /// `None` only while the lease is dropped, and after [`close`](Self::close).
    port: Option<Box<dyn Port<I>>>,
    borrow: Borrow<I>,
    is_users: bool,
    announce: Announce,
    runtime: Runtime,
    /// The acceptor or, until its body runs, the supervisor of the acceptor.
    owner: Pid,
}

impl<I: 'static> PortLease<I> {
    pub(crate) fn new(
        port: Box<dyn Port<I>>,
        (borrow, is_users): (Borrow<I>, bool),
        announce: Announce,
        (runtime, owner): (Runtime, Pid),
    ) -> Self {
        announce.send_replace(port.listener().socket_address());
        PortLease { port: Some(port), borrow, is_users, announce, runtime, owner }
    }

    pub(crate) fn owned_by(self, owner: Pid) -> Self {
        let mut lease = self;
        lease.owner = owner;
        lease
    }

    /// Returns the local address as text.
    pub(crate) fn address(&self) -> String {
        self.port.as_ref().map(|port| port.listener().address()).unwrap_or_default()
    }

    pub(crate) fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<I>> {
        match &self.port {
            Some(port) => port.listener().poll_accept(cx),
            None => Poll::Pending,
        }
    }

    /// Closes the port. The next use of the `Keep` binds it again.
    pub(crate) fn close(&mut self) {
        if let Some(port) = self.port.take() {
            self.announce.send_replace(None);
            port.close();
        }
    }
}

impl<I: 'static> Drop for PortLease<I> {
    fn drop(&mut self) {
        if self.is_users {
            return;
        }
        if !self.runtime.kernel.is_started_again(self.owner) {
            self.close();
        }
        drop(self.port.take());
        if self.borrow.close_if_given_up() {
            self.announce.send_replace(None);
        }
    }
}
