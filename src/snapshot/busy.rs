//! The activity of a supervisor that does not answer the question of a snapshot in time.

use std::fmt;
use std::time::Duration;

use tokio::time::Instant;

use crate::base::name;
use crate::snapshot::short_elapsed;
use crate::supervisor::{PublishedState, Step};

/// The activity of a supervisor that did not answer in time, as the supervisor last published it.
/// The node of the supervisor in a [`TreeSnapshot`](crate::TreeSnapshot) shows its last published
/// state as well.
///
/// ```
/// use std::time::Duration;
/// use regrow::{Busy, ChildSpec, Health, NodeState, Runtime, Supervisor, SupervisorRef};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true)
/// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
/// let rt = Runtime::new();
/// let never_ready = ChildSpec::task("feed", |ctx| async move {
///     ctx.set_health(Health::Starting);
///     std::future::pending().await
/// });
/// let app = Supervisor::one_for_one().named("app");
/// let app = app.child(never_ready.ready_within(Duration::from_secs(3600)));
/// let starting = rt.clone();
/// tokio::spawn(async move { app.start(&starting).await });
/// tokio::time::sleep(Duration::from_secs(12)).await;
///
/// let snapshot = SupervisorRef::named(&rt, "app").tree().await?;
/// assert_eq!(snapshot.root.state, NodeState::Busy);
/// let elapsed = Duration::from_millis(12_250);
/// assert_eq!(snapshot.root.busy, Some(Busy::Starting { child: "feed".into(), elapsed }));
/// assert_eq!(snapshot.find("feed").unwrap().state, NodeState::Starting);
/// assert_eq!(snapshot.health().to_string(), "busy starting feed for 12.2s");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })).unwrap();
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Busy {
    /// The supervisor runs its own `init`, before it starts its first child.
    Init {
        /// The time since the `init` began.
        elapsed: Duration,
    },
    /// The supervisor starts this child, and waits until the child is ready.
    Starting {
        /// The child's id.
        child: String,
        /// The time since the start began.
        elapsed: Duration,
    },
    /// The supervisor stops this child, and waits for the child's end.
    Stopping {
        /// The child's id.
        child: String,
        /// The time since the stop began.
        elapsed: Duration,
    },
    /// The supervisor stops, with all its children.
    Ending {
        /// The id of the child that the supervisor waits for, if there is one.
        child: Option<String>,
        /// The time since the supervisor began to wait for that child; without a child, since the
        /// supervisor began to stop.
        elapsed: Duration,
    },
    /// The supervisor has published no step that keeps it from answering. Its mailbox may be long,
    /// the supervisor may be suspended, or no thread was free to run it.
    Unanswered,
}

impl Busy {
    /// Returns the published step that keeps the supervisor from answering, if there is one.
    pub(super) fn from_picture(picture: &PublishedState, now: Instant) -> Option<Self> {
        let elapsed = |since: Instant| now.saturating_duration_since(since);
        let id = |key: u64| {
            let child = picture.children.get(key)?;
            Some(child.id.to_string())
        };
        let child = |key: u64| id(key).unwrap_or_default();
        Some(match (picture.ending, picture.step) {
            (Some(_), Step::Stopping { key, since }) => {
                Busy::Ending { child: id(key), elapsed: elapsed(since) }
            }
            (Some(since), _) => Busy::Ending { child: None, elapsed: elapsed(since) },
            (None, Step::RunningInit { since }) => Busy::Init { elapsed: elapsed(since) },
            (None, Step::Starting { key, since, .. }) => {
                Busy::Starting { child: child(key), elapsed: elapsed(since) }
            }
            (None, Step::Stopping { key, since }) => {
                Busy::Stopping { child: child(key), elapsed: elapsed(since) }
            }
            (None, Step::Serving) => return None,
        })
    }

    /// Returns the id of the child that the supervisor starts or stops, if there is one. [`Busy`]
    /// has an example.
    pub fn child(&self) -> Option<&str> {
        match self {
            Busy::Starting { child, .. } | Busy::Stopping { child, .. } => Some(child),
            Busy::Ending { child, .. } => child.as_deref(),
            Busy::Init { .. } | Busy::Unanswered => None,
        }
    }

    /// Returns the time since the step began, if that is known. [`Busy`] has an example.
    pub fn elapsed(&self) -> Option<Duration> {
        match self {
            Busy::Init { elapsed }
            | Busy::Starting { elapsed, .. }
            | Busy::Stopping { elapsed, .. }
            | Busy::Ending { elapsed, .. } => Some(*elapsed),
            Busy::Unanswered => None,
        }
    }
}

impl fmt::Display for Busy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Busy::Init { .. } => "busy in its init",
            Busy::Starting { .. } => "busy starting ",
            Busy::Stopping { .. } => "busy stopping ",
            Busy::Ending { child: Some(_), .. } => "ending, and stopping ",
            Busy::Ending { child: None, .. } => "ending",
            Busy::Unanswered => "busy, did not answer in time",
        })?;
        if let Some(child) = self.child() {
            write!(f, "{}", name(child))?;
        }
        match self.elapsed() {
            Some(elapsed) => write!(f, " for {}", short_elapsed(elapsed)),
            None => Ok(()),
        }
    }
}
