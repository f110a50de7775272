//! What a person did to a tree from outside, as a value: the action, and its outcome.

use std::fmt;

use crate::base::{SENTENCE, SharedStr, excerpt};
use crate::observe::LogLevel;

/// An action on a child, or on the runtime, that is requested from outside: by the page of an
/// observer, or by [`Runtime::control`](crate::Runtime::control), which has an example.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ControlAction {
    /// The supervisor stops the child as its specification says, and starts it again. A child that
    /// does not run is started. No restart budget is spent. OTP: `supervisor:terminate_child/2` and
    /// `restart_child/2`.
    Restart,
    /// The supervisor stops the child as its specification says, and does not start it again. OTP:
    /// `supervisor:terminate_child/2`.
    Terminate,
    /// The process is killed. Its supervisor handles the end as that of a crash. OTP:
    /// `exit(Pid, kill)`.
    Kill,
    /// The server runs no handler until it is resumed. OTP: `sys:suspend/1`.
    Suspend,
    /// The server runs its handlers again. OTP: `sys:resume/1`.
    Resume,
    /// The lifecycle log of the whole runtime has this level from now on. OTP:
    /// `logger:set_primary_config/2`.
    LogLevel(LogLevel),
}

impl ControlAction {
    /// Returns the action as a word, as the JSON has it: `"restart"` or `"log_level"` for example.
    ///
    /// ```
    /// use regrow::{ControlAction, LogLevel};
    ///
    /// assert_eq!(ControlAction::Restart.name(), "restart");
    /// assert_eq!(ControlAction::LogLevel(LogLevel::Debug).name(), "log_level");
    /// assert_eq!(ControlAction::LogLevel(LogLevel::Debug).to_string(), "log_level debug");
    /// ```
    pub fn name(self) -> &'static str {
        match self {
            ControlAction::Restart => "restart",
            ControlAction::Terminate => "terminate",
            ControlAction::Kill => "kill",
            ControlAction::Suspend => "suspend",
            ControlAction::Resume => "resume",
            ControlAction::LogLevel(_) => "log_level",
        }
    }

    /// Returns the log level that the action sets, if it sets one. [`name`](Self::name) has an
    /// example of such an action.
    pub fn level(self) -> Option<LogLevel> {
        match self {
            ControlAction::LogLevel(level) => Some(level),
            _ => None,
        }
    }
}

/// Displays the name, and the log level.
impl fmt::Display for ControlAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        self.level().map_or(Ok(()), |level| write!(f, " {}", level.name()))
    }
}

/// How a requested action ended. [`Runtime::control`](crate::Runtime::control) has an example.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ControlOutcome {
    /// The action was carried out.
    Done,
    /// Nothing was done, for this reason.
    Refused(SharedStr),
    /// The action was begun, and failed or was still going on when the requester stopped waiting, as
    /// this text says.
    Unfinished(SharedStr),
}

impl ControlOutcome {
    /// Returns the outcome as a word, as the JSON has it: `"done"`, `"refused"` or `"unfinished"`.
    pub fn name(&self) -> &'static str {
        match self {
            ControlOutcome::Done => "done",
            ControlOutcome::Refused(_) => "refused",
            ControlOutcome::Unfinished(_) => "unfinished",
        }
    }

    /// Returns why the action was not carried out, or how far it came.
    pub fn why(&self) -> Option<&str> {
        match self {
            ControlOutcome::Done => None,
            ControlOutcome::Refused(why) | ControlOutcome::Unfinished(why) => Some(why),
        }
    }
}

/// Displays the name and the reason on one line.
impl fmt::Display for ControlOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        self.why().map_or(Ok(()), |why| write!(f, ": {}", excerpt(why, SENTENCE)))
    }
}
