//! The requests of OTP's `gen_server`, as they arrive.

use crate::cluster::term::{DecodeError, DecodeLimits, Decoder, Token};

/// A message to a server. The parts are encoded terms without a version byte.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Request<'p> {
    /// `{'$gen_call', {Pid, Tag}, Request}`
    Call { pid: &'p [u8], tag: &'p [u8], request: &'p [u8] },
    /// `{'$gen_cast', Message}`
    Cast(&'p [u8]),
    /// Any other message.
    Other,
}

impl<'p> Request<'p> {
    /// Takes a payload apart. What a call or a cast is about is not read. A message that breaks the
    /// format in front of that is another message.
    pub(crate) fn read(payload: &'p [u8], limits: &DecodeLimits) -> Self {
        read(payload, limits).unwrap_or(Request::Other)
    }
}

fn read<'p>(payload: &'p [u8], limits: &DecodeLimits) -> Result<Request<'p>, DecodeError> {
    let mut decoder = Decoder::new(payload, limits)?;
    decoder.start()?;
    let (Token::Tuple(count), Token::Atom(kind)) = (decoder.next()?, decoder.next()?) else {
        return Ok(Request::Other);
    };
    match (count, &*kind) {
        (3, "$gen_call") if decoder.next()? == Token::Tuple(2) => {
            let (pid, tag) = (decoder.pass()?, decoder.pass()?);
            Ok(Request::Call { pid, tag, request: &payload[decoder.offset()..] })
        }
        (2, "$gen_cast") => Ok(Request::Cast(&payload[decoder.offset()..])),
        _ => Ok(Request::Other),
    }
}

#[cfg(test)]
mod tests {
    use super::Request;
    use crate::cluster::term::{DecodeLimits, Term};

    fn read(payload: &[u8]) -> Request<'_> {
        Request::read(payload, &DecodeLimits::new())
    }

    #[test]
    fn calls_and_casts_are_distinguished_from_other_messages() {
        let call = b"\x83\x68\x03\x77\x09$gen_call\x68\x02\x61\x01\x61\x02\x61\x03";
        let parts = Request::Call { pid: b"\x61\x01", tag: b"\x61\x02", request: b"\x61\x03" };
        assert_eq!(read(call), parts);
        assert_eq!(read(b"\x83\x68\x02\x77\x09$gen_cast\x61\x03"), Request::Cast(b"\x61\x03"));
        for end in 0..call.len() - 2 {
            assert_eq!(read(&call[..end]), Request::Other, "{end}");
        }
        let others = [
            Term::atom("$gen_call"),
            Term::tuple([Term::atom("$gen_call"), Term::from(1)]),
            Term::tuple([Term::atom("$gen_call"), Term::from(1), Term::from(1)]),
            Term::tuple([Term::atom("$gen_cast")]),
            Term::tuple([Term::binary("$gen_cast"), Term::from(1)]),
            Term::tuple([]),
        ];
        for other in others {
            assert_eq!(read(&other.to_bytes().unwrap()), Request::Other, "{other}");
        }
    }
}
