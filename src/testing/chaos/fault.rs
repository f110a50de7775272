//! The kinds of faults, and the faults of a plan: when each happens, what it does, and to which
//! child.

use std::fmt;
use std::time::Duration;

use crate::testing::chaos::log::Seconds;

/// A kind of fault that [`chaos`](crate::testing::chaos()) injects into a child of the tree.
/// [`ChaosPlan::kinds`](crate::testing::ChaosPlan::kinds) chooses among them, and has an example.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// The child is killed. Hits workers and supervisors.
    Kill,
    /// The worker is not polled for a while: it handles no message and no stop request. It can
    /// still be killed, and messages are queued. A blocking child and a command end only after the
    /// hang.
    Hang,
    /// The child is killed, and its next start takes longer: its process is first polled after a
    /// while. Hits workers and supervisors.
    SlowInit,
    /// The child is killed, and its next start fails, or its next few starts fail: its process ends
    /// with an error before it runs. Hits workers and supervisors.
    FailedStart,
    /// The next messages that are sent to the worker are lost: calls, casts, messages and streams,
    /// but no signals, timers and stop requests. The send succeeds. A lost call is answered by no
    /// one: it runs into its time limit, or ends with the exit reason when the worker ends.
    LostMessages,
}

/// What a fault of a plan does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    Kill,
    Hang(Duration),
    SlowInit(Duration),
    FailedStart(usize),
    LostMessages(usize),
}

impl Effect {
    /// Whether the fault is for workers only.
    pub(super) fn spares_supervisors(self) -> bool {
        matches!(self, Effect::Hang(_) | Effect::LostMessages(_))
    }

    /// How long the fault lasts after it has happened.
    pub(super) fn lasts(self) -> Duration {
        match self {
            Effect::Hang(time) | Effect::SlowInit(time) => time,
            Effect::Kill | Effect::FailedStart(_) | Effect::LostMessages(_) => Duration::ZERO,
        }
    }
}

/// The child that a fault hits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    /// Chosen by this number among the children that run when the fault happens.
    Drawn(u64),
    /// The child with this path, as it was chosen in an earlier run of the plan.
    Path(String),
    /// No child could be hit in an earlier run of the plan.
    Nothing,
}

/// One fault of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PlannedFault {
    /// The number of the fault in the plan of its seed, from 1.
    pub(super) number: usize,
    /// When it happens, from the time at which the tree has started.
    pub(super) at: Duration,
    pub(super) effect: Effect,
    pub(super) target: Target,
}

impl fmt::Display for PlannedFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = match &self.target {
            Target::Drawn(_) => "a child",
            Target::Path(path) => path,
            Target::Nothing => "nothing: no child of its kind runs",
        };
        match self.effect {
            Effect::Kill => write!(f, "kill {path}"),
            Effect::Hang(time) => write!(f, "hang {path} for {} s", Seconds(time)),
            Effect::SlowInit(time) => {
                write!(f, "kill {path}, and its next start takes {} s longer", Seconds(time))
            }
            Effect::FailedStart(1) => write!(f, "kill {path}, and its next start fails"),
            Effect::FailedStart(count) => {
                write!(f, "kill {path}, and its next {count} starts fail")
            }
            Effect::LostMessages(1) => write!(f, "lose the next message to {path}"),
            Effect::LostMessages(count) => write!(f, "lose the next {count} messages to {path}"),
        }
    }
}
