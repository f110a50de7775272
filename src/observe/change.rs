//! Changes of a supervision tree, as values: what an observation delivers after its picture.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::base::{NodePath, Pid, SharedStr, TimeOfDay};
use crate::exit::ExitReason;
use crate::observe::activity::{Callback, Doing};
use crate::observe::health::Health;
use crate::observe::{ControlAction, ControlOutcome};

/// One change of a supervision tree. [`Observation`](crate::Observation) delivers it, and has an
/// example.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Change {
    /// The number of the change. Later changes of the same runtime have greater numbers; there are
    /// gaps where changes of other trees are left out.
    pub seq: u64,
    /// When the change happened, by the clock of the system, for people. Use [`seq`](Self::seq) for
    /// the order: the clock of a system may be set back.
    pub time: TimeOfDay,
    /// The path of the child or supervisor that the change is about: the ids from the topmost
    /// supervisor down, with `/` between them. In an id the characters `/`, `%`, `"`, `…` and
    /// controls are written as in a URL, `%2F` for example; an empty id is `""`. Under a dynamic
    /// supervisor ids may repeat, and the pid tells the children apart. Of a path with more than
    /// 128 ids the middle is left out.
    pub path: SharedStr,
    /// The process that the change is about, if there is one.
    pub pid: Option<Pid>,
    /// The supervisor of the child; `None` for a topmost supervisor, and for what a supervisor
    /// reports about itself.
    pub supervisor: Option<Pid>,
    /// What has changed.
    pub kind: ChangeKind,
    /// The topmost supervisor of the tree. Another tree may have the same path. The pid
    /// [`OUTSIDE`](Pid::OUTSIDE) if the change is about the runtime.
    pub(crate) root: Pid,
    /// Under whose lock, or in whose task, the change was made.
    pub(crate) origin: Origin,
}

/// The maker of a change. A picture knows up to which number it includes the changes of each maker, and
/// of a maker that it has not visited, by the supervisors above.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The start or the end of a topmost supervisor.
    Roots,
    /// This supervisor, about itself or a child.
    Supervisor(Arc<NodePath>),
    /// This process, about itself, and the supervisor above it, if there is one.
    Process(Pid, Option<Arc<NodePath>>),
}

/// What has changed. [`Observation`](crate::Observation) has an example.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChangeKind {
    /// A supervisor has a new child, which does not run yet.
    Added {
        /// Whether the child is a supervisor.
        is_supervisor: bool,
    },
    /// A start of the child begins.
    Starting {
        /// How many starts of the child came before this one.
        attempt: u32,
    },
    /// The child runs, and is ready if its specification asks for that.
    Started {
        /// Whether the child is a supervisor.
        is_supervisor: bool,
        /// The health that the process reports.
        health: Health,
        /// The process of the incarnation before, if the child was restarted.
        previous: Option<Pid>,
    },
    /// A start of the child failed.
    StartFailed {
        /// The error, or the reason with which the process ended.
        reason: ExitReason,
    },
    /// An incarnation of the child ended.
    Ended {
        /// Why it ended.
        reason: ExitReason,
        /// The time from the start of the incarnation to its end.
        uptime: Duration,
        /// Whether its supervisor stopped it. False if it ended by itself or was killed by another
        /// process.
        stopped: bool,
        /// Whether the supervisor forgets the child with this end, as a dynamic supervisor does
        /// with a child that is not restarted. Otherwise the next change of the child says what
        /// follows.
        for_good: bool,
    },
    /// The supervisor has decided to restart the child, and is about to do so.
    Restarting {
        /// Why the last incarnation ended, or did not start.
        reason: ExitReason,
        /// The number of restarts of the child, including this one.
        attempt: u32,
        /// How long a backoff has delayed the restart.
        delay: Duration,
        /// How many more restarts the budget allows; `None` if there is no limit.
        budget_left: Option<u32>,
    },
    /// The child does not run and waits for its restart.
    Waiting {
        /// The time until the next try, if there is a backoff.
        retry_in: Option<Duration>,
    },
    /// The child does not run, and its supervisor starts it only on request.
    Stopped,
    /// The child was given up: its supervisor continues without it.
    GivenUp,
    /// The child has reached the limit of its own restart budget.
    LimitReached {
        /// The limit, in words.
        reason: ExitReason,
    },
    /// The supervisor forgets the child.
    Removed,
    /// The supervisor of this path has reached its restart limit, and ends.
    GaveUp {
        /// The id of the child whose end or failed start exceeded the limit.
        child: SharedStr,
        /// The reason with which the supervisor ends.
        reason: ExitReason,
    },
    /// The supervisor of this path begins to stop all its children.
    Ending,
    /// The supervisor has asked the child to stop. A supervisor of a declared list waits for this
    /// child until the child has ended.
    Stopping {
        /// When the supervisor kills the child, by the clock of the system; `None` if its stop has
        /// no limit. A [program](crate::Run) that stops may kill the child earlier: the
        /// [`deadline`](crate::PictureNode::deadline) in a picture includes that.
        deadline: Option<TimeOfDay>,
    },
    /// A dynamic supervisor that stops all its children waits for this one.
    HoldsStop {
        /// When the supervisor kills the child, by the clock of the system; `None` if its stop has
        /// no limit. In the past if the child was killed, and has not ended yet.
        /// As for [`Stopping`](ChangeKind::Stopping), this is the supervisor's own limit.
        deadline: Option<TimeOfDay>,
    },
    /// The stop of the child went wrong: it overran its time and was killed, or it ended with
    /// another reason than requested.
    ShutdownFailed {
        /// The reason with which the child ended.
        reason: ExitReason,
        /// What the child did when it was killed because it overran its time.
        overran: Option<Doing>,
    },
    /// The process has another health.
    Health {
        /// The health.
        health: Health,
    },
    /// A handler runs longer than its [limit](crate::Runtime::warn_after).
    SlowHandler {
        /// The callback.
        callback: Callback,
        /// How long it has been running.
        elapsed: Duration,
    },
    /// A call was refused because it would have closed a cycle of processes that wait for each
    /// other: see [`detect_deadlocks`](crate::Runtime::detect_deadlocks). The path is that of the
    /// server that was called.
    Deadlock {
        /// The cycle, which begins and ends with the caller.
        cycle: Vec<Pid>,
    },
    /// An action on this child was requested from outside, and has ended. Of
    /// [`ControlAction::LogLevel`], which is about no child, the path is empty, and observations of
    /// all trees receive it. Requests that name no child of a tree are no changes.
    Control {
        /// The action.
        action: ControlAction,
        /// The requester, as in [`LifecycleEvent::Control`](crate::LifecycleEvent::Control).
        caller: SharedStr,
        /// How the request ended.
        outcome: ControlOutcome,
    },
}

impl ChangeKind {
    /// Returns the change of a child that was asked to stop, and is killed at `due`.
    pub(crate) fn stopping(due: Option<Instant>) -> Self {
        ChangeKind::Stopping { deadline: due.map(TimeOfDay::at) }
    }
}
