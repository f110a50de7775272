//! The messages of the handshake, as bytes.
//!
//! ```text
//!    initiator                                    acceptor
//!    'N' flags creation name   ──────────────▶
//!                              ◀──────────────    's' status
//!    's' "true"                ──────────────▶                  only after the status "alive"
//!                              ◀──────────────    'N' flags challenge creation name
//!    'r' challenge answer      ──────────────▶
//!                              ◀──────────────    'a' answer
//! ```
//!
//! Each message follows its length, which has 2 bytes; a carrier over TLS makes 4 of them. All numbers
//! are big-endian.

use crate::cluster::cookie::Digest;
use crate::cluster::handshake::error::HandshakeError;
use crate::cluster::handshake::flags::Flags;
use crate::cluster::node_name::NodeName;

/// The maximum length of a message, without its prefix. A name has at most 255 bytes.
pub(crate) const LONGEST_MESSAGE: usize = 512;

/// What a status says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    /// The handshake continues.
    Ok,
    /// The handshake continues. The acceptor gives up its own attempt to connect.
    OkSimultaneous,
    /// The acceptor's own attempt to connect continues, so this handshake doesn't.
    Nok,
    /// The acceptor refuses the initiator.
    NotAllowed,
    /// The acceptor has a connection to the initiator, and asks whether that connection is lost.
    Alive,
    /// The initiator's answer to `Alive`: the earlier connection is lost.
    True,
    /// The initiator's answer to `Alive`: the handshake is a mistake.
    False,
}

const STATUSES: [(&str, Status); 7] = [
    ("ok", Status::Ok),
    ("ok_simultaneous", Status::OkSimultaneous),
    ("nok", Status::Nok),
    ("not_allowed", Status::NotAllowed),
    ("alive", Status::Alive),
    ("true", Status::True),
    ("false", Status::False),
];

impl Status {
    pub(crate) fn encode(self) -> Vec<u8> {
        let text = STATUSES.iter().find(|(_, status)| *status == self).map_or("", |(text, _)| text);
        framed(&[b"s", text.as_bytes()])
    }

    pub(crate) fn decode(message: &[u8]) -> Result<Status, HandshakeError> {
        let text = message.strip_prefix(b"s").ok_or(HandshakeError::Unexpected)?;
        let found = STATUSES.iter().find(|(name, _)| name.as_bytes() == text);
        found.map(|(_, status)| *status).ok_or(HandshakeError::Malformed)
    }
}

/// The first message of either side: the initiator's has no challenge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hello {
    pub(crate) flags: Flags,
    pub(crate) creation: u32,
    pub(crate) name: NodeName,
}

impl Hello {
    /// Returns the first message of an initiator.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let (creation, name) = (self.creation.to_be_bytes(), self.name.as_str().as_bytes());
        framed(&[b"N", &self.flags.bits().to_be_bytes(), &creation, &length(name), name])
    }

    /// Returns the first message of an acceptor.
    pub(crate) fn encode_with(&self, challenge: u32) -> Vec<u8> {
        let (creation, name) = (self.creation.to_be_bytes(), self.name.as_str().as_bytes());
        let (flags, challenge) = (self.flags.bits().to_be_bytes(), challenge.to_be_bytes());
        framed(&[b"N", &flags, &challenge, &creation, &length(name), name])
    }

    pub(crate) fn decode(message: &[u8]) -> Result<Hello, HandshakeError> {
        let (flags, rest) = flags(message)?;
        let (creation, rest) = number(rest)?;
        Ok(Hello { flags, creation, name: name(rest)? })
    }

    pub(crate) fn decode_with_challenge(message: &[u8]) -> Result<(Hello, u32), HandshakeError> {
        let (flags, rest) = flags(message)?;
        let (challenge, rest) = number(rest)?;
        let (creation, rest) = number(rest)?;
        Ok((Hello { flags, creation, name: name(rest)? }, challenge))
    }
}

/// Returns the initiator's challenge, and its answer to the acceptor's challenge.
pub(crate) fn encode_reply(challenge: u32, answer: &Digest) -> Vec<u8> {
    framed(&[b"r", &challenge.to_be_bytes(), answer])
}

pub(crate) fn decode_reply(message: &[u8]) -> Result<(u32, Digest), HandshakeError> {
    let rest = message.strip_prefix(b"r").ok_or(HandshakeError::Unexpected)?;
    let (challenge, answer) = number(rest)?;
    Ok((challenge, answer.try_into().map_err(|_| HandshakeError::Malformed)?))
}

/// Returns the acceptor's answer to the initiator's challenge.
pub(crate) fn encode_ack(answer: &Digest) -> Vec<u8> {
    framed(&[b"a", answer])
}

pub(crate) fn decode_ack(message: &[u8]) -> Result<Digest, HandshakeError> {
    let answer = message.strip_prefix(b"a").ok_or(HandshakeError::Unexpected)?;
    answer.try_into().map_err(|_| HandshakeError::Malformed)
}

fn flags(message: &[u8]) -> Result<(Flags, &[u8]), HandshakeError> {
    // 'n' begins the handshake that OTP had before its release 23.
    let rest = match message.split_first() {
        Some((b'N', rest)) => rest,
        Some((b'n', _)) => return Err(HandshakeError::OldVersion),
        _ => return Err(HandshakeError::Unexpected),
    };
    let (flags, rest) = rest.split_first_chunk().ok_or(HandshakeError::Malformed)?;
    Ok((Flags::of_peer(u64::from_be_bytes(*flags)), rest))
}

fn number(bytes: &[u8]) -> Result<(u32, &[u8]), HandshakeError> {
    let (number, rest) = bytes.split_first_chunk().ok_or(HandshakeError::Malformed)?;
    Ok((u32::from_be_bytes(*number), rest))
}

/// Reads a name. Later versions of the protocol may add bytes behind it, which are ignored.
fn name(bytes: &[u8]) -> Result<NodeName, HandshakeError> {
    let (length, rest) = bytes.split_first_chunk().ok_or(HandshakeError::Malformed)?;
    let name = rest.get(..u16::from_be_bytes(*length).into()).ok_or(HandshakeError::Malformed)?;
    let text = std::str::from_utf8(name).map_err(|_| HandshakeError::InvalidName)?;
    NodeName::parse(text).ok_or(HandshakeError::InvalidName)
}

fn length(bytes: &[u8]) -> [u8; 2] {
    let length = u16::try_from(bytes.len());
    length.expect("a message of the handshake is shorter than 65,536 bytes").to_be_bytes()
}

/// Joins the parts of a message behind their length.
fn framed(parts: &[&[u8]]) -> Vec<u8> {
    let message = parts.concat();
    [&length(&message)[..], &message].concat()
}

#[cfg(test)]
mod tests {
    use super::{Hello, Status, decode_ack, decode_reply, encode_ack, encode_reply};
    use crate::cluster::handshake::error::HandshakeError;
    use crate::cluster::handshake::flags::Flags;
    use crate::cluster::node_name::NodeName;

    fn hello() -> Hello {
        let name = NodeName::parse("a@b").unwrap();
        Hello { flags: Flags::of_peer(0x4_0307_0f94), creation: 0x0102_0304, name }
    }

    #[test]
    fn the_first_messages_have_these_bytes() {
        let sent = hello().encode();
        let flags = [0, 0, 0, 4, 3, 7, 0xf, 0x94];
        let expected = [&[0, 18, b'N'][..], &flags, &[1, 2, 3, 4, 0, 3], b"a@b"].concat();
        assert_eq!(sent, expected);
        assert_eq!(Hello::decode(&sent[2..]), Ok(hello()));

        let sent = hello().encode_with(0xff00_0001);
        let numbers = [0xff, 0, 0, 1, 1, 2, 3, 4, 0, 3];
        assert_eq!(sent, [&[0, 22, b'N'][..], &flags, &numbers, b"a@b"].concat());
        assert_eq!(Hello::decode_with_challenge(&sent[2..]), Ok((hello(), 0xff00_0001)));
    }

    #[test]
    fn the_other_messages_have_these_bytes() {
        assert_eq!(Status::OkSimultaneous.encode(), b"\x00\x10sok_simultaneous");
        assert_eq!(Status::decode(b"salive"), Ok(Status::Alive));
        let answer = [7; 16];
        let reply = encode_reply(258, &answer);
        assert_eq!(reply, [&[0, 21, b'r', 0, 0, 1, 2][..], &answer].concat());
        assert_eq!(decode_reply(&reply[2..]), Ok((258, answer)));
        let ack = encode_ack(&answer);
        assert_eq!(ack, [&[0, 17, b'a'][..], &answer].concat());
        assert_eq!(decode_ack(&ack[2..]), Ok(answer));
    }

    #[test]
    fn every_truncated_message_is_refused() {
        let (first, second) = (hello().encode(), hello().encode_with(1));
        let (reply, ack) = (encode_reply(1, &[0; 16]), encode_ack(&[0; 16]));
        for end in 2..first.len() {
            assert!(Hello::decode(&first[2..end]).is_err());
        }
        for end in 2..second.len() {
            assert!(Hello::decode_with_challenge(&second[2..end]).is_err());
        }
        for end in 2..reply.len() {
            assert!(decode_reply(&reply[2..end]).is_err());
        }
        for end in 2..ack.len() {
            assert!(decode_ack(&ack[2..end]).is_err());
        }
    }

    #[test]
    fn messages_that_mean_nothing_are_refused() {
        assert_eq!(Status::decode(b"swhatever"), Err(HandshakeError::Malformed));
        assert_eq!(Status::decode(b"ok"), Err(HandshakeError::Unexpected));
        assert_eq!(Hello::decode(b"n\x00\x05"), Err(HandshakeError::OldVersion));
        let mut wrong = hello().encode();
        wrong.truncate(wrong.len() - 3);
        let nameless = [&wrong[2..], b"a\xffb"].concat();
        assert_eq!(Hello::decode(&nameless), Err(HandshakeError::InvalidName));
        assert_eq!(decode_ack(&[&b"a"[..], &[0; 17]].concat()), Err(HandshakeError::Malformed));
    }
}
