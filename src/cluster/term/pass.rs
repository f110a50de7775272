//! Skips a term in one step for each leaf, and does not check that its names are UTF-8.

use crate::cluster::term::decoder::Decoder;
use crate::cluster::term::error::DecodeError;
use crate::cluster::term::source_bytes::SourceBytes;
use crate::cluster::term::tag;

/// The bytes of a pid behind its node: id, serial, creation.
const PID_REST: usize = 12;

impl<'a> Decoder<'a> {
    /// Skips the next term as [`skip`](Self::skip) does, but doesn't check that its names are UTF-8.
    /// For a term that is read later, or only sent back to the node that it came from.
    pub(crate) fn pass(&mut self) -> Result<&'a [u8], DecodeError> {
        let start = self.offset();
        let owed_after = self.owed.saturating_sub(1);
        loop {
            let mut source = self.source.clone();
            if pass_leaf(&mut source).is_some() {
                self.source = source;
                self.owed = self.owed.saturating_sub(1);
            } else {
                self.next()?;
            }
            if self.owed <= owed_after {
                return Ok(self.source.since(start));
            }
        }
    }
}

/// Passes an atom, a pid or a reference in its usual form. `None` for everything else, and for what is
/// truncated.
fn pass_leaf(source: &mut SourceBytes<'_>) -> Option<()> {
    match source.byte().ok()? {
        tag::SMALL_ATOM_UTF8 => pass_text(source),
        tag::NEW_PID => {
            pass_atom(source)?;
            source.take(PID_REST).ok().map(drop)
        }
        tag::NEWER_REFERENCE => {
            let words = source.u16().ok().filter(|words| (1..=5).contains(words))?;
            pass_atom(source)?;
            source.take(4 + 4 * usize::from(words)).ok().map(drop)
        }
        _ => None,
    }
}

fn pass_atom(source: &mut SourceBytes<'_>) -> Option<()> {
    let is_short = source.byte().ok()? == tag::SMALL_ATOM_UTF8;
    is_short.then(|| pass_text(source))?
}

fn pass_text(source: &mut SourceBytes<'_>) -> Option<()> {
    let length = source.byte().ok()?;
    source.take(length.into()).ok().map(drop)
}

#[cfg(test)]
mod tests {
    use crate::cluster::term::{Atom, DecodeLimits, Decoder, ExternalPid, ExternalReference, Term};

    #[test]
    fn a_passed_term_ends_where_a_skipped_one_ends() {
        let node = Atom::new("a@host").unwrap();
        let pid = Term::Pid(ExternalPid::new(node.clone(), 1, 2, 3).into());
        let reference =
            Term::Reference(ExternalReference::new(node, 3, &[1, 2, 3]).unwrap().into());
        let terms = [
            Term::atom("x"),
            pid.clone(),
            reference.clone(),
            Term::from(300),
            Term::tuple([Term::atom("alias"), pid, Term::tuple([reference]), Term::binary("b")]),
        ];
        for term in terms {
            let bytes = term.to_bytes().unwrap();
            let follows = [&bytes[1..], &[106]].concat();
            for end in 0..=follows.len() {
                let decoder = || {
                    let mut decoder = Decoder::new(&follows[..end], &DecodeLimits::new()).unwrap();
                    decoder.start_inside();
                    decoder
                };
                let (mut passing, mut skipping) = (decoder(), decoder());
                assert_eq!(passing.pass().ok(), skipping.skip().ok(), "{term} {end}");
                if end == follows.len() {
                    assert_eq!(passing.pass(), Ok(&[106][..]), "{term}");
                }
            }
        }
    }
}
