//! What a process is at, in a few words.

use std::fmt;

use crate::observe::activity::Handling;

/// What a process is doing at some moment, as far as anybody can say who doesn't look into
/// it. A [`StopReport`](crate::StopReport) tells so of whoever overran their time. OTP:
/// `process_info(Pid, [status, current_function])`.
///
/// ```
/// use regrow::{Doing, Runtime};
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let rt = Runtime::new();
/// let listener = rt.spawn(|mut ctx| async move { drop(ctx.recv().await) });
/// let worker = rt.spawn(|_| std::future::pending());
/// tokio::task::yield_now().await; // both have come to where they wait
/// assert_eq!(rt.info(listener.pid()).unwrap().doing(), Doing::Receiving);
/// assert_eq!(rt.info(worker.pid()).unwrap().doing().to_string(), "at work of its own");
/// # });
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Doing {
    /// A callback runs. Known of servers whose handlers are
    /// [tracked](crate::Runtime::track_handlers).
    Handling(Handling),
    /// It waits for a message.
    Receiving,
    /// Neither of these: it computes, or awaits something else. So does a server whose
    /// handlers are not tracked, while one runs.
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
