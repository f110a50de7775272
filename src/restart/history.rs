//! The history of a child: its last incarnations.

use std::any::Any;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::base::Pid;
use crate::exit::ExitReason;

/// How many incarnations a history shows.
const KEPT: usize = 8;

/// One ended incarnation of a child, or one failed start. [`History`] has an example.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Incarnation {
    /// The pid; `None` if the start failed.
    pub pid: Option<Pid>,
    /// When the start began.
    pub started: Instant,
    /// When the incarnation ended, or its start failed.
    pub ended: Instant,
    /// Why the incarnation ended, or its start failed.
    pub reason: ExitReason,
    /// How many starts of the child came before this one: 0 for the first start.
    pub attempt: u32,
    /// How long a [`Backoff`](crate::Backoff) had delayed the start.
    pub delay: Duration,
    /// Whether its supervisor stopped the incarnation. False if it ended by itself, was killed by
    /// another process, or did not start.
    pub stopped: bool,
    pub(crate) events: KeptEvents,
}

/// The other events of an incarnation, of a type that this folder does not know. A comparison
/// ignores them.
#[derive(Clone, Default)]
pub(crate) struct KeptEvents(pub(crate) Option<Arc<dyn Any + Send + Sync>>);

impl PartialEq for KeptEvents {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for KeptEvents {}

impl fmt::Debug for KeptEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "kept" } else { "none" })
    }
}

/// The last incarnations of a child that have ended, oldest first: eight at most. The running
/// incarnation is not included. A history derefs to a slice, and is cheap to clone. OTP has no
/// counterpart.
///
/// # Examples
///
/// ```
/// use regrow::{ChildSpec, ExitReason, Runtime, Supervisor};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time()
/// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
/// let rt = Runtime::new();
/// let child = ChildSpec::task("worker", |_| std::future::pending());
/// let tree = Supervisor::one_for_one().child(child).start(&rt).await?;
/// let first = tree.which_child("worker").await?;
/// assert!(first.history.is_empty());
///
/// let ended = rt.ended(first.pid().unwrap());
/// rt.kill(first.pid().unwrap());
/// ended.await;
/// let second = tree.which_child("worker").await?; // answered after the restart
/// let [incarnation] = &second.history[..] else { panic!("{second:?}") };
/// assert_eq!((incarnation.pid, &incarnation.reason), (first.pid(), &ExitReason::Killed));
/// assert!(incarnation.started <= incarnation.ended);
/// assert_eq!(Some(incarnation.started), first.since);
/// assert_eq!((incarnation.attempt, second.restarts), (0, 1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })).unwrap();
/// ```
#[derive(Clone, Default)]
pub struct History(Option<Arc<Vec<Incarnation>>>);

impl History {
    /// Returns the pid of the last incarnation that ran, after which starts may have failed.
    pub(crate) fn last_pid(&self) -> Option<Pid> {
        self.iter().rev().find_map(|incarnation| incarnation.pid)
    }

    /// Adds an incarnation. If there is no room, removes the oldest incarnations and returns them.
    /// Drop the result without a lock, because the reasons contain values of a user. Earlier clones
    /// of the history do not change.
    #[must_use = "dropping the incarnations runs a user's code"]
    pub(crate) fn push(&mut self, incarnation: Incarnation) -> Vec<Incarnation> {
        let kept = Arc::make_mut(self.0.get_or_insert_default());
        let oldest = match kept.len() == 2 * KEPT {
            // About half of the incarnations are removed at once. The removal of one at each push
            // would move all others each time. That costs more than keeping some incarnations that
            // are not shown.
            true => kept.drain(..=KEPT).collect(),
            false => Vec::new(),
        };
        kept.push(incarnation);
        oldest
    }
}

impl Deref for History {
    type Target = [Incarnation];

    fn deref(&self) -> &[Incarnation] {
        self.0.as_ref().map_or(&[], |kept| &kept[kept.len().saturating_sub(KEPT)..])
    }
}

impl PartialEq for History {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for History {}

impl fmt::Debug for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::{History, Incarnation, KEPT, KeptEvents};
    use crate::exit::reason::ExitReason;
    use std::time::Duration;
    use tokio::time::Instant;

    #[test]
    fn the_oldest_incarnation_is_forgotten_and_a_clone_stays_as_it_was() {
        let now = Instant::now();
        let mut history = History::default();
        let incarnation = |attempt| Incarnation {
            pid: None,
            started: now,
            ended: now,
            reason: ExitReason::Normal,
            attempt,
            delay: Duration::ZERO,
            stopped: false,
            events: KeptEvents::default(),
        };
        drop(history.push(incarnation(0)));
        let handed_out = history.clone();
        (1..20).for_each(|attempt| drop(history.push(incarnation(attempt))));
        assert_eq!(handed_out.len(), 1);
        assert_eq!(history.len(), KEPT);
        assert_eq!((history[0].attempt, history[KEPT - 1].attempt), (12, 19));
        let mut shorter = History::default();
        (12..20).for_each(|attempt| drop(shorter.push(incarnation(attempt))));
        assert_eq!(history, shorter); // only shown incarnations are compared
    }
}
