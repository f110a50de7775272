//! Finds the holder of a key, or starts one.
//!
//! 1. A start in progress under the key is joined.
//! 2. A process that holds the key is the result, also during its `init`: its mailbox takes the
//!    request.
//! 3. A key that is reserved for a restart is waited for.
//! 4. If the key is free, a start is led. If it fails although another process holds the key, or is
//!    about to, the key is looked up again.

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
/// [`LONGEST_PAUSE`]. Without pauses, servers that end at once would be started in a busy loop, in
/// which a paused clock would never reach the time limit.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// One request: its key, its time limit, and the pauses between its starts.
pub(super) struct Attempt<'a, K> {
    key: &'a K,
    limit: Duration,
    pub(super) due: Option<Instant>,
    /// The number of starts that the request has waited for.
    starts: u32,
    /// The pause before the next start, or zero if the request has paused.
    pause: Duration,
}

impl<'a, K: Clone> Attempt<'a, K> {
    /// The deadline of the call that the running code handles shortens the limit, if deadlines are
    /// propagated.
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

    /// Counts a start, and sets the pause before the next one.
    fn count_start(&mut self) {
        self.starts += 1;
        if let Some(doublings) = self.starts.checked_sub(2) {
            let pause = FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(doublings));
            self.pause = pause.min(LONGEST_PAUSE);
        }
    }

    /// Pauses before a start, if a pause is due. Returns whether it has paused: the key is then to be
    /// looked up again.
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
    /// Returns the server that holds the key. `None` also if there is something to wait for or to
    /// report.
    pub(super) fn running(&self, key: &K) -> Option<ServerProcess<S>> {
        if self.starts.is_pending(key) {
            return None;
        }
        match self.registry.status(key) {
            KeyStatus::Held(process) => process.into_any().downcast().ok(),
            KeyStatus::Reserved | KeyStatus::Free => None,
        }
    }

    /// Returns the server that holds the key. Starts one if there is none.
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
            // The notification is enabled before the lookup, so a change after it is not missed.
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

    /// Leads the start under the key, or joins the one in progress. `Ok` means that the key is to be
    /// looked up again.
    async fn start_or_join(
        &self,
        spec: &mut impl FnMut() -> ServerSpec<S>,
        attempt: &mut Attempt<'_, K>,
    ) -> Result<(), KeyedError<K>> {
        let (key, kernel) = (attempt.key, self.supervisor.server.kernel());
        let refused = |error| KeyedError::NotStarted { key: key.clone(), error };
        let part = self.starts.take_part(key);
        // A start that was in progress has finished since the lookup.
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

    /// Adds the wait of the caller for the supervisor to the wait graph, as a call of the supervisor
    /// does.
    fn wait_edge(&self) -> Result<Option<WaitEdge>, CallError> {
        self.supervisor.server.resolve().map_or(Ok(None), |supervisor| wait_edge(&supervisor))
    }

    fn is_free(&self, key: &K) -> bool {
        matches!(self.registry.status(key), KeyStatus::Free)
    }

    /// Starts a server under the key in a task, which no caller can delay. An outcome of `Ok` means
    /// that the key is to be looked up again.
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

/// Returns whether another process holds this key, or did when the start was refused.
fn is_about_key<K>(error: &StartError, key: &K) -> bool {
    match error {
        StartError::AlreadyStarted { name, .. } | StartError::NameReserved { name, .. } => {
            *name == type_text(key)
        }
        _ => false,
    }
}

/// The text of a key in an error that the caller never gets: the caller gets the key.
fn type_text<K>(_: &K) -> String {
    format!("a key of the type {}", std::any::type_name::<K>())
}
