//! Names of nodes: `alive@host`.

use std::fmt;

use crate::base::SharedStr;

/// The maximum length of a node name, in bytes: that of an atom of 255 characters.
const LONGEST: usize = 255;

/// A valid node name. Names are ordered by their characters, as atoms are. Two nodes that connect to
/// each other at once compare their names, so both must use the same order.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct NodeName(SharedStr);

impl NodeName {
    /// Checks a name: text, one `@`, text, without spaces and controls.
    pub(crate) fn parse(text: &str) -> Option<NodeName> {
        let (alive, host) = text.split_once('@')?;
        let is_plain = |part: &str| {
            let refused = |c: char| c == '@' || c.is_whitespace() || c.is_control();
            !part.is_empty() && !part.contains(refused)
        };
        let valid = text.len() <= LONGEST && is_plain(alive) && is_plain(host);
        valid.then(|| NodeName(text.into()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the text as it is shared.
    pub(crate) fn text(&self) -> &SharedStr {
        &self.0
    }

    /// Returns the part before the `@`: the name that EPMD knows.
    pub(crate) fn alive(&self) -> &str {
        self.0.split_once('@').map_or("", |(alive, _)| alive)
    }

    /// Returns the part behind the `@`.
    pub(crate) fn host(&self) -> &str {
        self.0.split_once('@').map_or("", |(_, host)| host)
    }
}

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::NodeName;

    #[test]
    fn a_name_has_two_parts_without_spaces_and_controls() {
        let name = NodeName::parse("rust@127.0.0.1").unwrap();
        assert_eq!((name.alive(), name.host()), ("rust", "127.0.0.1"));
        assert!(NodeName::parse("grün@host").is_some());
        for wrong in ["", "rust", "@host", "rust@", "a@b@c", "a b@c", "a\n@c", "a@\u{7f}"] {
            assert_eq!(NodeName::parse(wrong), None, "{wrong:?}");
        }
        assert!(NodeName::parse(&format!("a@{}", "x".repeat(253))).is_some());
        assert_eq!(NodeName::parse(&format!("a@{}", "x".repeat(254))), None);
    }

    #[test]
    fn names_are_ordered_by_their_characters() {
        let name = |text| NodeName::parse(text).unwrap();
        assert!(name("b@a") > name("a@b") && name("aa@x") > name("a@x"));
    }
}
