//! Handles the requests that a [`SupervisorRef`](crate::SupervisorRef) sends.

use std::sync::Arc;

use tokio::time::Instant;

use crate::base::Pid;
use crate::call::Reply;
use crate::child::{ChildSpec, Spec};
use crate::exit::Result;
use crate::process::ChildStop;
use crate::runtime::StartError;
use crate::supervisor::fixed::{Child, FixedServer, RunState};
use crate::supervisor::{ChildCounts, ChildError, ChildInfo, Decision, Position, check_child};

impl FixedServer {
    /// Adds a child and starts it. The error is the reason of a supervisor that ends because the
    /// child ends the tree.
    pub(crate) async fn start_child(
        &mut self,
        spec: Arc<Spec>,
        reply: Reply<Result<Pid, StartError>>,
    ) -> Result {
        if let Err(refused) = self.check_new(&spec) {
            reply.send(Err(refused));
            return Ok(());
        }
        let position = self.children.add(spec);
        let failure = match self.start_incarnation(position).await {
            Ok(started) => {
                reply.send(started.ok_or(StartError::Ignored));
                return Ok(());
            }
            Err(failure) => failure,
        };
        let next = match failure.decided {
            Some(Decision::EndTree) => Err(self.end_tree(position, failure.pid)),
            _ => Ok(()),
        };
        self.mark_stopped(position);
        self.children.remove(position);
        reply.send(Err(failure.error));
        next
    }

    /// Checks that this child can be added.
    fn check_new(&self, spec: &Spec) -> Result<(), StartError> {
        check_child(spec, self.auto_shutdown)?;
        let Ok(present) = self.children.by_id(&spec.id) else { return Ok(()) };
        Err(match present.pid() {
            Some(pid) => StartError::AlreadyRunning { id: spec.id.to_string(), pid },
            None => StartError::AlreadyPresent(spec.id.to_string()),
        })
    }

    pub(crate) fn delete_child(&mut self, id: &str) -> Result<(), ChildError> {
        let position = self.stopped_position(id)?;
        self.mark_stopped(position);
        self.children.remove(position);
        Ok(())
    }

    /// Stops a child. If the child waits for its restart, cancels the restart of its whole group.
    pub(crate) async fn terminate_child(&mut self, id: &str) -> Result<(), ChildError> {
        let child = self.children.by_id(id)?;
        let (position, waits) = (child.position, child.restarts_with_group());
        self.stop_incarnation(position, ChildStop::ForGood, Instant::now()).await;
        self.mark_stopped(position);
        if waits {
            self.cancel_group_restart(position);
        }
        Ok(())
    }

    /// Marks as stopped the members of this child's group that waited for the cancelled restart.
    fn cancel_group_restart(&mut self, position: Position) {
        for member in self.children.positions(self.group(position)) {
            let child = self.children.get(member);
            if child.is_some_and(|child| matches!(child.state, RunState::Stopped)) {
                self.mark_stopped(member);
            }
        }
    }

    pub(crate) fn which_child(&self, id: &str) -> Result<ChildInfo, ChildError> {
        let info = self.info(self.children.by_id(id)?);
        info.ok_or_else(|| ChildError::NotFound(id.to_owned()))
    }

    pub(crate) fn child_spec(&self, id: &str) -> Result<ChildSpec, ChildError> {
        self.children.by_id(id).map(|child| ChildSpec { spec: child.spec.clone() })
    }

    pub(crate) fn which_children(&self) -> Vec<ChildInfo> {
        self.children.iter().filter_map(|child| self.info(child)).collect()
    }

    pub(crate) fn count_children(&self) -> ChildCounts {
        let children = self.children.iter();
        ChildCounts::of(children.map(|child| (child.spec.kind, child.pid().is_some())))
    }

    fn info(&self, child: &Child) -> Option<ChildInfo> {
        let published = self.children.published.child(child.position);
        published.map(|published| published.info(child.requested_starts))
    }

    /// Returns the position of a stopped child. Returns an error if there is no child with this id,
    /// or if the child runs or waits for its restart.
    pub(crate) fn stopped_position(&self, id: &str) -> Result<Position, ChildError> {
        let child = self.children.by_id(id)?;
        let id = || id.to_owned();
        match &child.state {
            RunState::Running(process) => Err(ChildError::Running { id: id(), pid: process.pid() }),
            RunState::Restarting { .. } => Err(ChildError::Restarting(id())),
            RunState::Stopped | RunState::GivenUp => Ok(child.position),
        }
    }
}
