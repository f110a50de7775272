//! The processes below a root, and what became of each since the stop began.
//!
//! All of it is read from the kernel's tables, so a thread outside tokio can do it as well
//! when no async code runs any more.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{Instant, timeout_at};

use crate::base::pid::Pid;
use crate::base::shared_str::SharedStr;
use crate::base::tree_path::Path;
use crate::exit::reason::ExitReason;
use crate::kernel::stop_above::{Above, StopInProgress};
use crate::observe::doing::Doing;
use crate::observe::stop_records::{StopRecord, StopRecordList};
use crate::process::{LinkKind, Stage};
use crate::program::error::RunError;
use crate::program::stop_report::{CutShort, StopCause, StopOutcome, StoppedChild};
use crate::runtime::Runtime;

/// A root, and the way to all processes that its supervisors hold.
pub(super) struct Below {
    runtime: Runtime,
    root_pid: Pid,
    root: String,
    stops: StopRecordList,
    /// The processes that were there when the stop was cut short.
    cut: Mutex<Members>,
}

type Members = BTreeMap<Pid, Member>;

/// Each with the ids from the root down.
type Paths = HashMap<Pid, Path<SharedStr>>;

/// A child that is there, and its supervisor.
#[derive(Clone)]
struct Member {
    supervisor: Pid,
    child: Option<SharedStr>,
    doing: Doing,
    at: Phase,
}

/// How a stop was cut short.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cut {
    pub(super) by: CutShort,
    /// By a kill of all processes; else the program ends because no async code runs.
    pub(super) in_order: bool,
}

/// How far the stop of a child had come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Its supervisor waits for its start.
    Starting,
    /// It runs, and its supervisor has not asked it to stop.
    Running,
    /// Its supervisor has asked it to stop, or killed it.
    Asked,
}

impl Below {
    pub(super) fn of(runtime: &Runtime, root_pid: Pid, root: String) -> Self {
        let stops = runtime.kernel.stops.start_recording();
        Below { runtime: runtime.clone(), root_pid, root, stops, cut: Mutex::default() }
    }

    /// The error of the root, when it ended with this reason by itself.
    pub(super) fn error(&self, reason: ExitReason) -> RunError {
        RunError::from_root(&self.runtime, (&self.root, self.root_pid), reason)
    }

    /// Lets all below the root know that they are about to be stopped, as long as that lasts.
    pub(super) fn begin_stop(&self, cause: &StopCause) -> StopInProgress {
        let by = match cause {
            StopCause::Signal(_) => Above::Signal,
            _ => Above::Other,
        };
        self.runtime.kernel.begin_stop(self.root_pid, by)
    }

    /// Kills the root and everything below it, parents first: so no supervisor can start
    /// again what is killed. Waits until all have ended, but no longer than `limit`.
    pub(super) async fn kill_all(&self, limit: Duration) {
        let due = Instant::now() + limit;
        // Before the first kill: a supervisor that is killed signals its children, which from
        // then on look like children that it has asked to stop.
        self.note_members();
        let mut last = false;
        loop {
            self.runtime.kill(self.root_pid);
            let found = self.note_members();
            let all: Vec<Pid> = self.cut().keys().copied().chain([self.root_pid]).collect();
            let ended: Vec<_> = all.iter().map(|&pid| self.runtime.ended(pid)).collect();
            for &pid in &all {
                self.runtime.kill(pid);
            }
            let in_time = timeout_at(due, join_all(ended)).await.is_ok();
            // A process that was just being started is found in the next round.
            if !in_time || (last && !found) {
                return;
            }
            last = true;
        }
    }

    /// Notes the processes that are there now. Whether there are any that were not noted before.
    pub(super) fn note_members(&self) -> bool {
        let members = self.members();
        let mut cut = self.cut();
        let before = cut.len();
        for (pid, member) in members {
            cut.entry(pid).or_insert(member);
        }
        cut.len() > before
    }

    fn cut(&self) -> MutexGuard<'_, Members> {
        lock(&self.cut)
    }

    /// All that is alive below the root. Parents are older than their children.
    fn members(&self) -> Members {
        let table = &self.runtime.kernel.table;
        let mut all = Members::new();
        let mut starting = HashSet::new();
        for process in table.collect(|_, process| Some(Arc::clone(process))) {
            let pid = process.pid();
            let found = process.with(|locked| {
                let core = locked.core();
                let asked = core.asked || core.stage >= Stage::ExitPending;
                let relations = core.relations()?;
                let awaited =
                    relations.links.iter().filter(|(_, link)| link.kind == LinkKind::Awaited);
                starting.extend(awaited.map(|(peer, _)| *peer));
                let parent = relations.parent.filter(|parent| parent.role.is_some())?;
                Some((parent.pid, relations.label.clone(), asked))
            });
            all.extend(found.map(|(supervisor, child, asked)| {
                let doing = Doing::of(&self.runtime, pid);
                let at = if asked { Phase::Asked } else { Phase::Running };
                (pid, Member { supervisor, child, doing, at })
            }));
        }
        let mut below = HashSet::from([self.root_pid]);
        below.extend(self.cut().keys());
        all.retain(|pid, member| below.contains(&member.supervisor) && below.insert(*pid));
        for (pid, member) in &mut all {
            // A child that is being stopped is awaited as well.
            if member.at == Phase::Running && starting.contains(pid) {
                member.at = Phase::Starting;
            }
        }
        all
    }

    /// The stops of those below the root, and of no other tree. A supervisor's own is told after
    /// those of its children. Children that had not been asked to stop when the stop was cut short
    /// are left out: a supervisor that learns of the kill of its own supervisor before it is
    /// killed itself may still stop some of them.
    fn own_stops(&self) -> Vec<StopRecord> {
        let mut all = lock(&self.stops).clone();
        let cut = self.cut().clone();
        all.retain(|stop| cut.get(&stop.pid).is_none_or(|member| member.at == Phase::Asked));
        let mut below = HashSet::from([self.root_pid]);
        below.extend(cut.keys());
        let mut own: Vec<StopRecord> = Vec::new();
        for stop in all.into_iter().rev() {
            if below.contains(&stop.supervisor) {
                below.insert(stop.pid);
                own.push(stop);
            }
        }
        own.reverse();
        own
    }

    /// What became of all children since the stop began: those that their supervisors
    /// stopped, then those that were there when it was cut short, youngest first. The stop took
    /// so long.
    pub(super) fn report(&self, took: Duration, cut_short: &Cut) -> Vec<StoppedChild> {
        let stops = self.own_stops();
        let cut = self.cut().clone();
        let mut root = Path::new();
        root.push(SharedStr::from(self.root.as_str()));
        let mut paths = HashMap::from([(self.root_pid, root)]);
        for (&pid, member) in &cut {
            let child = member.child.clone().unwrap_or_else(|| "".into());
            name(&mut paths, pid, member.supervisor, child);
        }
        // A supervisor's own stop is told after those of its children.
        for stop in stops.iter().rev() {
            name(&mut paths, stop.pid, stop.supervisor, stop.child.clone());
        }
        let path = |pid: Pid| paths.get(&pid).map_or_else(|| pid.to_string(), ToString::to_string);
        let told: HashSet<Pid> = stops.iter().map(|stop| stop.pid).collect();
        let stopped = stops.iter().map(|stop| StoppedChild {
            path: path(stop.pid),
            pid: stop.pid,
            outcome: outcome(stop),
            doing: stop.overran,
            took: stop.took,
        });
        let left = || cut.iter().rev().filter(|(pid, _)| !told.contains(pid));
        // Supervisors that wait for a child: that child is the one to look at, not they.
        let waited_for = left().filter(|(_, member)| member.at != Phase::Running);
        let waiting: HashSet<Pid> = waited_for.map(|(_, member)| member.supervisor).collect();
        let killed = left().map(|(&pid, member)| StoppedChild {
            path: path(pid),
            pid,
            outcome: cut_short.outcome(member, waiting.contains(&pid), self.runtime.is_alive(pid)),
            doing: Some(member.doing),
            took,
        });
        stopped.chain(killed).collect()
    }
}

impl Cut {
    /// What became of a process that was there when the stop was cut short.
    fn outcome(&self, member: &Member, waits_for_a_child: bool, alive: bool) -> StopOutcome {
        let by = self.by;
        match (member.at, waits_for_a_child) {
            (Phase::Asked, true) => StopOutcome::HeldUp(by),
            (Phase::Starting, true) => StopOutcome::NotAsked(by),
            _ if alive && !self.in_order => match (member.at, member.doing) {
                (Phase::Running, Doing::Receiving) => StopOutcome::NotAsked(by),
                _ => StopOutcome::LeftBehind,
            },
            _ if alive => StopOutcome::NotYielding,
            (Phase::Asked, false) => StopOutcome::Killed,
            (Phase::Starting, false) => StopOutcome::NotStarted(by),
            (Phase::Running, _) => StopOutcome::NotAsked(by),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Notes the path of a child whose supervisor's is known.
fn name(paths: &mut Paths, pid: Pid, supervisor: Pid, child: SharedStr) {
    let path = match paths.get(&supervisor) {
        Some(above) => above.below(child),
        None => Path::new().below(supervisor.to_string().into()).below(child),
    };
    paths.insert(pid, path);
}

fn outcome(stop: &StopRecord) -> StopOutcome {
    match stop {
        StopRecord { overran: Some(_), .. } => StopOutcome::Killed,
        StopRecord { killed_at_once: true, .. } => StopOutcome::KilledAtOnce,
        StopRecord { reason, .. } => StopOutcome::Stopped(reason.clone()),
    }
}
