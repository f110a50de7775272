//! This node, as its processes are named at other nodes.
//!
//! # Pids
//!
//! Pids are numbers in increasing order, and could be guessed. So a pid that leaves this node has a
//! *tag*: 15 bits that depend on the number and on a secret of this incarnation of the node.
//!
//! | part of the term | bits |
//! |---|---|
//! | id | the lower 32 bits of the number |
//! | serial | the upper 16 bits of the number, then the 15 bits of the tag |
//!
//! Every local pid is written by [`external`](LocalNode::external), and read by
//! [`local`](LocalNode::local). A tag is not 0. The exception is [`Pid::OUTSIDE`], which names no
//! process and has no tag. A node of this crate stores such a pid without a table while its number is
//! below 2³².

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;

use crate::base::Pid;
use crate::cluster::node_name::NodeName;
use crate::cluster::term::{Atom, Encoder, ExternalPid, NodeIds, PidToken, ReferenceToken, Words};

/// The number of bits of a tag.
const TAG_BITS: u32 = 15;

/// The secret that the tags of pids depend on. It belongs to a creation.
#[derive(Debug, Clone, Default)]
pub(crate) struct PidTags(RandomState);

impl PidTags {
    /// Returns the tag of a local pid.
    fn of(&self, pid: Pid) -> u32 {
        match pid {
            Pid::OUTSIDE => 0,
            pid => {
                let most = u64::from((1_u32 << TAG_BITS) - 1);
                u32::try_from(self.0.hash_one(pid.raw()) % most).unwrap_or_default() + 1
            }
        }
    }
}

/// The name and the creation of this node.
#[derive(Debug, Clone)]
pub(crate) struct LocalNode {
    pub(crate) name: NodeName,
    pub(crate) creation: u32,
    atom: Atom,
    ids: NodeIds,
    tags: PidTags,
}

/// A pid of this incarnation of the node that the node has not given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Guessed;

impl LocalNode {
    pub(crate) fn new(name: NodeName, creation: u32, tags: PidTags) -> Self {
        let atom = Atom::of(name.as_str());
        let ids = NodeIds::new(name.as_str(), creation);
        LocalNode { name, creation, atom, ids, tags }
    }

    /// Returns a local pid as a term.
    pub(crate) fn external(&self, pid: Pid) -> ExternalPid {
        let (id, serial) = self.parts(pid);
        ExternalPid::new(self.atom.clone(), id, serial, self.creation)
    }

    /// Writes a local pid.
    pub(crate) fn write_pid(&self, pid: Pid, encoder: &mut Encoder<'_>) {
        let (id, serial) = self.parts(pid);
        self.ids.write_pid(encoder, id, serial);
    }

    /// The id and the serial of a local pid.
    fn parts(&self, pid: Pid) -> (u32, u32) {
        let [id, upper] =
            [0, 32].map(|shift| u32::try_from(pid.raw() >> shift & u64::from(u32::MAX)));
        let (id, upper) = (id.unwrap_or_default(), upper.unwrap_or_default());
        (id, upper << TAG_BITS | self.tags.of(pid))
    }

    /// Returns the local process that a term names. `None` if it is of another node, or of an earlier
    /// incarnation of this one: then it has ended.
    ///
    /// # Errors
    ///
    /// If the pid is of this incarnation, and its tag is wrong: its sender has guessed it.
    pub(crate) fn local(&self, pid: &PidToken<'_>) -> Result<Option<Pid>, Guessed> {
        if pid.node != self.name.as_str() || pid.creation != self.creation {
            return Ok(None);
        }
        self.given(pid.id, pid.serial).map(Some)
    }

    /// [`local`](Self::local) for an encoded pid of this incarnation; `None` if it is none.
    pub(crate) fn local_encoded(&self, term: &[u8]) -> Option<Result<Pid, Guessed>> {
        self.ids.pid(term).map(|(id, serial)| self.given(id, serial))
    }

    fn given(&self, id: u32, serial: u32) -> Result<Pid, Guessed> {
        let (upper, tag) = (serial >> TAG_BITS, serial & ((1 << TAG_BITS) - 1));
        let local = Pid::from_raw(u64::from(upper) << 32 | u64::from(id));
        let is_given = !local.is_foreign() && tag == self.tags.of(local);
        if is_given { Ok(local) } else { Err(Guessed) }
    }

    /// Writes the reference of a monitor that a local process has set.
    pub(crate) fn write_monitor(&self, id: u64, encoder: &mut Encoder<'_>) {
        let word =
            |shift: u32| u32::try_from(id >> shift & u64::from(u32::MAX)).unwrap_or_default();
        self.ids.write_reference(encoder, Words::pair(word(0), word(32)));
    }

    /// Returns the number of a monitor that a local process has set, from its reference. `None` if the
    /// reference is of another node, or of an earlier incarnation of this one.
    pub(crate) fn monitor(&self, reference: &ReferenceToken<'_>) -> Option<u64> {
        let is_own = reference.node == self.name.as_str() && reference.creation == self.creation;
        is_own.then(|| number_of(&reference.words))?
    }

    /// [`monitor`](Self::monitor) for an encoded reference in the form that this node writes; `None`
    /// for any other.
    pub(crate) fn monitor_encoded(&self, reference: &[u8]) -> Option<u64> {
        number_of(&self.ids.reference(reference)?)
    }
}

/// Returns the number of a monitor from the words that [`write_monitor`](LocalNode::write_monitor)
/// has written.
fn number_of(words: &Words) -> Option<u64> {
    match words.get() {
        &[low, high] => Some(u64::from(high) << 32 | u64::from(low)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Guessed, LocalNode, PidTags};
    use crate::base::Pid;
    use crate::cluster::node_name::NodeName;
    use crate::cluster::term::{Encoder, ExternalPid, PidToken};

    fn node(creation: u32) -> LocalNode {
        LocalNode::new(NodeName::parse("a@host").unwrap(), creation, PidTags::default())
    }

    fn token(pid: &ExternalPid) -> PidToken<'_> {
        let (id, serial, creation) = (pid.id(), pid.serial(), pid.creation());
        PidToken { node: pid.node().as_str().into(), id, serial, creation }
    }

    #[test]
    fn a_local_pid_is_read_back_and_one_of_an_earlier_incarnation_is_dead() {
        for raw in [0, 1, 0xffff_ffff, 1 << 32, (1 << 48) - 1] {
            let pid = Pid::from_raw(raw);
            let (node, later) = (node(7), node(8));
            let external = node.external(pid);
            assert_eq!(external.creation(), 7);
            assert_eq!(node.local(&token(&external)), Ok(Some(pid)));
            assert_eq!(later.local(&token(&external)), Ok(None));
        }
    }

    #[test]
    fn of_all_serials_one_names_the_process() {
        let (node, pid) = (node(7), Pid::from_raw(5));
        let given = node.external(pid);
        assert!((1..1 << 15).contains(&given.serial())); // stored without a table elsewhere
        for serial in (0..1 << 15).filter(|serial| *serial != given.serial()) {
            let guess = ExternalPid::new(node.atom.clone(), 5, serial, 7);
            assert_eq!(node.local(&token(&guess)), Err(Guessed), "{serial}");
        }
        // No pid has so many bits.
        let guess = ExternalPid::new(node.atom.clone(), 5, 1 << 31 | given.serial(), 7);
        assert_eq!(node.local(&token(&guess)), Err(Guessed));
        // Another start of the program has another secret.
        let other = self::node(7);
        let differs = |raw| other.external(Pid::from_raw(raw)) != node.external(Pid::from_raw(raw));
        assert!((1..100).any(differs));
        let outside = ExternalPid::new(node.atom.clone(), 0, 0, 7);
        assert_eq!(node.external(Pid::OUTSIDE), outside);
    }

    #[test]
    fn the_number_of_a_monitor_is_read_back() {
        let mut reference = Vec::new();
        node(7).write_monitor(0x1234_5678_9abc_def0, &mut Encoder::new(&mut reference));
        assert_eq!(node(7).monitor_encoded(&reference), Some(0x1234_5678_9abc_def0));
        assert_eq!(node(8).monitor_encoded(&reference), None);
    }
}
