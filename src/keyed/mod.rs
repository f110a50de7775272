//! Servers that are found by a key, and started under that key when they are asked.
//!
//! **Uses** `base`, `call`, `child`, `exit`, `kernel`, `mailbox`, `process`, `registry`, `runtime`,
//! `server`, `supervisor`. **Knows nothing of** how a key is registered and reserved: `registry`
//! does that in the start of a process.
//!
//! **Guarantees**
//! 1. A call is handled at most once. It is made again only after it was taken back, which is
//!    possible only if no handler has received it.
//! 2. Within its limit, a call fails only if a handler received it, if a mailbox is full, or if no
//!    server can be started.
//! 3. Of concurrent calls for one key, one starts a process.
//!
//! **Steps**, in a loop, within one time limit:
//! 1. *Find* the holder of the key. If there is none, wait for a start in progress or for a restart,
//!    or [start](start) a server, and find again.
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

/// TODO

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
    /// TODO
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

    /// TODO

    pub fn shutdown(mut self, shutdown: Shutdown) -> Self {
        self.shutdown = Some(shutdown);
        self
    }

    /// TODO

    pub async fn call_or_start<T: Send + 'static>(
        &self,
        key: &K,
        mut spec: impl FnMut() -> ServerSpec<S>,
        make: impl Fn(Reply<T>) -> S::Call,
        limit: Duration,
    ) -> Result<T, KeyedError<K>> {
        let mut attempt = Attempt::new(key, limit);
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

    /// TODO

    pub async fn cast_or_start(
        &self,
        key: &K,
        mut spec: impl FnMut() -> ServerSpec<S>,
        cast: S::Cast,
        limit: Duration,
    ) -> Result<(), KeyedCastError<K, S::Cast>> {
        consume_budget().await;
        let mut attempt = Attempt::new(key, limit);
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
                Err(CastError { reason: CallError::NoProc, cast: refused }) => cast = refused,
                Err(CastError { reason, cast }) => {
                    return Err(KeyedCastError { error: attempt.failed(reason), cast });
                }
            }
            if let Err(error) = Box::pin(attempt.await_end(process)).await {
                return Err(KeyedCastError { error, cast });
            }
        }
    }

    /// TODO

    pub fn server(&self, key: &K) -> Option<ServerRef<S>> {
        self.registry.server(key)
    }

    /// TODO

    pub fn whereis(&self, key: &K) -> Option<Pid> {
        self.registry.whereis(key)
    }

    /// TODO

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
