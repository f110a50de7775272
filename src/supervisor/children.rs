//! The children of one supervisor: in order, and found by id or pid.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tracing::warn;

use crate::call_error::StartError;
use crate::child::{ChildSpec, Restart, StartContext};
use crate::ended::Ended;
use crate::exit::{ExitReason, Result};
use crate::pid::Pid;
use crate::process::AnyProcess;
use crate::quietly::quietly;
use crate::runtime::Runtime;
use crate::shutdown::Shutdown;
use crate::starting::StartCause;

/// The target of what supervisors tell the log.
pub(crate) const TARGET: &str = "regrow::supervisor";

/// How often a killed child that doesn't end is told of.
const NOT_YIELDING: Duration = Duration::from_secs(5);

/// One child.
#[derive(Debug)]
pub(crate) struct Child {
    pub(crate) spec: ChildSpec,
    pub(crate) state: Running,
    /// How often it was tried again.
    pub(crate) restarts: u32,
}

/// What a child is doing.
#[derive(Debug, Clone)]
pub(crate) enum Running {
    Yes(Arc<dyn AnyProcess>),
    /// This process of it ended, and it is about to be tried again.
    Restarting(Pid),
    /// It ended, was stopped, or never ran.
    No,
}

impl Child {
    pub(crate) fn pid(&self) -> Option<Pid> {
        match &self.state {
            Running::Yes(process) => Some(process.pid()),
            Running::Restarting(_) | Running::No => None,
        }
    }
}

/// What to do about a child that ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    Restart,
    /// It stays known, not running.
    Keep,
    Forget,
}

/// The restart type's table, as a pure function.
pub(crate) fn decide(restart: Restart, reason: &ExitReason) -> Decision {
    match restart {
        Restart::Permanent => Decision::Restart,
        Restart::Transient if reason.is_clean() => Decision::Keep,
        Restart::Transient => Decision::Restart,
        Restart::Temporary => Decision::Forget,
    }
}

/// All children of a supervisor, in start order.
#[derive(Debug, Default)]
pub(crate) struct Children {
    list: Vec<Child>,
    by_pid: HashMap<Pid, Arc<str>, foldhash::fast::RandomState>,
}

impl Children {
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Child> {
        self.list.iter()
    }

    pub(crate) fn get(&self, id: &str) -> Option<&Child> {
        self.list.iter().find(|child| &*child.spec.id == id)
    }

    pub(crate) fn get_mut(&mut self, id: &str) -> Option<&mut Child> {
        self.list.iter_mut().find(|child| &*child.spec.id == id)
    }

    /// The id of the child that has this pid.
    pub(crate) fn id_of(&self, pid: Pid) -> Option<Arc<str>> {
        self.by_pid.get(&pid).cloned()
    }

    pub(crate) fn add(&mut self, spec: ChildSpec, state: Running) {
        let id = Arc::from(&*spec.id);
        self.list.push(Child { spec, state: Running::No, restarts: 0 });
        self.set(&id, state);
    }

    /// Sets what a child is doing, and keeps the index of pids true.
    pub(crate) fn set(&mut self, id: &Arc<str>, state: Running) {
        let Some(child) = self.list.iter_mut().find(|child| *child.spec.id == **id) else {
            return;
        };
        let before = child.pid();
        child.state = state;
        let after = child.pid();
        if let Some(pid) = before {
            self.by_pid.remove(&pid);
        }
        if let Some(pid) = after {
            self.by_pid.insert(pid, id.clone());
        }
    }

    pub(crate) fn remove(&mut self, id: &str) {
        if let Some(at) = self.list.iter().position(|child| &*child.spec.id == id) {
            let child = self.list.remove(at);
            if let Some(pid) = child.pid() {
                self.by_pid.remove(&pid);
            }
        }
    }

    /// Takes the last child out, whatever it is doing.
    pub(crate) fn pop(&mut self) -> Option<Child> {
        let child = self.list.pop()?;
        if let Some(pid) = child.pid() {
            self.by_pid.remove(&pid);
        }
        Some(child)
    }
}

/// Starts one incarnation. A child that ignores its start runs not, and is no failure.
pub(crate) async fn start(
    runtime: &Runtime,
    supervisor: Pid,
    spec: &ChildSpec,
    cause: StartCause,
) -> Result<Running, StartError> {
    let mut ctx = StartContext { runtime: runtime.clone(), supervisor, spec: spec.clone(), cause };
    match spec.start.start(&mut ctx).await {
        Ok(started) => Ok(Running::Yes(started.process)),
        Err(StartError::Ignored) => Ok(Running::No),
        Err(error) => Err(error),
    }
}

/// Stops one incarnation as its spec says, and waits for its very end. The link stays
/// until then, so a supervisor that is killed meanwhile leaves nobody behind.
pub(crate) async fn stop(runtime: &Runtime, child: &Child) -> Option<ExitReason> {
    let Running::Yes(process) = &child.state else { return None };
    let pid = process.pid();
    let ended = || Ended::of(runtime, Some(process.clone()));
    let grace = match child.spec.shutdown {
        Shutdown::BrutalKill => None,
        Shutdown::Timeout(grace) => Some(grace),
        Shutdown::Infinity => Some(Duration::MAX),
    };
    if let Some(grace) = grace {
        runtime.exit(pid, ExitReason::Shutdown);
        if let Ok(reason) = tokio::time::timeout(grace, ended()).await {
            return Some(reason);
        }
    }
    runtime.kill(pid);
    // A body that never awaits can't be stopped, only waited for.
    loop {
        match tokio::time::timeout(NOT_YIELDING, ended()).await {
            Ok(reason) => return Some(reason),
            Err(_) => {
                let id = &child.spec.id;
                quietly(|| warn!(target: TARGET, child = %id, %pid, "killed, but not yielding"));
            }
        }
    }
}
