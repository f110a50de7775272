//! Which workers of a pool become idle, are stopped or are started, also after the end of a client that holds
//! one. The server of a pool makes these decisions.

use std::time::Duration;

use tokio::time::Instant;

use crate::base::Pid;
use crate::pool::PoolStatus;
use crate::pool::state::{Place, State};
use crate::pool::worker_limits::Limits;

/// What the server has to do with workers.
pub(super) struct Due {
    /// The workers to be stopped, by their numbers and the pids of their first incarnations.
    pub(super) stops: Vec<(u64, Pid)>,
    /// The pause to begin, during which no worker is started.
    pub(super) pause: Option<Duration>,
    /// The number of workers to be started.
    pub(super) starts: usize,
}

impl<H: Clone> State<H> {
    /// Sets the number of workers that the pool keeps.
    pub(super) fn resize(&mut self, size: usize) -> Result<(), String> {
        let limits = Limits { size, ..self.limits };
        limits.check()?;
        self.limits = limits;
        Ok(())
    }

    /// Gives up the leases of a client that has ended. Their workers are to be stopped.
    pub(super) fn forfeit(&mut self, ended: Pid) {
        let is_of = |place| matches!(place, Place::Lent { client, .. } if client == Some(ended));
        let lent = self.workers.iter().filter(|(_, worker)| is_of(worker.place));
        let lent: Vec<u64> = lent.map(|(number, _)| *number).collect();
        lent.into_iter().for_each(|number| self.retire(number));
    }

    /// Makes the workers that were returned idle, or chooses them to be stopped. Returns the leases
    /// that have ended.
    pub(super) fn sort(&mut self) -> Vec<u64> {
        for number in std::mem::take(&mut self.returned) {
            match self.workers.get(&number).map(|worker| worker.place) {
                Some(Place::Returned) if self.is_too_old(number) => self.retire(number),
                Some(Place::Returned) => self.make_idle(number),
                _ => {}
            }
        }
        self.trim(self.limits.size + self.limits.overflow);
        std::mem::take(&mut self.ended_leases)
    }

    /// Decides which workers are stopped and started, after the clients were served. `pauses` says
    /// whether the server starts no worker now. Starts that are in progress go on.
    pub(super) fn due(&mut self, pauses: bool) -> Due {
        let stops = self.stops();
        let pause = self.failures.take_pause();
        let starts = if pauses || pause.is_some() { 0 } else { self.missing() };
        Due { stops, pause, starts }
    }

    /// Chooses the surplus workers to be stopped, when no client waits. Returns all workers whose
    /// stop has to be requested, by their numbers and the pids of their first incarnations.
    pub(super) fn stops(&mut self) -> Vec<(u64, Pid)> {
        if self.limits.overflow_idle.is_zero() && self.waiting == 0 {
            self.trim(self.limits.size);
        }
        let mut stops = Vec::new();
        for number in std::mem::take(&mut self.to_stop) {
            let Some(worker) = self.workers.get_mut(&number) else { continue };
            if worker.place == (Place::Retiring { requested: false }) {
                worker.place = Place::Retiring { requested: true };
                stops.extend(worker.first.map(|first| (number, first)));
            }
        }
        stops
    }

    /// Retires idle workers until no more than `most` are left. Those idle longest go first.
    fn trim(&mut self, most: usize) {
        while self.live() > most
            && let Some(number) = self.idle.pop_front()
        {
            self.retire(number);
        }
    }

    /// Retires the idle workers whose time is up. Returns whether there are any.
    pub(super) fn sweep(&mut self, now: Instant) -> bool {
        let before = self.retiring;
        let is_over = |since: Option<Instant>, limit: Option<Duration>| match (since, limit) {
            (Some(since), Some(limit)) => now.saturating_duration_since(since) >= limit,
            _ => false,
        };
        for number in std::mem::take(&mut self.idle) {
            let Some(worker) = self.workers.get(&number) else { continue };
            let Place::Idle(since) = worker.place else { continue };
            let overflow_idle =
                (self.live() > self.limits.size).then_some(self.limits.overflow_idle);
            let is_over = is_over(Some(worker.ready_since), self.limits.max_lifetime)
                || is_over(since, self.limits.max_idle)
                || is_over(since, overflow_idle);
            match is_over {
                true => self.retire(number),
                false => self.idle.push_back(number),
            }
        }
        self.retiring > before
    }

    /// Returns how many workers are to be started.
    pub(super) fn missing(&self) -> usize {
        let size = if self.limits.lazy { 0 } else { self.limits.size };
        let for_size = size.saturating_sub(self.live());
        let for_clients = self.wanted().saturating_sub(self.starting);
        let room = (self.limits.size + self.limits.overflow).saturating_sub(self.workers.len());
        for_size.max(for_clients).min(room)
    }

    /// Prepares the state for a new incarnation of the server. Returns the clients that this server
    /// has to monitor, by their leases.
    pub(super) fn open(&mut self) -> Vec<(u64, Pid)> {
        self.incarnation += 1;
        self.waiting = 0;
        self.failures.reopen();
        let mut clients = Vec::new();
        for (number, worker) in &mut self.workers {
            match &mut worker.place {
                Place::Lent { lease, client: Some(client) } => clients.push((*lease, *client)),
                Place::Returned => self.returned.push(*number),
                Place::Retiring { requested } => {
                    *requested = false;
                    self.to_stop.push(*number);
                }
                _ => {}
            }
        }
        clients
    }

    pub(super) fn idle_workers(&self) -> Vec<u64> {
        self.idle.iter().copied().collect()
    }

    pub(super) fn status(&self) -> PoolStatus {
        let Limits { size, overflow, .. } = self.limits;
        let tokens = self.tokens();
        let mut status = PoolStatus { size, overflow, tokens, ..PoolStatus::default() };
        for worker in self.workers.values() {
            *match worker.place {
                Place::Starting | Place::Absent => &mut status.starting,
                Place::Returned | Place::Idle(_) => &mut status.idle,
                Place::Lent { .. } => &mut status.lent,
                Place::Retiring { .. } => &mut status.stopping,
            } += 1;
        }
        status
    }
}

#[cfg(test)]
mod tests;
