//! What a supervisor does when it is asked.

use std::sync::Arc;

use crate::call_error::StartError;
use crate::child::{ChildSpec, ChildType};
use crate::exit::{ExitReason, Result};
use crate::pid::Pid;
use crate::starting::StartCause;
use crate::supervisor::children::{Child, Decision, Running, decide, start, stop};
use crate::supervisor::info::{ChildCounts, ChildError, ChildInfo, ChildState};
use crate::supervisor::tree::Tree;

impl Tree {
    pub(crate) async fn start_child(&mut self, spec: ChildSpec) -> Result<Pid, StartError> {
        if let Some(present) = self.children.get(&spec.id) {
            return Err(match present.pid() {
                Some(pid) => StartError::AlreadyStarted { name: spec.id.to_string(), pid },
                None => StartError::AlreadyPresent(spec.id.to_string()),
            });
        }
        let state = match start(&self.runtime, self.pid, &spec, StartCause::First).await {
            Ok(state) => state,
            Err(error) => {
                self.log_start_failed(&spec.id, &error);
                return Err(error);
            }
        };
        let pid = match &state {
            Running::Yes(process) => Ok(process.pid()),
            _ => Err(StartError::Ignored),
        };
        if pid.is_ok() || decide(spec.restart, &ExitReason::Normal) != Decision::Forget {
            self.children.add(spec, state);
        }
        pid
    }

    pub(crate) async fn terminate_child(&mut self, id: &str) -> Result<(), ChildError> {
        let Some(child) = self.children.get(id) else {
            return Err(ChildError::NotFound(id.to_owned()));
        };
        let forget = decide(child.spec.restart, &ExitReason::Normal) == Decision::Forget;
        let id = Arc::from(id);
        stop(&self.runtime, child).await;
        self.set(&id, Running::No);
        if forget {
            self.children.remove(&id);
        }
        Ok(())
    }

    pub(crate) fn which_children(&self) -> Vec<ChildInfo> {
        let info = |child: &Child| ChildInfo {
            id: child.spec.id.to_string(),
            state: match &child.state {
                Running::Yes(process) => ChildState::Running(process.pid()),
                Running::Restarting(_) => ChildState::Restarting,
                Running::No => ChildState::Stopped,
            },
            kind: child.spec.kind,
        };
        self.children.iter().map(info).collect()
    }

    pub(crate) fn count_children(&self) -> ChildCounts {
        let mut counts = ChildCounts::default();
        for child in self.children.iter() {
            counts.specs += 1;
            counts.active += usize::from(child.pid().is_some());
            match child.spec.kind {
                ChildType::Worker => counts.workers += 1,
                ChildType::Supervisor => counts.supervisors += 1,
            }
        }
        counts
    }
}
