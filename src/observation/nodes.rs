//! Makes the nodes of a picture from what supervisors have published.

use std::sync::Arc;

use tokio::time::Instant;

use crate::base::{NodePath, Pid, SharedStr, TimeOfDay};
use crate::child::ChildType;
use crate::kernel::Kernel;
use crate::observation::picture::PastRun;
use crate::observation::{
    Clock, MailboxFacts, PictureNode, PicturePath, PictureState, PictureStep, Supervision,
};
use crate::observe::Health;
use crate::observe::change_log::Root;
use crate::process::ChildSlot;
use crate::supervisor::{
    History, Incarnation, ListedChildren, PublishedChild, PublishedChildState, PublishedState, Step,
};

/// A supervisor whose children become nodes.
pub(super) struct Above {
    pub(super) pid: Pid,
    /// When a program kills everything below this supervisor, if that is known.
    pub(super) due: Option<Instant>,
    pub(super) path: Arc<NodePath>,
    /// The text of the path.
    pub(super) text: SharedStr,
    /// Whether the supervisor is in the picture.
    pub(super) is_shown: bool,
}

impl Above {
    /// Returns the path of the child with this id.
    fn child(&self, id: &SharedStr) -> PicturePath {
        match self.path.is_part_of_children() {
            true => PicturePath::child(self.text.clone(), id.clone()),
            false => self.path.child(id).into(),
        }
    }
}

/// Whether a child runs, and when its supervisor kills it if it was asked to stop.
type StopOfChild = (PublishedChildState, Option<Instant>);

/// Makes nodes, with the times of the system that belong to this moment.
pub(super) struct Nodes<'a> {
    pub(super) kernel: &'a Kernel,
    pub(super) clock: Clock,
}

impl Nodes<'_> {
    /// Returns the node of a topmost supervisor.
    pub(super) fn root(&self, pid: Pid, root: &Root) -> PictureNode {
        let state = if root.has_started { PictureState::Running } else { PictureState::Starting };
        PictureNode {
            path: root.path.text().into(),
            id: root.path.id().clone(),
            pid: Some(pid),
            supervisor: None,
            parent: None,
            state,
            health: Health::default(),
            started: Some(self.clock.time_at(root.since)),
            ended: None,
            retry_at: None,
            deadline: None,
            restarts: 0,
            mailbox: MailboxFacts::default(),
            supervision: Some(Box::new(Supervision::unknown())),
            history: Vec::new(),
        }
    }

    /// Returns the facts that a supervisor has published about itself.
    pub(super) fn supervision(
        &self,
        above: &Above,
        (state, children): (&PublishedState, &ListedChildren),
    ) -> Supervision {
        let find = |key| {
            let found = children.binary_search_by_key(&key, |(key, _)| *key).ok();
            found.map(|at| &children[at].1)
        };
        let child = |key| find(key).map(|child| above.path.child(&child.id));
        let step = match state.step {
            Step::Serving => None,
            Step::RunningInit { since } => {
                Some(PictureStep::Init { since: self.clock.time_at(since) })
            }
            Step::Starting { key, since, .. } => child(key)
                .map(|child| PictureStep::Starting { child, since: self.clock.time_at(since) }),
            Step::Stopping { key, since } => child(key).map(|child| PictureStep::Stopping {
                child,
                since: self.clock.time_at(since),
                deadline: find(key)
                    .and_then(|child| self.deadline(above, (child.state, child.stop_due))),
            }),
        };
        Supervision {
            strategy: state.strategy,
            budget: state.budget(),
            step,
            ending_since: state.ending.map(|since| self.clock.time_at(since)),
            ..Supervision::unknown()
        }
    }

    /// Returns the node of a child of a declared list.
    pub(super) fn child(
        &self,
        above: &Above,
        step: Step,
        (key, child): (u64, PublishedChild),
    ) -> PictureNode {
        let (stop, started) = ((child.state, child.stop_due), child.started);
        let mut node = self.node(above, child);
        match (step, stop.0) {
            (Step::Starting { key: starts, start, .. }, _) if starts == key => {
                let slot = ChildSlot { child: key, start };
                (node.state, node.ended) = (PictureState::Starting, None);
                node.pid = self.kernel.child_at(above.pid, slot);
                node.started = Some(self.clock.time_at(started));
            }
            (Step::Stopping { key: stops, .. }, PublishedChildState::Running(_))
                if stops == key =>
            {
                self.show_stopping(above, &mut node, stop);
            }
            _ => {}
        }
        node
    }

    /// Returns the node of a child of a dynamic supervisor.
    pub(super) fn folded(
        &self,
        above: &Above,
        (child, pid, is_stopping): (PublishedChild, Pid, bool),
    ) -> PictureNode {
        let stop = (child.state, child.stop_due);
        let mut node = self.node(above, child);
        node.pid = Some(pid);
        if is_stopping && node.state == PictureState::Running {
            self.show_stopping(above, &mut node, stop);
        }
        node
    }

    fn show_stopping(&self, above: &Above, node: &mut PictureNode, stop: StopOfChild) {
        (node.state, node.deadline) = (PictureState::Stopping, self.deadline(above, stop));
    }

    /// Returns when a child is killed that was asked to stop: by its supervisor, or by a program
    /// together with everything at and below the child or a supervisor above.
    fn deadline(&self, above: &Above, (state, due): StopOfChild) -> Option<TimeOfDay> {
        let PublishedChildState::Running(pid) = state else { return None };
        let by_program = above.due.into_iter().chain(self.kernel.kill_time(pid));
        by_program.chain(due).min().map(|due| self.clock.time_at(due))
    }

    /// Returns the node of a child that its supervisor has forgotten.
    pub(super) fn ended(&self, above: &Above, child: PublishedChild) -> PictureNode {
        let pid = child.history.last().and_then(|last| last.pid);
        let mut node = self.node(above, child);
        (node.state, node.retry_at, node.pid) = (PictureState::Ended, None, pid);
        node
    }

    fn node(&self, above: &Above, child: PublishedChild) -> PictureNode {
        let (state, pid, due) = match child.state {
            PublishedChildState::Running(pid) => (PictureState::Running, Some(pid), None),
            PublishedChildState::Restarting { due } => (PictureState::Restarting, None, due),
            PublishedChildState::Stopped => (PictureState::Stopped, None, None),
            PublishedChildState::GivenUp => (PictureState::GivenUp, None, None),
        };
        let is_supervisor = child.kind == ChildType::Supervisor;
        PictureNode {
            path: above.child(&child.id),
            id: child.id,
            pid,
            supervisor: Some(above.pid),
            parent: above.is_shown.then(|| above.text.clone()),
            state,
            health: Health::default(),
            started: pid.map(|_| self.clock.time_at(child.started)),
            ended: child
                .history
                .last()
                .filter(|_| pid.is_none())
                .map(|last| self.clock.time_at(last.ended)),
            retry_at: due.map(|due| self.clock.time_at(due)),
            deadline: None,
            restarts: child.restarts,
            mailbox: MailboxFacts::default(),
            supervision: is_supervisor.then(|| Box::new(Supervision::unknown())),
            history: past_runs(&child.history, self.clock),
        }
    }
}

fn past_runs(history: &History, clock: Clock) -> Vec<PastRun> {
    if history.is_empty() {
        return Vec::new();
    }
    let run = |incarnation: &Incarnation| PastRun {
        started: clock.time_at(incarnation.started),
        ended: clock.time_at(incarnation.ended),
        incarnation: incarnation.clone(),
    };
    history.iter().map(run).collect()
}

impl Supervision {
    /// Returns the facts about a supervisor that has published nothing.
    fn unknown() -> Self {
        Supervision {
            strategy: "",
            budget: None,
            step: None,
            ending_since: None,
            folded: None,
            last_known: false,
        }
    }
}
