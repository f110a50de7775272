//! One run of a plan: the tree, its faults, its workloads and its checks, on a thread and a tokio
//! runtime of their own.
//!
//! # Steps
//!
//! 1. The thread gets the seed of the run. The closures of the user make the plan and the tree.
//! 2. The tree starts. From then on the checker looks at the invariants after each step.
//! 3. The faults happen at their times. The run waits until the last one is over, and for a
//!    millisecond more, in which its effects happen.
//! 4. The run waits for all that is to hold eventually, for the workloads, and for the last checks.
//! 5. The tree stops. What is left of the run ends with its tokio runtime.
//!
//! A failure, and the end of the tree, end the steps 3 and 4 at once.
//!
//! Everything runs on one thread and on the paused clock. So the order of all polls, and the log,
//! depend only on the seed, the plan and the code of the user.

use std::panic::{AssertUnwindSafe, resume_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{Either, select};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use crate::base::Pid;
use crate::base::random::seed_thread;
use crate::base::user_panics::panic_text;
use crate::kernel::faults::Faults;
use crate::runtime::Runtime;
use crate::supervisor::{SupervisorRef, SupervisorSpec};
use crate::testing::chaos::failure::{Failed, Failure, LIMIT};
use crate::testing::chaos::fault::PlannedFault;
use crate::testing::chaos::inject::inject;
use crate::testing::chaos::invariants::{Checker, Checks};
use crate::testing::chaos::log::Log;
use crate::testing::chaos::plan::{ChaosPlan, Work};
use crate::time::timer_queue::after;

/// The closures of the user, which make each run.
pub(super) struct Setup<'a> {
    pub(super) spec: &'a (dyn Fn() -> SupervisorSpec + Sync),
    pub(super) configure: &'a (dyn Fn(&mut ChaosPlan) + Sync),
}

/// What a run leaves.
pub(super) struct Ran {
    /// The faults, with the children that they have hit.
    pub(super) faults: Vec<PlannedFault>,
    pub(super) log: Vec<String>,
    pub(super) failed: Option<Failed>,
}

impl Setup<'_> {
    /// Runs these faults, or those that the plan draws from the seed.
    pub(super) fn run(&self, seed: u64, faults: Option<Vec<PlannedFault>>) -> Ran {
        let own = thread::current();
        let run = || self.run_here(seed, faults);
        let ran = thread::scope(|scope| {
            let builder = thread::Builder::new().name(own.name().unwrap_or("chaos").to_owned());
            match builder.spawn_scoped(scope, run) {
                Ok(thread) => thread.join(),
                Err(error) => panic!("no thread for a chaos run: {error}"),
            }
        });
        ran.unwrap_or_else(|panic| resume_unwind(panic))
    }

    fn run_here(&self, seed: u64, faults: Option<Vec<PlannedFault>>) -> Ran {
        seed_thread(seed);
        let mut plan = ChaosPlan::new(seed);
        (self.configure)(&mut plan);
        let faults = faults.unwrap_or_else(|| plan.ranges.draw(seed));
        let tokio = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap_or_else(|error| panic!("no tokio runtime for a chaos run: {error}"));
        tokio.block_on(async { drive(plan, (self.spec)(), faults).await })
    }
}

async fn drive(plan: ChaosPlan, spec: SupervisorSpec, faults: Vec<PlannedFault>) -> Ran {
    let injected = Arc::new(Faults::default());
    let runtime = Runtime::with_faults(injected.clone());
    let log = Arc::new(Log::new(&runtime));
    let (faults, failed) = match start(&runtime, spec).await {
        Err(why) => {
            log.add_events(Duration::ZERO);
            let (failure, tree) = (Failure::NotStarted(why), "it has not started".to_owned());
            (faults, Some(Failed { failure, at: Duration::ZERO, tree }))
        }
        Ok(tree) => {
            let root = tree.pid().unwrap_or(Pid::OUTSIDE);
            let checker = Checker::new(&runtime, root, log.clone());
            let (runtime, log) = (runtime.clone(), log.clone());
            Run { plan, faults, runtime, injected, log, tree, checker }.finish().await
        }
    };
    runtime.shutdown();
    Ran { faults, log: log.take(), failed }
}

async fn start(runtime: &Runtime, spec: SupervisorSpec) -> Result<SupervisorRef, String> {
    match timeout(LIMIT, spec.start(runtime)).await {
        Ok(started) => started.map_err(|error| error.to_string()),
        Err(_) => Err("it took more than an hour".to_owned()),
    }
}

/// A run whose tree has started.
struct Run {
    plan: ChaosPlan,
    faults: Vec<PlannedFault>,
    runtime: Runtime,
    injected: Arc<Faults>,
    log: Arc<Log>,
    tree: SupervisorRef,
    checker: Arc<Checker>,
}

impl Run {
    /// Returns the faults, with the children that they have hit, and the failure.
    async fn finish(mut self) -> (Vec<PlannedFault>, Option<Failed>) {
        let (checker, tree) = (self.checker.clone(), self.tree.clone());
        checker.watch(Checks {
            always: std::mem::take(&mut self.plan.always),
            eventually: std::mem::take(&mut self.plan.eventually),
        });
        let observer = checker.clone();
        self.injected.observe(Some(Arc::new(move || observer.step())));
        let ended = {
            let scenario = pin!(self.scenario());
            let failed = pin!(checker.failed.notified());
            match select(failed, select(tree.ended(), scenario)).await {
                Either::Right((Either::Left((reason, _)), _)) => Some(reason),
                _ => None,
            }
        };
        checker.step();
        self.injected.observe(None);
        match ended {
            // The report shows the tree and its log as they were at the failure.
            _ if checker.has_failed() => return (self.faults, checker.take_failure()),
            Some(reason) if !self.plan.may_end => {
                checker.fail(Failure::Ended(reason.to_string()));
            }
            Some(_) => {}
            None => {
                if timeout(LIMIT, tree.stop()).await.is_err() {
                    checker.fail(Failure::NotStopped);
                }
            }
        }
        self.log.add_events(checker.elapsed());
        (self.faults, checker.take_failure())
    }

    /// The steps 3 and 4. Failures are left to the checker.
    async fn scenario(&mut self) {
        self.checker.step();
        let workloads: Vec<_> = self.plan.workloads.drain(..).collect();
        let workloads: Vec<_> = workloads.into_iter().map(|work| self.spawn(work)).collect();
        let mut over = self.checker.start;
        for nth in 0..self.faults.len() {
            let PlannedFault { at, effect, .. } = self.faults[nth];
            sleep_until(after(self.checker.start, at)).await;
            let tree = self.checker.tree();
            let what = inject(&self.plan, &tree, &self.injected, &mut self.faults[nth]);
            self.log.add(self.checker.elapsed(), what);
            self.checker.step();
            over = over.max(after(self.checker.start, at.saturating_add(effect.lasts())));
        }
        // The clock moves when every task waits: by then the last fault has had its effect.
        sleep_until(over + Duration::from_millis(1)).await;
        self.settle().await;
        for workload in workloads {
            if timeout_at(over + LIMIT, workload).await.is_err() {
                return self.checker.fail(Failure::WorkloadLate);
            }
        }
        for work in std::mem::take(&mut self.plan.last) {
            let work = AssertUnwindSafe(work(self.runtime.clone())).catch_unwind();
            match timeout(LIMIT, work).await.map(outcome) {
                Ok(Ok(())) => {}
                Ok(Err(why)) => return self.checker.fail(Failure::Last(why)),
                Err(_) => return self.checker.fail(Failure::LastLate),
            }
        }
    }

    /// Runs a workload as a task. Its failure fails the run at once.
    fn spawn(&self, work: Work) -> JoinHandle<()> {
        let (work, checker) = (work(self.runtime.clone()), self.checker.clone());
        tokio::spawn(async move {
            if let Err(why) = outcome(AssertUnwindSafe(work).catch_unwind().await) {
                checker.fail(Failure::Workload(why));
            }
        })
    }

    /// Waits for all that is to hold eventually.
    async fn settle(&self) {
        let over = Instant::now();
        let mut limits = self.checker.settle();
        limits.sort_unstable();
        self.checker.step();
        for within in limits {
            let all_held = self.checker.all_held.notified();
            if timeout_at(after(over, within), all_held).await.is_ok() {
                return;
            }
            self.checker.is_due(within);
        }
    }
}

/// The outcome of code of a user: an error or a panic as text.
fn outcome(
    returned: Result<crate::exit::Result, Box<dyn std::any::Any + Send>>,
) -> Result<(), String> {
    match returned {
        Ok(result) => result.map_err(|reason| reason.to_string()),
        Err(panic) => Err(format!("panicked: {}", panic_text(&*panic))),
    }
}
