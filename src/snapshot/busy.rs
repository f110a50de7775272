//! What a supervisor is busy with that does not answer.

use std::fmt;
use std::time::Duration;

use tokio::time::Instant;

use crate::base::one_line::name;
use crate::snapshot::elapsed::short;
use crate::supervisor::published_state::{PublishedState, Step};

/// What a supervisor is busy with that did not answer in time, as it published itself. Its
/// node in a [`TreeSnapshot`](crate::TreeSnapshot) is its last known picture.
///
/// ```
/// use std::time::Duration;
/// use regrow::{Busy, ChildSpec, Health, NodeState, Runtime, Supervisor, SupervisorRef};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true)
/// # .build().unwrap().block_on(async {
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
/// # }).unwrap();
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Busy {
    /// Its own init runs: it has not begun to start its children.
    Init {
        /// For how long.
        elapsed: Duration,
    },
    /// It starts this child, and waits until that is ready.
    Starting {
        /// The child's id.
        child: String,
        /// For how long.
        elapsed: Duration,
    },
    /// It stops this child, and waits for its end.
    Stopping {
        /// The child's id.
        child: String,
        /// For how long.
        elapsed: Duration,
    },
    /// It is stopping itself, with all its children.
    Ending {
        /// The id of the child that it waits for.
        child: Option<String>,
        /// For how long it has been waiting for that one; without one, for how long it has
        /// been stopping.
        elapsed: Duration,
    },
    /// It starts and stops no child. Its mailbox is long, or it is suspended, or no thread had
    /// time for it.
    Unanswered,
}

impl Busy {
    /// What this supervisor says that it is doing; `None` if it could answer.
    pub(super) fn with(picture: &PublishedState, now: Instant) -> Option<Self> {
        let elapsed = |since: Instant| now.saturating_duration_since(since);
        let id = |key: u64| {
            let child = picture.children.get(&key)?;
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

    /// The id of the child that it starts or stops, if there is one.
    /// [`Busy`] has an example.
    pub fn child(&self) -> Option<&str> {
        match self {
            Busy::Starting { child, .. } | Busy::Stopping { child, .. } => Some(child),
            Busy::Ending { child, .. } => child.as_deref(),
            Busy::Init { .. } | Busy::Unanswered => None,
        }
    }

    /// For how long, if it says so. [`Busy`] has an example.
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
            Some(elapsed) => write!(f, " for {}", short(elapsed)),
            None => Ok(()),
        }
    }
}
