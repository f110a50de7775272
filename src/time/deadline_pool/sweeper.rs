//! The sweeper of a [deadline pool](crate::time::deadline_pool), whose header says what it guarantees
//! and names its steps.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future::select;
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::time::Instant;

use crate::base::coop::own_waker;
use crate::base::user_panics::wake;
use crate::time::deadline_pool::cached_slot::vtable_addr;
use crate::time::deadline_pool::slot_pool::NEVER;
use crate::time::deadline_pool::sweep_rate::SweepRate;
use crate::time::deadline_pool::{DeadlinePool, FREQUENT, MAX_SWEEP_INTERVAL, MIN_SWEEP_INTERVAL};

impl DeadlinePool {
    pub(super) async fn run_sweeper(self: Arc<Self>) {
        let guard = SweeperGuard(&self);
        self.task_vtable.store(vtable_addr(&own_waker().await), Ordering::Relaxed);
        let clock_runs = Handle::current().runtime_flavor() == RuntimeFlavor::MultiThread;
        let mut rate = SweepRate::new(clock_runs);
        loop {
            let next = self.sweep_once(&mut rate);
            if self.closed.load(Ordering::SeqCst) {
                // `close` may have come just before `sweep_once` stored the instant. A caller that
                // read it has armed its slot before this store, so its slot is counted.
                self.next_sweep.store(NEVER, Ordering::SeqCst);
                if self.armed() == 0 {
                    break;
                }
            }
            let base = self.base.get().copied();
            let next_at = Duration::from_nanos(next & !FREQUENT);
            let at = base.and_then(|base| base.checked_add(next_at));
            match at.filter(|_| next != NEVER) {
                None => {
                    select(
                        pin!(self.requested_by_task.notified()),
                        pin!(self.requested_by_thread.notified()),
                    )
                    .await;
                }
                Some(at) => {
                    let _ = tokio::time::timeout_at(at, self.requested_by_thread.notified()).await;
                }
            }
        }
        drop(guard);
    }

    /// Expires the slots that are due, and wakes their tasks (steps a to c). Returns the instant of
    /// the next sweep.
    fn sweep_once(&self, rate: &mut SweepRate) -> u64 {
        // Invariant 1.
        self.next_sweep.store(NEVER, Ordering::SeqCst);
        self.sweeps.fetch_add(1, Ordering::SeqCst);
        let shortest_wait = self.shortest_wait.swap(NEVER, Ordering::SeqCst);
        let mut due = Vec::new();
        let earliest = self.cache.expire_due(|| self.nanos(Instant::now()), &mut due);
        let now = self.nanos(Instant::now());
        let nexts = self.pools.iter().map(|pool| pool.expire_due(now, &mut due));
        let earliest = nexts.fold(earliest, u64::min);
        wake(due);
        let requested = (earliest != NEVER || shortest_wait != NEVER)
            .then(|| now + shortest_wait.clamp(MIN_SWEEP_INTERVAL, MAX_SWEEP_INTERVAL));
        let next = rate.next_sweep(now, self.cache.uses(), earliest, requested);
        if !self.closed.load(Ordering::SeqCst) {
            self.next_sweep.store(next, Ordering::SeqCst);
        }
        next
    }
}

/// Resets the state of the sweeper when the sweeper ends, so that no caller relies on it any more.
/// Its tokio may drop the sweeper at any time.
struct SweeperGuard<'a>(&'a DeadlinePool);

impl Drop for SweeperGuard<'_> {
    fn drop(&mut self) {
        self.0.next_sweep.store(NEVER, Ordering::SeqCst);
        self.0.started.store(false, Ordering::SeqCst);
    }
}
