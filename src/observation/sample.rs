//! Samples of mailboxes and counters, taken at intervals while an observation waits for changes.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::time::Duration;

use crate::base::{Pid, SharedStr, TimeOfDay};
use crate::kernel::Kernel;
use crate::observation::child_counters::add_slice;
use crate::observation::facts;
use crate::observation::included::View;
use crate::observation::slices::{SLICE, Slices};
use crate::observation::waits::waits_in;
use crate::observation::{
    MailboxFacts, Picture, PictureNode, PicturePath, PictureState, WaitGraph,
};
use crate::observe::{Change, ChangeKind, ChildCounters, Counters, LogLevel};
use crate::process::AnyProcess;
use crate::restart::RestartBudget;
use crate::runtime::Runtime;
use crate::supervisor::PublishedCell;

/// The number of processes that one observation samples.
const MOST: usize = 10_000;

/// The mailboxes, budgets and counters at one moment. [`Observation::sample_every`] asks for
/// samples, and has an example.
///
/// [`Observation::sample_every`]: crate::Observation::sample_every
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sample {
    /// The number of the last change that was delivered before the sample.
    pub seq: u64,
    /// When the sample was taken, by the clock of the system.
    pub time: TimeOfDay,
    /// The level of the lifecycle log.
    pub log_level: LogLevel,
    /// The processes whose mailbox differs from the last sample or picture.
    pub processes: Vec<ProcessSample>,
    /// The live supervisors of the picture, and those that started since then.
    pub supervisors: Vec<SupervisorSample>,
    /// The counters of the runtime.
    pub counters: Counters,
    /// The processes that wait for each other, of which at least one is in the observed trees.
    pub waits: WaitGraph,
}

/// The mailbox of one process, in a [`Sample`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProcessSample {
    /// The path of the process.
    pub path: SharedStr,
    /// The process.
    pub pid: Pid,
    /// Its mailbox, and what it handles.
    pub mailbox: MailboxFacts,
}

/// The children and the budget of one supervisor, in a [`Sample`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SupervisorSample {
    /// The path of the supervisor.
    pub path: SharedStr,
    /// The supervisor.
    pub pid: Pid,
    /// The number of its children, running or not.
    pub children: usize,
    /// The restarts that are left; `None` if there is no limit.
    pub budget: Option<RestartBudget>,
}

/// The processes that an observation samples.
#[derive(Debug, Default)]
pub(super) struct Sampler {
    pub(super) every: Option<Duration>,
    processes: Followed,
    /// The processes that were sampled before the last picture, which are dropped bit by bit.
    former: Followed,
    /// The sample that is being taken. A wait for it that is dropped leaves it here, to be continued.
    begun: Begun,
}

/// The sampled processes: of each its path, and its mailbox as it was last delivered.
pub(super) type Followed = BTreeMap<Pid, (PicturePath, MailboxFacts)>;

/// The part of a sample that has been taken.
#[derive(Debug, Default)]
struct Begun {
    /// The last process that was read.
    last: Option<Pid>,
    processes: Vec<ProcessSample>,
    supervisors: Vec<SupervisorSample>,
    children: Vec<ChildCounters>,
}

fn size(cell: &PublishedCell) -> (usize, Option<RestartBudget>) {
    let (listed, budget) =
        cell.change(|state| ((!state.is_partial).then_some(state.children.len()), state.budget()));
    (listed.unwrap_or_else(|| cell.count()), budget)
}

/// Returns the processes of a picture that are sampled, in slices.
async fn followed(picture: &Picture) -> Followed {
    let runs = |state| matches!(state, PictureState::Running | PictureState::Stopping);
    let (mut followed, mut slices) = (Followed::new(), Slices::default());
    for part in picture.nodes.chunks(SLICE) {
        slices.before(part.len()).await;
        let nodes = part.iter().filter(|node| runs(node.state)).take(MOST - followed.len());
        let entry =
            |node: &PictureNode| Some((node.pid?, (node.path.clone(), node.mailbox.clone())));
        followed.extend(nodes.filter_map(entry));
        if followed.len() == MOST {
            break;
        }
    }
    followed
}

impl Sampler {
    /// Returns the processes of a picture that are sampled, in slices, if there are samples. Drops what is
    /// left of the processes before the last picture.
    pub(super) async fn followed(&mut self, picture: &Picture) -> Option<Followed> {
        self.every?;
        let mut slices = Slices::default();
        while !self.former.is_empty() {
            slices.before(SLICE).await;
            for _ in 0..SLICE {
                drop(self.former.pop_first());
            }
        }
        Some(followed(picture).await)
    }

    /// Samples these processes from now on.
    pub(super) fn follow(&mut self, followed: Followed) {
        self.former.append(&mut std::mem::replace(&mut self.processes, followed));
        self.begun = Begun::default();
    }

    /// Samples a process that starts, and no longer one that ends.
    pub(super) fn note(&mut self, change: &Change) {
        let Some(pid) = change.pid else { return };
        match change.kind {
            ChangeKind::Started { .. } if self.processes.len() < MOST => {
                let path = PicturePath::from(change.path.clone());
                self.processes.insert(pid, (path, MailboxFacts::default()));
            }
            ChangeKind::Ended { .. } => drop(self.processes.remove(&pid)),
            _ => {}
        }
    }

    /// Takes a sample, in slices. If this is cancelled, the next call continues it.
    pub(super) async fn take(&mut self, runtime: &Runtime, view: &View, seq: u64) -> Sample {
        let (kernel, mut slices) = (&runtime.kernel, Slices::default());
        loop {
            slices.before(SLICE).await;
            if !self.take_slice(kernel) && !add_slice(kernel, &mut self.begun.children) {
                break;
            }
        }
        // Nothing waits after the last slice: a wait that was dropped here would begin there again.
        let Begun { processes, supervisors, children, .. } = std::mem::take(&mut self.begun);
        let (time, log_level) = (TimeOfDay::now(), kernel.log_level());
        let counters = Counters { children, ..runtime.totals() };
        let waits = waits_in(kernel, view);
        Sample { seq, time, log_level, processes, supervisors, counters, waits }
    }

    /// Reads the next processes. Returns whether there were any.
    fn take_slice(&mut self, kernel: &Kernel) -> bool {
        for _ in 0..SLICE {
            drop(self.former.pop_first());
        }
        let after = self.begun.last.map_or(Bound::Unbounded, Bound::Excluded);
        let next = self.processes.range((after, Bound::Unbounded)).take(SLICE);
        let pids: Vec<Pid> = next.map(|(pid, _)| *pid).collect();
        for (&pid, process) in pids.iter().zip(kernel.find_all(&pids)) {
            let is_there = process.is_some_and(|process| self.read(kernel, &*process));
            if !is_there {
                self.processes.remove(&pid);
            }
            self.begun.last = Some(pid);
        }
        !pids.is_empty()
    }

    /// Reads a process. Returns whether it is alive.
    fn read(&mut self, kernel: &Kernel, process: &dyn AnyProcess) -> bool {
        let pid = process.pid();
        let mut mailbox = MailboxFacts::default();
        if facts::read(kernel, process, |_, read| mailbox = read).is_none() {
            return false;
        }
        let Some((path, last)) = self.processes.get_mut(&pid) else { return false };
        if *last != mailbox {
            last.clone_from(&mailbox);
            self.begun.processes.push(ProcessSample { path: path.text().clone(), pid, mailbox });
        }
        if let Some(cell) = PublishedCell::of(process) {
            let (path, (children, budget)) = (path.text().clone(), size(&cell));
            self.begun.supervisors.push(SupervisorSample { path, pid, children, budget });
        }
        true
    }
}
