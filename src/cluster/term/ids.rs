//! Pids, ports and references of the nodes of a cluster.

use std::fmt;

use crate::cluster::term::atom::Atom;

/// The pid of a process of a node, as it stands in a term.
///
/// The creation is the number of the incarnation of the node: a node that starts again has another
/// one. The [`Display`](fmt::Display) text is `<rust@host.85.0>`; Erlang shows a number in the place
/// of the node.
///
/// ```
/// use regrow::cluster::{Atom, ExternalPid, Term};
///
/// let pid = ExternalPid::new(Atom::new("rust@host")?, 85, 0, 7);
/// assert_eq!(pid.node(), "rust@host");
/// assert_eq!((pid.id(), pid.serial(), pid.creation()), (85, 0, 7));
/// assert_eq!(pid.to_string(), "<rust@host.85.0>");
/// assert_eq!(Term::from_bytes(&Term::from(pid.clone()).to_bytes()?)?, Term::from(pid));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExternalPid {
    node: Atom,
    id: u32,
    serial: u32,
    creation: u32,
}

impl ExternalPid {
    /// Returns the pid with these parts. [`ExternalPid`] has an example.
    pub fn new(node: Atom, id: u32, serial: u32, creation: u32) -> Self {
        ExternalPid { node, id, serial, creation }
    }

    /// Returns the name of the node. [`ExternalPid`] has an example.
    pub fn node(&self) -> &Atom {
        &self.node
    }

    /// Returns the number of the process in its node. [`ExternalPid`] has an example.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Returns the upper part of the number of the process. [`ExternalPid`] has an example.
    pub fn serial(&self) -> u32 {
        self.serial
    }

    /// Returns the incarnation of the node. [`ExternalPid`] has an example.
    pub fn creation(&self) -> u32 {
        self.creation
    }
}

impl fmt::Display for ExternalPid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{}.{}.{}>", self.node.as_str().escape_debug(), self.id, self.serial)
    }
}

/// The identifier of a port of a node. regrow has no ports, but it passes them on.
///
/// ```
/// use regrow::cluster::{Atom, ExternalPort};
///
/// let port = ExternalPort::new(Atom::new("shop@host")?, 6, 7);
/// assert_eq!(port.node(), "shop@host");
/// assert_eq!((port.id(), port.creation()), (6, 7));
/// assert_eq!(port.to_string(), "#Port<shop@host.6>");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExternalPort {
    node: Atom,
    id: u64,
    creation: u32,
}

impl ExternalPort {
    /// Returns the port with these parts. [`ExternalPort`] has an example.
    pub fn new(node: Atom, id: u64, creation: u32) -> Self {
        ExternalPort { node, id, creation }
    }

    /// Returns the name of the node. [`ExternalPort`] has an example.
    pub fn node(&self) -> &Atom {
        &self.node
    }

    /// Returns the number of the port in its node. [`ExternalPort`] has an example.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Returns the incarnation of the node. [`ExternalPort`] has an example.
    pub fn creation(&self) -> u32 {
        self.creation
    }
}

impl fmt::Display for ExternalPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#Port<{}.{}>", self.node.as_str().escape_debug(), self.id)
    }
}

/// A reference of a node: a value that the node makes once, such as the one of a call or of a
/// monitor.
///
/// ```
/// use regrow::cluster::{Atom, ExternalReference};
///
/// let node = Atom::new("shop@host")?;
/// let reference = ExternalReference::new(node, 7, &[3, 2, 1]).unwrap();
/// assert_eq!(reference.node(), "shop@host");
/// assert_eq!(reference.creation(), 7);
/// assert_eq!(reference.words(), [3, 2, 1]);
/// assert_eq!(reference.to_string(), "#Ref<shop@host.1.2.3>");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExternalReference {
    node: Atom,
    creation: u32,
    words: Words,
}

/// The one to five words of a reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Words {
    count: u8,
    /// The words after `count` are 0.
    words: [u32; Words::MOST],
}

impl Words {
    pub(crate) const MOST: usize = 5;

    /// Returns `None` unless there are one to five words.
    pub(crate) fn new(words: impl ExactSizeIterator<Item = u32>) -> Option<Self> {
        let count = u8::try_from(words.len()).ok().filter(|count| (1..=5).contains(count))?;
        let mut all = [0; Words::MOST];
        all.iter_mut().zip(words).for_each(|(place, word)| *place = word);
        Some(Words { count, words: all })
    }

    /// Two words, the lower one first.
    pub(crate) fn pair(low: u32, high: u32) -> Words {
        Words { count: 2, words: [low, high, 0, 0, 0] }
    }

    pub(crate) fn get(&self) -> &[u32] {
        &self.words[..usize::from(self.count)]
    }
}

impl ExternalReference {
    /// Returns the reference with these parts, or `None` unless there are one to five words.
    /// [`ExternalReference`] has an example.
    pub fn new(node: Atom, creation: u32, words: &[u32]) -> Option<Self> {
        Some(ExternalReference { node, creation, words: Words::new(words.iter().copied())? })
    }

    pub(crate) fn of(node: Atom, creation: u32, words: Words) -> Self {
        ExternalReference { node, creation, words }
    }

    /// Returns the name of the node. [`ExternalReference`] has an example.
    pub fn node(&self) -> &Atom {
        &self.node
    }

    /// Returns the incarnation of the node. [`ExternalReference`] has an example.
    pub fn creation(&self) -> u32 {
        self.creation
    }

    /// Returns the number of the reference in its node, in words of 32 bits, the lowest one first.
    /// [`ExternalReference`] has an example.
    pub fn words(&self) -> &[u32] {
        self.words.get()
    }
}

impl fmt::Display for ExternalReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#Ref<{}", self.node.as_str().escape_debug())?;
        self.words().iter().rev().try_for_each(|word| write!(f, ".{word}"))?;
        f.write_str(">")
    }
}

/// Debug texts are the texts of Erlang, which are shorter.
macro_rules! debug_as_display {
    ($($type:ty)*) => {
        $(impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        })*
    };
}

debug_as_display!(ExternalPid ExternalPort ExternalReference);
