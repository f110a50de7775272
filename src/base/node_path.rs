//! The place of a supervisor in its tree: its id, and the supervisors above it.
//!
//! A supervisor learns its path from the supervisor above it, once, when it starts. So an event
//! about a child has the path of the child without a search, which could fail after an end.
//!
//! **Invariants**
//! 1. A path does not change. The successor of a restarted child has the same path.
//! 2. A path costs one small allocation for each supervisor, however deep the tree is: a text is
//!    made only when it is needed, and kept only if a child was counted.
//! 3. Two children of one supervisor with different ids have different texts, because ids are
//!    escaped. The middle of a text of more than 128 ids is left out.

use std::iter::successors;
use std::sync::{Arc, OnceLock};

use crate::base::path_text::{escape, is_plain};
use crate::base::pid::Pid;
use crate::base::shared_str::SharedStr;
use crate::base::tree_path::{KEPT, Path};

/// The path of one supervisor.
#[derive(Debug)]
pub(crate) struct NodePath {
    above: Option<Arc<NodePath>>,
    pid: Pid,
    id: SharedStr,
    /// The topmost supervisor of the tree, which has the same path as that of another tree with the
    /// same id.
    root: Pid,
    /// The number of ids in the path.
    depth: usize,
    /// The supervisor with [`KEPT`] ids in its path, if there is one above.
    top: Option<Arc<NodePath>>,
    /// Whether the supervisor is a dynamic one.
    is_dynamic: bool,
    /// The topmost dynamic supervisor above this one.
    dynamic_above: Option<Arc<NodePath>>,
    /// The text, once the path of a child was needed for a count.
    text: OnceLock<SharedStr>,
    /// The path at which all children are counted together, once one was counted.
    folded: OnceLock<SharedStr>,
}

impl NodePath {
    /// Returns the path of the supervisor with this pid and id.
    pub(crate) fn new(
        above: Option<Arc<NodePath>>,
        (pid, id): (Pid, SharedStr),
        is_dynamic: bool,
    ) -> Arc<Self> {
        let root = above.as_ref().map_or(pid, |above| above.root);
        let dynamic_above = above.as_ref().and_then(|above| match &above.dynamic_above {
            Some(topmost) => Some(topmost.clone()),
            None => above.is_dynamic.then(|| above.clone()),
        });
        let depth = above.as_ref().map_or(1, |above| above.depth + 1);
        let top = above.as_ref().and_then(|above| match above.depth == KEPT {
            true => Some(above.clone()),
            false => above.top.clone(),
        });
        let (text, folded) = (OnceLock::new(), OnceLock::new());
        #[rustfmt::skip]
        let path =
            NodePath { above, pid, id, root, depth, top, is_dynamic, dynamic_above, text, folded };
        Arc::new(path)
    }

    /// Returns the supervisor above.
    pub(crate) fn above(&self) -> Option<&Arc<NodePath>> {
        self.above.as_ref()
    }

    /// Returns the supervisors from this one up to the topmost one.
    pub(crate) fn upwards(&self) -> impl Iterator<Item = Pid> {
        successors(Some(self), |path| path.above.as_deref()).map(|path| path.pid)
    }

    pub(crate) fn id(&self) -> &SharedStr {
        &self.id
    }

    /// Returns the topmost supervisor of the tree.
    pub(crate) fn root(&self) -> Pid {
        self.root
    }

    /// Returns the path of the supervisor as a text.
    pub(crate) fn text(&self) -> SharedStr {
        self.with_last(None)
    }

    /// Returns the path of the child with this id.
    pub(crate) fn child(&self, id: &str) -> SharedStr {
        self.with_last(Some(id))
    }

    /// Whether the path of a child is the whole path of this supervisor, a slash and the id of the
    /// child. The path of a deep child leaves out ids in the middle.
    pub(crate) fn is_part_of_children(&self) -> bool {
        self.depth < 2 * KEPT
    }

    /// Returns the path under which the child with this id is counted. All processes below a dynamic
    /// supervisor are counted together, so that there are not too many paths.
    pub(crate) fn counted(&self, id: &str) -> SharedStr {
        match &self.dynamic_above {
            Some(topmost) => topmost.folded().clone(),
            None if self.is_dynamic => self.folded().clone(),
            None => self.child_of_kept_text(id),
        }
    }

    /// Returns the path under which the supervisor itself is counted.
    pub(crate) fn counted_self(&self) -> SharedStr {
        self.dynamic_above.as_ref().map_or_else(|| self.text(), |topmost| topmost.folded().clone())
    }

    /// Returns the topmost dynamic supervisor above this one, or above its children.
    #[cfg(feature = "metrics")]
    pub(crate) fn topmost_dynamic(self: &Arc<Self>, of_children: bool) -> Option<&Arc<NodePath>> {
        self.dynamic_above.as_ref().or((of_children && self.is_dynamic).then_some(self))
    }

    /// Returns the path under which all processes below this dynamic supervisor are counted. The
    /// path of no node below this one is the same: such a node is not counted apart.
    pub(crate) fn folded(&self) -> &SharedStr {
        self.folded.get_or_init(|| joined(self.kept_text(), "*"))
    }

    /// The text, which is made once.
    fn kept_text(&self) -> &SharedStr {
        self.text.get_or_init(|| self.text())
    }

    /// Returns the same text as [`child`](Self::child), and keeps the text of this path: a child that is
    /// restarted once is often restarted again.
    fn child_of_kept_text(&self, id: &str) -> SharedStr {
        let is_whole = self.depth < 2 * KEPT;
        if is_whole && is_plain(id) { joined(self.kept_text(), id) } else { self.child(id) }
    }

    fn with_last(&self, last: Option<&str>) -> SharedStr {
        let (mut ids, mut next) = (Vec::from_iter(last), Some(self));
        while let Some(node) = next {
            // Of the ids in the middle of a long path, one is enough: the path leaves it out.
            let is_middle = ids.len() > KEPT && node.depth > KEPT;
            match &node.top {
                Some(top) if is_middle => next = Some(top),
                _ => {
                    ids.push(&node.id);
                    next = node.above.as_deref();
                }
            }
        }
        let mut path = Path::new();
        ids.iter().rev().for_each(|id| path.push(escape(id)));
        path.to_string().into()
    }
}

/// Appends an id that needs no escape.
fn joined(text: &str, id: &str) -> SharedStr {
    [text, "/", id].concat().into()
}

/// Two paths are equal if they are of the same process.
impl PartialEq for NodePath {
    fn eq(&self, other: &Self) -> bool {
        self.pid == other.pid
    }
}

impl Eq for NodePath {}

/// Drops the supervisors above in a loop. Recursion could overflow the stack.
impl Drop for NodePath {
    fn drop(&mut self) {
        let mut next = self.above.take();
        while let Some(mut node) = next.and_then(Arc::into_inner) {
            next = node.above.take();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{KEPT, NodePath};
    use crate::base::path_text::{shown_id, unescape};
    use crate::base::pid::Pid;
    use crate::base::shared_str::SharedStr;
    use std::sync::Arc;

    fn app() -> Arc<NodePath> {
        NodePath::new(None, (Pid::from_raw(1), "app".into()), false)
    }

    fn below(above: &Arc<NodePath>, id: &str, is_dynamic: bool) -> Arc<NodePath> {
        NodePath::new(Some(above.clone()), (Pid::from_raw(2), id.into()), is_dynamic)
    }

    #[test]
    fn different_ids_have_different_paths() {
        let app = app();
        assert_eq!(app.text(), "app");
        let ids = ["", "\"\"", "a/b", "a%2Fb", "a\nb", "…", "<b>"];
        let paths = ids.map(|id| app.child(id));
        let shown = |id| SharedStr::from(format!("app/{}", shown_id(id)));
        assert_eq!(ids.map(shown), paths);
        assert_eq!(ids.map(|id| app.counted(id)), paths);
        let expected = [
            "app/\"\"",
            "app/%22%22",
            "app/a%2Fb",
            "app/a%252Fb",
            "app/a%0Ab",
            "app/%E2%80%A6",
            "app/<b>",
        ];
        assert_eq!(paths, expected.map(SharedStr::from));
        for (id, path) in ids.iter().zip(expected) {
            let text = path.strip_prefix("app/").expect("it is below");
            assert_eq!(unescape(text).as_deref(), Some(*id), "{text}");
        }
        assert_eq!(["%", "%2", "%zz", "%FF"].map(unescape), [const { None }; 4]);
    }

    #[test]
    fn children_below_a_dynamic_supervisor_are_counted_together() {
        let app = app();
        assert_eq!(app.counted("kv"), "app/kv");
        let rooms = below(&app, "rooms", true);
        assert_eq!(rooms.counted("17"), "app/rooms/*");
        assert_eq!(rooms.counted_self(), "app/rooms");
        let room = below(&rooms, "17", false);
        assert_eq!(room.counted_self(), "app/rooms/*");
        assert_eq!(
            (room.counted("chat").as_str(), room.child("chat").as_str()),
            ("app/rooms/*", "app/rooms/17/chat")
        );
        assert_eq!(below(&room, "guests", true).counted("x"), "app/rooms/*");
    }

    #[test]
    fn a_deep_path_is_dropped_without_recursion() {
        let mut path = app();
        for _ in 0..200_000 {
            path = below(&path, "x", false);
        }
        assert_eq!(path.root(), Pid::from_raw(1));
        assert_eq!(path.text().as_str(), format!("app/{}…{}", "x/".repeat(63), "/x".repeat(64)));
        let mut path = app();
        for _ in 0..2 * KEPT + 1 {
            let is_part = path.child("y") == format!("{}/y", path.text()).as_str();
            assert_eq!(path.is_part_of_children(), is_part);
            path = below(&path, "x", false);
        }
    }
}
