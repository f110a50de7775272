//! Exit reasons as terms, both ways.
//!
//! | reason | term |
//! |---|---|
//! | `Normal`, `Shutdown`, `Killed`, `NoProc`, `NoConnection` | `normal`, `shutdown`, `killed`, `noproc`, `noconnection` |
//! | `ShutdownWith(detail)` | `{shutdown,<<"the text">>}` |
//! | `Crashed(crash)` | `{panic,<<"the message">>}`, `{error,<<"the message">>}`, `{crashed,<<"the message">>}` by its kind |
//! | any other term | `Crashed`, with a [`RemoteReason`] as its error; `{shutdown,Term}` is a `ShutdownWith` with one |
//!
//! A reason with a [`RemoteReason`] is written as the term that it was.

use std::error::Error;
use std::fmt;

use crate::base::{PAGE, excerpt};
use crate::cluster::term::{DecodeError, DecodeLimits, Decoder, Encoder, Term, Token};
use crate::exit::{Crash, CrashKind, ExitReason};
use crate::message::EncodedTerm;

/// The maximum length of a reason that is kept as a term.
const LONGEST: usize = 64 * 1024;
/// The maximum length of a text of a reason that is sent.
const LONGEST_TEXT: usize = 4 * 1024;

/// The exit reason of a process of another node, if it is a term that [`ExitReason`] has no variant
/// for. It is the error of a [`Crash`], or the value of an [`ExitReason::ShutdownWith`].
///
/// The [`Display`](fmt::Display) text is the term as Erlang writes it, cut after 4,096 characters.
///
/// ```no_run
/// use regrow::ExitReason;
/// use regrow::cluster::RemoteReason;
///
/// fn is_busy(reason: &ExitReason) -> bool {
///     let remote = reason.crash().and_then(|crash| crash.downcast_ref::<RemoteReason>());
///     let term = remote.and_then(RemoteReason::term);
///     term.is_some_and(|term| term.decode::<(String, u32)>().is_ok())
/// }
/// ```
#[derive(Debug, Clone)]
pub struct RemoteReason {
    text: Box<str>,
    term: Option<EncodedTerm>,
}

impl RemoteReason {
    /// Returns the term; `None` if it has more than 64 KiB, or can't be decoded. [`RemoteReason`] has
    /// an example.
    pub fn term(&self) -> Option<&EncodedTerm> {
        self.term.as_ref()
    }

    /// Decodes a term without its version byte.
    fn of(bytes: &[u8]) -> Self {
        if bytes.len() > LONGEST {
            let text = format!("a reason of {} bytes", bytes.len());
            return RemoteReason { text: text.into(), term: None };
        }
        let bytes = [&[131], bytes].concat();
        match Term::from_bytes(&bytes) {
            Ok(term) => RemoteReason {
                text: excerpt(&term, PAGE).to_string().into(),
                term: Some(EncodedTerm::checked(bytes)),
            },
            Err(error) => {
                let text = format!("a reason that can't be decoded: {error}");
                RemoteReason { text: text.into(), term: None }
            }
        }
    }
}

impl fmt::Display for RemoteReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Error for RemoteReason {}

/// Returns the reason that a term without its version byte stands for.
pub(crate) fn read_reason(bytes: &[u8]) -> ExitReason {
    let known = known(bytes).ok().flatten();
    known.unwrap_or_else(|| ExitReason::from_library(RemoteReason::of(bytes)))
}

/// Returns whether a reason is the atom that kills a process.
pub(crate) fn is_kill(bytes: &[u8]) -> bool {
    let first = decoder(bytes).and_then(|mut decoder| decoder.next());
    matches!(first, Ok(Token::Atom(atom)) if atom == "kill")
}

fn decoder(bytes: &[u8]) -> Result<Decoder<'_>, DecodeError> {
    let mut decoder = Decoder::new(bytes, &DecodeLimits::new().size(usize::MAX))?;
    decoder.start_inside();
    Ok(decoder)
}

fn known(bytes: &[u8]) -> Result<Option<ExitReason>, DecodeError> {
    let mut decoder = decoder(bytes)?;
    Ok(match decoder.next()? {
        Token::Atom(atom) => match &*atom {
            "normal" => Some(ExitReason::Normal),
            "shutdown" => Some(ExitReason::Shutdown),
            "killed" => Some(ExitReason::Killed),
            "noproc" => Some(ExitReason::NoProc),
            "noconnection" => Some(ExitReason::NoConnection),
            _ => None,
        },
        Token::Tuple(2) => match decoder.next()? {
            Token::Atom(atom) if atom == "shutdown" => {
                let detail = RemoteReason::of(&bytes[decoder.offset()..]);
                Some(ExitReason::shutdown_with(detail))
            }
            _ => None,
        },
        _ => None,
    })
}

/// Writes a reason.
pub(crate) fn write_reason(reason: &ExitReason, encoder: &mut Encoder<'_>) {
    let atom = match reason {
        ExitReason::Normal => "normal",
        ExitReason::Shutdown => "shutdown",
        ExitReason::Killed => "killed",
        ExitReason::NoProc => "noproc",
        ExitReason::NoConnection => "noconnection",
        ExitReason::ShutdownWith(detail) => {
            let remote = detail.downcast_ref::<RemoteReason>();
            return pair(encoder, "shutdown", remote, detail.text());
        }
        ExitReason::Crashed(crash) => return write_crash(crash, encoder),
    };
    // The atom is short.
    let _ = encoder.atom(atom);
}

/// Returns an upper bound of the bytes of a reason.
pub(crate) fn reason_size(reason: &ExitReason) -> usize {
    let (remote, text) = match reason {
        ExitReason::ShutdownWith(detail) => (detail.downcast_ref::<RemoteReason>(), detail.text()),
        ExitReason::Crashed(crash) => (crash.downcast_ref::<RemoteReason>(), crash.message()),
        _ => (None, ""),
    };
    // The tuple, the atom and the head of the text have less than 32 bytes.
    let term = remote.and_then(RemoteReason::term);
    32 + term.map_or(text.len().min(LONGEST_TEXT), |term| term.as_bytes().len())
}

fn write_crash(crash: &Crash, encoder: &mut Encoder<'_>) {
    let kind = match crash.kind() {
        CrashKind::Panic => "panic",
        CrashKind::Error => "error",
        CrashKind::Explicit => "crashed",
    };
    let remote = crash.downcast_ref::<RemoteReason>();
    match remote.and_then(RemoteReason::term) {
        Some(term) => encoder.raw(&term.as_bytes()[1..]),
        None => pair(encoder, kind, None, crash.message()),
    }
}

/// Writes a pair of an atom, and a term or a text.
fn pair(encoder: &mut Encoder<'_>, first: &str, term: Option<&RemoteReason>, text: &str) {
    // The tuple, the atom and the text are short.
    let _ = encoder.tuple(2);
    let _ = encoder.atom(first);
    match term.and_then(RemoteReason::term) {
        Some(term) => encoder.raw(&term.as_bytes()[1..]),
        None => drop(encoder.binary(start_of(text).as_bytes())),
    }
}

/// Returns a text without what is beyond the maximum.
fn start_of(text: &str) -> &str {
    let end = (0..=text.len().min(LONGEST_TEXT)).rev().find(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or(0)]
}

#[cfg(test)]
mod tests {
    use super::{LONGEST, LONGEST_TEXT, RemoteReason, is_kill, read_reason, write_reason};
    use crate::cluster::term::{Encoder, Term};
    use crate::exit::ExitReason;

    fn written(reason: &ExitReason) -> Vec<u8> {
        let mut bytes = Vec::new();
        write_reason(reason, &mut Encoder::new(&mut bytes));
        bytes
    }

    fn shown(reason: &ExitReason) -> String {
        Term::from_bytes(&[&[131], &written(reason)[..]].concat()).unwrap().to_string()
    }

    fn of(term: &Term) -> ExitReason {
        read_reason(&term.to_bytes().unwrap()[1..])
    }

    #[test]
    fn the_reasons_that_both_sides_have_are_read_back() {
        let reasons = [
            (ExitReason::Normal, "normal"),
            (ExitReason::Shutdown, "shutdown"),
            (ExitReason::Killed, "killed"),
            (ExitReason::NoProc, "noproc"),
            (ExitReason::NoConnection, "noconnection"),
        ];
        for (reason, text) in reasons {
            assert_eq!(shown(&reason), text);
            assert_eq!(read_reason(&written(&reason)), reason);
        }
        assert_eq!(ExitReason::NoConnection.to_string(), "noconnection");
    }

    #[test]
    fn other_terms_are_crashes_that_are_written_as_they_were() {
        let term = Term::tuple([Term::atom("badmatch"), Term::from(7)]);
        let reason = of(&term);
        assert_eq!(reason.to_string(), "error: {badmatch,7}");
        let remote = reason.crash().unwrap().downcast_ref::<RemoteReason>().unwrap();
        assert_eq!(remote.term().unwrap().term().unwrap(), term);
        assert_eq!(shown(&reason), "{badmatch,7}");
        let shutdown = of(&Term::tuple([Term::atom("shutdown"), Term::atom("drained")]));
        assert!(shutdown.is_clean());
        assert_eq!(
            (shutdown.to_string(), shown(&shutdown)),
            ("shutdown: drained".to_owned(), "{shutdown,drained}".to_owned())
        );
    }

    #[test]
    fn a_crash_is_its_kind_and_its_message() {
        assert_eq!(shown(&ExitReason::crashed("no luck")), r#"{crashed,<<"no luck">>}"#);
        assert_eq!(shown(&ExitReason::from(std::fmt::Error)).split(',').next(), Some("{error"));
        assert_eq!(shown(&ExitReason::shutdown_with(12)), r#"{shutdown,<<"12">>}"#);
        let long = written(&ExitReason::crashed("é".repeat(10_000)));
        assert!(long.len() < LONGEST_TEXT + 100);
    }

    #[test]
    fn reasons_that_are_long_or_nonsense_are_kept_as_a_note() {
        let long = of(&Term::binary("x".repeat(LONGEST)));
        assert_eq!(long.to_string(), format!("error: a reason of {} bytes", LONGEST + 5));
        assert_eq!(shown(&long).split(',').next(), Some("{error"));
        assert!(read_reason(b"\xff\xff").to_string().contains("can't be decoded"));
        assert!(read_reason(b"").to_string().contains("can't be decoded"));
    }

    #[test]
    fn only_the_atom_kill_kills() {
        assert!(is_kill(&Term::atom("kill").to_bytes().unwrap()[1..]));
        assert!(!is_kill(&Term::atom("killed").to_bytes().unwrap()[1..]) && !is_kill(b""));
    }
}
