//! A place in the source code.

use std::fmt;
use std::panic::Location;

/// A place in the source code: file, line and column.
///
/// # Examples
///
/// ```
/// use regrow::ExitReason;
///
/// let reason = ExitReason::from(std::fmt::Error); // this line
/// let place = reason.crash().unwrap().location().unwrap();
/// assert!(place.line() > 0 && place.column() > 0);
/// assert_eq!(
///     place.to_string(),
///     format!("{}:{}:{}", place.file(), place.line(), place.column()),
/// );
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CrashLocation {
    file: Box<str>,
    line: u32,
    column: u32,
}

impl CrashLocation {
    /// The path of the file, as it was given to the compiler. [`CrashLocation`] has an example.
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
    fn from(place: &Location<'_>) -> Self {
        CrashLocation { file: place.file().into(), line: place.line(), column: place.column() }
    }
}

impl fmt::Display for CrashLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}
