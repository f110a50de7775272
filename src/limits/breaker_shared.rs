//! What all handles of a circuit breaker share, and what its changes cause.
//!
//! **Guarantee**: when all concurrent changes have taken effect, in whatever order, the published
//! state is the latest state, and each reporting process has the health that belongs to this state.
//!
//! **Steps** of a change
//! 1. Under the lock, change the state.
//! 2. Without the lock, publish the state, log it and set the health: no waker and no log may run
//!    under the lock.
//! 3. Read the state again. If it has changed meanwhile, repeat from step 2.
//!
//! So among concurrent changes, the last one that reads the state publishes the latest state.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::base::random::Random;
use crate::base::{Pid, PlainMutex, SharedStr, ignore_panic};
use crate::limits::breaker_rules::BreakerRules;
use crate::limits::breaker_state::{Breaker, BreakerState};
use crate::observe::Health;
use crate::runtime::Runtime;

pub(super) struct Shared {
    pub(super) name: SharedStr,
    breaker: PlainMutex<(Breaker, Random)>,
    /// The processes whose health is degraded while the breaker is not closed.
    reporting: PlainMutex<Vec<(Runtime, Pid)>>,
    pub(super) state: watch::Sender<BreakerState>,
}

impl Shared {
    pub(super) fn new(name: SharedStr, rules: BreakerRules) -> Arc<Self> {
        let breaker = (Breaker::new(rules, Instant::now()), Random::fresh());
        Arc::new(Shared {
            name,
            breaker: PlainMutex::new(breaker),
            reporting: PlainMutex::default(),
            state: watch::Sender::new(BreakerState::Closed),
        })
    }

    /// Changes the breaker, and lets a new state take effect. The change receives the time, and a
    /// random number from 0 to 1.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut Breaker, Instant, f64) -> T) -> T {
        let mut guard = self.breaker.lock();
        let (breaker, random) = &mut *guard;
        let before = breaker.state();
        let done = change(breaker, Instant::now(), random.unit());
        let is_new = breaker.state() != before;
        drop(guard);
        if is_new {
            self.publish();
        }
        done
    }

    fn publish(&self) {
        loop {
            let state = self.breaker.lock().0.state();
            let replace = |published: &mut _| std::mem::replace(published, state) != state;
            if self.state.send_if_modified(replace) {
                self.log(state);
            }
            self.report_health(state);
            if self.breaker.lock().0.state() == state {
                return;
            }
        }
    }

    fn log(&self, state: BreakerState) {
        let breaker = &*self.name;
        ignore_panic(|| match state {
            BreakerState::Open => {
                tracing::warn!(target: "regrow::breaker", breaker, "circuit breaker opened");
            }
            BreakerState::HalfOpen => {
                tracing::info!(target: "regrow::breaker", breaker, "circuit breaker half-open");
            }
            BreakerState::Closed => {
                tracing::info!(target: "regrow::breaker", breaker, "circuit breaker closed");
            }
        });
    }

    /// Adds a process whose health is that of the breaker.
    pub(super) fn report_to(&self, runtime: Runtime, pid: Pid) {
        self.reporting.lock().push((runtime, pid));
        self.publish();
    }

    /// Sets the health of the reporting processes, and forgets those that have ended.
    fn report_health(&self, state: BreakerState) {
        let health = match state {
            BreakerState::Closed => Health::Ready,
            BreakerState::Open | BreakerState::HalfOpen => {
                Health::Degraded(format!("circuit breaker {:?} is open", &*self.name).into())
            }
        };
        let reporting = self.reporting.lock().clone();
        let mut ended = Vec::new();
        for (runtime, pid) in &reporting {
            if !runtime.set_health(*pid, health.clone()) {
                ended.push(*pid);
            }
        }
        if !ended.is_empty() {
            // `reporting` keeps each runtime alive, so none is dropped under the lock.
            self.reporting.lock().retain(|(_, pid)| !ended.contains(pid));
        }
    }
}
