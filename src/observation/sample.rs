//! Samples of mailboxes and counters, taken at intervals while an observation waits for changes.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::base::{Pid, SharedStr, TimeOfDay};
use crate::observation::facts;
use crate::observation::included::View;
use crate::observation::slices::{SLICE, Slices};
use crate::observation::waits::waits_in;
use crate::observation::{MailboxFacts, Picture, PicturePath, PictureState, WaitGraph};
use crate::observe::{Change, ChangeKind, Counters};
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
    processes: BTreeMap<Pid, (PicturePath, MailboxFacts)>,
}

/// What was read of each sampled process, in their order; `None` of one that has ended.
pub(super) type Readings = Vec<Option<Reading>>;

/// What was read of a process.
pub(super) struct Reading {
    mailbox: MailboxFacts,
    /// The number of the children of a supervisor, and its budget.
    supervision: Option<(usize, Option<RestartBudget>)>,
}

fn size(cell: &PublishedCell) -> (usize, Option<RestartBudget>) {
    let (listed, budget) =
        cell.change(|state| ((!state.is_partial).then_some(state.children.len()), state.budget()));
    (listed.unwrap_or_else(|| cell.count()), budget)
}

impl Sampler {
    /// Samples the processes of this picture from now on.
    pub(super) fn follow(&mut self, picture: &Picture) {
        let runs = |state| matches!(state, PictureState::Running | PictureState::Stopping);
        let nodes = picture.nodes.iter().filter(|node| runs(node.state)).take(MOST);
        let entry = |node: &crate::observation::PictureNode| {
            Some((node.pid?, (node.path.clone(), node.mailbox.clone())))
        };
        self.processes = nodes.filter_map(entry).collect();
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

    /// Reads the sampled processes, in slices. Nothing changes if this is cancelled.
    pub(super) async fn read(&self, runtime: &Runtime) -> Readings {
        let (kernel, mut slices) = (&runtime.kernel, Slices::default());
        let pids: Vec<Pid> = self.processes.keys().copied().collect();
        let mut readings = Vec::with_capacity(pids.len());
        for part in pids.chunks(SLICE) {
            slices.before(part.len()).await;
            readings.extend(kernel.find_all(part).into_iter().map(|process| {
                let process = process?;
                let mut mailbox = MailboxFacts::default();
                facts::read(kernel, &*process, |_, read| mailbox = read)?;
                let supervision = PublishedCell::of(&*process).map(|cell| size(&cell));
                Some(Reading { mailbox, supervision })
            }));
        }
        readings
    }

    /// Makes a sample of what [`read`](Self::read) has returned.
    pub(super) fn take(
        &mut self,
        readings: Readings,
        (runtime, view): (&Runtime, &View),
        seq: u64,
    ) -> Sample {
        let (mut processes, mut supervisors) = (Vec::new(), Vec::new());
        let mut readings = readings.into_iter();
        self.processes.retain(|&pid, (path, last)| {
            let Some(Some(Reading { mailbox, supervision })) = readings.next() else {
                return false;
            };
            if *last != mailbox {
                last.clone_from(&mailbox);
                processes.push(ProcessSample { path: path.text().clone(), pid, mailbox });
            }
            if let Some((children, budget)) = supervision {
                let path = path.text().clone();
                supervisors.push(SupervisorSample { path, pid, children, budget });
            }
            true
        });
        let (time, counters) = (TimeOfDay::now(), runtime.counters());
        let waits = waits_in(&runtime.kernel, view);
        Sample { seq, time, processes, supervisors, counters, waits }
    }
}
