//! The arguments of the signals that arrive: pids and references of both nodes.
//!
//! The pids and references of the two nodes of a connection are compared as bytes. Only others are
//! decoded: to find what is wrong with them, or because a node may write a name in another way.

use crate::base::Pid;
use crate::cluster::remote::incarnation::Incarnation;
use crate::cluster::remote::local_node::{Guessed, LocalNode};
use crate::cluster::term::{DecodeLimits, Decoder, Token, Words};
use crate::cluster::wire::ConnectionLost;
use crate::cluster::wire::control::malformed;

type Result<T> = std::result::Result<T, ConnectionLost>;

impl From<Guessed> for ConnectionLost {
    fn from(_: Guessed) -> Self {
        malformed("a pid that this node has not given")
    }
}

/// Reads the first step of an argument.
pub(crate) fn token(argument: &[u8]) -> Result<Token<'_>> {
    Ok(Decoder::new(argument, &DecodeLimits::new())?.next()?)
}

/// Returns the sender of a signal, which has to be a process of the other node.
pub(super) fn sender(other: &Incarnation, from: &[u8]) -> Result<Pid> {
    if let Some((id, serial)) = other.ids.pid(from) {
        return other.pid(id, serial).ok_or(ConnectionLost::TooManyPids);
    }
    let Token::Pid(pid) = token(from)? else { return Err(malformed("a sender without a pid")) };
    if pid.node != other.name.as_str() || pid.creation != other.creation {
        return Err(malformed("a sender that is of a third node"));
    }
    other.pid(pid.id, pid.serial).ok_or(ConnectionLost::TooManyPids)
}

/// Returns the receiver of a signal; `None` if it is of an earlier incarnation of this node. A pid that
/// was guessed breaks the protocol.
pub(super) fn receiver(own: &LocalNode, to: &[u8]) -> Result<Option<Pid>> {
    if let Some(own) = own.local_encoded(to) {
        return Ok(Some(own?));
    }
    match token(to)? {
        Token::Pid(pid) => Ok(own.local(&pid)?),
        _ => Err(malformed("a receiver without a pid")),
    }
}

/// Returns a reference that the other node has made.
pub(super) fn reference_of(other: &Incarnation, reference: &[u8]) -> Result<Words> {
    if let Some(words) = other.ids.reference(reference) {
        return Ok(words);
    }
    match token(reference)? {
        Token::Reference(own)
            if own.node == other.name.as_str() && own.creation == other.creation =>
        {
            Ok(own.words)
        }
        _ => Err(malformed("a monitor without a reference of its node")),
    }
}

/// Returns the number of a monitor that a local process has set. `None` if its reference is of another
/// node, or of an earlier incarnation of this one: it has no monitor.
pub(super) fn own_monitor(own: &LocalNode, reference: &[u8]) -> Result<Option<u64>> {
    if let Some(id) = own.monitor_encoded(reference) {
        return Ok(Some(id));
    }
    match token(reference)? {
        Token::Reference(reference) => Ok(own.monitor(&reference)),
        _ => Err(malformed("a monitor or an alias that is no reference")),
    }
}

#[cfg(test)]
mod tests {
    use super::own_monitor;
    use crate::cluster::node_name::NodeName;
    use crate::cluster::remote::local_node::{LocalNode, PidTags};
    use crate::cluster::term::Encoder;

    fn node(name: &str, creation: u32) -> LocalNode {
        LocalNode::new(NodeName::parse(name).unwrap(), creation, PidTags::default())
    }

    /// A node may write the name of this one as any form of an atom.
    #[test]
    fn a_monitor_is_found_in_each_form_of_its_reference() {
        let (own, id) = (node("a@host", 7), 0x1234_5678_9abc_def0);
        let mut usual = Vec::new();
        own.write_monitor(id, &mut Encoder::new(&mut usual));
        assert_eq!(own_monitor(&own, &usual), Ok(Some(id)));
        // The tag and the count of words have three bytes; the tag and the length of the name two.
        let (head, words) = (&usual[..3], &usual[3 + 2 + 6..]);
        for name in [&b"\x76\0\x06a@host"[..], b"\x64\0\x06a@host", b"\x73\x06a@host"] {
            let reference = [head, name, words].concat();
            assert_eq!(own_monitor(&own, &reference), Ok(Some(id)), "{name:?}");
            assert_eq!(own_monitor(&node("a@host", 8), &reference), Ok(None));
            assert_eq!(own_monitor(&node("b@host", 7), &reference), Ok(None));
        }
        assert!(own_monitor(&own, b"\x61\x01").is_err());
    }
}
