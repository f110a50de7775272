//! The requests of EPMD and the replies to them, as bytes, on the side of the daemon. [`codec`] has
//! the side of a client, and the numbers.
//!
//! [`codec`]: crate::cluster::epmd::codec

use crate::cluster::epmd::codec::{
    FOUND, LOOK_UP, REGISTER, REGISTERED_16, REGISTERED_32, VERSION,
};

const NAMES: u8 = 110;
/// The maximum length of a name, in bytes: that of an atom of 255 characters.
const LONGEST_NAME: usize = 255 * 4;

/// What a client asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Request {
    Register(Registered),
    /// The port of the node with this name.
    LookUp(String),
    Names,
}

/// What a node has registered. Everything but the port is passed on as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Registered {
    pub(crate) name: String,
    pub(crate) port: u16,
    /// The type of the node, the transport, and both versions.
    about: [u8; 6],
    extra: Vec<u8>,
}

impl Registered {
    /// Whether the node reads a creation of 32 bits.
    fn is_new(&self) -> bool {
        u16::from_be_bytes([self.about[2], self.about[3]]) >= VERSION
    }
}

impl Request {
    /// Decodes a request, without its length. `None` for one that is not known, or is malformed: the
    /// client can't kill or stop this daemon.
    pub(crate) fn decode(body: &[u8]) -> Option<Request> {
        match body {
            [REGISTER, high, low, rest @ ..] => {
                let (about, rest) = rest.split_first_chunk()?;
                let (name, rest) = prefixed(rest)?;
                let (extra, _) = prefixed(rest)?;
                let port = u16::from_be_bytes([*high, *low]);
                let (name, extra) = (valid(name)?, extra.to_vec());
                Some(Request::Register(Registered { name, port, about: *about, extra }))
            }
            [LOOK_UP, name @ ..] => Some(Request::LookUp(valid(name)?)),
            [NAMES] => Some(Request::Names),
            _ => None,
        }
    }
}

fn prefixed(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    rest.split_at_checked(u16::from_be_bytes(*length).into())
}

/// A name is a line of the reply to a request for names.
fn valid(name: &[u8]) -> Option<String> {
    let name = std::str::from_utf8(name).ok()?;
    let is_valid = !name.is_empty()
        && name.len() <= LONGEST_NAME
        && !name.contains(|c: char| c.is_whitespace() || c.is_control() || c == '@');
    is_valid.then(|| name.to_owned())
}

/// Returns the reply to a node whose name is registered now, with its creation, or belongs to another
/// one.
pub(crate) fn registration(node: &Registered, creation: Option<u32>) -> Vec<u8> {
    let (result, creation) = (u8::from(creation.is_none()), creation.unwrap_or(0));
    match (node.is_new(), creation.to_be_bytes()) {
        (true, creation) => [&[REGISTERED_32, result][..], &creation].concat(),
        // Creations of two bits are 1, 2 and 3.
        (false, _) => vec![REGISTERED_16, result, 0, u8::try_from(creation % 3 + 1).unwrap_or(1)],
    }
}

/// Returns the reply to a look-up.
pub(crate) fn found(node: Option<&Registered>) -> Vec<u8> {
    let Some(node) = node else { return vec![FOUND, 1] };
    let prefixed = |bytes: &[u8]| {
        let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX).to_be_bytes();
        [&length[..], bytes].concat()
    };
    let (name, extra) = (prefixed(node.name.as_bytes()), prefixed(&node.extra));
    [&[FOUND, 0][..], &node.port.to_be_bytes(), &node.about, &name, &extra].concat()
}

/// Returns the reply to a request for the names, from the daemon at this port.
pub(crate) fn names<'a>(port: u16, nodes: impl Iterator<Item = &'a Registered>) -> Vec<u8> {
    let mut reply = u32::from(port).to_be_bytes().to_vec();
    for node in nodes {
        reply.extend(format!("name {} at port {}\n", node.name, node.port).into_bytes());
    }
    reply
}

#[cfg(test)]
mod tests {
    use super::{Request, found, names, registration};
    use crate::cluster::epmd::codec;

    fn registered(bytes: &[u8]) -> super::Registered {
        match Request::decode(bytes) {
            Some(Request::Register(node)) => node,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_client_understands_the_replies() {
        let node = registered(&codec::register("rust", 0x1234)[2..]);
        assert_eq!((node.name.as_str(), node.port), ("rust", 0x1234));
        let reply = registration(&node, Some(0x0102_0304));
        assert_eq!(reply, [118, 0, 1, 2, 3, 4]);
        assert_eq!(codec::registered([reply[0], reply[1]]).unwrap(), reply.len() - 2);
        let reply = registration(&node, None);
        assert!(codec::registered([reply[0], reply[1]]).is_err() && reply.len() == 6);
        assert_eq!(codec::looked_up(&found(Some(&node))).unwrap(), Some(0x1234));
        assert_eq!(codec::looked_up(&found(None)).unwrap(), None);
        let asked = Request::decode(&codec::look_up("rust")[2..]);
        assert_eq!(asked, Some(Request::LookUp("rust".into())));
        assert_eq!(names(4369, [&node].into_iter()), b"\0\0\x11\x11name rust at port 4660\n");
    }

    #[test]
    fn a_node_of_version_5_gets_a_creation_of_two_bits() {
        let old = b"\x78\x12\x34\x4d\x00\x00\x05\x00\x05\x00\x01a\x00\x00";
        assert_eq!(registration(&registered(old), Some(7)), [121, 0, 0, 2]);
        assert_eq!(registration(&registered(old), None), [121, 1, 0, 1]);
    }

    #[test]
    fn requests_that_mean_nothing_are_refused() {
        let register = codec::register("rust", 1);
        for end in 2..register.len() {
            assert_eq!(Request::decode(&register[2..end]), None);
        }
        // A dump, a kill, and a stop.
        for wrong in [&b"d"[..], b"k", b"srust", b"z", b"za\nb", b"za@b", b"z\xff", b"n?"] {
            assert_eq!(Request::decode(wrong), None, "{wrong:?}");
        }
        assert_eq!(Request::decode(&[&b"z"[..], &[b'a'; 1_021]].concat()), None);
    }
}
