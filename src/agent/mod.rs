//! [`Agent`]: a server for a value that closures read and change.
//!
//! **Uses** `base`, `call`, `child`, `exit`, `kernel`, `runtime`, `server`.
//! **Knows nothing of** the loop of a server and of supervisors: an agent is a server like any other.
//!
//! **Guarantees**
//! 1. A closure runs at most once, in the process of the agent, and never at the same time as another
//!    one.
//! 2. The closures of one process run in the order in which it has sent them.
//! 3. A closure that panics ends the agent with that crash, and its caller gets the crash.
//!
//! **The other side ends** between the steps of a request:
//!
//! | | |
//! |---|---|
//! | the agent ends before it takes the closure | the closure is dropped, not called; the caller gets `Exited` |
//! | the agent is killed while the closure runs | the closure returns first, since it does not await; its caller gets the result |
//! | the caller stops waiting before the closure is taken | the closure runs |
//! | the caller stops waiting before the result is sent | the result is dropped in the process of the agent; a panic of its destructor is logged, and the agent runs on |

use std::fmt;

use crate::base::SharedStr;
use crate::child::ChildSpec;
use crate::exit::Result;
use crate::runtime::{Name, Runtime, StartError};
use crate::server::{GenServer, ServerContext, ServerName, ServerRef, ServerSpec};

mod request;
mod agent_ref;

pub use agent_ref::AgentRef;
pub use request::{AgentCall, AgentCast, AgentInit};

/// A server for a value that several processes read and change by closures. It saves the enum of the
/// calls and the handlers of a [`GenServer`]. Elixir: `Agent`. OTP has no counterpart.
///
/// An agent is a server: it can have a name and a label, be a child of a supervisor, be suspended,
/// traced and tracked. `Agent<T>` is the type of the server, for a [`Name`] or a
/// [`KeyedServers`](crate::KeyedServers); [`AgentRef`] is the handle that closures are sent by.
///
/// # Examples
///
/// ```
/// use std::collections::HashMap;
/// use regrow::{Agent, ExitReason, Runtime};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time()
/// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
/// let rt = Runtime::new();
/// let stock = Agent::start(&rt, || HashMap::from([("tea", 3)])).await?;
///
/// // Returns when the change is made, with the result of the closure.
/// let old = stock.update(|stock| stock.insert("tea", 4)).await?;
/// assert_eq!(old, Some(3));
/// // Returns at once. The next request of this code is handled after the change.
/// stock.cast(|stock| {
///     stock.insert("milk", 1);
/// });
/// assert_eq!(stock.get(|stock| stock.len()).await?, 2);
/// assert_eq!(stock.stop(ExitReason::Normal).await?, ExitReason::Normal);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })).unwrap();
/// ```
///
/// Supervised, and found by its name:
///
/// ```
/// use regrow::{Agent, Name, Runtime, Supervisor};
///
/// const VISITS: Name<Agent<u64>> = Name::new("visits");
///
/// # tokio::runtime::Builder::new_current_thread().enable_time()
/// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
/// let rt = Runtime::new();
/// let visits = Agent::spec(|| 0).named(VISITS);
/// let tree = Supervisor::one_for_one().child(visits).start(&rt).await?;
/// let visits = rt.agent(VISITS);
/// visits.update(|visits| *visits += 1).await?;
/// assert_eq!(visits.get(|visits| *visits).await?, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })).unwrap();
/// ```
///
/// # The closures
///
/// A closure runs in the process of the agent, and all other requests wait meanwhile. A closure is
/// not async, so it should be quick and must not block. Do slow work before the request, or on a
/// copy that [`get`](AgentRef::get) returns, as in `agent.get(Clone::clone)`.
///
/// What a closure captures is moved into the agent. A closure cannot use `get` or `update` of its
/// own agent, since a closure cannot await. A [`cast`](AgentRef::cast) to its own agent is handled
/// after the closure has returned.
///
/// # How it ends
///
/// A closure that panics may have changed half of the value. So the agent ends with that crash, and
/// the caller gets it as [`Exited`](crate::CallError::Exited). A supervisor starts the agent again,
/// with the value that `init` makes; the value that the agent held is lost. The same happens in
/// Elixir.
///
/// # What it costs
///
/// A request is a call or a cast of a server, and one allocation more, for the closure.
///
/// # When not to use it
///
/// * If the value needs more than changes: a timer, a message of another process, cleanup at the end.
///   Use a [`GenServer`]. Its calls also have names that the log and the metrics show.
/// * If the value is read much more often than it is changed. All requests to an agent are handled one
///   after the other. An `Arc<RwLock<T>>`, or an `Arc` that is replaced as a whole, is read by many
///   threads at once. The chapter *Where state lives* of the book compares them.
/// * If the value must outlive a crash. [`Keep`](crate::Keep) and a database do that.
pub struct Agent<T> {
    state: T,
}

impl<T: Send + 'static> Agent<T> {
    /// Starts an agent, linked to no process, whose value `init` makes in the process of the agent.
    /// Returns when `init` has returned. [`Agent`] has an example. Elixir: `Agent.start`.
    ///
    /// # Errors
    ///
    /// [`StartError::Failed`] with the crash if `init` panics. After an error nothing of the agent is
    /// left.
    ///
    /// # Panics
    ///
    /// As [`GenServer::start`].
    ///
    /// # Cancel safety
    ///
    /// A start that is dropped kills the half-started agent.
    pub async fn start(
        runtime: &Runtime,
        init: impl FnOnce() -> T + Send + 'static,
    ) -> Result<AgentRef<T>, StartError> {
        let spec = <Self as GenServer>::spec(AgentInit::once(init));
        spec.start(runtime).await.map(AgentRef::from)
    }

    /// Starts an agent under a name, which it holds before `init` runs. A name that is made at run time
    /// is set by [`spec`](Self::spec).
    ///
    /// # Errors
    ///
    /// [`StartError::AlreadyStarted`] with the holder's pid if the name is held, and
    /// [`StartError::NameReserved`] if the name is reserved for a child that is being restarted: in
    /// both cases `init` does not run. Otherwise as [`start`](Self::start).
    ///
    /// # Panics
    ///
    /// As [`start`](Self::start).
    ///
    /// # Cancel safety
    ///
    /// As [`start`](Self::start).
    ///
    /// ```
    /// use regrow::{Agent, Name, Runtime, StartError};
    ///
    /// const HITS: Name<Agent<u32>> = Name::new("hits");
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let hits = Agent::start_named(&rt, HITS, || 40).await?;
    /// assert_eq!(rt.agent(HITS).get(|hits| *hits).await?, 40);
    /// let second = Agent::start_named(&rt, HITS, || 0).await;
    /// assert!(matches!(second, Err(StartError::AlreadyStarted { .. })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub async fn start_named(
        runtime: &Runtime,
        name: Name<Self>,
        init: impl FnOnce() -> T + Send + 'static,
    ) -> Result<AgentRef<T>, StartError> {
        let spec = <Self as GenServer>::spec(AgentInit::once(init));
        spec.named(name).start(runtime).await.map(AgentRef::from)
    }

    /// Returns a description of an agent, to which a name, a label, a time limit or a bound can be
    /// added. The agent can be started linked or monitored, by a
    /// [`KeyedServers`](crate::KeyedServers), or as a child. The compiler checks that a [`Name`]
    /// that is added here is the name of an agent of this type. Each start calls `init`, and
    /// returns a [`ServerRef`]; [`AgentRef::from`] turns it into a handle for closures.
    ///
    /// ```
    /// use regrow::{Agent, AgentRef, Overflow, Runtime};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let spec = Agent::spec(Vec::<u8>::new).named("bytes").mailbox_capacity(1_000, Overflow::Wait);
    /// let bytes = AgentRef::from(spec.start(&rt).await?);
    /// assert_eq!(bytes.get(Vec::len).await?, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub fn spec(init: impl Fn() -> T + Send + Sync + 'static) -> ServerSpec<Self> {
        <Self as GenServer>::spec(AgentInit::new(init))
    }

    /// Returns the specification of an agent as a child of a supervisor. Each start calls `init`. The
    /// child's id is the name of the type, such as `Agent<u64>`: two agents of one type need different
    /// [ids](ChildSpec::with_id). For a child with a [`Name`] use [`spec`](Self::spec): it checks that
    /// the types of the name and the value are the same. Elixir: `Agent.child_spec/1`.
    ///
    /// ```
    /// use regrow::{Agent, Restart, Runtime, Supervisor};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let lines = Agent::child(Vec::<String>::new).with_id("lines").restart(Restart::Transient);
    /// let tree = Supervisor::one_for_one().child(lines).start(&rt).await?;
    /// assert_eq!(tree.which_children().await?[0].id, "lines");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub fn child(init: impl Fn() -> T + Send + Sync + 'static) -> ChildSpec {
        <Self as GenServer>::child(AgentInit::new(init))
    }

    /// Returns the value, for [`ServerRef::peek`], which also reads it while the agent is suspended.
    ///
    /// ```
    /// use regrow::{Agent, Runtime};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let hits = Agent::start(&rt, || 40).await?;
    /// hits.server().suspend().await?;
    /// assert_eq!(hits.server().peek(|agent| *agent.state()).await?, 40);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub fn state(&self) -> &T {
        &self.state
    }
}

impl<T: Send + 'static> GenServer for Agent<T> {
    type Args = AgentInit<T>;
    type Call = AgentCall<T>;
    type Cast = AgentCast<T>;

    async fn init(init: AgentInit<T>, _: &mut ServerContext<Self>) -> Result<Self> {
        Ok(Agent { state: init.make()? })
    }

    async fn handle_call(&mut self, call: AgentCall<T>, ctx: &mut ServerContext<Self>) -> Result {
        call.run(&mut self.state, &ctx.process.kernel, ctx.pid());
        Ok(())
    }

    async fn handle_cast(&mut self, cast: AgentCast<T>, _: &mut ServerContext<Self>) -> Result {
        cast.run(&mut self.state);
        Ok(())
    }
}

impl Runtime {
    /// Returns a handle to the agent that holds this name at the time of each request. The name may be
    /// free now. [`Agent`] has an example. As [`Runtime::server`], for agents.
    pub fn agent<T: Send + 'static>(&self, name: impl Into<ServerName<Agent<T>>>) -> AgentRef<T> {
        let name: SharedStr = name.into().text;
        AgentRef::from(self.server::<Agent<T>>(name))
    }
}

impl<T: Send + 'static> From<ServerRef<Agent<T>>> for AgentRef<T> {
    fn from(server: ServerRef<Agent<T>>) -> Self {
        AgentRef { server }
    }
}

/// Shows the value, for example in [`ServerRef::peek`].
impl<T: fmt::Debug> fmt::Debug for Agent<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Agent").field(&self.state).finish()
    }
}
