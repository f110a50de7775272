//! Servers that are found by a key, and started under that key when they are asked.
//!
//! **Uses** `base`, `exit`, `time`, `kernel`, `call`, `runtime`, `child`, `server`, `supervisor`,
//! `registry`.
//! **Knows nothing of** how a key is registered and reserved: `registry`
//! does that in the start of a process.
//!
//! **Guarantees**
//! 1. A call is handled at most once. It is made again only after it was taken back, which is
//!    possible only if no handler has received it.
//! 2. Within its limit, a call fails only if a handler received it, if a mailbox is full, or if no
//!    server can be started.
//! 3. Of concurrent calls for one key, one starts a process.
//! 4. A caller that is not polled delays no other: a start runs in a task of its own.
//!
//! **Steps**, in a loop, within one time limit:
//! 1. *Find* the holder of the key. If there is none, wait for a start in progress or for a restart,
//!    or [start] a server, and find again.
//! 2. *Call* the holder. Return its answer, or its error if a handler received the call.
//! 3. If the call was given back, wait for the end of the holder, which frees or reserves the key.
//!
//! **The other side ends** between any two steps:
//!
//! | the holder ends | |
//! |---|---|
//! | before step 1 | the key is free or reserved |
//! | between steps 1 and 2 | the call is refused, and step 3 waits for the end |
//! | while it starts | the call lies in its mailbox, and is given back |
//! | while the call lies in its mailbox, for example by an idle time-out | the call is given back |
//! | in the handler of the call, or later | `Exited` |
//!
//! | the supervisor ends | |
//! |---|---|
//! | before it gets the request to start | `NotStarted` with `Unreachable` |
//! | during the start | the process is killed with it; the request fails: `NotStarted` |
//! | after the start | the server is stopped, as a holder that ends |

use std::fmt;
use std::hash::Hash;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use crate::base::{Pid, consume_budget};
use crate::call::Reply;
use crate::exit::{Result, Shutdown};
use crate::registry::Registry;
use crate::runtime::{CallError, CastError, Runtime};
use crate::server::{GenServer, NotAnswered, ServerRef, ServerSpec, call_returnable};
use crate::supervisor::DynamicSupervisorRef;

mod error;
mod pending_starts;
mod start;

use pending_starts::PendingStarts;
use start::Attempt;

pub use error::{KeyedCastError, KeyedError};

/// Servers of one type, each found by its key, and started under that key when it is asked: a device
/// by its number, a session by its token, a room by its name. A handle is cheap to clone, and all
/// clones share the keys and the starts in progress.
///
/// [`call_or_start`](Self::call_or_start) finds the server of a key, or starts it, and makes the
/// call. A server may end at any time, for example by its [idle
/// time-out](crate::ServerContext::idle_timeout): a call that it has not read starts the next
/// server.
///
/// The servers are children of a dynamic supervisor. They are [temporary](crate::Restart::Temporary):
/// after a crash the next request starts the server again. For a server that its supervisor
/// restarts, start a child under the key, by [`ChildSpec::via`](crate::ChildSpec::via) with
/// [`registry`](Self::registry). A request waits while such a child is restarted.
///
/// The keys are those of a [`Registry`] that belongs to this value. `Hash`, `Eq` and `Clone` of a
/// key must not use the registry. The servers run on when the last clone is dropped.
///
/// Elixir: a `DynamicSupervisor`, a unique `Registry`, `start_child` with a `:via` name, a match on
/// `{:already_started, pid}`, and a `GenServer.call` that exits if the server has ended in between.
///
/// # Examples
///
/// ```
/// # use regrow::doc_counter::{Call, Cast, Counter};
/// # use regrow::{GenServer, Runtime};
/// use std::time::Duration;
/// use regrow::{DynamicSupervisor, ExitReason, KeyedError, KeyedServers, StartError};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time()
/// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
/// let rt = Runtime::new();
/// let supervisor = DynamicSupervisor::new().max_children(1).start(&rt).await?;
/// let hits: KeyedServers<(u8, u8), Counter> = KeyedServers::new(&supervisor);
/// let limit = Duration::from_secs(1);
///
/// // Starts the counter, at 40.
/// let spec = || Counter::spec(40);
/// hits.cast_or_start(&(1, 2), spec, Cast::Add(2), limit).await?;
/// assert_eq!(hits.call_or_start(&(1, 2), spec, Call::Get, limit).await?, 42);
///
/// // The supervisor has its maximum of children.
/// let error = hits.call_or_start(&(3, 4), spec, Call::Get, limit).await.unwrap_err();
/// let refused = StartError::MaxChildren(1);
/// assert_eq!(error, KeyedError::NotStarted { key: (3, 4), error: refused });
///
/// // The counter ends, and is started again.
/// hits.server(&(1, 2)).unwrap().stop(ExitReason::Normal).await?;
/// assert_eq!(hits.call_or_start(&(1, 2), spec, Call::Get, limit).await?, 40);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })).unwrap();
/// ```
pub struct KeyedServers<K, S: GenServer> {
    registry: Registry<K>,
    supervisor: DynamicSupervisorRef,
    starts: Arc<PendingStarts<K>>,
    /// How a server is stopped, if that differs from the default of a child.
    shutdown: Option<Shutdown>,
    server: PhantomData<fn() -> S>,
}

impl<K, S> KeyedServers<K, S>
where
    K: Eq + Hash + Clone + Send + Sync + 'static,
    S: GenServer,
{
    /// Makes a handle whose servers are started under this supervisor. Starts nothing. The supervisor
    /// may be addressed [by name](DynamicSupervisorRef::named), and need not run yet.
    /// [`KeyedServers`] has an example.
    pub fn new(supervisor: &DynamicSupervisorRef) -> Self {
        let runtime = Runtime { kernel: supervisor.server.kernel().clone() };
        KeyedServers {
            registry: Registry::unique(&runtime),
            supervisor: supervisor.clone(),
            starts: Arc::default(),
            shutdown: None,
            server: PhantomData,
        }
    }

    /// Sets how a server that this handle starts is stopped by its supervisor. By default it has five
    /// seconds. [`Shutdown`] has an example.
    pub fn shutdown(mut self, shutdown: Shutdown) -> Self {
        self.shutdown = Some(shutdown);
        self
    }

    /// Calls the server of this key, and starts it first if there is none, all within `limit`, from the
    /// first poll on. [`KeyedServers`] has an example.
    ///
    /// * A handler receives the call at most once. The call is made again, to the next server, only if
    ///   no handler has received it: the server was ending, or left the call unread when it ended, for
    ///   whatever reason. `make` runs for each attempt.
    /// * `spec` runs only for a start. While a server runs under the key, a call costs a lookup of the
    ///   key, one small allocation, and the call itself.
    /// * Concurrent calls for one key start one server. All callers wait for its `init`, and get the
    ///   error if it fails.
    /// * The key replaces that of the specification. Its name, label, bound and time limit of `init`
    ///   apply.
    /// * The first two starts of one call follow at once. Before each further start the call pauses: for
    ///   1 ms, then twice as long each time, up to 1 s. So servers that end as soon as they have started
    ///   do not keep the program busy.
    /// * If [deadlines are propagated](Runtime::propagate_deadlines), the deadline of the call that the
    ///   caller handles shortens `limit`, and the handler of this call has a deadline.
    /// * An idle time-out should be longer than the way from a start to the call, about a millisecond
    ///   under load. With an idle time-out of zero, a new server may end before it is called.
    ///
    /// # Errors
    ///
    /// * [`NotStarted`](KeyedError::NotStarted) if no server runs and none can be started.
    /// * [`NotReady`](KeyedError::NotReady) if `limit` has passed and no handler has received the call;
    ///   then none will. With a limit of zero no server is started.
    /// * [`Call`](KeyedError::Call) with [`Exited`](CallError::Exited) if a handler received the call
    ///   and the server ended without an answer; with [`Timeout`](CallError::Timeout) if a handler has
    ///   received the call and has not answered within `limit`; with
    ///   [`Overloaded`](CallError::Overloaded) if the mailbox is full; and with the other errors of
    ///   [`ServerRef::call`].
    ///
    /// All of them name the key.
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped stops waiting; a server may still be started, and may still handle the
    /// call. A call that was never polled has no effect.
    ///
    /// # Panics
    ///
    /// As [`ServerRef::call`]. A panic of `spec` or `make` is a panic of this call; other callers that
    /// wait for the start then look the key up again.
    pub async fn call_or_start<T: Send + 'static>(
        &self,
        key: &K,
        mut spec: impl FnMut() -> ServerSpec<S>,
        make: impl Fn(Reply<T>) -> S::Call,
        limit: Duration,
    ) -> Result<T, KeyedError<K>> {
        let mut attempt = Attempt::new(self.supervisor.server.kernel(), key, limit);
        let mut found = self.running(key);
        loop {
            let process = match found.take() {
                Some(process) => process,
                None => Box::pin(self.find_or_start(&mut spec, &mut attempt)).await?,
            };
            match call_returnable(&process, &make, attempt.due).await {
                Ok(answer) => return Ok(answer),
                Err(NotAnswered::Failed(error)) => return Err(attempt.failed(error)),
                Err(NotAnswered::NotHandled) => {
                    Box::pin(attempt.await_end(process)).await?;
                }
            }
        }
    }

    /// Sends a cast to the server of this key, and starts the server first if there is none, all within
    /// `limit`.
    ///
    /// `Ok` means that the mailbox of a server has accepted the cast. The cast is then handled at most
    /// once: it is lost if the server ends before it has read the cast, for example by its idle time-out,
    /// because no caller waits that could send it again. Use [`call_or_start`](Self::call_or_start) for
    /// what must not be lost. A cast that a server refuses because it is ending goes to the next server.
    /// Starts are shared and paused as by `call_or_start`.
    ///
    /// # Errors
    ///
    /// [`KeyedCastError`], with the cast: as [`call_or_start`](Self::call_or_start), without the errors
    /// of an answer. A full mailbox gives the cast back at once, with
    /// [`Overloaded`](CallError::Overloaded), unless its policy is to drop.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the cast is dropped, or is in the mailbox already. Only a future that
    /// completes tells. A server may still be started.
    ///
    /// ```
    /// # use regrow::doc_counter::{Cast, Counter};
    /// # use regrow::{GenServer, Runtime};
    /// use std::time::Duration;
    /// use regrow::{DynamicSupervisor, KeyedServers};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let supervisor = DynamicSupervisor::new().start(&rt).await?;
    /// let hits: KeyedServers<&str, Counter> = KeyedServers::new(&supervisor);
    /// supervisor.stop().await?;
    /// let cast = hits.cast_or_start(&"/", || Counter::spec(0), Cast::Add(1), Duration::from_secs(1));
    /// let refused = cast.await.unwrap_err();
    /// assert!(matches!(refused.cast, Cast::Add(1))); // given back
    /// assert_eq!(refused.error.key(), &"/");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub async fn cast_or_start(
        &self,
        key: &K,
        mut spec: impl FnMut() -> ServerSpec<S>,
        cast: S::Cast,
        limit: Duration,
    ) -> Result<(), KeyedCastError<K, S::Cast>> {
        consume_budget().await;
        let mut attempt = Attempt::new(self.supervisor.server.kernel(), key, limit);
        let (mut found, mut cast) = (self.running(key), cast);
        loop {
            let process = match found.take() {
                Some(process) => process,
                None => match Box::pin(self.find_or_start(&mut spec, &mut attempt)).await {
                    Ok(process) => process,
                    Err(error) => return Err(KeyedCastError { error, cast }),
                },
            };
            match ServerRef::direct(process.clone()).try_cast(cast) {
                Ok(()) => return Ok(()),
                // A server that stops takes no casts: the next holder of the key does.
                Err(CastError {
                    reason: CallError::NoProc | CallError::Stopping,
                    cast: refused,
                }) => {
                    cast = refused;
                }
                Err(CastError { reason, cast }) => {
                    return Err(KeyedCastError { error: attempt.failed(reason), cast });
                }
            }
            if let Err(error) = Box::pin(attempt.await_end(process)).await {
                return Err(KeyedCastError { error, cast });
            }
        }
    }

    /// Returns a direct handle to the server that holds this key. The handle reaches one incarnation.
    /// [`KeyedServers`] has an example.
    pub fn server(&self, key: &K) -> Option<ServerRef<S>> {
        self.registry.server(key)
    }

    /// Returns the process that holds this key. It may be in its `init`.
    /// [`registry`](Self::registry) has an example.
    pub fn whereis(&self, key: &K) -> Option<Pid> {
        self.registry.whereis(key)
    }

    /// Returns the registry that has the keys: for the list of all keys, for its
    /// [changes](Registry::changes), and to start a child under a key by
    /// [`ChildSpec::via`](crate::ChildSpec::via).
    ///
    /// ```
    /// # use regrow::doc_counter::{Call, Counter};
    /// # use regrow::{GenServer, Runtime};
    /// use std::time::Duration;
    /// use regrow::{DynamicSupervisor, KeyedServers, Supervisor};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let supervisor = DynamicSupervisor::new().start(&rt).await?;
    /// let hits: KeyedServers<u8, Counter> = KeyedServers::new(&supervisor);
    /// // This counter always runs: its supervisor restarts it.
    /// let first = Counter::child(40).via(hits.registry(), 1, ());
    /// let tree = Supervisor::one_for_one().child(first).start(&rt).await?;
    /// rt.kill(hits.whereis(&1).unwrap());
    /// let call = hits.call_or_start(&1, || Counter::spec(0), Call::Get, Duration::from_secs(5));
    /// assert_eq!(call.await?, 40);
    /// assert_eq!(hits.registry().all_keys(), [1]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub fn registry(&self) -> &Registry<K> {
        &self.registry
    }
}

impl<K, S: GenServer> Clone for KeyedServers<K, S> {
    fn clone(&self) -> Self {
        KeyedServers {
            registry: self.registry.clone(),
            supervisor: self.supervisor.clone(),
            starts: self.starts.clone(),
            shutdown: self.shutdown,
            server: PhantomData,
        }
    }
}

impl<K, S: GenServer> fmt::Debug for KeyedServers<K, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyedServers")
            .field("registry", &self.registry)
            .field("supervisor", &self.supervisor)
            .finish_non_exhaustive()
    }
}
