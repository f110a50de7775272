//! Failpoints: named points in the code at which a proof run delays the thread, following a seeded
//! plan.
//!
//! In a normal build [`point!`] and [`step!`] expand to nothing. Under `--cfg regrow_proof` a test
//! arms a plan. Each point may then yield its thread a few times or put the thread to sleep for a
//! moment. A race that needs a delay at that point can then occur. A step is a point between two
//! awaits of a supervisor. If the test has set a hook, the step calls the hook, and then the
//! supervisor yields. The hook may kill any process.

/// Marks a point between two operations, at which operations of other processes may interleave.
macro_rules! point {
    ($name:literal) => {
        #[cfg(regrow_proof)]
        $crate::base::failpoint::reached($name);
    };
}

/// Marks a step of a supervisor between two of its awaits.
macro_rules! step {
    ($name:literal) => {
        #[cfg(regrow_proof)]
        $crate::base::failpoint::stepped($name).await;
    };
}

pub(crate) use {point, step};

#[cfg(regrow_proof)]
pub(crate) use plan::reached;
#[cfg(regrow_proof)]
pub use plan::{FailPlan, arm_failpoints, disarm_failpoints};
#[cfg(regrow_proof)]
pub use steps::at_each_step;
#[cfg(regrow_proof)]
pub(crate) use steps::stepped;

#[cfg(regrow_proof)]
pub use slices::announce_ends_at_once;
#[cfg(regrow_proof)]
pub(crate) use slices::are_ends_announced_at_once;

#[cfg(regrow_proof)]
mod slices {
    use std::sync::atomic::{AtomicBool, Ordering};

    static AT_ONCE: AtomicBool = AtomicBool::new(false);

    /// Makes this program announce the ends of processes in slices of the normal size, instead of
    /// the small slices of a proof build. The end of a process with few links and monitors is then
    /// announced in one slice. In the models this end is a single transition as well.
    pub fn announce_ends_at_once() {
        AT_ONCE.store(true, Ordering::Relaxed);
    }

    pub(crate) fn are_ends_announced_at_once() -> bool {
        AT_ONCE.load(Ordering::Relaxed)
    }
}

#[cfg(regrow_proof)]
mod plan {
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    /// The plan: what a visit of a point does, and with which probability. `yields` and `pauses`
    /// are chances per 1,000 visits.
    #[derive(Debug, Clone, Copy)]
    pub struct FailPlan {
        /// The seed of the plan's random numbers. A seed of 0 counts as 1.
        pub seed: u64,
        /// The chance that a visit yields the thread, 0 to 19 times.
        pub yields: u16,
        /// The chance that a visit puts the thread to sleep, for a requested time below 50 µs.
        pub pauses: u16,
    }

    static STATE: AtomicU64 = AtomicU64::new(0);
    static CHANCES: AtomicU64 = AtomicU64::new(0);

    /// Arms the plan for the whole program.
    pub fn arm_failpoints(plan: FailPlan) {
        CHANCES.store(u64::from(plan.yields) << 16 | u64::from(plan.pauses), Ordering::SeqCst);
        STATE.store(plan.seed.max(1), Ordering::SeqCst);
    }

    /// Disarms the plan: points do nothing from now on.
    pub fn disarm_failpoints() {
        STATE.store(0, Ordering::SeqCst);
    }

    fn next() -> Option<u64> {
        let mut state = STATE.load(Ordering::Relaxed);
        if state == 0 {
            return None;
        }
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        STATE.store(state.max(1), Ordering::Relaxed);
        Some(state)
    }

    pub(crate) fn reached(name: &'static str) {
        let Some(drawn) = next() else { return };
        let drawn = drawn ^ (name.len() as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let chances = CHANCES.load(Ordering::Relaxed);
        let (yields, pauses) = (chances >> 16, chances & 0xFFFF);
        let roll = (drawn >> 20) % 1000;
        if roll < yields {
            for _ in 0..drawn % 20 {
                std::thread::yield_now();
            }
        } else if roll < yields + pauses {
            std::thread::sleep(Duration::from_micros(drawn % 50));
        }
    }
}

#[cfg(regrow_proof)]
mod steps {
    use std::cell::RefCell;

    type Hook = Box<dyn FnMut(&'static str)>;

    thread_local! {
        static HOOK: RefCell<Option<Hook>> = const { RefCell::new(None) };
    }

    /// Sets the hook that supervisors on this thread call at each step. `None` removes the hook.
    pub fn at_each_step(hook: Option<Hook>) {
        HOOK.set(hook);
    }

    /// Calls the hook, if there is one. Returns whether there was one.
    fn call(name: &'static str) -> bool {
        // The hook is taken out while it runs, since it may itself make a supervisor reach a step.
        let Some(mut hook) = HOOK.take() else { return false };
        hook(name);
        HOOK.set(Some(hook));
        true
    }

    pub(crate) async fn stepped(name: &'static str) {
        if call(name) {
            tokio::task::yield_now().await;
        }
    }
}
