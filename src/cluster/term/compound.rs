//! Encodes tuples, lists and maps, whose number of elements is written last.
//!
//! An element that writes nothing is not counted, and the key of such a value is removed.

use serde::ser::{
    Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant,
};

use crate::cluster::term::encoder::{Encoder, LONGEST_BYTE_LIST};
use crate::cluster::term::error::EncodeError;
use crate::cluster::term::tag;

/// The name of a newtype whose content is bytes that are encoded already, without the version byte.
pub(crate) const ENCODED: &str = "$regrow::cluster::Encoded";

/// Appends a value to bytes.
pub(crate) struct ValueSerializer<'o> {
    pub(super) out: &'o mut Vec<u8>,
    /// The next bytes are a term that is encoded already.
    pub(super) is_encoded: bool,
}

impl<'o> ValueSerializer<'o> {
    pub(crate) fn new(out: &'o mut Vec<u8>) -> Self {
        ValueSerializer { out, is_encoded: false }
    }
}

/// What is written.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Head {
    /// A tuple of at most this many elements.
    Tuple(usize),
    List,
    /// The elements are keys and values in turn.
    Map,
}

/// A tuple, list or map that is being written.
pub(crate) struct Compound<'o> {
    out: &'o mut Vec<u8>,
    head: Head,
    /// The offset of the tag.
    start: usize,
    /// How many elements have been written.
    count: usize,
    /// All elements are integers from 0 to 255.
    is_bytes: bool,
    /// The offset of the last key of a map.
    key_start: usize,
    /// The first element is the atom of a variant.
    is_variant: bool,
    /// A value that has no term was left out.
    is_short: bool,
}

impl<'o> Compound<'o> {
    pub(crate) fn start(out: &'o mut Vec<u8>, head: Head) -> Self {
        let start = out.len();
        // `finish` writes the head.
        out.resize(start + head_size(head), 0);
        let (is_variant, is_short) = (false, false);
        Compound {
            out,
            head,
            start,
            count: 0,
            is_bytes: true,
            key_start: start,
            is_variant,
            is_short,
        }
    }

    /// Starts the tuple of a variant with values, with its atom.
    pub(crate) fn start_variant(
        out: &'o mut Vec<u8>,
        values: usize,
        atom: impl FnOnce(&mut Vec<u8>) -> Result<(), EncodeError>,
    ) -> Result<Self, EncodeError> {
        let mut compound = Compound::start(out, Head::Tuple(values + 1));
        compound.element(atom)?;
        compound.is_variant = true;
        Ok(compound)
    }

    /// Writes an element. It counts if it has written something.
    pub(crate) fn element(
        &mut self,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError> {
        let before = self.out.len();
        write(self.out)?;
        let written = &self.out[before..];
        if written.is_empty() {
            // Nothing would say which elements of a list are left out, or which key.
            if self.head == Head::List || self.head == Head::Map && self.count.is_multiple_of(2) {
                return Err(EncodeError::MisplacedReply);
            }
            self.is_short = true;
        }
        self.count += usize::from(!written.is_empty());
        self.is_bytes &= matches!(written, [] | [tag::SMALL_INTEGER, _]);
        Ok(())
    }

    pub(crate) fn value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), EncodeError> {
        self.element(|out| value.serialize(ValueSerializer::new(out)))
    }

    /// Writes a key. A value follows.
    fn key(
        &mut self,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError> {
        self.key_start = self.out.len();
        self.element(write)
    }

    /// Writes the value of the last key. If it writes nothing, the key is removed.
    fn value_of_key<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), EncodeError> {
        let (start, count) = (self.out.len(), self.count);
        self.value(value)?;
        if self.out.len() == start {
            self.out.truncate(self.key_start);
            self.count = count - 1;
        }
        Ok(())
    }

    pub(crate) fn finish(self) -> Result<(), EncodeError> {
        let (start, count) = (self.start, self.count);
        if let (Head::Tuple(values), true) = (self.head, self.is_variant && self.is_short)
            && count == 1
        {
            // A variant without other values is an atom.
            self.out.drain(start..start + head_size(Head::Tuple(values)));
            return Ok(());
        }
        let word = u32::try_from(count).map_err(|_| EncodeError::TooLarge)?.to_be_bytes();
        let (tag, word) = match self.head {
            Head::Tuple(0..=255) => {
                let byte = u8::try_from(count).map_err(|_| EncodeError::TooLarge)?;
                self.out[start] = tag::SMALL_TUPLE;
                self.out[start + 1] = byte;
                return Ok(());
            }
            Head::Tuple(_) => (tag::LARGE_TUPLE, word),
            Head::Map => (tag::MAP, u32::try_from(count / 2).unwrap_or(u32::MAX).to_be_bytes()),
            Head::List if count == 0 => {
                self.out.truncate(start);
                self.out.push(tag::NIL);
                return Ok(());
            }
            Head::List if self.is_bytes && count <= LONGEST_BYTE_LIST => {
                return self.finish_bytes();
            }
            Head::List => {
                self.out.push(tag::NIL);
                (tag::LIST, word)
            }
        };
        self.out[start] = tag;
        self.out[start + 1..start + 5].copy_from_slice(&word);
        Ok(())
    }

    /// Writes a list of bytes in the short form, in the place of the elements.
    fn finish_bytes(self) -> Result<(), EncodeError> {
        let (start, count) = (self.start, self.count);
        let count = u16::try_from(count).map_err(|_| EncodeError::TooLarge)?;
        let (first, to) = (start + 5, start + 3);
        for index in 0..usize::from(count) {
            self.out[to + index] = self.out[first + 2 * index + 1];
        }
        self.out.truncate(to + usize::from(count));
        self.out[start] = tag::STRING;
        self.out[start + 1..to].copy_from_slice(&count.to_be_bytes());
        Ok(())
    }
}

/// Returns how many bytes stand before the elements.
fn head_size(head: Head) -> usize {
    if matches!(head, Head::Tuple(0..=255)) { 2 } else { 5 }
}

/// Implements a trait of serde for elements without names.
macro_rules! unnamed {
    ($($trait:ident :: $method:ident)*) => {
        $(impl $trait for Compound<'_> {
            type Ok = ();
            type Error = EncodeError;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), EncodeError> {
                self.value(value)
            }

            fn end(self) -> Result<(), EncodeError> {
                self.finish()
            }
        })*
    };
}

unnamed! {
    SerializeSeq::serialize_element
    SerializeTuple::serialize_element
    SerializeTupleStruct::serialize_field
    SerializeTupleVariant::serialize_field
}

impl SerializeMap for Compound<'_> {
    type Ok = ();
    type Error = EncodeError;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), EncodeError> {
        self.key(|out| key.serialize(ValueSerializer::new(out)))
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), EncodeError> {
        self.value_of_key(value)
    }

    fn end(self) -> Result<(), EncodeError> {
        self.finish()
    }
}

impl SerializeStruct for Compound<'_> {
    type Ok = ();
    type Error = EncodeError;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        key: &'static str,
        value: &T,
    ) -> Result<(), EncodeError> {
        self.key(|out| Encoder::new(out).atom(key))?;
        self.value_of_key(value)
    }

    fn end(self) -> Result<(), EncodeError> {
        self.finish()
    }
}

impl SerializeStructVariant for Compound<'_> {
    type Ok = ();
    type Error = EncodeError;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        _: &'static str,
        value: &T,
    ) -> Result<(), EncodeError> {
        self.value(value)
    }

    fn skip_field(&mut self, key: &'static str) -> Result<(), EncodeError> {
        Err(EncodeError::SkippedField(key))
    }

    fn end(self) -> Result<(), EncodeError> {
        self.finish()
    }
}
