//! The report of the stop of a program: the outcome of each child.

use std::fmt;
use std::process::{ExitCode, Termination};
use std::time::Duration;

use crate::base::{Pid, one_line};
use crate::exit::{ExitReason, WithCauses};
use crate::observe::Doing;

/// The report of the stop of a program: the cause, the duration, and the outcome of each child.
///
/// The [`Display`](fmt::Display) is a readable table. For many children, the table counts the
/// outcomes for each supervisor, and names only children that did not stop cleanly. The
/// [`Termination`] gives the exit code of the program, so `main` can return the report.
/// [`Run`](crate::Run) has an example. OTP has no counterpart.
#[derive(Debug, Clone)]
#[non_exhaustive]
#[must_use = "a stop may not have been clean: look at the report, or return it from `main`"]
pub struct StopReport {
    /// The cause of the stop.
    pub cause: StopCause,
    /// The duration of the stop.
    pub took: Duration,
    /// Whether the whole stop was cut short, by a second signal or by the deadline.
    pub forced: bool,
    /// The children of the whole tree that were stopped or killed, in the order of their ends.
    /// Children that were alive when the stop was cut short come last, the youngest first.
    pub children: Vec<StoppedChild>,
}

/// The cause of the stop of a program.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StopCause {
    /// A signal of the operating system: `SIGTERM`, `SIGINT`, `Ctrl-C` or `Ctrl-Break`.
    Signal(&'static str),
    /// The cancellation of the token of [`Run::stop_on`](crate::Run::stop_on).
    Token,
    /// The tree ended cleanly, but the run did not stop it: other code stopped it, or it shut
    /// itself down.
    TreeEnded,
}

impl fmt::Display for StopCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            StopCause::Signal(name) => name,
            StopCause::Token => "its token",
            StopCause::TreeEnded => "the tree itself",
        })
    }
}

/// The stop of one child: its outcome, its duration, and the activity of the child.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoppedChild {
    /// The ids from the root down to the child, separated by `/`. An empty id is `""`. If the child
    /// is more than 128 levels down, `…` stands for the ids in the middle.
    pub path: String,
    /// The pid of the incarnation that was stopped.
    pub pid: Pid,
    /// The outcome of the stop.
    pub outcome: StopOutcome,
    /// The activity of the child when its shutdown time was over or the stop was cut short; `None`
    /// for a child that ended in time.
    pub doing: Option<Doing>,
    /// The time from the request to stop to the end of the child. For a child that was killed when
    /// the stop was cut short, the time since the beginning of the whole stop.
    pub took: Duration,
}

/// The outcome of one child when the tree stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StopOutcome {
    /// The child ended in time, with this exit reason.
    Stopped(ExitReason),
    /// The child was killed at once, as its [`BrutalKill`](crate::Shutdown::BrutalKill) says.
    KilledAtOnce,
    /// The child was asked to stop, and was killed when its shutdown time was over or the stop was
    /// cut short.
    Killed,
    /// The child is a supervisor that was killed when the stop was cut short, while it waited for
    /// one of its children. The report names that child as well.
    HeldUp(CutShort),
    /// The child was killed when the stop was cut short, before its supervisor had asked it to
    /// stop.
    NotAsked(CutShort),
    /// The child was killed when the stop was cut short, while its supervisor waited for its start.
    NotStarted(CutShort),
    /// The child was killed and has not ended: its body does not await, or its task is queued on a
    /// thread that is blocked by the body of another process. The run does not wait for the child
    /// any longer.
    NotYielding,
    /// The child had not ended when the watchdog ended the program. All threads of tokio were
    /// blocked by bodies that do not await, of this child or of other processes.
    LeftBehind,
}

/// The event that cut a stop short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CutShort {
    /// The deadline of the whole stop was over: [`Run::deadline`](crate::Run::deadline).
    Deadline,
    /// A second signal arrived.
    SecondSignal,
    /// The time of a phase to stop was over: [`Phase::stop_within`](crate::Phase::stop_within).
    /// Only this phase was cut short.
    PhaseTime,
}

impl fmt::Display for CutShort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            CutShort::Deadline => "the deadline",
            CutShort::SecondSignal => "a second signal",
            CutShort::PhaseTime => "the end of its phase's time",
        })
    }
}

impl fmt::Display for StopOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StopOutcome::Stopped(reason) => write!(f, "stopped ({})", one_line(WithCauses(reason))),
            StopOutcome::KilledAtOnce => f.write_str("killed at once, as specified"),
            StopOutcome::Killed => f.write_str("overran its time, killed"),
            StopOutcome::HeldUp(by) => write!(f, "killed at {by} while it stopped its children"),
            StopOutcome::NotAsked(by) => write!(f, "killed at {by} before it was asked"),
            StopOutcome::NotStarted(by) => write!(f, "killed at {by} before it had started"),
            StopOutcome::NotYielding => f.write_str("never awaits, left behind"),
            StopOutcome::LeftBehind => f.write_str("left behind, no thread was free to end it"),
        }
    }
}

impl StopOutcome {
    /// Returns whether the child ended in time with a clean reason, or was killed as specified.
    pub(super) fn is_clean(&self) -> bool {
        match self {
            StopOutcome::Stopped(reason) => reason.is_clean(),
            StopOutcome::KilledAtOnce => true,
            _ => false,
        }
    }
}

impl StopReport {
    /// Returns whether the stop was not cut short, and every child ended in time with a
    /// [clean](ExitReason::is_clean) reason or was [killed at once](StopOutcome::KilledAtOnce) as
    /// specified. [`Run`](crate::Run) has an example.
    pub fn is_clean(&self) -> bool {
        !self.forced && self.children.iter().all(|child| child.outcome.is_clean())
    }

    /// Returns the exit code of the program: 0 if the stop was [clean](Self::is_clean), else 1.
    pub fn exit_code(&self) -> ExitCode {
        if self.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

impl Termination for StopReport {
    fn report(self) -> ExitCode {
        self.exit_code()
    }
}
