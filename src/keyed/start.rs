//! Finds the server that holds a key, or starts a server under the key.
//!
//! 1. If a start under the key is in progress, the request waits for the outcome of that start.
//! 2. If a process holds the key, that process is the result. This is so even before its `init` has
//!    finished, because its mailbox already accepts the request.
//! 3. If the key is reserved for a restart, the request waits for a change, and looks the key up
//!    again.
//! 4. If the key is free, the request leads a start. A failed start is an error only if the key was
//!    not the reason and is still free. Otherwise another process has taken or reserved the key,
//!    and the key is looked up again.

use std::future::pending;
use std::hash::Hash;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::base::{consume_budget, with_caught_wakers};
use crate::child::OnceChild;
use crate::exit::Result;
use crate::kernel::{Kernel, NO_TOKIO, WaitEdge};
use crate::keyed::pending_starts::{Joined, Lead, Part};
use crate::keyed::{KeyedError, KeyedServers};
use crate::registry::KeyStatus;
use crate::runtime::{CallError, Ended, StartError, until};
use crate::server::{GenServer, ServerProcess, ServerSpec, limited, wait_edge};
use crate::time::timer_queue::after;

/// The pause before the third start for one request. Each further pause is twice as long, up to
/// [`LONGEST_PAUSE`]. Without pauses, servers that end at once would be started in a busy loop.
/// During such a loop a paused clock of tokio would not advance, and would never reach the time
/// limit.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// One request: its key, its time limit, and the pauses between its starts.
pub(super) struct Attempt<'a, K> {
    key: &'a K,
    limit: Duration,
    pub(super) due: Option<Instant>,
    /// The number of starts that the request has waited for.
    starts: u32,
    /// The pause before the next start, or zero if no pause is due.
    pause: Duration,
}

impl<'a, K: Clone> Attempt<'a, K> {
    /// Starts the time limit of a request. If deadlines are propagated, the limit ends no later
    /// than the deadline of the call that the running code handles.
    pub(super) fn new(kernel: &Kernel, key: &'a K, limit: Duration) -> Self {
        let now = Instant::now();
        let far = after(now, limit);
        let due = limited(kernel, far);
        let has_limit = due < far || now.checked_add(limit).is_some();
        let due = has_limit.then_some(due);
        let limit = due.map_or(limit, |due| limit.min(due.saturating_duration_since(now)));
        Attempt { key, limit, due, starts: 0, pause: Duration::ZERO }
    }

    pub(super) fn failed(&self, error: CallError) -> KeyedError<K> {
        KeyedError::Call { key: self.key.clone(), error }
    }

    fn not_ready(&self) -> KeyedError<K> {
        KeyedError::NotReady { key: self.key.clone(), limit: self.limit }
    }

    fn is_over(&self) -> bool {
        self.due.is_some_and(|due| due <= Instant::now())
    }

    /// Waits for the end of a holder that did not handle the request.
    pub(super) async fn await_end<S: GenServer>(
        &self,
        process: ServerProcess<S>,
    ) -> Result<(), KeyedError<K>> {
        consume_budget().await;
        let kernel = process.kernel.clone();
        let ended = Ended::of(&kernel, Some(process));
        drop(until(&kernel, self.due, ended).await.ok_or_else(|| self.not_ready())?);
        Ok(())
    }

    /// Counts a start, and sets the pause before the next start.
    fn count_start(&mut self) {
        self.starts += 1;
        if let Some(doublings) = self.starts.checked_sub(2) {
            let pause = FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(doublings));
            self.pause = pause.min(LONGEST_PAUSE);
        }
    }

    /// Pauses before a start, if a pause is due. Returns true after a pause. The caller must then
    /// look the key up again.
    async fn has_paused(&mut self, kernel: &Arc<Kernel>) -> bool {
        let pause = std::mem::take(&mut self.pause);
        if pause.is_zero() {
            return false;
        }
        let end = Instant::now() + pause;
        let end = self.due.map_or(end, |due| end.min(due));
        until(kernel, Some(end), pending::<()>()).await;
        true
    }
}

impl<K, S> KeyedServers<K, S>
where
    K: Eq + Hash + Clone + Send + Sync + 'static,
    S: GenServer,
{
    /// Returns the server that holds the key. Returns `None` if the key is free or reserved, if a
    /// start under the key is in progress, or if the holder has another type.
    pub(super) fn running(&self, key: &K) -> Option<ServerProcess<S>> {
        if self.starts.is_pending(key) {
            return None;
        }
        match self.registry.status(key) {
            KeyStatus::Held(process) => process.into_any().downcast().ok(),
            KeyStatus::Reserved | KeyStatus::Free => None,
        }
    }

    /// Returns the server that holds the key. If no process holds the key, starts a server.
    pub(super) async fn find_or_start(
        &self,
        spec: &mut impl FnMut() -> ServerSpec<S>,
        attempt: &mut Attempt<'_, K>,
    ) -> Result<ServerProcess<S>, KeyedError<K>> {
        let (key, kernel) = (attempt.key, self.supervisor.server.kernel());
        loop {
            consume_budget().await;
            if attempt.is_over() {
                return Err(attempt.not_ready());
            }
            let changed = kernel.name_changes.notified();
            let mut changed = pin!(changed);
            // The notification is enabled before the lookup, so a change after the lookup is not
            // missed.
            changed.as_mut().enable();
            if !self.starts.is_pending(key) {
                match self.registry.status(key) {
                    KeyStatus::Free => {
                        if attempt.has_paused(kernel).await {
                            continue;
                        }
                    }
                    KeyStatus::Held(process) => {
                        let process = process.into_any().downcast();
                        return process.map_err(|_| attempt.failed(CallError::WrongType));
                    }
                    KeyStatus::Reserved => {
                        let changed = pin!(with_caught_wakers(changed));
                        let changed = until(kernel, attempt.due, changed).await;
                        changed.ok_or_else(|| attempt.not_ready())?;
                        continue;
                    }
                }
            }
            self.start_or_join(spec, attempt).await?;
        }
    }

    /// Leads a start under the key, or joins the start in progress. `Ok` means that the caller must
    /// look the key up again.
    async fn start_or_join(
        &self,
        spec: &mut impl FnMut() -> ServerSpec<S>,
        attempt: &mut Attempt<'_, K>,
    ) -> Result<(), KeyedError<K>> {
        let (key, kernel) = (attempt.key, self.supervisor.server.kernel());
        let refused = |error| KeyedError::NotStarted { key: key.clone(), error };
        let part = self.starts.take_part(key);
        // Another start has finished since the lookup, so the key must be looked up again.
        if matches!(part, Part::Lead(_)) && !self.is_free(key) {
            return Ok(());
        }
        let mut edge = self.wait_edge().map_err(|error| refused(StartError::Unreachable(error)))?;
        attempt.count_start();
        let joined = match part {
            Part::Lead(lead) => self.lead(lead, spec(), key),
            Part::Join(joined) => joined,
        };
        if let Some(edge) = &mut edge {
            edge.end_with(joined.is_due());
        }
        let outcome = pin!(with_caught_wakers(joined.outcome()));
        let outcome = until(kernel, attempt.due, outcome).await;
        outcome.ok_or_else(|| attempt.not_ready())?.map_err(refused)
    }

    /// Adds an edge from the caller to the supervisor to the wait graph. A call to the supervisor
    /// adds the same edge.
    fn wait_edge(&self) -> Result<Option<WaitEdge>, CallError> {
        self.supervisor.server.resolve().map_or(Ok(None), |supervisor| wait_edge(&supervisor))
    }

    fn is_free(&self, key: &K) -> bool {
        matches!(self.registry.status(key), KeyStatus::Free)
    }

    /// Starts a server under the key in a task of its own, so that no caller can delay the start.
    /// An outcome of `Ok` means that the key must be looked up again.
    fn lead(&self, lead: Lead<K>, spec: ServerSpec<S>, key: &K) -> Joined {
        let mut child = OnceChild::from(spec);
        child.spec.set_key(self.registry.start_key(key.clone(), (), type_text));
        if let Some(shutdown) = self.shutdown {
            child = child.shutdown(shutdown);
        }
        let (servers, key, joined) = (self.clone(), key.clone(), lead.join());
        let tokio = self.supervisor.server.kernel().tokio().expect(NO_TOKIO);
        drop(tokio.spawn(async move {
            let started = servers.supervisor.start_once(child).await;
            lead.finish(match started.map_err(|refused| refused.error) {
                Err(error) if !is_about_key(&error, &key) && servers.is_free(&key) => Err(error),
                _ => Ok(()),
            });
        }));
        joined
    }
}

/// Returns whether the start was refused because another process held this key, or because the key
/// was reserved.
fn is_about_key<K>(error: &StartError, key: &K) -> bool {
    match error {
        StartError::AlreadyStarted { name, .. } | StartError::NameReserved { name, .. } => {
            *name == type_text(key)
        }
        _ => false,
    }
}

/// Returns the text that names a key in a [`StartError`]. The caller never gets that error. The
/// caller's [`KeyedError`] contains the key itself.
fn type_text<K>(_: &K) -> String {
    format!("a key of the type {}", std::any::type_name::<K>())
}
