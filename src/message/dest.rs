//! The destination of a timer: a process, or the holder of a name.

use crate::base::{Pid, SharedStr};

/// A process by its pid, or the process that holds a name at the moment of delivery.
///
/// Functions with an argument of type `impl Into<Dest>` accept a [`Pid`], a `&str`, a `String` and
/// a [`Name`](crate::Name). OTP: the `Dest` of `erlang:send_after/3`.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use regrow::{Dest, ExitReason, Pid, Runtime};
///
/// assert_eq!(Dest::from("logger"), Dest::Name("logger".into()));
/// assert_eq!(Dest::from(Pid::from_raw(7)), Dest::Pid(Pid::from_raw(7)));
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true)
/// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
/// let rt = Runtime::new();
/// rt.send_after("logger", Duration::from_secs(1), b"tick".to_vec()); // no process has the name yet
/// let logger = rt.spawn(|mut ctx| async move { drop(ctx.recv().await) });
/// rt.register("logger", logger.pid());
/// assert_eq!(logger.join().await, ExitReason::Normal); // the process has received the tick
/// # }));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Dest {
    /// The process with this pid.
    Pid(Pid),
    /// The process that holds this name at the moment of delivery.
    Name(SharedStr),
}

impl From<Pid> for Dest {
    fn from(pid: Pid) -> Self {
        Dest::Pid(pid)
    }
}

impl From<&str> for Dest {
    fn from(name: &str) -> Self {
        Dest::Name(name.into())
    }
}

impl From<String> for Dest {
    fn from(name: String) -> Self {
        Dest::Name(name.into())
    }
}

impl From<SharedStr> for Dest {
    fn from(name: SharedStr) -> Self {
        Dest::Name(name)
    }
}
