//! The invariants of a plan, and the checker that looks at them after each step.
//!
//! **Invariants**
//! 1. The checks are taken out of the lock while they run, since they are code of a user. A step
//!    inside a check, for example by a check that drops a process, finds none and checks nothing.
//! 2. The first failure is kept. After it, nothing is checked.

use std::fmt::Display;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::base::current_process::CurrentGuard;
use crate::base::user_panics::catch_panic;
use crate::base::{Pid, PlainMutex};
use crate::runtime::Runtime;
use crate::testing::chaos::failure::{Failed, Failure};
use crate::testing::chaos::log::Log;
use crate::testing::chaos::tree::ChaosTree;

/// What an invariant of a [`ChaosPlan`](crate::testing::ChaosPlan) returns: `bool`, or a `Result`
/// whose error says why the invariant does not hold.
pub trait Verdict: sealed::Sealed {
    /// Returns why the invariant does not hold; an empty text if no reason is known.
    #[doc(hidden)]
    fn verdict(self) -> Result<(), String>;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for bool {}
    impl<E> Sealed for Result<(), E> {}
}

impl Verdict for bool {
    fn verdict(self) -> Result<(), String> {
        if self { Ok(()) } else { Err(String::new()) }
    }
}

impl<E: Display> Verdict for Result<(), E> {
    fn verdict(self) -> Result<(), String> {
        self.map_err(|error| error.to_string())
    }
}

type Holds = Box<dyn FnMut(&ChaosTree) -> Result<(), String> + Send>;

/// A closure of a user that says whether something holds.
pub(super) struct Check {
    location: &'static Location<'static>,
    holds: Holds,
}

impl Check {
    pub(super) fn new<V: Verdict>(
        location: &'static Location<'static>,
        mut holds: impl FnMut(&ChaosTree) -> V + Send + 'static,
    ) -> Self {
        Check { location, holds: Box::new(move |tree| holds(tree).verdict()) }
    }

    /// Returns the failure if it does not hold.
    fn run(&mut self, tree: &ChaosTree) -> Result<(), String> {
        let holds = &mut self.holds;
        catch_panic(|| holds(tree)).unwrap_or_else(|panic| Err(format!("panicked: {panic}")))
    }
}

/// What holds within a time after the last fault is over.
pub(super) struct Eventually {
    pub(super) within: Duration,
    check: Check,
    held: bool,
}

impl Eventually {
    pub(super) fn new(within: Duration, check: Check) -> Self {
        Eventually { within, check, held: false }
    }
}

/// The checks of one run.
#[derive(Default)]
pub(super) struct Checks {
    pub(super) always: Vec<Check>,
    pub(super) eventually: Vec<Eventually>,
}

/// Looks at the checks of one run.
pub(super) struct Checker {
    runtime: Runtime,
    root: Pid,
    /// When the tree had started.
    pub(super) start: Instant,
    log: Arc<Log>,
    state: PlainMutex<State>,
    /// Notified at the first failure.
    pub(super) failed: Notify,
    /// Notified when everything that is to hold eventually has held.
    pub(super) all_held: Notify,
}

#[derive(Default)]
struct State {
    /// Invariant 1.
    checks: Option<Checks>,
    /// Whether all faults are over.
    settling: bool,
    failure: Option<Failed>,
}

impl Checker {
    /// The checker of a tree that has just started.
    pub(super) fn new(runtime: &Runtime, root: Pid, log: Arc<Log>) -> Arc<Self> {
        Arc::new(Checker {
            runtime: runtime.clone(),
            root,
            start: Instant::now(),
            log,
            state: PlainMutex::default(),
            failed: Notify::new(),
            all_held: Notify::new(),
        })
    }

    /// Looks at these checks from now on.
    pub(super) fn watch(&self, checks: Checks) {
        self.state.lock().checks = Some(checks);
    }

    /// The time since the tree has started.
    pub(super) fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    pub(super) fn tree(&self) -> ChaosTree {
        ChaosTree::new(&self.runtime, self.root, self.elapsed())
    }

    /// Writes down what has happened, and looks at all checks.
    pub(super) fn step(&self) {
        self.log.add_events(self.elapsed());
        let (checks, settling) = {
            let mut state = self.state.lock();
            if state.failure.is_some() {
                return; // Invariant 2.
            }
            (state.checks.take(), state.settling)
        };
        let Some(mut checks) = checks else { return };
        // The checks are no code of the process that has just been polled.
        let outside = CurrentGuard::enter(0, Pid::OUTSIDE);
        let tree = self.tree();
        let failed = checks.always.iter_mut().find_map(|check| {
            let why = check.run(&tree).err()?;
            Some(Failure::Always { location: check.location, why })
        });
        if settling && failed.is_none() {
            for eventually in checks.eventually.iter_mut().filter(|own| !own.held) {
                eventually.held = eventually.check.run(&tree).is_ok();
            }
            if checks.eventually.iter().all(|own| own.held) {
                self.all_held.notify_one();
            }
        }
        drop(outside);
        self.state.lock().checks = Some(checks);
        if let Some(failure) = failed {
            self.fail(failure);
        }
    }

    /// From now on, what is to hold eventually may hold. Returns how long each may take.
    pub(super) fn settle(&self) -> Vec<Duration> {
        let mut state = self.state.lock();
        state.settling = true;
        let checks = state.checks.iter().flat_map(|checks| &checks.eventually);
        checks.map(|own| own.within).collect()
    }

    /// Fails if something that may take this long has not held yet.
    pub(super) fn is_due(&self, within: Duration) {
        self.step();
        let Some(mut checks) = self.state.lock().checks.take() else { return };
        let late = checks.eventually.iter_mut().find(|own| !own.held && own.within <= within);
        let failure = late.map(|own| Failure::Eventually {
            location: own.check.location,
            within: own.within,
            why: own.check.run(&self.tree()).err().unwrap_or_default(),
        });
        self.state.lock().checks = Some(checks);
        if let Some(failure) = failure {
            self.fail(failure);
        }
    }

    /// Keeps the failure, unless there is one already.
    pub(super) fn fail(&self, failure: Failure) {
        let (at, tree) = (self.elapsed(), self.tree().snapshot().to_string());
        let failed = Failed { failure, at, tree };
        self.state.lock().failure.get_or_insert(failed);
        self.failed.notify_one();
    }

    pub(super) fn has_failed(&self) -> bool {
        self.state.lock().failure.is_some()
    }

    pub(super) fn take_failure(&self) -> Option<Failed> {
        self.state.lock().failure.take()
    }
}
