//! What follows when a client returns a worker, and which workers count as failed.

use std::time::Duration;

use crate::pool::state::{Place, State, Worker, lease_of};

/// The time after which a worker has proved usable, even if no client has returned it.
const PROVEN_AFTER: Duration = Duration::from_secs(1);

impl<H> Worker<H> {
    /// Whether it has proved usable.
    fn is_proven(&self) -> bool {
        let was_ready = self.handle.is_some();
        self.was_returned || (was_ready && self.ready_since.elapsed() >= PROVEN_AFTER)
    }
}

impl<H: Clone> State<H> {
    /// Returns a worker from its client. Returns whether the server has to look at it.
    pub(super) fn give_back(
        &mut self,
        (number, lease): (u64, u64),
        is_same_server: bool,
        is_broken: bool,
        is_alive: impl Fn(&H) -> bool,
    ) -> bool {
        let is_lent = |worker: &Worker<H>| lease_of(worker.place) == Some(lease);
        if !self.workers.get(&number).is_some_and(is_lent) {
            return false;
        }
        if is_broken {
            self.count_failure(number);
            self.retire(number);
            return true;
        }
        if let Some(worker) = self.workers.get_mut(&number)
            && worker.handle.as_ref().is_some_and(is_alive)
        {
            worker.was_returned = true;
            self.failures.succeeded(worker.round);
        }
        if is_same_server && self.waiting == 0 && self.surplus() == 0 && !self.is_too_old(number) {
            self.make_idle(number);
            return false;
        }
        if let Some(worker) = self.workers.get_mut(&number) {
            worker.place = Place::Returned;
        }
        self.returned.push(number);
        self.ended_leases.push(lease);
        true
    }

    /// Counts the end of a worker, or its discard, as a failure unless it had proved usable.
    pub(super) fn count_failure(&mut self, number: u64) {
        let round = self.failures.round();
        if self.workers.values().any(|worker| worker.round == round && worker.is_proven()) {
            self.failures.succeeded(round);
        }
        if let Some(worker) = self.workers.get(&number).filter(|worker| !worker.is_proven()) {
            self.failures.failed(worker.round);
        }
    }
}
