//! How the stop of a program went, child by child.

use std::fmt;
use std::process::{ExitCode, Termination};
use std::time::Duration;

use crate::doing::Doing;
use crate::exit::ExitReason;
use crate::pid::Pid;

/// How a program was stopped: why, in how long, and what each child did about it. Its
/// [`Display`](fmt::Display) is a table for people, its [`Termination`] an exit code for
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
    /// The ids from the root down to it, separated by `/`.
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

/// What became of a child that was asked to stop.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StopOutcome {
    /// It ended in its time, with this reason.
    Stopped(ExitReason),
    /// It was killed at once, as its [`BrutalKill`](crate::Shutdown::BrutalKill) says.
    KilledAtOnce,
    /// Its time was up, and it was killed.
    Killed,
    /// It was killed and is still there: its body does not await. The program goes on
    /// without waiting for it.
    NotYielding,
}

impl fmt::Display for StopOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StopOutcome::Stopped(reason) => write!(f, "stopped ({reason})"),
            StopOutcome::KilledAtOnce => f.write_str("killed at once, as it is to be"),
            StopOutcome::Killed => f.write_str("overran its time, killed"),
            StopOutcome::NotYielding => f.write_str("never awaits, left behind"),
        }
    }
}

impl StopReport {
    /// Whether every child ended in its time, as it was asked to or by itself, and nobody
    /// had to be killed. [`Run`](crate::Run) has an example.
    pub fn is_clean(&self) -> bool {
        let stopped = |child: &StoppedChild| match &child.outcome {
            StopOutcome::Stopped(reason) => reason.is_clean(),
            StopOutcome::KilledAtOnce => true,
            StopOutcome::Killed | StopOutcome::NotYielding => false,
        };
        !self.forced && self.children.iter().all(stopped)
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

impl fmt::Display for StopReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cause, took, forced, children } = self;
        let how = if *forced { ", forced" } else { "" };
        write!(f, "stopped by {cause} in {took:.1?}{how}")?;
        let wide = children.iter().map(|child| child.path.len()).max().unwrap_or(0);
        for StoppedChild { path, pid, outcome, doing, took } in children {
            write!(f, "\n  {path:wide$}  {pid:>6}  {took:>8.1?}  {outcome}")?;
            if let Some(doing) = doing {
                write!(f, ": it was {doing}")?;
            }
        }
        Ok(())
    }
}
