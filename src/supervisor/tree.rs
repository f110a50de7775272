//! The supervisor's process: a server like any other.

use std::sync::Arc;

use tokio::time::Instant;
use tracing::warn;

use crate::call_error::StartError;
use crate::child::ChildSpec;
use crate::exit::{ExitReason, Result};
use crate::message::Received;
use crate::pid::Pid;
use crate::quietly::quietly;
use crate::reply::Reply;
use crate::runtime::Runtime;
use crate::server::{GenServer, ServerContext, ServerRef};
use crate::starting::StartCause;
use crate::supervisor::children::{
    Child, Children, Decision, Running, TARGET, decide, start, stop,
};
use crate::supervisor::info::{ChildCounts, ChildError, ChildInfo};
use crate::supervisor::intensity::{Intensity, RestartLimitReached, Window};
use crate::supervisor::spec::SupervisorSpec;

/// A running supervisor.
pub(crate) struct Tree {
    me: ServerRef<Tree>,
    pub(crate) pid: Pid,
    pub(crate) runtime: Runtime,
    pub(crate) children: Children,
    intensity: Intensity,
    window: Window,
}

/// What a supervisor can be asked.
pub(crate) enum Call {
    StartChild { spec: Box<ChildSpec>, reply: Reply<Result<Pid, StartError>> },
    TerminateChild { id: String, reply: Reply<Result<(), ChildError>> },
    WhichChildren(Reply<Vec<ChildInfo>>),
    CountChildren(Reply<ChildCounts>),
}

/// What a supervisor tells itself.
pub(crate) enum Cast {
    /// The restart of this child failed: try again, after what else is queued.
    TryAgain { id: Arc<str>, last: ExitReason },
}

impl GenServer for Tree {
    type Args = SupervisorSpec;
    type Call = Call;
    type Cast = Cast;

    async fn init(spec: SupervisorSpec, ctx: &mut ServerContext<Self>) -> Result<Self> {
        ctx.trap_exit(true);
        let mut tree = Tree {
            me: ctx.this(),
            pid: ctx.pid(),
            runtime: ctx.runtime(),
            children: Children::default(),
            intensity: spec.intensity,
            window: Window::default(),
        };
        for child in spec.children {
            if let Err(error) = tree.add(child).await {
                tree.stop_all().await;
                return Err(ExitReason::from_library(error));
            }
        }
        Ok(tree)
    }

    async fn handle_call(&mut self, call: Call, _: &mut ServerContext<Self>) -> Result {
        match call {
            Call::StartChild { spec, reply } => reply.send(self.start_child(*spec).await),
            Call::TerminateChild { id, reply } => reply.send(self.terminate_child(&id).await),
            Call::WhichChildren(reply) => reply.send(self.which_children()),
            Call::CountChildren(reply) => reply.send(self.count_children()),
        }
        Ok(())
    }

    async fn handle_cast(&mut self, cast: Cast, _: &mut ServerContext<Self>) -> Result {
        match cast {
            Cast::TryAgain { id, last } => self.try_again(id, last).await,
        }
    }

    async fn handle_info(&mut self, info: Received, _: &mut ServerContext<Self>) -> Result {
        match info {
            Received::Exit { from, reason } => self.child_ended(from, reason).await,
            other => {
                quietly(
                    || warn!(target: TARGET, supervisor = %self.pid, ?other, "unexpected message dropped"),
                );
                Ok(())
            }
        }
    }

    async fn terminate(&mut self, _: &ExitReason) {
        self.stop_all().await;
    }
}

impl Tree {
    /// Starts a child and adds it after the others; its failure is told by name.
    async fn add(&mut self, spec: ChildSpec) -> Result<(), StartError> {
        match start(&self.runtime, self.pid, &spec, StartCause::First).await {
            Ok(state) => {
                self.children.add(spec, state);
                Ok(())
            }
            Err(error) => {
                self.log_start_failed(&spec.id, &error);
                Err(StartError::Child { id: spec.id.to_string(), error: Box::new(error) })
            }
        }
    }

    /// Stops all children, one at a time, in reverse.
    async fn stop_all(&mut self) {
        while let Some(child) = self.children.pop() {
            stop(&self.runtime, &child).await;
        }
    }

    /// A linked process ended. One that is no child of ours, or no more, changes nothing.
    async fn child_ended(&mut self, pid: Pid, reason: ExitReason) -> Result {
        let Some(id) = self.children.id_of(pid) else { return Ok(()) };
        let Some(child) = self.children.get(&id) else { return Ok(()) };
        match decide(child.spec.restart, &reason) {
            Decision::Restart => {
                self.children.set(&id, Running::Restarting(pid));
                return self.restart(id, reason).await;
            }
            Decision::Keep => self.set(&id, Running::No),
            Decision::Forget => {
                self.set(&id, Running::No);
                self.children.remove(&id);
            }
        }
        Ok(())
    }

    /// Sets what a child is doing now. Names that its last process left, and that no
    /// successor took, are free from here on.
    pub(crate) fn set(&mut self, id: &Arc<str>, state: Running) {
        let last = self.children.get(id).and_then(|child| match &child.state {
            Running::Yes(process) => Some(process.pid()),
            Running::Restarting(was) => Some(*was),
            Running::No => None,
        });
        self.children.set(id, state);
        if let Some(last) = last {
            self.runtime.kernel.clear_vacant_of(self.pid, last);
        }
    }

    /// A restart that failed is tried again, unless somebody has seen to the child.
    async fn try_again(&mut self, id: Arc<str>, last: ExitReason) -> Result {
        let waits = |child: &Child| matches!(child.state, Running::Restarting(_));
        if self.children.get(&id).is_some_and(waits) {
            return self.restart(id, last).await;
        }
        Ok(())
    }

    /// One attempt, if the budget allows it. A failed one is tried again after what else
    /// is queued, so that requests are served in between.
    async fn restart(&mut self, id: Arc<str>, last: ExitReason) -> Result {
        if !self.window.allows(self.intensity, Instant::now()) {
            return Err(self.give_up(&id, last));
        }
        let Some(child) = self.children.get_mut(&id) else { return Ok(()) };
        child.restarts += 1;
        let cause = StartCause::Restart { attempt: child.restarts, previous: last };
        let spec = child.spec.clone();
        match start(&self.runtime, self.pid, &spec, cause).await {
            Ok(state) => self.set(&id, state),
            Err(error) => {
                self.log_start_failed(&id, &error);
                let last = match error {
                    StartError::Failed(reason) => reason,
                    other => ExitReason::from_library(other),
                };
                self.me.cast(Cast::TryAgain { id, last });
            }
        }
        Ok(())
    }

    fn give_up(&self, id: &str, last: ExitReason) -> ExitReason {
        let Intensity { restarts, period } = self.intensity;
        let limit = RestartLimitReached { child: id.to_owned(), restarts, period, last };
        quietly(
            || warn!(target: TARGET, supervisor = %self.pid, child = id, reason = %limit, "gave up"),
        );
        ExitReason::from_library(limit)
    }

    pub(crate) fn log_start_failed(&self, id: &str, reason: &StartError) {
        quietly(
            || warn!(target: TARGET, supervisor = %self.pid, child = id, %reason, "start failed"),
        );
    }
}
