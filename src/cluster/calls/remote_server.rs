//! Typed handles to servers of other nodes.

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::ser::Serialize;

use crate::base::consume_budget;
use crate::call::Reply;
use crate::cluster::calls::remote_call::{Callee, encode};
use crate::cluster::remote::RemoteName;
use crate::cluster::remote::nodes::Nodes;
use crate::runtime::CallError;
use crate::server::{CALL_TIMEOUT, GenServer};

/// A handle to a server of another node, by the name that it holds there.
/// [`NodeRef::server`](crate::cluster::NodeRef::server) returns one.
///
/// The server is an `S` at another program with this crate, which
/// [exposes](crate::cluster::Node::expose) it, or a `gen_server` of Erlang or Elixir that takes the same
/// terms. The [module](crate::cluster#values-of-rust-types) says which they are; the reply has none.
/// Calls and casts to this node itself go to the local server, without any encoding.
///
/// Messages from one process to another arrive in the order in which they were sent, as long as the
/// connection lasts. The first use connects, and each use after a loss connects again.
///
/// # Examples
///
/// Two nodes in one program, which are usually two programs:
///
/// ```
/// use regrow::cluster::{Cookie, Node, Resolver};
/// use regrow::{GenServer, Name, Reply, Result, Runtime, ServerContext, Supervisor};
/// use serde::{Deserialize, Serialize};
///
/// struct Counter(u64);
///
/// #[derive(Serialize, Deserialize)]
/// enum Call {
///     Get(Reply<u64>),
/// }
///
/// #[derive(Serialize, Deserialize)]
/// enum Cast {
///     Add(u64),
/// }
///
/// impl GenServer for Counter {
///     type Args = u64;
///     type Call = Call;
///     type Cast = Cast;
///
///     async fn init(start: u64, _: &mut ServerContext<Self>) -> Result<Self> {
///         Ok(Counter(start))
///     }
///
///     async fn handle_call(&mut self, call: Call, _: &mut ServerContext<Self>) -> Result {
///         let Call::Get(reply) = call;
///         reply.send(self.0);
///         Ok(())
///     }
///
///     async fn handle_cast(&mut self, cast: Cast, _: &mut ServerContext<Self>) -> Result {
///         let Cast::Add(n) = cast;
///         self.0 += n;
///         Ok(())
///     }
/// }
///
/// const COUNTER: Name<Counter> = Name::new("counter");
///
/// # tokio::runtime::Builder::new_current_thread().enable_all()
/// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
/// let (shop, till) = (Runtime::new(), Runtime::new());
/// let node = |name, resolver| Node::new(name).cookie(Cookie::new("secret")).resolver(resolver);
/// let listening = node("shop@127.0.0.1", Resolver::without_epmd()).expose(COUNTER);
/// let address = listening.address();
/// let counter = Counter::child(40).named(COUNTER);
/// let _shop = Supervisor::one_for_one().child(counter).child(listening).start(&shop).await?;
///
/// let resolver = Resolver::without_epmd().node("shop@127.0.0.1", address.get().unwrap());
/// let _till = Supervisor::one_for_one().child(node("till@127.0.0.1", resolver)).start(&till).await?;
/// let there = till.node("shop@127.0.0.1").server(COUNTER);
/// assert!(there.cast(Cast::Add(2)));
/// assert_eq!(there.call(Call::Get).await?, 42);
/// assert_eq!(shop.server(COUNTER).call(Call::Get).await?, 42); // the same server
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })).unwrap();
/// ```
pub struct RemoteServer<S> {
    to: RemoteName,
    server: PhantomData<fn() -> S>,
}

impl<S: GenServer> RemoteServer<S> {
    pub(crate) fn new(to: RemoteName) -> Self {
        RemoteServer { to, server: PhantomData }
    }

    /// Returns the name of the node. [`RemoteServer`] has an example.
    pub fn node(&self) -> &str {
        self.to.node()
    }

    /// Returns the name of the server at that node. [`RemoteServer`] has an example.
    pub fn name(&self) -> &str {
        self.to.name()
    }

    /// Calls the server, and waits up to five seconds for the answer, as
    /// [`ServerRef::call`](crate::ServerRef::call) does. [`RemoteServer`] has an example.
    ///
    /// # Errors
    ///
    /// | error | the request was handled |
    /// |---|---|
    /// | [`InvalidRequest`](CallError::InvalidRequest): it has no term, or is no call of that server | no |
    /// | [`NoHolder`](CallError::NoHolder): no process held the name when the call's monitor arrived there | perhaps, if a process takes the name right then |
    /// | [`Overloaded`](CallError::Overloaded): the mailbox is full | no |
    /// | [`NoConnection`](CallError::NoConnection): there is no connection, or it was lost | perhaps |
    /// | [`Timeout`](CallError::Timeout) | perhaps, now or later |
    /// | [`Exited`](CallError::Exited): the server ended | perhaps |
    /// | [`NoReply`](CallError::NoReply): the server has dropped the reply | perhaps |
    /// | [`InvalidAnswer`](CallError::InvalidAnswer): the answer has no term, or is no `T` | yes |
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped stops waiting; the server may still handle it. A late answer is
    /// dropped.
    pub async fn call<T: DeserializeOwned + Send + 'static>(
        &self,
        make: impl FnOnce(Reply<T>) -> S::Call,
    ) -> Result<T, CallError>
    where
        S::Call: Serialize,
    {
        self.call_timeout(make, CALL_TIMEOUT).await
    }

    /// Calls the server, and waits up to `limit` for the answer. While
    /// [deadlines are propagated](crate::Runtime::propagate_deadlines), the wait is no longer than that
    /// of the caller of the running handler; the other node doesn't learn the deadline.
    ///
    /// # Errors
    ///
    /// As [`call`](Self::call).
    ///
    /// # Cancel safety
    ///
    /// As [`call`](Self::call).
    pub async fn call_timeout<T: DeserializeOwned + Send + 'static>(
        &self,
        make: impl FnOnce(Reply<T>) -> S::Call,
        limit: Duration,
    ) -> Result<T, CallError>
    where
        S::Call: Serialize,
    {
        let RemoteName { runtime, name, .. } = &self.to;
        let Some(node) = self.to.parsed() else {
            consume_budget().await;
            return Err(CallError::NoConnection);
        };
        if Nodes::of(&runtime.kernel).is_own(node) {
            return runtime.server::<S>(name.clone()).call_timeout(make, limit).await;
        }
        let request = encode(runtime, &make(Reply::unconnected()));
        consume_budget().await;
        Callee { runtime, node, name }.call(request?, Some(limit)).await
    }

    /// Sends the server a message and doesn't wait. Returns false if the message has no term, or the
    /// name of the node is invalid; for a server of this node, the result of
    /// [`ServerRef::cast`](crate::ServerRef::cast). True says nothing of a server at the other node.
    /// [`RemoteServer`] has an example.
    pub fn cast(&self, cast: S::Cast) -> bool
    where
        S::Cast: Serialize,
    {
        let RemoteName { runtime, name, .. } = &self.to;
        let is_own = |node| Nodes::of(&runtime.kernel).is_own(node);
        if self.to.parsed().is_some_and(is_own) {
            return runtime.server::<S>(name.clone()).cast(cast);
        }
        self.to.cast(cast).unwrap_or(false)
    }
}

impl<S> Clone for RemoteServer<S> {
    fn clone(&self) -> Self {
        RemoteServer { to: self.to.clone(), server: PhantomData }
    }
}

impl<S> fmt::Debug for RemoteServer<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RemoteServer({:?} at {:?})", self.to.name(), self.to.node())
    }
}
