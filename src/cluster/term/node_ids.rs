//! The pids and references of one incarnation of a node, read and written without decoding or encoding
//! its name each time.

use crate::cluster::term::encoder::Encoder;
use crate::cluster::term::ids::Words;
use crate::cluster::term::tag;

/// The name of a node as a term, and its creation.
#[derive(Debug, Clone)]
pub(crate) struct NodeIds {
    atom: Box<[u8]>,
    creation: u32,
}

impl NodeIds {
    /// A name of a node is short enough for an atom.
    pub(crate) fn new(name: &str, creation: u32) -> Self {
        let mut atom = Vec::new();
        let _ = Encoder::new(&mut atom).atom(name);
        NodeIds { atom: atom.into(), creation }
    }

    /// Returns the id and the serial of an encoded pid. `None` if it belongs to another node, has an
    /// unusual form, or is no pid: then the decoder says which.
    pub(crate) fn pid(&self, term: &[u8]) -> Option<(u32, u32)> {
        let rest = term.strip_prefix(&[tag::NEW_PID])?.strip_prefix(&*self.atom)?;
        let (id, rest) = word(rest)?;
        let (serial, rest) = word(rest)?;
        let (creation, rest) = word(rest)?;
        (creation == self.creation && rest.is_empty()).then_some((id, serial))
    }

    /// Returns the words of an encoded reference, as [`pid`](Self::pid) does.
    pub(crate) fn reference(&self, term: &[u8]) -> Option<Words> {
        let rest = term.strip_prefix(&[tag::NEWER_REFERENCE])?;
        let (count, rest) = rest.split_first_chunk()?;
        let (creation, rest) = word(rest.strip_prefix(&*self.atom)?)?;
        let (words, rest) = rest.as_chunks();
        let is_whole = usize::from(u16::from_be_bytes(*count)) == words.len() && rest.is_empty();
        let words = words.iter().map(|word| u32::from_be_bytes(*word));
        (creation == self.creation && is_whole).then(|| Words::new(words))?
    }

    pub(crate) fn write_pid(&self, encoder: &mut Encoder<'_>, id: u32, serial: u32) {
        encoder.raw(&[tag::NEW_PID]);
        encoder.raw(&self.atom);
        [id, serial, self.creation].iter().for_each(|word| encoder.raw(&word.to_be_bytes()));
    }

    pub(crate) fn write_reference(&self, encoder: &mut Encoder<'_>, words: Words) {
        let words = words.get();
        encoder.raw(&[tag::NEWER_REFERENCE]);
        // There are at most five.
        encoder.raw(&(words.len() as u16).to_be_bytes());
        encoder.raw(&self.atom);
        encoder.raw(&self.creation.to_be_bytes());
        words.iter().for_each(|word| encoder.raw(&word.to_be_bytes()));
    }
}

fn word(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (word, rest) = bytes.split_first_chunk()?;
    Some((u32::from_be_bytes(*word), rest))
}

#[cfg(test)]
mod tests {
    use super::NodeIds;
    use crate::cluster::term::encoder::Encoder;
    use crate::cluster::term::{Atom, ExternalPid, ExternalReference, Words};

    fn encoded(write: impl FnOnce(&mut Encoder<'_>)) -> Vec<u8> {
        let mut bytes = Vec::new();
        write(&mut Encoder::new(&mut bytes));
        bytes
    }

    #[test]
    fn the_bytes_are_those_of_the_codec_and_only_those_of_the_incarnation_are_read() {
        let (ids, node) = (NodeIds::new("a@host", 7), Atom::new("a@host").unwrap());
        let words = Words::new([1, 2, u32::MAX].into_iter()).unwrap();
        let pid = encoded(|encoder| {
            encoder.pid(&ExternalPid::new(node.clone(), 5, u32::MAX, 7)).unwrap();
        });
        let reference = encoded(|encoder| {
            encoder.reference(&ExternalReference::of(node, 7, words)).unwrap();
        });
        assert_eq!(encoded(|encoder| ids.write_pid(encoder, 5, u32::MAX)), pid);
        assert_eq!(encoded(|encoder| ids.write_reference(encoder, words)), reference);
        assert_eq!((ids.pid(&pid), ids.reference(&reference)), (Some((5, u32::MAX)), Some(words)));
        assert_eq!((ids.pid(&reference), ids.reference(&pid)), (None, None));
        for other in
            [NodeIds::new("a@host", 8), NodeIds::new("a@hos", 7), NodeIds::new("b@host", 7)]
        {
            assert_eq!((other.pid(&pid), other.reference(&reference)), (None, None));
        }
        for end in 0..pid.len() {
            assert_eq!(ids.pid(&pid[..end]), None);
        }
        for end in 0..reference.len() {
            assert_eq!(ids.reference(&reference[..end]), None);
        }
        let longer = [&pid[..], &[0]].concat();
        assert_eq!(ids.pid(&longer), None);
        // More words than a reference has.
        let mut many = reference;
        many[2] = 6;
        many.extend([0; 12]);
        assert_eq!(ids.reference(&many), None);
    }
}
