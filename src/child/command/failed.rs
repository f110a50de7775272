//! The crash reason of a program that failed.

use std::process::ExitStatus;

use thiserror::Error;

use crate::base::one_line;

/// The crash reason of a [`ChildSpec::command`](crate::ChildSpec::command), which has an example:
/// the program ended by itself and without success.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{}` failed: {status}", one_line(.program))]
#[non_exhaustive]
pub struct CommandFailed {
    /// The program, as the command names it.
    pub program: String,
    /// The exit status: a code, or the signal that ended the program.
    pub status: ExitStatus,
}
