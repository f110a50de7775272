//! A tree that belongs to one test.
//!
//! **Guarantees.** When the test has ended, the tree has ended: after the return or a panic of the
//! test it was stopped as in production, and a test that is dropped in between kills it. A test that
//! returns does not pass if something is left over.
//!
//! **Steps**
//! 1. Start the tree.
//! 2. Run the closure, and catch its panic.
//! 3. Stop the tree. If that takes too long, kill its processes.
//! 4. Wait until nothing is left: processes that were killed, or that end with a value of the
//!    closure, end a few polls later.
//! 5. Continue the panic of the closure. Without one, panic if the stop was too long or something is
//!    left.
//!
//! The test is a closure, and the tree no guard, because a stop is asynchronous and a destructor
//! cannot wait: the check could be forgotten, and after a panic it could not run.

use std::fmt::Write;
use std::ops::Deref;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::{Instant, sleep, timeout};

use crate::base::Pid;
use crate::kernel::Kernel;
use crate::runtime::{Leftovers, Runtime};
use crate::supervisor::{SupervisorRef, SupervisorSpec};
use crate::testing::CallSite;
use crate::testing::idle::{BusyProcess, members};

/// The default time for the stop of a tree.
const STOP_WITHIN: Duration = Duration::from_secs(60);

/// How long the check waits for leftovers to go.
const GONE_WITHIN: Duration = Duration::from_secs(1);

/// Describes a tree for one test, which [`run`](TestTree::run) starts, passes to the test, stops and
/// checks. [`TestTree`] has an example.
#[track_caller]
pub fn tree(spec: SupervisorSpec) -> TestTree {
    TestTree { spec, runtime: None, stop_within: STOP_WITHIN, site: CallSite::here() }
}

/// A tree for one test, from [`tree`].
///
/// The tree gets a [`Runtime`] of its own, so tests that run side by side do not share names.
///
/// OTP: `start_supervised/1` of ExUnit, which stops the process after the test.
///
/// # Examples
///
/// ```
/// use regrow::testing::{await_restart, tree};
/// # use regrow::doc_counter::{Call, Cast, Counter};
/// # use regrow::{GenServer, Supervisor};
/// use regrow::Name;
///
/// const COUNTER: Name<Counter> = Name::new("counter");
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true)
/// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
/// // #[tokio::test(start_paused = true)]
/// let spec = Supervisor::one_for_one().child(Counter::child(40).named(COUNTER));
/// tree(spec).run(async |tree| {
///     let counter = tree.runtime().server(COUNTER);
///     let restart = await_restart(tree.runtime(), COUNTER.as_str());
///     counter.cast(Cast::Crash);
///     restart.await;
///     assert_eq!(counter.call(Call::Get).await, Ok(40));
/// }).await; // the tree is stopped, and nothing is left
/// # }));
/// ```
#[must_use = "it does nothing until `run`"]
#[derive(Debug)]
pub struct TestTree {
    spec: SupervisorSpec,
    runtime: Option<Runtime>,
    stop_within: Duration,
    site: CallSite,
}

/// The running tree of a test: the handle of its supervisor, and its runtime. [`TestTree`] has an
/// example.
#[derive(Debug)]
pub struct RunningTree {
    supervisor: SupervisorRef,
    runtime: Runtime,
}

impl TestTree {
    /// Starts the tree in this runtime: for a tree that needs a registry or another value that was
    /// made from a runtime. What was there before the start does not count as left over. Names, groups,
    /// links, monitors, timers and calls are compared by number.
    ///
    /// ```
    /// use regrow::testing::{Mock, tree};
    /// # use regrow::doc_counter::Counter;
    /// use regrow::{Name, Runtime, Supervisor};
    ///
    /// const RATES: Name<Counter> = Name::new("rates");
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true)
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let rates = Mock::named(&rt, RATES); // stands in for a server outside of the tree
    /// tree(Supervisor::one_for_one()).on(&rt).run(async |tree| {
    ///     assert_eq!(tree.runtime().server(RATES).pid(), Some(rates.pid()));
    /// }).await;
    /// # }));
    /// ```
    pub fn on(mut self, runtime: &Runtime) -> Self {
        self.runtime = Some(runtime.clone());
        self
    }

    /// Sets how long the stop of the tree may take; by default one minute. With
    /// [`Duration::MAX`] the stop takes as long as its children need. With zero, a tree that does
    /// not stop at once fails the test.
    pub fn stop_within(mut self, limit: Duration) -> Self {
        self.stop_within = limit;
        self
    }

    /// Starts the tree, runs the test, stops the tree, and checks that nothing is left in its
    /// runtime: processes, names, groups, links, monitors, timers and pending calls. Returns the
    /// result of the test. A test may stop the tree itself, and the tree may give up.
    ///
    /// After a panic of the test, the tree is stopped in the same way, and the panic goes on. Tokio
    /// tasks that the test has spawned are no processes, and are not looked for.
    ///
    /// # Panics
    ///
    /// If the tree does not start, does not stop [in time](Self::stop_within), or leaves something.
    /// The message begins with the line of the test, and names the processes.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, for example by a time limit of the test, all processes of the tree
    /// are killed.
    pub async fn run<T>(self, test: impl AsyncFnOnce(&RunningTree) -> T) -> T {
        let TestTree { spec, runtime, stop_within, site } = self;
        let runtime = runtime.unwrap_or_default();
        let before = Before { leftovers: runtime.leftovers(), pids: runtime.list() };
        let supervisor = match spec.start(&runtime).await {
            Ok(supervisor) => supervisor,
            Err(error) => panic!("{site}: the tree did not start: {error}"),
        };
        let killed = KillOnDrop { runtime: runtime.clone(), root: supervisor.pid() };
        let tree = RunningTree { supervisor, runtime };
        let tested = AssertUnwindSafe(test(&tree)).catch_unwind().await;
        let stopped = tree.stop_in_time(stop_within).await;
        drop(killed);
        let left = tree.wait_until_gone(&before).await;
        let tested = tested.unwrap_or_else(|panic| resume_unwind(panic));
        if let Some(remaining) = stopped.err() {
            panic!("{site}: the tree did not stop within {stop_within:?}:{remaining}");
        }
        if let Some(left) = left {
            panic!("{site}: the stopped tree has left {left}");
        }
        tested
    }
}

impl RunningTree {
    /// Returns the runtime of the tree. [`TestTree`] has an example.
    pub fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// Stops the tree. After the limit, returns the processes that still run.
    async fn stop_in_time(&self, limit: Duration) -> Result<(), String> {
        // An error means that the tree had ended, or ended with another reason: both are for the
        // test to check.
        match timeout(limit, self.supervisor.stop()).await {
            Ok(_) => Ok(()),
            Err(_) => {
                let root = self.supervisor.pid();
                let pids = root.map_or_else(Vec::new, |root| pids_of(&self.runtime.kernel, root));
                Err(describe(&self.runtime, &pids))
            }
        }
    }

    /// Waits until nothing is left that was not there before. After the limit, describes what is.
    async fn wait_until_gone(&self, before: &Before) -> Option<String> {
        let due = Instant::now() + GONE_WITHIN;
        loop {
            let left = before.added(&self.runtime);
            if left == Leftovers::default() {
                return None;
            }
            if Instant::now() >= due {
                return Some(before.describe(&self.runtime, left));
            }
            sleep(Duration::from_millis(1)).await;
        }
    }
}

impl Deref for RunningTree {
    type Target = SupervisorRef;

    fn deref(&self) -> &SupervisorRef {
        &self.supervisor
    }
}

/// What was in the runtime before the start of the tree.
struct Before {
    leftovers: Leftovers,
    pids: Vec<Pid>,
}

impl Before {
    fn added(&self, runtime: &Runtime) -> Leftovers {
        let (now, before) = (runtime.leftovers(), &self.leftovers);
        Leftovers {
            processes: self.added_pids(runtime).len(),
            names: now.names.saturating_sub(before.names),
            groups: now.groups.saturating_sub(before.groups),
            links: now.links.saturating_sub(before.links),
            monitors: now.monitors.saturating_sub(before.monitors),
            timers: now.timers.saturating_sub(before.timers),
            calls: now.calls.saturating_sub(before.calls),
        }
    }

    fn describe(&self, runtime: &Runtime, left: Leftovers) -> String {
        let counts = [
            (left.processes, "processes"),
            (left.names, "names"),
            (left.groups, "groups"),
            (left.links, "links"),
            (left.monitors, "monitors"),
            (left.timers, "timers"),
            (left.calls, "pending calls"),
        ];
        let counts = counts.into_iter().filter(|(count, _)| *count > 0);
        let counts: Vec<_> = counts.map(|(count, what)| format!("{count} {what}")).collect();
        format!("{}:{}", counts.join(", "), describe(runtime, &self.added_pids(runtime)))
    }

    fn added_pids(&self, runtime: &Runtime) -> Vec<Pid> {
        let mut pids = runtime.list();
        pids.retain(|pid| !self.pids.contains(pid));
        pids
    }
}

/// Returns one line for each process.
fn describe(runtime: &Runtime, pids: &[Pid]) -> String {
    pids.iter().fold(String::new(), |mut text, &pid| {
        let _ = write!(text, "\n  {}", BusyProcess::show(&runtime.kernel, pid));
        text
    })
}

fn pids_of(kernel: &Kernel, root: Pid) -> Vec<Pid> {
    members(kernel, root).iter().map(|process| process.pid()).collect()
}

/// Kills the processes of a tree that are alive when the guard is dropped.
struct KillOnDrop {
    runtime: Runtime,
    root: Option<Pid>,
}

impl Drop for KillOnDrop {
    fn drop(&mut self) {
        if let Some(root) = self.root {
            let kernel = &self.runtime.kernel;
            kernel.kill_all(members(kernel, root), Pid::OUTSIDE);
        }
    }
}
