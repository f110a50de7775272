//! The processes below a root: who they are, and what became of them.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{Instant, timeout_at};

use crate::doing::Doing;
use crate::exit::ExitReason;
use crate::pid::Pid;
use crate::run::error::RunError;
use crate::run::report::{StopOutcome, StoppedChild};
use crate::runtime::Runtime;
use crate::shared_str::SharedStr;
use crate::stops::{Remembered, Stop};

/// A root, and the way to all that its supervisors hold.
pub(super) struct Below {
    runtime: Runtime,
    root_pid: Pid,
    root: String,
    began: Instant,
    stops: Remembered,
    /// Who was there when the stop was cut short.
    cut: Members,
}

type Members = BTreeMap<Pid, Member>;

/// A child that is there, and whose it is.
struct Member {
    supervisor: Pid,
    child: Option<SharedStr>,
    doing: Doing,
}

impl Below {
    pub(super) fn of(runtime: &Runtime, root_pid: Pid, root: String) -> Self {
        let stops = runtime.kernel.stops.remember();
        let (runtime, began) = (runtime.clone(), Instant::now());
        Below { runtime, root_pid, root, began, stops, cut: Members::new() }
    }

    /// The error of the root, when it ended with this reason by itself.
    pub(super) fn error(&self, reason: ExitReason) -> RunError {
        RunError::from_root(&self.runtime, (&self.root, self.root_pid), reason)
    }

    pub(super) fn began(&self) -> Instant {
        self.began
    }

    /// Kills the root and everything below it, parents first: so no supervisor can start
    /// again what is killed. Waits until all have ended, but no longer than `limit`.
    pub(super) async fn kill_all(&mut self, limit: Duration) {
        let due = Instant::now() + limit;
        self.runtime.kill(self.root_pid);
        loop {
            let alive = self.members();
            let new = alive.keys().any(|pid| !self.cut.contains_key(pid));
            let all = alive.keys().copied().chain([self.root_pid]);
            let ended: Vec<_> = all.map(|pid| self.runtime.ended(pid)).collect();
            for &pid in alive.keys() {
                self.runtime.kill(pid);
            }
            self.cut.extend(alive);
            // One that was just being started is seen in the next round.
            if timeout_at(due, join_all(ended)).await.is_err() || !new {
                return;
            }
        }
    }

    /// All that is alive below the root. Parents are older than their children.
    fn members(&self) -> Members {
        let table = &self.runtime.kernel.table;
        let mut all = Members::new();
        for process in table.collect(|_, process| Some(Arc::clone(process))) {
            let pid = process.pid();
            let place = process.with(|locked| {
                let ties = locked.core().ties()?;
                let parent = ties.parent.filter(|parent| parent.role.is_some())?;
                Some((parent.pid, ties.label.clone()))
            });
            all.extend(place.map(|(supervisor, child)| {
                let doing = Doing::of(&self.runtime, pid);
                (pid, Member { supervisor, child, doing })
            }));
        }
        let mut below = HashSet::from([self.root_pid]);
        below.extend(self.cut.keys());
        all.retain(|pid, member| below.contains(&member.supervisor) && below.insert(*pid));
        all
    }

    /// The stops of those below the root, and of no other tree. A supervisor's own is told after
    /// those of its children.
    fn own_stops(&self) -> Vec<Stop> {
        let all = self.stops.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut below = HashSet::from([self.root_pid]);
        below.extend(self.cut.keys());
        let mut own: Vec<Stop> = Vec::new();
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
    /// stopped, then those that were killed when it was cut short, youngest first.
    pub(super) fn report(&self) -> Vec<StoppedChild> {
        let stops = self.own_stops();
        let mut paths = HashMap::from([(self.root_pid, self.root.clone())]);
        for (&pid, member) in &self.cut {
            name(&mut paths, pid, member.supervisor, member.child.as_deref().unwrap_or_default());
        }
        // A supervisor's own stop is told after those of its children.
        for stop in stops.iter().rev() {
            name(&mut paths, stop.pid, stop.supervisor, &stop.child);
        }
        let path = |pid: Pid| paths.get(&pid).cloned().unwrap_or_else(|| pid.to_string());
        let told: HashSet<Pid> = stops.iter().map(|stop| stop.pid).collect();
        let stopped = stops.iter().map(|stop| StoppedChild {
            path: path(stop.pid),
            pid: stop.pid,
            outcome: outcome(stop),
            doing: stop.overran,
            took: stop.took,
        });
        let cut = self.cut.iter().rev().filter(|(pid, _)| !told.contains(pid));
        let killed = cut.map(|(&pid, member)| StoppedChild {
            path: path(pid),
            pid,
            outcome: match self.runtime.is_alive(pid) {
                true => StopOutcome::NotYielding,
                false => StopOutcome::Killed,
            },
            doing: Some(member.doing),
            took: self.began.elapsed(),
        });
        stopped.chain(killed).collect()
    }
}

fn name(paths: &mut HashMap<Pid, String>, pid: Pid, supervisor: Pid, child: &str) {
    let above = paths.get(&supervisor).cloned().unwrap_or_else(|| supervisor.to_string());
    paths.insert(pid, format!("{above}/{child}"));
}

fn outcome(stop: &Stop) -> StopOutcome {
    match stop {
        Stop { overran: Some(_), .. } => StopOutcome::Killed,
        Stop { brutally: true, .. } => StopOutcome::KilledAtOnce,
        Stop { reason, .. } => StopOutcome::Stopped(reason.clone()),
    }
}
