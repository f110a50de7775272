//! The levels of the lifecycle log.

use crate::exit::ExitReason;

/// The level of the lifecycle log, which decides which lines the log contains. At each level the
/// log contains the lines of the level before, and more.
///
/// ```
/// use regrow::{ExitReason, LogLevel};
///
/// assert!(LogLevel::Off < LogLevel::Error && LogLevel::Info < LogLevel::Debug);
/// assert_eq!(LogLevel::parse("WARN"), LogLevel::Warn);
/// assert_eq!(LogLevel::parse("loud"), LogLevel::Off);
/// assert_eq!(LogLevel::for_exit(&ExitReason::Killed), LogLevel::Warn);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[repr(u8)]
pub enum LogLevel {
    /// Only panics and errors that end a process, and children that a supervisor cannot start,
    /// cannot stop in time, or gives up.
    #[default]
    Off = 0,
    /// Also labelled processes that end because another process crashed.
    Error = 1,
    /// Also kills, and restarts after an end that is not clean.
    Warn = 2,
    /// Also starts, clean ends, restarts after clean ends, and the census.
    Info = 3,
    /// All lines.
    Debug = 4,
}

impl LogLevel {
    /// Returns the level with this name. Upper and lower case are equal, and outer spaces are
    /// ignored. An unknown name is [`Off`](Self::Off). [`LogLevel`] has an example.
    pub fn parse(text: &str) -> LogLevel {
        match text.trim().to_ascii_lowercase().as_str() {
            "error" => LogLevel::Error,
            "warn" | "warning" => LogLevel::Warn,
            "info" => LogLevel::Info,
            "debug" => LogLevel::Debug,
            _ => LogLevel::Off,
        }
    }

    /// Returns the level of the log line for an end with this reason: error for a crash, warning
    /// for a kill, or for a process that did not exist or whose node is lost, information for a
    /// clean end. [`LogLevel`] has an example.
    pub fn for_exit(reason: &ExitReason) -> LogLevel {
        match reason {
            ExitReason::Crashed(_) => LogLevel::Error,
            ExitReason::Killed | ExitReason::NoProc | ExitReason::NoConnection => LogLevel::Warn,
            ExitReason::Normal | ExitReason::Shutdown | ExitReason::ShutdownWith(_) => {
                LogLevel::Info
            }
        }
    }

    /// Returns the name of the level, in lower case: [`parse`](Self::parse) accepts it.
    ///
    /// ```
    /// use regrow::LogLevel;
    ///
    /// assert_eq!(LogLevel::Warn.name(), "warn");
    /// assert_eq!(LogLevel::parse(LogLevel::Warn.name()), LogLevel::Warn);
    /// ```
    pub fn name(self) -> &'static str {
        match self {
            LogLevel::Off => "off",
            LogLevel::Error => "error",
            LogLevel::Warn => "warn",
            LogLevel::Info => "info",
            LogLevel::Debug => "debug",
        }
    }

    pub(crate) fn from_bits(bits: u8) -> LogLevel {
        match bits {
            1 => LogLevel::Error,
            2 => LogLevel::Warn,
            3 => LogLevel::Info,
            4 => LogLevel::Debug,
            _ => LogLevel::Off,
        }
    }
}
