//! Why a call gets no answer although its server lives, as an exit reason.

use crate::cluster::term::{DecodeError, DecodeLimits, Decoder, Encoder, Token};

/// Why a call gets no answer although its server lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The server has dropped the reply.
    NoReply,
    /// The mailbox of the server is full.
    Overloaded,
    /// There is no such server, or it is about to end.
    NoProc,
    /// The request is no call of the server.
    BadRequest(String),
    /// The answer has no term.
    BadAnswer(String),
}

/// The maximum length of a text that is kept, in bytes.
const LONGEST: usize = 4 * 1024;

impl Refusal {
    /// Returns the atom and the text of the reason. `noproc` has no text.
    fn parts(&self) -> (&'static str, Option<&str>) {
        match self {
            Refusal::NoReply => ("no_reply", Some("the server has dropped the reply of this call")),
            Refusal::Overloaded => ("overloaded", Some("the mailbox of the server is full")),
            Refusal::NoProc => ("noproc", None),
            Refusal::BadRequest(why) => ("bad_request", Some(why)),
            Refusal::BadAnswer(why) => ("bad_answer", Some(why)),
        }
    }

    /// Writes the reason: `{Atom, Text}`.
    pub(super) fn append(&self, encoder: &mut Encoder<'_>) {
        let (name, text) = self.parts();
        if let Some(text) = text {
            let _ = encoder.tuple(2);
            let _ = encoder.atom(name);
            let _ = encoder.binary(text.as_bytes());
        } else {
            let _ = encoder.atom(name);
        }
    }

    /// Returns the refusal that an encoded exit reason is; `None` if it is any other.
    pub(crate) fn read(reason: &[u8]) -> Option<Self> {
        let (name, text) = read_parts(reason).ok().flatten()?;
        let text = || {
            let end = (0..=text.len().min(LONGEST)).rev().find(|at| text.is_char_boundary(*at));
            text[..end.unwrap_or(0)].to_owned()
        };
        match &*name {
            "no_reply" => Some(Refusal::NoReply),
            "overloaded" => Some(Refusal::Overloaded),
            "bad_request" => Some(Refusal::BadRequest(text())),
            "bad_answer" => Some(Refusal::BadAnswer(text())),
            _ => None,
        }
    }
}

type Parts<'r> = (std::borrow::Cow<'r, str>, &'r str);

fn read_parts(reason: &[u8]) -> Result<Option<Parts<'_>>, DecodeError> {
    let mut decoder = Decoder::new(reason, &DecodeLimits::new())?;
    decoder.start_inside();
    if decoder.next()? != Token::Tuple(2) {
        return Ok(None);
    }
    let Token::Atom(name) = decoder.next()? else { return Ok(None) };
    let Token::Binary(text) = decoder.next()? else { return Ok(None) };
    Ok(str::from_utf8(text).ok().map(|text| (name, text)))
}

#[cfg(test)]
mod tests {
    use super::{LONGEST, Refusal};
    use crate::cluster::term::{Term, to_term};
    use crate::cluster::wire::terms::encoded;

    #[test]
    fn a_refusal_is_read_back() {
        let refusals = [
            Refusal::NoReply,
            Refusal::Overloaded,
            Refusal::BadRequest("a float".into()),
            Refusal::BadAnswer("no float".into()),
        ];
        for refusal in refusals {
            let reason = encoded(|encoder| refusal.append(encoder));
            assert_eq!(Refusal::read(&reason), Some(refusal));
        }
        let long = encoded(|encoder| Refusal::BadRequest("é".repeat(9_000)).append(encoder));
        let Some(Refusal::BadRequest(text)) = Refusal::read(&long) else { panic!() };
        assert_eq!(text.len(), LONGEST);
    }

    #[test]
    fn other_reasons_are_no_refusals() {
        let others = [
            Term::atom("noproc"),
            Term::atom("no_reply"),
            to_term(&("no_reply", "text")).unwrap(),
            Term::tuple([Term::atom("no_reply"), Term::atom("text")]),
            Term::tuple([Term::atom("other"), Term::binary("text")]),
            Term::tuple([Term::atom("no_reply"), Term::binary([0xff])]),
        ];
        for other in others {
            let bytes = other.to_bytes().unwrap();
            assert_eq!(Refusal::read(&bytes[1..]), None, "{other}");
        }
        assert_eq!(Refusal::read(b""), None);
    }
}
