//! How a supervisor stops a child.

use std::time::Duration;

use tokio::time::Instant;

/// How a supervisor stops a child. OTP: the shutdown value.
///
/// Times are measured by tokio's clock. Blocking children and programs of the operating system need
/// real time to stop, for which a paused clock does not wait. So with a paused clock their time may
/// be over at once.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use regrow::{ChildSpec, ExitReason, Runtime, Shutdown, Supervisor};
///
/// assert_eq!(Shutdown::default(), Shutdown::Timeout(Duration::from_secs(5)));
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true)
/// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
/// let rt = Runtime::new();
/// let (ready, mut is_ready) = tokio::sync::mpsc::unbounded_channel();
/// let stubborn = ChildSpec::task("stubborn", |mut ctx| async move {
///     let stop = ctx.cancellation_token();
///     ready.send(())?;
///     stop.cancelled().await;
///     std::future::pending().await // ignores the stop
/// });
/// let stubborn = stubborn.shutdown(Shutdown::Timeout(Duration::from_secs(2)));
/// let tree = Supervisor::one_for_one().child(stubborn).start(&rt).await?;
/// is_ready.recv().await;
/// let start = tokio::time::Instant::now();
/// assert_eq!(tree.stop().await?, ExitReason::Shutdown);
/// assert_eq!(start.elapsed(), Duration::from_secs(2)); // then it was killed
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })).unwrap();
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Shutdown {
    /// Kills the child at once; the `terminate` of a server is not run.
    BrutalKill,
    /// Asks the child to stop, and kills it if it has not ended after this time. [`Duration::MAX`]
    /// is the same as [`Infinity`](Self::Infinity). With zero the child is asked to stop, and
    /// killed at once.
    Timeout(Duration),
    /// Asks the child to stop, and waits until it has ended. This value is right for supervisors,
    /// and risky for all other children: a child that ignores the request is never killed for that,
    /// whether its supervisor still runs or was killed.
    Infinity,
}

/// The default limit for the stop of a whole program. The limit is less than the 30 s after which
/// Kubernetes kills a program (`terminationGracePeriodSeconds`), and less than the 90 s of systemd
/// (`TimeoutStopSec`).
pub(crate) const STOP_DEADLINE: Duration = Duration::from_secs(25);

impl Shutdown {
    /// Returns the time after which the child is killed; `None` if there is no limit.
    pub(crate) fn grace(self) -> Option<Duration> {
        match self {
            Shutdown::BrutalKill => Some(Duration::ZERO),
            Shutdown::Timeout(grace) => Some(grace),
            Shutdown::Infinity => None,
        }
    }

    /// Returns when a child is killed whose stop began at this time; `None` if there is no limit.
    pub(crate) fn deadline(self, began: Instant) -> Option<Instant> {
        began.checked_add(self.grace()?)
    }
}

impl Default for Shutdown {
    /// Five seconds, as for an OTP worker.
    fn default() -> Self {
        Shutdown::Timeout(Duration::from_secs(5))
    }
}
