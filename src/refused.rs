//! What the operating system refused, in words that say what to do about it.

use std::error::Error;
use std::fmt;
use std::io;

/// Something that did not come about, because the operating system refused it.
#[derive(Debug)]
struct Refused {
    /// What could not be done.
    what: String,
    /// The answer of the operating system.
    error: io::Error,
}

/// An error of the same kind that says what could not be done, and what to do about it. Its source
/// is the answer of the operating system.
pub(crate) fn refused(what: String, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), Refused { what, error })
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, advice(&self.error))
    }
}

impl Error for Refused {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.error)
    }
}

fn advice(error: &io::Error) -> &'static str {
    // `EMFILE` and `ENFILE` have these numbers on every Unix.
    if cfg!(unix) && matches!(error.raw_os_error(), Some(23 | 24)) {
        return "too many files are open, raise the limit (`ulimit -n`) or keep fewer of them open";
    }
    match error.kind() {
        io::ErrorKind::NotFound => {
            "it is not there, or its working directory is not: look at the path"
        }
        io::ErrorKind::PermissionDenied => "it may not be used: look at its permissions",
        io::ErrorKind::WouldBlock | io::ErrorKind::OutOfMemory => {
            "a limit of processes, threads or memory is reached, raise it (`ulimit -u`, \
             `ulimit -v`) or use less"
        }
        _ => "the operating system refuses it",
    }
}
