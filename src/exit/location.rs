//! A location in the source code.

use std::fmt;
use std::panic::Location;

/// A location in the source code: file, line and column.
///
/// # Examples
///
/// ```
/// use regrow::ExitReason;
///
/// let reason = ExitReason::from(std::fmt::Error); // this line
/// let location = reason.crash().unwrap().location().unwrap();
/// assert!(location.line() > 0 && location.column() > 0);
/// assert_eq!(
///     location.to_string(),
///     format!("{}:{}:{}", location.file(), location.line(), location.column()),
/// );
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CrashLocation {
    file: Box<str>,
    line: u32,
    column: u32,
}

impl CrashLocation {
    /// The path of the file, as the compiler received it. [`CrashLocation`] has an example.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The line, counted from 1. [`CrashLocation`] has an example.
    pub fn line(&self) -> u32 {
        self.line
    }

    /// The column, counted from 1. [`CrashLocation`] has an example.
    pub fn column(&self) -> u32 {
        self.column
    }
}

impl From<&Location<'_>> for CrashLocation {
    fn from(location: &Location<'_>) -> Self {
        CrashLocation {
            file: location.file().into(),
            line: location.line(),
            column: location.column(),
        }
    }
}

impl fmt::Display for CrashLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}
