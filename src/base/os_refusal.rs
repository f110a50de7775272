//! Errors of the operating system, with advice on what to do about them.

use std::borrow::BorrowMut;
use std::error::Error;
use std::fmt;
use std::io;
use std::thread;

use tokio::runtime::{Builder, Runtime as Tokio};

use crate::base::user_panics::catch_panic;

/// An operation that failed because the operating system refused it.
#[derive(Debug)]
struct Refused {
    /// The operation that failed.
    what: String,
    /// The error of the operating system.
    error: io::Error,
}

/// Returns an error of the same kind that names the failed operation and gives advice. The source
/// of the new error is the error of the operating system.
pub(crate) fn refused(what: String, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), Refused { what, error })
}

/// Starts a thread with this name. The text of an error contains `purpose`.
pub(crate) fn start_thread(
    name: String,
    purpose: &str,
    run: impl FnOnce() + Send + 'static,
) -> io::Result<()> {
    let started = thread::Builder::new().name(name).spawn(run);
    let what = |error| refused(format!("no thread can be started for {purpose}"), error);
    started.map(drop).map_err(what)
}

/// Builds a tokio runtime with all drivers enabled. The text of an error begins with `what`.
///
/// If no threads or files are left, tokio's builder may panic. This function returns an error in
/// that case.
pub(crate) fn build_tokio(mut builder: impl BorrowMut<Builder>, what: &str) -> io::Result<Tokio> {
    let built = catch_panic(|| builder.borrow_mut().enable_all().build());
    let built = built.unwrap_or_else(|panic| Err(io::Error::other(panic)));
    built.map_err(|error| refused(what.to_owned(), error))
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
