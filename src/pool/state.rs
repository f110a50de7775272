//! What a pool knows of its workers: values only. The functions decide, and their callers act.
//!
//! ```text
//!            ready                 sort                  take
//! Starting ────────▶ Returned ────────────▶ Idle ────────────────▶ Lent
//!                     ▲  ▲                  ▲ │ found dead           │
//!            ready    │  └──────────────────┼─┼──────────────────────┤ give_back, the server decides
//!          Absent ────┘◀────────────────────┼─┘                      │
//!                                           └────────────────────────┘ give_back
//! any but Starting ── too old, surplus, broken, or its client has ended ──▶ Retiring
//! any ── its supervisor has forgotten it ──▶ (removed)
//! ```

use std::collections::VecDeque;

use tokio::time::Instant;

use crate::base::Pid;
use crate::base::random::Map;
use crate::limits::{Bucket, Token};
use crate::pool::failure_pause::Failures;
use crate::pool::worker_limits::Limits;

/// The place of a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Its first start is in progress.
    Starting,
    /// It has ended, and its supervisor restarts it.
    Absent,
    /// It is ready, and the server decides what becomes of it.
    Returned,
    /// It waits for a client. The time at which it became idle is set only if idle workers have a
    /// time limit.
    Idle(Option<Instant>),
    Lent {
        lease: u64,
        client: Option<Pid>,
    },
    /// It is to be stopped. `requested` if the server has requested the stop.
    Retiring {
        requested: bool,
    },
}

pub(super) struct Worker<H> {
    /// The incarnation that runs now, or ran last.
    pub(super) handle: Option<H>,
    /// The first incarnation, by which the supervisor knows the child.
    pub(super) first: Option<Pid>,
    pub(super) ready_since: Instant,
    /// The round of starts in which it was started.
    pub(super) round: u64,
    /// Whether a client has returned it alive and in good order.
    pub(super) was_returned: bool,
    pub(super) place: Place,
}

/// The workers of one pool. `H` is the handle of a worker.
pub(super) struct State<H> {
    pub(super) limits: Limits,
    /// The number of clients that wait in the server.
    pub(super) waiting: usize,
    pub(super) failures: Failures,
    /// The tokens for checkouts, if the pool has a rate limit.
    pub(super) bucket: Option<Bucket>,
    /// The number of servers that have opened the pool.
    pub(super) incarnation: u64,
    pub(super) workers: Map<u64, Worker<H>>,
    /// The workers at `Place::Idle`, in the order in which they became idle.
    pub(super) idle: VecDeque<u64>,
    /// The workers that may be at `Place::Returned`.
    pub(super) returned: Vec<u64>,
    /// The workers that may be at `Place::Retiring`, and whose stop has to be requested.
    pub(super) to_stop: Vec<u64>,
    /// The leases that have ended since the server last took this list, except leases whose return
    /// needed no decision of the server.
    pub(super) ended_leases: Vec<u64>,
    pub(super) starting: usize,
    pub(super) retiring: usize,
    last_worker: u64,
    last_lease: u64,
}

/// A worker that was taken for a client.
pub(super) struct Taken<H> {
    pub(super) worker: u64,
    pub(super) lease: u64,
    pub(super) incarnation: u64,
    /// The token of the rate limit that was taken with it.
    pub(super) token: Option<Token>,
    pub(super) handle: H,
}

impl<H: Clone> State<H> {
    pub(super) fn new(limits: Limits) -> Self {
        State {
            limits,
            waiting: 0,
            failures: Failures::default(),
            bucket: limits.rate.map(|rate| Bucket::new(rate, Instant::now())),
            incarnation: 0,
            workers: Map::default(),
            idle: VecDeque::new(),
            returned: Vec::new(),
            to_stop: Vec::new(),
            ended_leases: Vec::new(),
            starting: 0,
            retiring: 0,
            last_worker: 0,
            last_lease: 0,
        }
    }

    /// Adds a worker that is to be started, and returns its number.
    pub(super) fn add(&mut self) -> u64 {
        self.last_worker += 1;
        let worker = Worker {
            handle: None,
            first: None,
            ready_since: Instant::now(),
            round: self.failures.round(),
            was_returned: false,
            place: Place::Starting,
        };
        self.workers.insert(self.last_worker, worker);
        self.starting += 1;
        self.last_worker
    }

    /// Records the process of an incarnation of this worker. It may have ended by now.
    pub(super) fn started(&mut self, number: u64, pid: Pid) {
        if let Some(worker) = self.workers.get_mut(&number) {
            worker.first.get_or_insert(pid);
        }
    }

    /// Records that an incarnation of this worker is ready. Returns the handle of the one before.
    pub(super) fn ready(&mut self, number: u64, handle: H) -> Option<H> {
        let Some(worker) = self.workers.get_mut(&number) else { return Some(handle) };
        worker.ready_since = Instant::now();
        let old = worker.handle.replace(handle);
        match worker.place {
            Place::Retiring { .. } => return old,
            Place::Starting => self.starting -= 1,
            Place::Idle(_) => self.idle.retain(|&idle| idle != number),
            _ => {}
        }
        self.ended_leases.extend(lease_of(worker.place));
        worker.place = Place::Returned;
        self.returned.push(number);
        old
    }

    /// Removes a worker that its supervisor has forgotten. Returns its handle.
    pub(super) fn forget(&mut self, number: u64) -> Option<H> {
        if !matches!(self.workers.get(&number)?.place, Place::Retiring { .. }) {
            self.count_failure(number);
        }
        let worker = self.workers.remove(&number)?;
        match worker.place {
            Place::Starting => self.starting -= 1,
            Place::Idle(_) => self.idle.retain(|&idle| idle != number),
            Place::Retiring { .. } => self.retiring -= 1,
            _ => {}
        }
        self.ended_leases.extend(lease_of(worker.place));
        worker.handle
    }

    /// Takes an idle worker for a client.
    pub(super) fn take(
        &mut self,
        client: Option<Pid>,
        is_alive: impl Fn(&H) -> bool,
    ) -> Option<Taken<H>> {
        loop {
            let number = match self.limits.fifo {
                true => self.idle.pop_front()?,
                false => self.idle.pop_back()?,
            };
            if let Some(taken) = self.lend(number, client, &is_alive) {
                return Some(taken);
            }
        }
    }

    /// Takes this worker, if it is idle.
    pub(super) fn take_exactly(
        &mut self,
        number: u64,
        is_alive: impl Fn(&H) -> bool,
    ) -> Option<Taken<H>> {
        let at = self.idle.iter().position(|&idle| idle == number)?;
        self.idle.remove(at);
        self.lend(number, None, &is_alive)
    }

    /// Lends a worker that was idle, unless it is dead or too old.
    fn lend(
        &mut self,
        number: u64,
        client: Option<Pid>,
        is_alive: &impl Fn(&H) -> bool,
    ) -> Option<Taken<H>> {
        let is_old = self.is_too_old(number);
        let worker = self.workers.get_mut(&number)?;
        let Some(handle) = worker.handle.as_ref().filter(|handle| is_alive(handle)) else {
            worker.place = Place::Absent;
            return None;
        };
        if is_old {
            self.retire(number);
            return None;
        }
        self.last_lease += 1;
        let (lease, handle) = (self.last_lease, handle.clone());
        worker.place = Place::Lent { lease, client };
        let incarnation = self.incarnation;
        Some(Taken { worker: number, lease, incarnation, token: None, handle })
    }

    /// The number of workers that are being started for the first time.
    pub(super) fn starting(&self) -> usize {
        self.starting
    }

    /// Whether the stop of a worker has to be requested.
    pub(super) fn has_stops(&self) -> bool {
        !self.to_stop.is_empty()
    }

    /// Whether the supervisor knows this worker.
    pub(super) fn contains(&self, number: u64) -> bool {
        self.workers.contains_key(&number)
    }

    /// The number of workers, without those that are to be stopped.
    pub(super) fn live(&self) -> usize {
        self.workers.len() - self.retiring
    }

    /// The number of live workers that the pool does not keep when they are idle.
    pub(super) fn surplus(&self) -> usize {
        let Limits { size, overflow, overflow_idle, .. } = self.limits;
        let kept = if overflow_idle.is_zero() { size } else { size + overflow };
        self.live().saturating_sub(kept)
    }

    pub(super) fn is_too_old(&self, number: u64) -> bool {
        let Some(most) = self.limits.max_lifetime else { return false };
        self.workers.get(&number).is_some_and(|worker| worker.ready_since.elapsed() >= most)
    }

    pub(super) fn make_idle(&mut self, number: u64) {
        let since = self.limits.has_idle_limit().then(Instant::now);
        if let Some(worker) = self.workers.get_mut(&number) {
            worker.place = Place::Idle(since);
            self.idle.push_back(number);
        }
    }

    /// Marks a worker that is not in `idle` as one to stop.
    pub(super) fn retire(&mut self, number: u64) {
        let Some(worker) = self.workers.get_mut(&number) else { return };
        self.ended_leases.extend(lease_of(worker.place));
        worker.place = Place::Retiring { requested: false };
        self.retiring += 1;
        self.to_stop.push(number);
    }
}

pub(super) fn lease_of(place: Place) -> Option<u64> {
    match place {
        Place::Lent { lease, .. } => Some(lease),
        _ => None,
    }
}
