//! The class of an exit reason, for counters and for viewers.

use std::fmt;

use crate::exit::{CrashKind, ExitReason};

/// The class of an [`ExitReason`]: a word for a column, a colour or a counter.
///
/// ```
/// use regrow::{ExitClass, ExitReason};
///
/// assert_eq!(ExitClass::of(&ExitReason::shutdown_with("drained")), ExitClass::Shutdown);
/// assert_eq!(ExitClass::of(&ExitReason::crashed("out of cheese")), ExitClass::Error);
/// assert_eq!(ExitClass::Killed.to_string(), "killed");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ExitClass {
    /// [`ExitReason::Normal`].
    Normal,
    /// [`ExitReason::Shutdown`] and [`ExitReason::ShutdownWith`].
    Shutdown,
    /// A crash by an error, or by [`ExitReason::crashed`].
    Error,
    /// A crash by a panic.
    Panic,
    /// [`ExitReason::Killed`].
    Killed,
    /// [`ExitReason::NoProc`] and [`ExitReason::NoConnection`]: the process could not be reached.
    NoProcess,
}

impl ExitClass {
    /// Returns the class of this reason. [`ExitClass`] has an example.
    pub fn of(reason: &ExitReason) -> Self {
        match reason {
            ExitReason::Normal => ExitClass::Normal,
            ExitReason::Shutdown | ExitReason::ShutdownWith(_) => ExitClass::Shutdown,
            ExitReason::Killed => ExitClass::Killed,
            ExitReason::NoProc | ExitReason::NoConnection => ExitClass::NoProcess,
            ExitReason::Crashed(crash) if crash.kind() == CrashKind::Panic => ExitClass::Panic,
            ExitReason::Crashed(_) => ExitClass::Error,
        }
    }
}

/// Displays the class as a word in lower case, as the JSON of an observation has it.
impl fmt::Display for ExitClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ExitClass::Normal => "normal",
            ExitClass::Shutdown => "shutdown",
            ExitClass::Error => "error",
            ExitClass::Panic => "panic",
            ExitClass::Killed => "killed",
            ExitClass::NoProcess => "no_process",
        })
    }
}
