//! The health that a process reports about itself.

use std::fmt;

use crate::base::{SENTENCE, SharedStr, excerpt};

/// The health of a process, as the process itself reports it, or fails to.
///
/// A process that reports nothing is ready as soon as it runs. The values are ordered from good to
/// bad. OTP has no counterpart.
///
/// # Examples
///
/// ```
/// use regrow::{ChildSpec, Health, Runtime, Supervisor};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true)
/// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
/// let rt = Runtime::new();
/// let feed = ChildSpec::task("feed", |mut ctx| async move {
///     ctx.set_health(Health::Starting);
///     ctx.recv().await; // … connected …
///     ctx.set_health(Health::Degraded("upstream is slow".into()));
///     ctx.recv().await; // … caught up …
///     ctx.set_health(Health::Ready);
///     std::future::pending().await
/// });
/// let tree = Supervisor::one_for_one().named("app").child(feed.named("feed")).start(&rt).await?;
/// for (seen, serves) in [("feed is starting", false), ("feed: upstream is slow", true), ("ready", true)] {
///     tokio::time::sleep(std::time::Duration::from_millis(1)).await;
///     let health = tree.tree().await?.health();
///     assert_eq!((health.to_string().as_str(), health.is_serving()), (seen, serves));
///     rt.send_named("feed", Vec::new());
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })).unwrap();
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[non_exhaustive]
pub enum Health {
    /// The process does all of its work.
    #[default]
    Ready,
    /// The process serves, but not as well as it should, for this reason.
    Degraded(SharedStr),
    /// The process runs, but does not serve yet.
    Starting,
    /// The process does not serve, for this reason.
    Unready(SharedStr),
    /// The process is late with the heartbeat that its
    /// [specification](crate::ChildSpec::heartbeat) requires: it may hang. The library sets this
    /// value, and removes it with the next heartbeat.
    Unresponsive,
    /// The process accepts no new work, and is about to end.
    Stopping,
}

impl Health {
    /// Whether work may be sent to the process: true if it is ready or degraded. [`Health`] has an
    /// example.
    pub fn is_serving(&self) -> bool {
        matches!(self, Health::Ready | Health::Degraded(_))
    }
}

/// Displays the reason of `Degraded` or `Unready` on one line, with controls escaped, and cut after 256
/// characters. Displays the other values as a word.
impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Health::Ready => f.write_str("ready"),
            Health::Degraded(why) | Health::Unready(why) => {
                write!(f, "{}", excerpt(why, SENTENCE))
            }
            Health::Starting => f.write_str("starting"),
            Health::Unresponsive => f.write_str("unresponsive"),
            Health::Stopping => f.write_str("stopping"),
        }
    }
}
