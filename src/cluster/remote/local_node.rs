//! This node, as its processes are named at other nodes.

use crate::base::Pid;
use crate::cluster::node_name::NodeName;
use crate::cluster::term::{Atom, ExternalPid, ExternalReference, PidToken, ReferenceToken, Words};

/// The name and the creation of this node.
#[derive(Debug, Clone)]
pub(crate) struct LocalNode {
    pub(crate) name: NodeName,
    pub(crate) creation: u32,
    atom: Atom,
}

impl LocalNode {
    pub(crate) fn new(name: NodeName, creation: u32) -> Self {
        let atom = Atom::of(name.as_str());
        LocalNode { name, creation, atom }
    }

    /// Returns a local pid as a term. The id has its lower 32 bits, the serial those above.
    pub(crate) fn external(&self, pid: Pid) -> ExternalPid {
        let [id, serial] =
            [0, 32].map(|shift| u32::try_from(pid.raw() >> shift & u64::from(u32::MAX)));
        let (id, serial) = (id.unwrap_or_default(), serial.unwrap_or_default());
        ExternalPid::new(self.atom.clone(), id, serial, self.creation)
    }

    /// Returns the local process that a term names. `None` if it is of another node, or of an earlier
    /// incarnation of this one: then it has ended.
    pub(crate) fn local(&self, pid: &PidToken<'_>) -> Option<Pid> {
        let is_own = pid.node == self.name.as_str() && pid.creation == self.creation;
        let raw = u64::from(pid.serial) << 32 | u64::from(pid.id);
        let pid = Pid::from_raw(raw);
        (is_own && !pid.is_foreign()).then_some(pid)
    }

    /// Returns the reference of a monitor that a local process has set.
    pub(crate) fn reference(&self, id: u64) -> ExternalReference {
        let word =
            |shift: u32| u32::try_from(id >> shift & u64::from(u32::MAX)).unwrap_or_default();
        let words = Words::pair(word(0), word(32));
        ExternalReference::of(self.atom.clone(), self.creation, words)
    }

    /// Returns the number of a monitor that a local process has set. `None` if the reference is of
    /// another node.
    pub(crate) fn monitor(&self, reference: &ReferenceToken<'_>) -> Option<u64> {
        let is_own = reference.node == self.name.as_str() && reference.creation == self.creation;
        match reference.words.get() {
            &[low, high] if is_own => Some(u64::from(high) << 32 | u64::from(low)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::LocalNode;
    use crate::base::Pid;
    use crate::cluster::node_name::NodeName;
    use crate::cluster::term::{ExternalPid, PidToken};

    fn node(creation: u32) -> LocalNode {
        LocalNode::new(NodeName::parse("a@host").unwrap(), creation)
    }

    fn token(pid: &ExternalPid) -> PidToken<'_> {
        let (id, serial, creation) = (pid.id(), pid.serial(), pid.creation());
        PidToken { node: pid.node().as_str().into(), id, serial, creation }
    }

    #[test]
    fn a_local_pid_is_read_back_and_one_of_an_earlier_incarnation_is_dead() {
        for raw in [0, 1, 0xffff_ffff, 1 << 32, (1 << 48) - 1] {
            let pid = Pid::from_raw(raw);
            let external = node(7).external(pid);
            assert_eq!(external.creation(), 7);
            assert_eq!(node(7).local(&token(&external)), Some(pid));
            assert_eq!(node(8).local(&token(&external)), None);
        }
        let other = ExternalPid::new(node(7).atom, 1, 1 << 16, 7);
        assert_eq!(node(7).local(&token(&other)), None); // no pid has so many bits
    }

    #[test]
    fn the_number_of_a_monitor_is_read_back() {
        use crate::cluster::term::ReferenceToken;

        let reference = node(7).reference(0x1234_5678_9abc_def0);
        assert_eq!(reference.words(), [0x9abc_def0, 0x1234_5678]);
        let of = |creation| ReferenceToken {
            node: "a@host".into(),
            creation,
            words: crate::cluster::term::Words::pair(0x9abc_def0, 0x1234_5678),
        };
        assert_eq!(node(7).monitor(&of(7)), Some(0x1234_5678_9abc_def0));
        assert_eq!(node(7).monitor(&of(8)), None);
    }
}
