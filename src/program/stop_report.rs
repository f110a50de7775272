//! How the stop of a program went, child by child.

use std::fmt;
use std::process::{ExitCode, Termination};
use std::time::Duration;

use crate::base::one_line::one_line;
use crate::base::pid::Pid;
use crate::exit::reason::{ExitReason, WithCauses};
use crate::observe::doing::Doing;

/// How a program was stopped: why, in how long, and what each child did about it. Its
/// [`Display`](fmt::Display) is a table for people: of many children it counts what became of those
/// of each supervisor, and names the ones that did not stop as they should have. Its [`Termination`] an exit code for
/// whoever started the program. [`Run`](crate::Run) has an example. OTP has no counterpart.
#[derive(Debug, Clone)]
#[non_exhaustive]
#[must_use = "it tells whether all went well"]
pub struct StopReport {
    /// Why the program stopped.
    pub cause: StopCause,
    /// How long the stop took.
    pub took: Duration,
    /// Whether the stop was cut short: by a second signal, or by the deadline.
    pub forced: bool,
    /// The children of the whole tree, in the order in which they ended.
    pub children: Vec<StoppedChild>,
}

/// Why a program stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StopCause {
    /// The operating system asked: `SIGTERM`, `SIGINT`, or `Ctrl-C`.
    Signal(&'static str),
    /// The token was cancelled that [`Run::stop_on`](crate::Run::stop_on) was given.
    Token,
    /// The tree ended by itself, cleanly: somebody stopped it, or it shut itself down.
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

/// How the stop of one child went.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoppedChild {
    /// The ids from the root down to it, separated by `/`. An empty id is `""`; of a child more
    /// than 128 levels down the ids in the middle are left out, and `…` stands for them.
    pub path: String,
    /// Which incarnation.
    pub pid: Pid,
    /// What became of it.
    pub outcome: StopOutcome,
    /// What it was doing when its time was up or the stop was cut short; `None` of one that
    /// ended in its time.
    pub doing: Option<Doing>,
    /// How long it took from being asked to its very end; of what was killed when the stop
    /// was cut short, from the beginning of that.
    pub took: Duration,
}

/// What became of a child when the tree stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StopOutcome {
    /// It ended in its time, with this reason.
    Stopped(ExitReason),
    /// It was killed at once, as its [`BrutalKill`](crate::Shutdown::BrutalKill) says.
    KilledAtOnce,
    /// It was asked to stop, did not end in its time or in what the deadline of the run left of
    /// it, and was killed.
    Killed,
    /// A supervisor that was asked to stop and waited for a child of its own when the stop was
    /// cut short. It was killed; the child that it waited for is reported by itself.
    HeldUp(CutShort),
    /// It ran, and the stop was cut short before its supervisor came to ask it. It was killed.
    NotAsked(CutShort),
    /// The stop was cut short while its supervisor still waited for its start. It was killed.
    NotStarted(CutShort),
    /// It was killed and is still there: its body does not await, or it is to run next on a thread
    /// whose body does not. The program goes on without waiting for it.
    NotYielding,
    /// It was still there when the program was ended, because no thread of tokio was free to run
    /// any async code: its own, or that of another body that does not await.
    LeftBehind,
}

/// What cut a stop short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CutShort {
    /// The time for the whole stop was over: [`Run::deadline`](crate::Run::deadline).
    Deadline,
    /// The operating system asked a second time.
    SecondSignal,
}

impl fmt::Display for CutShort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            CutShort::Deadline => "the deadline",
            CutShort::SecondSignal => "a second signal",
        })
    }
}

impl fmt::Display for StopOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StopOutcome::Stopped(reason) => write!(f, "stopped ({})", one_line(WithCauses(reason))),
            StopOutcome::KilledAtOnce => f.write_str("killed at once, as it is to be"),
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
    /// Whether it ended in its time, as it was asked to or by itself.
    pub(super) fn is_clean(&self) -> bool {
        match self {
            StopOutcome::Stopped(reason) => reason.is_clean(),
            StopOutcome::KilledAtOnce => true,
            _ => false,
        }
    }
}

impl StopReport {
    /// Whether every child ended in its time, as it was asked to or by itself, and nobody
    /// had to be killed. [`Run`](crate::Run) has an example.
    pub fn is_clean(&self) -> bool {
        !self.forced && self.children.iter().all(|child| child.outcome.is_clean())
    }

    /// What to end the program with: success if the stop was [clean](Self::is_clean),
    /// else 1.
    pub fn exit_code(&self) -> ExitCode {
        if self.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

impl Termination for StopReport {
    fn report(self) -> ExitCode {
        self.exit_code()
    }
}
