//! The messages of EPMD, as bytes. A request follows its length, which has 2 bytes; a reply does not.

use std::io;

/// The type of a hidden node.
const HIDDEN: u8 = 72;
/// The transport: TCP over IPv4.
const TCP: u8 = 0;
/// The version of the distribution protocol. Nodes since OTP 23 have 6.
pub(super) const VERSION: u16 = 6;
/// The length of a fixed reply: its tag, the result, and the creation or the rest.
pub(crate) const REGISTERED_LENGTH: usize = 2;

pub(super) const REGISTER: u8 = 120;
pub(super) const REGISTERED_16: u8 = 121;
pub(super) const REGISTERED_32: u8 = 118;
pub(super) const LOOK_UP: u8 = 122;
pub(super) const FOUND: u8 = 119;

/// Returns the request to register a hidden node.
pub(crate) fn register(alive: &str, port: u16) -> Vec<u8> {
    let (name, length) = (alive.as_bytes(), length(alive.len()));
    let versions = [VERSION.to_be_bytes(), VERSION.to_be_bytes()].concat();
    let body =
        [&[REGISTER][..], &port.to_be_bytes(), &[HIDDEN, TCP], &versions, &length, name, &[0, 0]];
    framed(&body.concat())
}

/// Reads the first two bytes of the reply to [`register`]. Returns how many bytes of the creation
/// follow.
pub(crate) fn registered(reply: [u8; REGISTERED_LENGTH]) -> io::Result<usize> {
    match reply {
        [REGISTERED_16, 0] => Ok(2),
        [REGISTERED_32, 0] => Ok(4),
        [REGISTERED_16 | REGISTERED_32, _] => {
            Err(io::Error::new(io::ErrorKind::AddrInUse, "the name is registered already"))
        }
        _ => Err(invalid()),
    }
}

/// Returns the request for the port of a node.
pub(crate) fn look_up(alive: &str) -> Vec<u8> {
    framed(&[&[LOOK_UP], alive.as_bytes()].concat())
}

/// Reads the reply to [`look_up`]: `None` if the node is not registered, or has no version that this
/// one knows.
pub(crate) fn looked_up(reply: &[u8]) -> io::Result<Option<u16>> {
    match reply {
        [FOUND, 0, high, low, _type, TCP, version @ ..] => {
            let (highest, rest) = version.split_first_chunk().ok_or_else(invalid)?;
            let (lowest, _) = rest.split_first_chunk().ok_or_else(invalid)?;
            let known = u16::from_be_bytes(*lowest)..=u16::from_be_bytes(*highest);
            Ok(known.contains(&VERSION).then(|| u16::from_be_bytes([*high, *low])))
        }
        [FOUND, 1..=u8::MAX, ..] => Ok(None),
        _ => Err(invalid()),
    }
}

fn length(bytes: usize) -> [u8; 2] {
    u16::try_from(bytes).expect("a request to EPMD is shorter than 65,536 bytes").to_be_bytes()
}

fn framed(body: &[u8]) -> Vec<u8> {
    [&length(body.len())[..], body].concat()
}

fn invalid() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the answer is not one of EPMD")
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use super::{look_up, looked_up, register, registered};

    #[test]
    fn the_requests_have_these_bytes() {
        let expected = [&[0, 17, 120, 0x12, 0x34, 72, 0, 0, 6, 0, 6, 0, 4][..], b"rust", &[0, 0]];
        assert_eq!(register("rust", 0x1234), expected.concat());
        assert_eq!(look_up("rust"), b"\x00\x05\x7arust");
    }

    #[test]
    fn a_registration_has_a_creation_of_2_or_4_bytes() {
        assert_eq!(registered([121, 0]).unwrap(), 2);
        assert_eq!(registered([118, 0]).unwrap(), 4);
        assert_eq!(registered([118, 1]).unwrap_err().kind(), ErrorKind::AddrInUse);
        assert_eq!(registered([b'H', b'T']).unwrap_err().kind(), ErrorKind::InvalidData);
    }

    #[test]
    fn a_port_is_found_if_the_node_has_the_version() {
        let reply = |high, low| [119, 0, 0x12, 0x34, 77, 0, 0, high, 0, low, 0, 1, b'a', 0, 0];
        assert_eq!(looked_up(&reply(6, 5)).unwrap(), Some(0x1234));
        assert_eq!(looked_up(&reply(5, 5)).unwrap(), None);
        assert_eq!(looked_up(&[119, 1]).unwrap(), None);
        for wrong in [&b""[..], b"\x77", b"\x77\x00\x12", b"HTTP/1.1 400"] {
            assert_eq!(looked_up(wrong).unwrap_err().kind(), ErrorKind::InvalidData);
        }
    }
}
