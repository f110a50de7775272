//! The search for a typed error in an exit reason.

use std::error::Error;

use crate::base::user_panics::catch_panic;
use crate::exit::{ExitError, ExitReason};

/// How many sources of an error are visited. The chain of sources may be a cycle.
const MAX_VISITED: usize = 100;

impl ExitReason {
    /// Returns the first error of the type `E` among the error of a crash and its sources. So an error
    /// is found also if another error contains it, or if a supervisor gave up because of it. `None`
    /// if there is no such error among the first 100, or if the reason is no crash, or a crash by a panic
    /// or a message.
    ///
    /// ```
    /// use std::num::ParseIntError;
    /// use regrow::ExitReason;
    ///
    /// #[derive(Debug, thiserror::Error)]
    /// #[error("line {line} has no number")]
    /// struct BadLine {
    ///     line: u32,
    ///     source: ParseIntError,
    /// }
    ///
    /// let source = "eighty".parse::<u16>().unwrap_err();
    /// let reason = ExitReason::from(BadLine { line: 7, source });
    /// assert_eq!(reason.find_error::<BadLine>().map(|bad| bad.line), Some(7));
    /// assert!(reason.find_error::<ParseIntError>().is_some());
    /// assert!(reason.find_error::<std::io::Error>().is_none());
    /// ```
    pub fn find_error<E: Error + 'static>(&self) -> Option<&E> {
        let mut at: &(dyn Error + 'static) = self.cause()?;
        for _ in 0..MAX_VISITED {
            if let Some(found) = at.downcast_ref() {
                return Some(found);
            }
            at = match at.downcast_ref::<ExitError>() {
                Some(exit) => exit.reason().cause()?,
                None => catch_panic(|| at.source()).ok().flatten()?,
            };
        }
        None
    }
}
