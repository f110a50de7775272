//! Waiting until a tree has nothing to do.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::yield_now;
use tokio::time::{Instant, sleep};

use crate::base::{Pid, name};
use crate::kernel::Kernel;
use crate::observe::Doing;
use crate::process::AnyProcess;
use crate::runtime::Runtime;
use crate::supervisor::SupervisorRef;
use crate::testing::CallSite;
use crate::testing::time_limit::LIMIT;

/// The number of times that the tree must be found idle in a row. In between the other tasks of
/// this thread run once: those that a timer has woken together with this one.
const IN_A_ROW: usize = 8;

/// The first pause between two looks: one step of tokio's timer.
const PAUSE: Duration = Duration::from_millis(1);

/// Waits until every server of the tree, its supervisors included, waits for a message and has none,
/// and no other process of the tree has a message that it has not taken. So all that the test has
/// sent is handled, with all that followed from it.
///
/// Under a paused clock the function returns at the first such moment, to 1 ms or, after the first
/// 100 ms, to 1 % of the time that it has waited: the clock advances by at least 1 ms, and by that
/// time no task has anything to do, so tasks and threads of async code are idle too. On a real clock
/// the code of a task child cannot be seen from outside: it counts as idle while no message waits for
/// it. Timers that are armed, restarts that are delayed and sockets do not count. On a tokio runtime
/// with several threads, a message that a process outside of the tree sends at this moment may be
/// missed.
///
/// OTP has no counterpart; tests call `sys:get_state` to wait for one server.
///
/// # Panics
///
/// If the tree is not idle within a day; the message names a process that is not.
///
/// # Cancel safety
///
/// Cancel safe.
///
/// ```
/// use regrow::testing::{await_idle, tree};
/// # use regrow::doc_counter::{Call, Cast, Counter};
/// # use regrow::{GenServer, Supervisor};
/// use regrow::Name;
///
/// const COUNTER: Name<Counter> = Name::new("counter");
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true)
/// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
/// let spec = Supervisor::one_for_one().child(Counter::child(0).named(COUNTER));
/// tree(spec).run(async |tree| {
///     tree.runtime().server(COUNTER).cast(Cast::Crash);
///     await_idle(tree).await; // the restart is over, too
///     assert_eq!(tree.runtime().server(COUNTER).call(Call::Get).await, Ok(0));
/// }).await;
/// # }));
/// ```
#[track_caller]
pub fn await_idle(tree: &SupervisorRef) -> impl Future<Output = ()> + Send + use<> {
    let (site, tree) = (CallSite::here(), tree.clone());
    async move {
        let start = Instant::now();
        let mut pause = PAUSE;
        while let Some(busy) = sleep_then_look(&tree, pause).await {
            let waited = start.elapsed();
            assert!(waited < LIMIT, "{site}: waited a day for an idle tree: {busy}");
            pause = PAUSE.max(waited / 100);
        }
    }
}

async fn sleep_then_look(tree: &SupervisorRef, pause: Duration) -> Option<BusyProcess> {
    sleep(pause).await;
    for _ in 0..IN_A_ROW {
        let busy = first_busy(tree);
        if busy.is_some() {
            return busy;
        }
        yield_now().await;
    }
    None
}

/// Returns a process of the tree that is not idle, if there is one.
fn first_busy(tree: &SupervisorRef) -> Option<BusyProcess> {
    let kernel = tree.server.kernel();
    members(kernel, tree.pid()?).iter().find_map(|process| BusyProcess::look(kernel, &**process))
}

/// Returns the live processes of the tree with this root, in the order of their pids. The pid of a
/// parent is smaller than the pids of its children, so one pass finds all of them.
pub(super) fn members(kernel: &Kernel, root: Pid) -> Vec<Arc<dyn AnyProcess>> {
    let mut all = kernel.table.values();
    all.sort_unstable_by_key(|process| process.pid());
    let mut found = BTreeSet::from([root]);
    all.retain(|process| {
        let is_child = || process.parent().is_some_and(|parent| found.contains(&parent.pid));
        let is_member = process.pid() == root || is_child();
        if is_member {
            found.insert(process.pid());
        }
        is_member
    });
    all
}

/// A process that is not idle, for a message.
pub(super) struct BusyProcess {
    pid: Pid,
    label: Option<String>,
    doing: Doing,
    queued: usize,
}

impl BusyProcess {
    fn look(kernel: &Arc<Kernel>, process: &dyn AnyProcess) -> Option<Self> {
        let (queued, is_server) = process.with(|locked| {
            let core = locked.core();
            // A process that has ended does nothing more.
            if core.has_ended() {
                return (0, false);
            }
            (locked.mail.queued(), locked.mail.is_handled())
        });
        let busy = BusyProcess { queued, ..BusyProcess::show(kernel, process.pid()) };
        let waits = busy.doing == Doing::Receiving || !is_server;
        (queued > 0 || !waits).then_some(busy)
    }

    /// Describes a process, whatever it does.
    pub(super) fn show(kernel: &Arc<Kernel>, pid: Pid) -> Self {
        let info = Runtime { kernel: kernel.clone() }.info(pid);
        let doing = info.as_ref().map_or(Doing::Working, |info| info.doing());
        let label = info.and_then(|info| info.names.into_iter().next().or(info.label));
        BusyProcess { pid, label, doing, queued: 0 }
    }
}

impl fmt::Display for BusyProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(label) = &self.label {
            write!(f, "{} ", name(label))?;
        }
        write!(f, "{} is {}", self.pid, self.doing)?;
        if self.queued > 0 {
            write!(f, ", with {} queued", self.queued)?;
        }
        Ok(())
    }
}
