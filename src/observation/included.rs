//! What a picture shows, and which changes it includes.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::base::path_text::unescape;
use crate::base::random::MapHasher;
use crate::base::{NodePath, Pid, SharedStr};
use crate::observation::answers::Parts;
use crate::observe::change::Origin;
use crate::observe::{Change, ChangeKind};
use crate::supervisor::PublishedChild;
use crate::supervisor::ended_children::EndedChild;

/// The number of the last change of each maker that a picture includes. Only a number that is greater
/// than that of the picture is kept: in a program in which little happens, there are few.
#[derive(Debug, Default)]
pub(super) struct Included {
    /// The number of the picture, which includes all earlier changes.
    pub(super) seq: u64,
    pub(super) roots: u64,
    pub(super) live_roots: Vec<Pid>,
    pub(super) supervisors: HashMap<Pid, u64, MapHasher>,
    /// The numbers for the children of dynamic supervisors that answered in parts.
    pub(super) parts: HashMap<Pid, Parts, MapHasher>,
    pub(super) processes: HashMap<Pid, u64, MapHasher>,
    /// Later changes are in no part of the picture.
    pub(super) until: u64,
}

impl Included {
    /// Notes that the picture has the children of this supervisor, with the changes up to this one. The
    /// numbers of the supervisors above are not greater.
    pub(super) fn supervisor(&mut self, pid: Pid, last_change: u64) {
        if last_change > self.seq {
            self.supervisors.insert(pid, last_change);
        }
    }

    /// Notes that the picture has the children of a dynamic supervisor: those that were read in parts with
    /// the changes up to the number of their part, and the others with those up to `last_change`.
    pub(super) fn dynamic(&mut self, pid: Pid, last_change: u64, parts: Option<Parts>) {
        match parts {
            Some(parts) => self.in_parts(pid, last_change, parts),
            None => self.supervisor(pid, last_change),
        }
    }

    fn in_parts(&mut self, pid: Pid, last_change: u64, parts: Parts) {
        if parts.last() > self.seq {
            self.supervisors.insert(pid, last_change);
            self.parts.insert(pid, parts);
        }
    }

    /// Notes that the picture has the children of this supervisor without an exact number: all its
    /// changes follow.
    pub(super) fn inexact(&mut self, pid: Pid) {
        self.supervisors.insert(pid, 0);
    }

    /// Notes that this supervisor had ended before it was read: the picture has nothing below it.
    pub(super) fn ended(&mut self, pid: Pid) {
        self.supervisors.insert(pid, u64::MAX);
    }

    /// Notes that the picture has the facts of this process, with the changes up to this one.
    pub(super) fn process(&mut self, pid: Pid, last_change: u64) {
        if last_change > self.seq {
            self.processes.insert(pid, last_change);
        }
    }

    /// Whether this topmost supervisor was alive when the picture was taken.
    pub(super) fn has_root(&self, pid: Pid) -> bool {
        self.live_roots.contains(&pid)
    }

    /// Whether the picture includes this change.
    pub(super) fn includes(&self, change: &Change) -> bool {
        if !is_in_pictures(&change.kind) || change.seq > self.until {
            return false;
        }
        let number = match &change.origin {
            Origin::Roots => self.roots,
            Origin::Supervisor(path) => {
                // What a supervisor reports about itself is about no child.
                self.number_below(path, change.supervisor.and(change.pid))
            }
            Origin::Process(pid, above) => {
                let above = above.as_ref();
                let below =
                    || above.map_or(self.roots, |above| self.number_below(above, Some(*pid)));
                self.processes.get(pid).copied().unwrap_or_else(below)
            }
        };
        change.seq <= number.max(self.seq)
    }

    /// Returns the number for a child of a supervisor: that of the nearest supervisor which was visited,
    /// this one or one above. If that one answered in parts, the number for its child that is at or above
    /// the given one.
    fn number_below(&self, path: &NodePath, mut child: Option<Pid>) -> u64 {
        for pid in path.upwards() {
            if let Some(number) = self.supervisors.get(&pid) {
                let parts = self.parts.get(&pid);
                let of_part = parts.zip(child).and_then(|(parts, child)| parts.number(child));
                return of_part.unwrap_or(*number);
            }
            child = Some(pid);
        }
        self.roots
    }

    /// Forgets the numbers, if all changes after this one are in no part of the picture.
    pub(super) fn forget_after(&mut self, seq: u64) {
        if seq >= self.until && self.until > 0 {
            *self = Included::default();
        }
    }
}

/// Whether a picture shows the result of such a change. The others happen at one moment, so an
/// observation delivers each of them.
fn is_in_pictures(kind: &ChangeKind) -> bool {
    !matches!(
        kind,
        ChangeKind::Restarting { .. }
            | ChangeKind::LimitReached { .. }
            | ChangeKind::GaveUp { .. }
            | ChangeKind::ShutdownFailed { .. }
            | ChangeKind::SlowHandler { .. }
            | ChangeKind::Deadlock { .. }
            | ChangeKind::Control { .. }
    )
}

/// What a picture shows.
#[derive(Debug, Clone)]
pub(super) struct View {
    /// Only the tree of this topmost supervisor. Another tree may have the same path.
    pub(super) root: Option<Pid>,
    /// Only this path and the paths below it.
    pub(super) below: Option<SharedStr>,
    /// How many children of a dynamic supervisor are listed.
    pub(super) listed: usize,
    /// How many ended children of a supervisor are shown.
    pub(super) ended: usize,
    /// How long a child that ended cleanly is shown.
    pub(super) ended_for: Duration,
}

impl View {
    /// Whether all trees are shown as a whole.
    pub(super) fn shows_all(&self) -> bool {
        self.root.is_none() && self.below.is_none()
    }

    /// Whether the tree of this topmost supervisor is shown.
    pub(super) fn shows_tree(&self, root: Pid) -> bool {
        self.root.is_none_or(|only| only == root)
    }

    /// The only child of the supervisor with this path that leads to what is shown.
    pub(super) fn child_below(&self, path: &str) -> Option<SharedStr> {
        let below = self.below.as_deref()?.strip_prefix(path)?.strip_prefix('/')?;
        unescape(below.split('/').next()?)
    }

    /// Whether a child is shown that its supervisor has forgotten.
    pub(super) fn shows_ended(&self, ended: &EndedChild<PublishedChild>, now: Instant) -> bool {
        let at = ended.child.history.last().map(|last| last.ended);
        let since = at.map(|at| now.saturating_duration_since(at));
        !ended.is_clean || since.is_some_and(|since| since < self.ended_for)
    }

    /// Whether a node of this path is shown.
    pub(super) fn shows(&self, path: &impl AsRef<str>) -> bool {
        self.below.as_deref().is_none_or(|below| is_at_or_below(path.as_ref(), below))
    }

    /// Whether a node of this path is shown, or may be above one that is.
    pub(super) fn is_visited(&self, path: &impl AsRef<str>) -> bool {
        let is_above = |below| is_at_or_below(below, path.as_ref());
        self.shows(path) || self.below.as_deref().is_some_and(is_above)
    }
}

fn is_at_or_below(path: &str, above: &str) -> bool {
    path.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
