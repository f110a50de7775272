//! The handle of an agent.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::agent::{Agent, AgentCall, AgentCast};
use crate::base::{Pid, PlainMutex};
use crate::exit::{ExitReason, Result};
use crate::runtime::{CallError, Ended};
use crate::server::{CALL_TIMEOUT, ServerRef};

/// A handle to an [`Agent`], which has examples. A handle is cheap to clone; dropping it does not
/// affect the agent.
///
/// As with a [`ServerRef`], a handle from a start reaches one incarnation, and a handle from
/// [`Runtime::agent`](crate::Runtime::agent) reaches the process that holds the name at the time of
/// each request. [`server`](Self::server) returns the [`ServerRef`], with all that it offers.
pub struct AgentRef<T: Send + 'static> {
    pub(super) server: ServerRef<Agent<T>>,
}

impl<T: Send + 'static> AgentRef<T> {
    /// Calls a closure with the value, and waits up to five seconds for its result. Only the result
    /// leaves the agent. [`Agent`] has an example. Elixir: `Agent.get/2`, which ends the caller instead
    /// of returning an error.
    ///
    /// # Errors
    ///
    /// * [`Exited`](CallError::Exited) with the crash if the closure panicked, even if it only
    ///   reads the value. The agent has then ended. A panic in the closure of [`ServerRef::peek`]
    ///   does not end the agent.
    /// * [`Timeout`](CallError::Timeout) if the result has not come within five seconds. The closure may
    ///   still run.
    /// * The other errors of [`ServerRef::call`].
    ///
    /// # Cancel safety
    ///
    /// A request that is dropped stops waiting; the closure may still run. If the request was never
    /// polled, the closure does not run. A result that no caller waits for is dropped in the process of
    /// the agent.
    ///
    /// # Panics
    ///
    /// As [`ServerRef::call`].
    pub async fn get<R: Send + 'static>(
        &self,
        look: impl FnOnce(&T) -> R + Send + 'static,
    ) -> Result<R, CallError> {
        self.get_timeout(look, CALL_TIMEOUT).await
    }

    /// Does the same as [`get`](Self::get), and waits up to `limit`. Elixir: `Agent.get/3`.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get), with `limit` in the place of five seconds.
    ///
    /// # Cancel safety
    ///
    /// As [`get`](Self::get).
    ///
    /// ```
    /// use std::time::Duration;
    /// use regrow::{Agent, CallError, Runtime};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true)
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let hits = Agent::start(&rt, || 40).await?;
    /// hits.server().suspend().await?; // handles nothing
    /// let limit = Duration::from_millis(100);
    /// assert_eq!(hits.get_timeout(|hits| *hits, limit).await, Err(CallError::Timeout));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub async fn get_timeout<R: Send + 'static>(
        &self,
        look: impl FnOnce(&T) -> R + Send + 'static,
        limit: Duration,
    ) -> Result<R, CallError> {
        self.server.call_timeout(|reply| AgentCall::get(look, reply), limit).await
    }

    /// Does the same as [`get`](Self::get), and waits for the successor if the agent is being
    /// restarted, all within `limit`. A closure that was queued when its agent ended is not sent to
    /// the successor, as with [`ServerRef::call_waiting`].
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get); [`Restarting`](CallError::Restarting) only if no successor has started
    /// within `limit`.
    ///
    /// # Cancel safety
    ///
    /// As [`get`](Self::get).
    ///
    /// ```
    /// use std::time::Duration;
    /// use regrow::{Agent, Name, Runtime, Supervisor};
    ///
    /// const HITS: Name<Agent<u32>> = Name::new("hits");
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let tree = Supervisor::one_for_one().child(Agent::spec(|| 40).named(HITS)).start(&rt).await?;
    /// let hits = rt.agent(HITS);
    /// rt.kill(hits.pid().unwrap());
    /// assert_eq!(hits.get_waiting(|hits| *hits, Duration::from_secs(5)).await?, 40);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub async fn get_waiting<R: Send + 'static>(
        &self,
        look: impl FnOnce(&T) -> R + Send + 'static,
        limit: Duration,
    ) -> Result<R, CallError> {
        self.update_waiting(|state| look(state), limit).await
    }

    /// Calls a closure that may change the value, and waits up to five seconds for its result. If
    /// the closure has no result, the request still returns only when the change is made. [`Agent`]
    /// has an example. Elixir: `Agent.update/2` and `Agent.get_and_update/2`; here one method does
    /// both, because a closure changes the value in its place.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get). After [`Timeout`](CallError::Timeout) the change may still be made, so a
    /// second request may make it twice.
    ///
    /// # Cancel safety
    ///
    /// As [`get`](Self::get).
    ///
    /// # Panics
    ///
    /// As [`ServerRef::call`].
    #[doc(alias = "get_and_update")]
    pub async fn update<R: Send + 'static>(
        &self,
        change: impl FnOnce(&mut T) -> R + Send + 'static,
    ) -> Result<R, CallError> {
        self.update_timeout(change, CALL_TIMEOUT).await
    }

    /// Does the same as [`update`](Self::update), and waits up to `limit`.
    /// [`get_timeout`](Self::get_timeout) has an example.
    ///
    /// # Errors
    ///
    /// As [`update`](Self::update), with `limit` in the place of five seconds.
    ///
    /// # Cancel safety
    ///
    /// As [`get`](Self::get).
    pub async fn update_timeout<R: Send + 'static>(
        &self,
        change: impl FnOnce(&mut T) -> R + Send + 'static,
        limit: Duration,
    ) -> Result<R, CallError> {
        self.server.call_timeout(|reply| AgentCall::update(change, reply), limit).await
    }

    /// Does the same as [`update`](Self::update), and waits for the successor if the agent is being
    /// restarted, all within `limit`. [`get_waiting`](Self::get_waiting) has an example.
    ///
    /// # Errors
    ///
    /// As [`get_waiting`](Self::get_waiting).
    ///
    /// # Cancel safety
    ///
    /// As [`get`](Self::get).
    pub async fn update_waiting<R: Send + 'static>(
        &self,
        change: impl FnOnce(&mut T) -> R + Send + 'static,
        limit: Duration,
    ) -> Result<R, CallError> {
        // A call that was not queued is made again. The call that is handled takes the closure.
        let change = Arc::new(PlainMutex::new(Some(change)));
        let make = |reply| {
            let change = change.clone();
            let take_and_run = move |state: &mut T| {
                let change = change.lock().take();
                change.map(|change| change(state))
            };
            AgentCall::update(take_and_run, reply)
        };
        let updated = self.server.call_waiting(make, limit).await?;
        // Only one call is ever queued.
        updated.ok_or(CallError::NoReply)
    }

    /// Sends a closure that changes the value, and returns at once. Returns false, and drops the
    /// closure, if the mailbox does not accept it: the agent has ended, is stopping, or its mailbox is
    /// full. Closures of one process are called in the order in which it has sent them, casts and calls
    /// alike. [`Agent`] has an example. Elixir: `Agent.cast/2`, which always returns `:ok`.
    ///
    /// A closure that panics ends the agent, and only the log and the supervisor see it.
    pub fn cast(&self, change: impl FnOnce(&mut T) + Send + 'static) -> bool {
        self.server.cast(AgentCast::new(change))
    }

    /// Stops the agent with this reason, and waits until it has ended, however long that takes. What was
    /// queued before is handled first. [`Agent`] has an example. Elixir: `Agent.stop/2`.
    ///
    /// # Errors
    ///
    /// As [`ServerRef::stop`].
    ///
    /// # Cancel safety
    ///
    /// As [`ServerRef::stop`].
    pub async fn stop(&self, reason: ExitReason) -> Result<ExitReason, CallError> {
        self.server.stop(reason).await
    }

    /// Stops the agent as [`stop`](Self::stop) does, and waits no longer than `limit`.
    /// [`ServerRef::stop_timeout`] has an example. Elixir: `Agent.stop/3`.
    ///
    /// # Errors
    ///
    /// As [`ServerRef::stop_timeout`].
    ///
    /// # Cancel safety
    ///
    /// As [`ServerRef::stop`].
    pub async fn stop_timeout(
        &self,
        reason: ExitReason,
        limit: Duration,
    ) -> Result<ExitReason, CallError> {
        self.server.stop_timeout(reason, limit).await
    }

    /// Returns the agent's pid, as [`ServerRef::pid`] does.
    pub fn pid(&self) -> Option<Pid> {
        self.server.pid()
    }

    /// Returns a future that resolves with the reason when the agent has ended, as
    /// [`ServerRef::ended`] does.
    pub fn ended(&self) -> Ended {
        self.server.ended()
    }

    /// Returns the handle of the agent as a server: to suspend, trace and inspect it, and for calls
    /// without a limit or from a thread. [`AgentCall`] makes the calls.
    ///
    /// ```
    /// use std::time::Duration;
    /// use regrow::{Agent, AgentCall, Runtime};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let hits = Agent::start(&rt, || 40).await?;
    /// let thread = move || {
    ///     let get = |reply| AgentCall::get(|hits| *hits, reply);
    ///     hits.server().call_blocking(get, Duration::from_secs(1))
    /// };
    /// assert_eq!(tokio::task::spawn_blocking(thread).await??, 40);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub fn server(&self) -> &ServerRef<Agent<T>> {
        &self.server
    }
}

impl<T: Send + 'static> Clone for AgentRef<T> {
    fn clone(&self) -> Self {
        AgentRef { server: self.server.clone() }
    }
}

impl<T: Send + 'static> fmt::Debug for AgentRef<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AgentRef({:?})", self.server)
    }
}
