//! The crash of a program that failed.

use std::process::ExitStatus;

use thiserror::Error;

use crate::base::one_line::one_line;

/// A program ended, by itself, otherwise than with success: the crash of a
/// [`ChildSpec::command`](crate::ChildSpec::command), which has an example.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{}` failed: {status}", one_line(.program))]
#[non_exhaustive]
pub struct CommandFailed {
    /// The program, as it was called.
    pub program: String,
    /// How it ended: its code, or the signal that ended it.
    pub status: ExitStatus,
}
