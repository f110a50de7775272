//! Control messages: what a frame asks of the node that receives it.
//!
//! A frame has a control message, which is a tuple of an operation and its arguments, and for some
//! operations a payload. The arguments stay encoded: most of them are passed on or sent back.
//!
//! Nothing is read of a payload, nor of the arguments of an operation that is ignored, and a control
//! message that is read has at most 1 MiB. So a frame, of whatever length, takes little time of the
//! connection's process: its bytes are read by the process that it is for.

use crate::cluster::term::{DecodeError, DecodeLimits, Decoder, Encoder, Token};
use crate::cluster::wire::frame::PASS_THROUGH;
use crate::cluster::wire::loss_reason::ConnectionLost;

/// The operations that a node of this crate receives and sends.
pub(crate) mod op {
    pub(crate) const LINK: u8 = 1;
    pub(crate) const SEND: u8 = 2;
    pub(crate) const EXIT: u8 = 3;
    pub(crate) const REG_SEND: u8 = 6;
    /// The signal of `exit/2`.
    pub(crate) const EXIT2: u8 = 8;
    // Operations with the token of a trace have their own numbers.
    pub(crate) const SEND_TT: u8 = 12;
    pub(crate) const EXIT_TT: u8 = 13;
    pub(crate) const REG_SEND_TT: u8 = 16;
    pub(crate) const EXIT2_TT: u8 = 18;
    pub(crate) const MONITOR_P: u8 = 19;
    pub(crate) const DEMONITOR_P: u8 = 20;
    pub(crate) const MONITOR_P_EXIT: u8 = 21;
    pub(crate) const SEND_SENDER: u8 = 22;
    pub(crate) const SEND_SENDER_TT: u8 = 23;
    pub(crate) const PAYLOAD_EXIT: u8 = 24;
    pub(crate) const PAYLOAD_EXIT_TT: u8 = 25;
    pub(crate) const PAYLOAD_EXIT2: u8 = 26;
    pub(crate) const PAYLOAD_EXIT2_TT: u8 = 27;
    pub(crate) const PAYLOAD_MONITOR_P_EXIT: u8 = 28;
    pub(crate) const SPAWN_REQUEST: u8 = 29;
    pub(crate) const SPAWN_REQUEST_TT: u8 = 30;
    pub(crate) const SPAWN_REPLY: u8 = 31;
    pub(crate) const ALIAS_SEND: u8 = 33;
    pub(crate) const ALIAS_SEND_TT: u8 = 34;
    pub(crate) const UNLINK_ID: u8 = 35;
    pub(crate) const UNLINK_ID_ACK: u8 = 36;
    pub(crate) const ALTACT_SIG_SEND: u8 = 37;
}

/// The highest operation that is known.
const LAST_OPERATION: u8 = op::ALTACT_SIG_SEND;
/// The operations of which the arguments are read.
const READ: [u8; 26] = [
    op::LINK,
    op::SEND,
    op::EXIT,
    op::REG_SEND,
    op::EXIT2,
    op::SEND_TT,
    op::EXIT_TT,
    op::REG_SEND_TT,
    op::EXIT2_TT,
    op::MONITOR_P,
    op::DEMONITOR_P,
    op::MONITOR_P_EXIT,
    op::SEND_SENDER,
    op::SEND_SENDER_TT,
    op::PAYLOAD_EXIT,
    op::PAYLOAD_EXIT_TT,
    op::PAYLOAD_EXIT2,
    op::PAYLOAD_EXIT2_TT,
    op::PAYLOAD_MONITOR_P_EXIT,
    op::SPAWN_REQUEST,
    op::SPAWN_REQUEST_TT,
    op::ALIAS_SEND,
    op::ALIAS_SEND_TT,
    op::UNLINK_ID,
    op::UNLINK_ID_ACK,
    op::ALTACT_SIG_SEND,
];
/// The maximum length of a control message whose arguments are read. They are names and identifiers,
/// a label for traces, and the reason of an exit for a peer that doesn't send it as a payload.
const LONGEST_CONTROL: usize = 1 << 20;
/// The maximum number of arguments of an operation.
const MOST_ARGUMENTS: usize = 6;

/// A control message and its payload, as they are in a frame.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Control<'f> {
    pub(crate) operation: u8,
    arguments: [&'f [u8]; MOST_ARGUMENTS],
    /// What follows the control message: a term with its version byte, or nothing, unless the peer
    /// breaks the protocol. Nothing, if the operation is ignored.
    pub(crate) payload: &'f [u8],
}

impl<'f> Control<'f> {
    /// Decodes the body of a frame. Nothing is allocated.
    pub(crate) fn decode(body: &'f [u8], limits: &DecodeLimits) -> Result<Self, ConnectionLost> {
        let Some((&PASS_THROUGH, bytes)) = body.split_first() else {
            return Err(malformed("a frame of another kind"));
        };
        let mut decoder = Decoder::new(&bytes[..bytes.len().min(LONGEST_CONTROL)], limits)?;
        decoder.start()?;
        let (Token::Tuple(elements), Token::Integer(operation)) =
            (decoder.next()?, decoder.next()?)
        else {
            return Err(malformed("no control message"));
        };
        let operation = u8::try_from(operation).unwrap_or(u8::MAX);
        if !(1..=LAST_OPERATION).contains(&operation) {
            return Err(ConnectionLost::UnknownOperation(operation));
        }
        let mut arguments = [&[][..]; MOST_ARGUMENTS];
        if !READ.contains(&operation) {
            return Ok(Control { operation, arguments, payload: &[] });
        }
        let count = elements.saturating_sub(1);
        let places = arguments.get_mut(..count).ok_or_else(|| malformed("too many arguments"))?;
        for argument in places {
            *argument = decoder.pass()?;
        }
        let payload = &bytes[decoder.offset()..];
        Ok(Control { operation, arguments, payload })
    }

    /// Returns an encoded argument, without a version byte. The first one has the number 0.
    pub(crate) fn argument(&self, number: usize) -> Result<&'f [u8], ConnectionLost> {
        let argument = self.arguments.get(number).filter(|argument| !argument.is_empty());
        argument.copied().ok_or_else(|| malformed("too few arguments"))
    }
}

/// Appends the begin of a control message with this many arguments, which have to follow.
pub(crate) fn begin_control(encoder: &mut Encoder<'_>, operation: u8, arguments: usize) {
    encoder.start();
    // A tuple of at most 255 elements can't fail.
    let _ = encoder.tuple(arguments + 1);
    encoder.integer(operation.into());
}

/// Appends a control message with these encoded arguments.
pub(crate) fn append_control(out: &mut Vec<u8>, operation: u8, arguments: &[&[u8]]) {
    let mut encoder = Encoder::new(out);
    begin_control(&mut encoder, operation, arguments.len());
    for argument in arguments {
        encoder.raw(argument);
    }
}

pub(crate) fn malformed(what: &str) -> ConnectionLost {
    ConnectionLost::Malformed(what.to_owned())
}

impl From<DecodeError> for ConnectionLost {
    fn from(error: DecodeError) -> Self {
        ConnectionLost::Malformed(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::{Control, append_control, op};
    use crate::cluster::term::DecodeLimits;
    use crate::cluster::wire::loss_reason::ConnectionLost;

    fn decode(body: &[u8]) -> Result<Control<'_>, ConnectionLost> {
        Control::decode(body, &DecodeLimits::new())
    }

    /// `{6, [], '', kv}` and the payload `42`.
    const REG_SEND: &[u8] = b"\x70\x83\x68\x04\x61\x06\x6a\x77\x00\x77\x02kv\x83\x61\x2a";

    #[test]
    fn a_control_message_is_taken_apart() {
        let control = decode(REG_SEND).unwrap();
        assert_eq!(control.operation, op::REG_SEND);
        assert_eq!(control.argument(0).unwrap(), b"\x6a");
        assert_eq!(control.argument(2).unwrap(), b"\x77\x02kv");
        assert!(control.argument(3).is_err() && control.argument(9).is_err());
        assert_eq!(control.payload, b"\x83\x61\x2a");
    }

    #[test]
    fn an_appended_message_is_decoded_again() {
        let mut body = vec![112];
        append_control(&mut body, op::REG_SEND, &[b"\x6a", b"\x77\x00", b"\x77\x02kv"]);
        body.extend(b"\x83\x61\x2a");
        assert_eq!(body, REG_SEND);
    }

    #[test]
    fn every_truncated_message_is_refused() {
        // The payload is the matter of its receiver.
        for end in 0..REG_SEND.len() - 3 {
            assert!(decode(&REG_SEND[..end]).is_err(), "{end}");
        }
    }

    #[test]
    fn the_arguments_of_an_ignored_operation_are_not_read() {
        let control = decode(b"\x70\x83\x68\x04\x61\x07\xff\xff").unwrap();
        assert_eq!((control.operation, control.payload), (7, &[][..]));
        assert!(control.argument(0).is_err());
    }

    #[test]
    fn a_control_message_beyond_the_maximum_is_refused() {
        let name = |length: u32| {
            let length = length.to_be_bytes();
            let bytes = vec![0; 2 << 20];
            [&b"\x70\x83\x68\x02\x61\x06\x6d"[..], &length, &bytes].concat()
        };
        assert!(decode(&name(1 << 19)).is_ok());
        assert!(matches!(decode(&name(1 << 20)), Err(ConnectionLost::Malformed(_))));
    }

    #[test]
    fn messages_that_mean_nothing_are_refused() {
        let unknown = |operation| Err(ConnectionLost::UnknownOperation(operation));
        assert_eq!(decode(b"\x70\x83\x68\x01\x61\x00"), unknown(0));
        assert_eq!(decode(b"\x70\x83\x68\x01\x61\x26"), unknown(38));
        assert_eq!(decode(b"\x70\x83\x68\x01\x62\xff\xff\xff\xff"), unknown(255));
        let arity = [&b"\x70\x83\x68\x08\x61\x06"[..], &[0x6a; 7]].concat();
        for wrong in
            [&b"\x83\x68\x01\x61\x06"[..], b"\x70\x83\x61\x06", b"\x70\x83\x68\x01\x6a", &arity]
        {
            assert!(matches!(decode(wrong), Err(ConnectionLost::Malformed(_))), "{wrong:?}");
        }
    }
}
