//! How the closures of a start, a call and a cast make, read and change the value of an agent, and
//! where the result of a call goes.

use std::any::type_name;
use std::fmt;
use std::sync::Arc;

use crate::base::{Pid, PlainMutex};
use crate::call::Reply;
use crate::exit::Result;
use crate::kernel::Kernel;

/// The arguments of an [`Agent`](crate::Agent) as a [`GenServer`](crate::GenServer): the closure that
/// makes the value. [`Agent::spec`](crate::Agent::spec) and its siblings make it of a closure.
pub struct AgentInit<T>(Init<T>);

enum Init<T> {
    Each(Arc<dyn Fn() -> T + Send + Sync>),
    Once(Arc<PlainMutex<Option<OnceInit<T>>>>),
}

type OnceInit<T> = Box<dyn FnOnce() -> T + Send>;

impl<T> AgentInit<T> {
    /// Makes the arguments for any number of starts: each start calls `init`, in the process of the
    /// agent.
    ///
    /// ```
    /// use regrow::{Agent, AgentInit, DynamicSupervisor, GenServer, Runtime};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let agents = DynamicSupervisor::new().start(&rt).await?;
    /// let pid = agents.start_once(Agent::child_once(AgentInit::new(|| 40))).await?;
    /// let agent = regrow::AgentRef::from(rt.server_at::<Agent<i32>>(pid)?);
    /// assert_eq!(agent.get(|n| *n).await?, 40);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub fn new(init: impl Fn() -> T + Send + Sync + 'static) -> Self {
        AgentInit(Init::Each(Arc::new(init)))
    }

    /// Makes the arguments for one start.
    pub(super) fn once(init: impl FnOnce() -> T + Send + 'static) -> Self {
        let init: OnceInit<T> = Box::new(init);
        AgentInit(Init::Once(Arc::new(PlainMutex::new(Some(init)))))
    }

    /// Makes the value. No lock is held while the closure runs.
    pub(super) fn make(self) -> Result<T> {
        match self.0 {
            Init::Each(init) => Ok(init()),
            Init::Once(init) => {
                let init = init.lock().take();
                Ok(init.ok_or("the value of the agent was made before")?())
            }
        }
    }
}

impl<T> Clone for AgentInit<T> {
    fn clone(&self) -> Self {
        AgentInit(match &self.0 {
            Init::Each(init) => Init::Each(init.clone()),
            Init::Once(init) => Init::Once(init.clone()),
        })
    }
}

type Job<T> = Box<dyn FnOnce(&mut T, &Kernel, Pid) + Send>;

/// A call of an [`Agent`](crate::Agent): a closure, and the [`Reply`] that its result is sent to. The
/// methods of [`AgentRef`](crate::AgentRef) make it. Make it yourself for what only a
/// [`ServerRef`](crate::ServerRef) or a [`KeyedServers`](crate::KeyedServers) offers, such as an agent
/// for each key:
///
/// ```
/// use std::time::Duration;
/// use regrow::{Agent, AgentCall, DynamicSupervisor, KeyedServers, Runtime};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time()
/// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
/// let rt = Runtime::new();
/// let supervisor = DynamicSupervisor::new().start(&rt).await?;
/// let carts: KeyedServers<u32, Agent<Vec<&str>>> = KeyedServers::new(&supervisor);
/// let add = |reply| AgentCall::update(|cart: &mut Vec<_>| { cart.push("tea"); cart.len() }, reply);
/// let limit = Duration::from_secs(1);
/// assert_eq!(carts.call_or_start(&7, || Agent::spec(Vec::new), add, limit).await?, 1);
/// assert_eq!(carts.call_or_start(&7, || Agent::spec(Vec::new), add, limit).await?, 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })).unwrap();
/// ```
pub struct AgentCall<T>(Job<T>);

impl<T: 'static> AgentCall<T> {
    /// Makes the call of a closure that reads the value. [`AgentCall`] has an example.
    pub fn get<R: Send + 'static>(
        look: impl FnOnce(&T) -> R + Send + 'static,
        reply: Reply<R>,
    ) -> Self {
        Self::update(|state| look(state), reply)
    }

    /// Makes the call of a closure that may change the value. [`AgentCall`] has an example.
    pub fn update<R: Send + 'static>(
        change: impl FnOnce(&mut T) -> R + Send + 'static,
        reply: Reply<R>,
    ) -> Self {
        AgentCall(Box::new(move |state, kernel, agent| {
            let result = change(state);
            // If the caller waits no more, the result is dropped here.
            kernel.catch_destructor(agent, || reply.send(result));
        }))
    }

    pub(super) fn run(self, state: &mut T, kernel: &Kernel, agent: Pid) {
        (self.0)(state, kernel, agent);
    }
}

/// A cast of an [`Agent`](crate::Agent): a closure that changes the value.
/// [`AgentRef::cast`](crate::AgentRef::cast) makes it. Make it yourself for what only a
/// [`ServerRef`](crate::ServerRef) offers:
///
/// ```
/// use regrow::{Agent, AgentCast, Runtime};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time()
/// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
/// let rt = Runtime::new();
/// let hits = Agent::start(&rt, || 0).await?;
/// let add = AgentCast::new(|hits| *hits += 1);
/// hits.server().try_cast(add).map_err(regrow::CallError::from)?;
/// assert_eq!(hits.get(|hits| *hits).await?, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })).unwrap();
/// ```
pub struct AgentCast<T>(Box<dyn FnOnce(&mut T) + Send>);

impl<T> AgentCast<T> {
    /// Makes the cast of a closure. [`AgentCast`] has an example.
    pub fn new(change: impl FnOnce(&mut T) + Send + 'static) -> Self {
        AgentCast(Box::new(change))
    }

    pub(super) fn run(self, state: &mut T) {
        (self.0)(state);
    }
}

impl<T> fmt::Debug for AgentInit<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AgentInit<{}>", type_name::<T>())
    }
}

impl<T> fmt::Debug for AgentCall<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AgentCall<{}>", type_name::<T>())
    }
}

impl<T> fmt::Debug for AgentCast<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AgentCast<{}>", type_name::<T>())
    }
}
