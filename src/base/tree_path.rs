//! The path from the root of a tree to one of its nodes, as a list of ids.
//!
//! The path of a deep node leaves out the ids in the middle. Otherwise, in a tree that is one long
//! chain, the total size of the paths of all nodes would grow with the square of the depth.

use std::collections::VecDeque;
use std::fmt::{self, Display};

/// The number of ids that are kept at each end of a path.
pub(crate) const KEPT: usize = 64;

/// Ids from the root down. A path is displayed with `/` between the ids; an empty id is shown as
/// `""`, and `…` replaces all ids that were left out.
#[derive(Debug, Clone)]
pub(crate) struct Path<T> {
    first: Vec<T>,
    left_out: bool,
    last: VecDeque<T>,
}

impl<T: Clone> Path<T> {
    pub(crate) fn new() -> Self {
        Path { first: Vec::new(), left_out: false, last: VecDeque::new() }
    }

    /// Returns the path of a node directly below this one.
    pub(crate) fn below(&self, id: T) -> Self {
        let mut path = self.clone();
        path.push(id);
        path
    }

    pub(crate) fn push(&mut self, id: T) {
        if self.first.len() < KEPT {
            return self.first.push(id);
        }
        if self.last.len() == KEPT {
            self.left_out = true;
            self.last.pop_front();
        }
        self.last.push_back(id);
    }
}

impl<T: AsRef<str>> Display for Path<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let left_out = self.left_out.then_some("…");
        let ids = self.first.iter().map(|id| shown(id.as_ref()));
        let ids = ids.chain(left_out).chain(self.last.iter().map(|id| shown(id.as_ref())));
        for (at, id) in ids.enumerate() {
            if at > 0 {
                f.write_str("/")?;
            }
            f.write_str(id)?;
        }
        Ok(())
    }
}

fn shown(id: &str) -> &str {
    if id.is_empty() { "\"\"" } else { id }
}

#[cfg(test)]
mod tests {
    use super::Path;

    #[test]
    fn of_a_long_path_the_middle_is_left_out() {
        let ids: Vec<String> = (0..1_000).map(|n| n.to_string()).collect();
        let path = |ids: &[String]| {
            ids.iter().fold(Path::new(), |path, id| path.below(id.clone())).to_string()
        };
        assert_eq!(path(&[]), "");
        assert_eq!(path(&["a".into(), String::new(), "b".into()]), "a/\"\"/b");
        assert_eq!(path(&ids[..128]), ids[..128].join("/"));
        assert_eq!(path(&ids), format!("{}/…/{}", ids[..64].join("/"), ids[936..].join("/")));
    }
}
