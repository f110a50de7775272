//! The processes below a root, and the outcomes of their stops.
//!
//! All these facts are read from the kernel's tables, so the watchdog thread can use this module
//! when no async code runs any more.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{Instant, timeout_at};

use crate::base::tree_path::Path;
use crate::base::{Pid, PlainMutex, SharedStr};
use crate::exit::ExitReason;
use crate::kernel::{KillTime, StopInProgress, StopOrigin};
use crate::observe::Doing;
use crate::observe::stop_records::{StopRecord, StopRecordList};
use crate::process::{AnyProcess, LinkState, Stage};
use crate::program::stop_outcome::{Member, StopProgress, outcome};
use crate::program::{ForcedStop, RunError, StopCause, StoppedChild};
use crate::runtime::{Ended, Runtime};

/// A root and all processes below it.
pub(super) struct TreeMembers {
    runtime: Runtime,
    root_pid: Pid,
    root: String,
    stop_records: StopRecordList,
    /// The processes that were alive when the stop, or the stop of their phase, was cut short.
    remaining: PlainMutex<Members>,
    /// The phases that were cut short, with their ids.
    cut_phases: PlainMutex<Vec<(Pid, SharedStr)>>,
}

type Members = BTreeMap<Pid, Member>;

/// The path of each process, which begins at the root.
type Paths = HashMap<Pid, Path<SharedStr>>;

impl TreeMembers {
    pub(super) fn new(runtime: &Runtime, root_pid: Pid, root: String) -> Self {
        let stop_records = runtime.kernel.stops.start_recording();
        let (runtime, remaining) = (runtime.clone(), PlainMutex::default());
        let cut_phases = PlainMutex::default();
        TreeMembers { runtime, root_pid, root, stop_records, remaining, cut_phases }
    }

    /// Creates the error of a run whose root ended with this reason, which is not clean.
    pub(super) fn error(&self, reason: ExitReason) -> RunError {
        RunError::from_root(&self.runtime, (&self.root, self.root_pid), reason)
    }

    /// Marks all processes below the root as about to be stopped, until the result is dropped.
    pub(super) fn begin_stop(&self, cause: &StopCause) -> StopInProgress {
        let by = match cause {
            StopCause::Signal(_) => StopOrigin::Signal,
            _ => StopOrigin::Other,
        };
        self.runtime.kernel.begin_stop(self.root_pid, by)
    }

    pub(super) fn root_pid(&self) -> Pid {
        self.root_pid
    }

    /// Notes that the program kills this process at `at`, until the result is dropped.
    pub(super) fn note_kill_time(&self, pid: Pid, at: Instant) -> KillTime {
        self.runtime.kernel.note_kill_time(pid, at)
    }

    /// Kills the root and all processes below it, supervisors before their children (invariant 2 of
    /// the [run](crate::program)). Waits for their ends, but no longer than `limit`.
    pub(super) async fn kill_all(&self, limit: Duration) {
        let due = Instant::now() + limit;
        // The members are recorded before the first kill: a killed supervisor signals its children,
        // and `StopProgress::StopRequested` does not tell that signal from a request to stop.
        self.record_members();
        let mut last = false;
        loop {
            self.runtime.kill(self.root_pid);
            let found = self.record_members();
            let all: Vec<Pid> =
                self.remaining.lock().keys().copied().chain([self.root_pid]).collect();
            let ended: Vec<_> = all.iter().map(|&pid| self.runtime.ended(pid)).collect();
            for &pid in &all {
                self.runtime.kill(pid);
            }
            let in_time = timeout_at(due, join_all(ended)).await.is_ok();
            // Repeat until a round after the first one finds no new process, since a process may
            // have been started during the last round.
            if !in_time || (last && !found) {
                return;
            }
            last = true;
        }
    }

    /// Returns the child of the root with this id, if it runs.
    pub(super) fn child_of_root(&self, id: &str) -> Option<Pid> {
        let has_id = |process: &Arc<dyn AnyProcess>| {
            let label = process.with(|locked| locked.core().relations()?.label.clone());
            label.is_some_and(|label| *label == *id)
        };
        let children = self.runtime.kernel.children_of(self.root_pid);
        children.iter().find(|process| has_id(process)).map(|process| process.pid())
    }

    pub(super) fn ended(&self, process: Pid) -> Ended {
        self.runtime.ended(process)
    }

    /// Kills all processes below the supervisor of a phase, which is stopping. The supervisor
    /// restarts nothing, and ends when its children have ended. If they have not ended after
    /// `limit`, the supervisor is killed as well, so that the stop of the other phases can begin.
    pub(super) async fn cut_short(&self, phase: Pid, id: &str, began: Instant, limit: Duration) {
        let due = Instant::now() + limit;
        self.cut_phases.lock().push((phase, id.into()));
        let mut last = false;
        loop {
            let members = self.live_members(HashSet::from([phase]));
            let all: Vec<Pid> = members.keys().copied().collect();
            let cut = Some(began.elapsed());
            let members = members.into_iter().map(|(pid, member)| (pid, Member { cut, ..member }));
            let found = self.record(members);
            let ended: Vec<_> = all.iter().map(|&pid| self.ended(pid)).collect();
            for &pid in &all {
                self.runtime.kill(pid);
            }
            let in_time = timeout_at(due, join_all(ended)).await.is_ok();
            if !in_time || (last && !found) {
                break;
            }
            last = true;
        }
        if timeout_at(due, self.ended(phase)).await.is_err() {
            self.runtime.kill(phase);
        }
    }

    /// Records the processes that are alive now. Returns whether a process is new to the record.
    pub(super) fn record_members(&self) -> bool {
        let mut roots = HashSet::from([self.root_pid]);
        roots.extend(self.remaining.lock().keys());
        self.record(self.live_members(roots))
    }

    /// Records these members, unless they are recorded already. Returns whether one is new.
    fn record(&self, members: impl IntoIterator<Item = (Pid, Member)>) -> bool {
        let mut remaining = self.remaining.lock();
        let before = remaining.len();
        for (pid, member) in members {
            remaining.entry(pid).or_insert(member);
        }
        remaining.len() > before
    }

    /// Returns all live processes below these. The pid of a parent is smaller than the pids of its
    /// children, so one pass in the order of pids finds all of them.
    fn live_members(&self, mut pids: HashSet<Pid>) -> Members {
        let table = &self.runtime.kernel.table;
        let mut all = Members::new();
        let mut starting = HashSet::new();
        for process in table.values() {
            let pid = process.pid();
            let found = process.with(|locked| {
                let core = locked.core();
                let asked = core.stop_requested || core.stage >= Stage::ExitPending;
                let relations = core.relations()?;
                let awaited =
                    relations.links.iter().filter(|(_, link)| link.state == LinkState::Awaited);
                starting.extend(awaited.map(|(peer, _)| *peer));
                let parent = relations.parent.filter(|parent| parent.role.is_some())?;
                Some((parent.pid, relations.label.clone(), asked))
            });
            all.extend(found.map(|(supervisor, child, asked)| {
                let doing = Doing::of(&self.runtime, pid);
                let progress =
                    if asked { StopProgress::StopRequested } else { StopProgress::Running };
                (pid, Member { supervisor, child, doing, progress, cut: None })
            }));
        }
        all.retain(|pid, member| pids.contains(&member.supervisor) && pids.insert(*pid));
        for (pid, member) in &mut all {
            // The link to a child that is being stopped is awaited as well, so only a running child
            // counts as starting.
            if member.progress == StopProgress::Running && starting.contains(pid) {
                member.progress = StopProgress::Starting;
            }
        }
        all
    }

    /// Returns the recorded stops of this tree. The stop of a supervisor is recorded after the
    /// stops of its children.
    ///
    /// Leaves out children that had not been asked to stop when the stop was cut short. The record
    /// may contain them, since a supervisor whose own supervisor was killed receives an exit
    /// signal, and may stop some of its children before it is killed itself. Leaves out children
    /// that were killed because the stop of their phase was cut short: the record has them as
    /// stopped.
    fn stops_in_tree(&self) -> Vec<StopRecord> {
        let mut all = self.stop_records.lock().clone();
        let remaining = self.remaining.lock().clone();
        all.retain(|stop| {
            remaining.get(&stop.pid).is_none_or(|member| {
                member.progress == StopProgress::StopRequested && member.cut.is_none()
            })
        });
        let mut pids = HashSet::from([self.root_pid]);
        pids.extend(remaining.keys());
        let mut own: Vec<StopRecord> = Vec::new();
        for stop in all.into_iter().rev() {
            if pids.contains(&stop.supervisor) {
                pids.insert(stop.pid);
                own.push(stop);
            }
        }
        own.reverse();
        own
    }

    /// Returns the outcomes of the children since the stop began: first the children that their
    /// supervisors stopped, then the children that were alive when the stop was cut short, youngest
    /// first. The duration `took` of the whole stop applies to the children of the second group.
    pub(super) fn report(&self, took: Duration, forced: &ForcedStop) -> Vec<StoppedChild> {
        let stops = self.stops_in_tree();
        let remaining = self.remaining.lock().clone();
        let mut root = Path::new();
        root.push(SharedStr::from(self.root.as_str()));
        let mut paths = HashMap::from([(self.root_pid, root)]);
        for (phase, id) in self.cut_phases.lock().iter() {
            insert_path(&mut paths, *phase, self.root_pid, id.clone());
        }
        for (&pid, member) in &remaining {
            let child = member.child.clone().unwrap_or_else(|| "".into());
            insert_path(&mut paths, pid, member.supervisor, child);
        }
        // In reverse order the path of a supervisor is known before the paths of its children.
        for stop in stops.iter().rev() {
            insert_path(&mut paths, stop.pid, stop.supervisor, stop.child.clone());
        }
        let path = |pid: Pid| paths.get(&pid).map_or_else(|| pid.to_string(), ToString::to_string);
        let recorded: HashSet<Pid> = stops.iter().map(|stop| stop.pid).collect();
        let stopped = stops.iter().map(|stop| StoppedChild {
            path: path(stop.pid),
            pid: stop.pid,
            outcome: outcome(stop),
            doing: stop.overran,
            took: stop.took,
        });
        let left = || remaining.iter().rev().filter(|(pid, _)| !recorded.contains(pid));
        // A supervisor that waits for a child does not hold up the stop itself; the child does.
        let waited_for = left().filter(|(_, member)| member.progress != StopProgress::Running);
        let waiting: HashSet<Pid> = waited_for.map(|(_, member)| member.supervisor).collect();
        let killed = left().map(|(&pid, member)| StoppedChild {
            path: path(pid),
            pid,
            outcome: forced.outcome(member, waiting.contains(&pid), self.runtime.is_alive(pid)),
            doing: Some(member.doing),
            took: member.cut.unwrap_or(took),
        });
        stopped.chain(killed).collect()
    }
}

/// Inserts the path of a child: below the path of its supervisor if that path is known, else below
/// the supervisor's pid.
fn insert_path(paths: &mut Paths, pid: Pid, supervisor: Pid, child: SharedStr) {
    let path = match paths.get(&supervisor) {
        Some(supervisor) => supervisor.below(child),
        None => Path::new().below(supervisor.to_string().into()).below(child),
    };
    paths.insert(pid, path);
}
