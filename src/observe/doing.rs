//! A short description of what a process is doing.

use std::fmt;

use crate::observe::Handling;

/// The activity of a process at some moment, as far as it can be seen from outside.
///
/// A [`StopReport`](crate::StopReport) contains it for each child that overran its time. OTP:
/// `process_info(Pid, [status, current_function])`.
///
/// ```
/// use regrow::{Doing, Runtime};
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let rt = Runtime::new();
/// let listener = rt.spawn(|mut ctx| async move { drop(ctx.recv().await) });
/// let worker = rt.spawn(|_| std::future::pending());
/// tokio::task::yield_now().await; // both wait now
/// assert_eq!(rt.info(listener.pid()).unwrap().doing(), Doing::Receiving);
/// assert_eq!(rt.info(worker.pid()).unwrap().doing().to_string(), "at work of its own");
/// # });
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Doing {
    /// A callback of a server runs. The callback is known only while handlers are
    /// [tracked](crate::Runtime::track_handlers).
    Handling(Handling),
    /// The process waits for a message.
    Receiving,
    /// The process computes, or awaits something other than a message. A server that runs a handler
    /// while handlers are not tracked is shown like this as well.
    Working,
}

impl fmt::Display for Doing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Doing::Handling(Handling { callback, elapsed }) => {
                write!(f, "in {callback} for {elapsed:.1?}")
            }
            Doing::Receiving => f.write_str("waiting for a message"),
            Doing::Working => f.write_str("at work of its own"),
        }
    }
}
