//! The elements of tuples, lists and maps, as serde reads them.
//!
//! An element is taken when something reads it: a type that reads nothing takes nothing. An element
//! that was not taken is passed over, unless the value is an [absent](super::absent) one. So such a
//! value may stand before, between and after the elements of a tuple.

use serde::de::{DeserializeSeed, Error, IntoDeserializer, MapAccess, SeqAccess};

use crate::cluster::term::error::{DecodeError, DecodeErrorKind};
use crate::cluster::term::reader::{Reader, wrong_length};
use crate::cluster::term::token::Token;

/// A value that has not been read: the whole term, or an element. Implements serde's `Deserializer`.
pub(crate) struct Value<'x, 'de> {
    pub(super) reader: &'x mut Reader<'de>,
    /// How many elements are left, with this one; `None` for the whole term.
    pub(super) left: Option<&'x mut usize>,
    /// The key of a map may be an atom where other values may not.
    pub(super) is_key: bool,
    /// The value may be one that has no term.
    pub(super) may_be_absent: bool,
}

impl<'x, 'de> Value<'x, 'de> {
    pub(crate) fn whole(reader: &'x mut Reader<'de>) -> Self {
        Value { reader, left: None, is_key: false, may_be_absent: true }
    }

    pub(crate) fn element(reader: &'x mut Reader<'de>, left: &'x mut usize) -> Self {
        Value { reader, left: Some(left), is_key: false, may_be_absent: true }
    }

    /// Takes the element. Its bytes are read next.
    pub(super) fn take(&mut self) -> Result<(), DecodeError> {
        let Some(left) = &mut self.left else { return Ok(()) };
        **left = left.checked_sub(1).ok_or_else(|| wrong_length(&"one more element"))?;
        Ok(())
    }

    /// Takes the element, and reads its first step.
    pub(super) fn next(&mut self) -> Result<Token<'de>, DecodeError> {
        self.take()?;
        self.reader.next()
    }
}

/// The elements of a tuple or of a list.
pub(crate) struct Elements<'x, 'de> {
    reader: &'x mut Reader<'de>,
    left: usize,
    /// The tail of a list follows after the elements.
    has_tail: bool,
    /// How many values the type may ask for beyond the elements: those without a term.
    beyond: usize,
}

impl<'x, 'de> Elements<'x, 'de> {
    pub(crate) fn of_tuple(reader: &'x mut Reader<'de>, count: usize) -> Self {
        Elements { reader, left: count, has_tail: false, beyond: 0 }
    }

    /// The elements of a tuple, for a type with this number of fields.
    pub(crate) fn of_fields(reader: &'x mut Reader<'de>, count: usize, fields: usize) -> Self {
        let beyond = fields.saturating_sub(count);
        Elements { reader, left: count, has_tail: false, beyond }
    }

    pub(crate) fn of_list(reader: &'x mut Reader<'de>, count: usize) -> Self {
        Elements { reader, left: count, has_tail: true, beyond: 0 }
    }

    /// Reads the tail of a list, when all elements before it have been taken. A tail that is a list
    /// continues the list.
    fn read_tail(&mut self) -> Result<(), DecodeError> {
        while self.left == 0 && self.has_tail {
            let start = self.reader.offset();
            match self.reader.next()? {
                Token::Nil => self.has_tail = false,
                Token::List(count) => self.left = count,
                _ => return Err(DecodeError::new(DecodeErrorKind::ImproperList, start)),
            }
        }
        Ok(())
    }

    /// # Errors
    ///
    /// If elements are left.
    pub(crate) fn end(mut self) -> Result<(), DecodeError> {
        self.read_tail()?;
        match self.left {
            0 => Ok(()),
            _ => Err(wrong_length(&"fewer elements").at(self.reader.offset())),
        }
    }
}

impl<'de> SeqAccess<'de> for &mut Elements<'_, 'de> {
    type Error = DecodeError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, DecodeError> {
        self.read_tail()?;
        if self.left == 0 {
            return self.beyond(seed);
        }
        self.reader.charge(size_of::<T::Value>())?;
        let Elements { reader, left, has_tail, .. } = &mut **self;
        let place = if *has_tail { Place::InList } else { Place::InTuple };
        element(reader, left, place, seed).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

impl<'de> Elements<'_, 'de> {
    /// Asks the type for a value where no element is left. A type that needs an element gets the
    /// answer that there is none.
    fn beyond<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, DecodeError> {
        let Some(beyond) = self.beyond.checked_sub(1) else { return Ok(None) };
        self.beyond = beyond;
        match element(self.reader, &mut self.left, Place::InTuple, seed) {
            Err(error) if matches!(error.kind(), DecodeErrorKind::WrongLength { .. }) => Ok(None),
            read => read.map(Some),
        }
    }
}

/// Where an element stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    InTuple,
    InList,
    Key,
    ValueOfKey,
}

/// Reads an element. One that the type has not taken is passed over, unless the value has no term.
fn element<'de, T: DeserializeSeed<'de>>(
    reader: &mut Reader<'de>,
    left: &mut usize,
    place: Place,
    seed: T,
) -> Result<T::Value, DecodeError> {
    let (start, before, absent) = (reader.offset(), *left, reader.absent);
    let (is_key, may_be_absent) = (place == Place::Key, place == Place::InTuple);
    let value = Value { reader: &mut *reader, left: Some(&mut *left), is_key, may_be_absent };
    let read = seed.deserialize(value).map_err(|error| error.at(start))?;
    if *left == before && before > 0 && reader.absent == absent {
        *left -= 1;
        reader.skip()?;
    }
    Ok(read)
}

/// The elements of a list of bytes.
pub(crate) struct ByteElements<'x, 'de> {
    pub(super) reader: &'x mut Reader<'de>,
    pub(super) bytes: &'de [u8],
}

impl<'de> SeqAccess<'de> for &mut ByteElements<'_, 'de> {
    type Error = DecodeError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, DecodeError> {
        let Some((byte, rest)) = self.bytes.split_first() else { return Ok(None) };
        self.bytes = rest;
        self.reader.charge(size_of::<T::Value>())?;
        seed.deserialize(byte.into_deserializer()).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.bytes.len())
    }
}

/// The keys and values of a map.
pub(crate) struct Entries<'x, 'de> {
    pub(super) reader: &'x mut Reader<'de>,
    /// How many keys and values are left.
    pub(super) left: usize,
}

impl<'de> MapAccess<'de> for &mut Entries<'_, 'de> {
    type Error = DecodeError;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, DecodeError> {
        if self.left == 0 {
            return Ok(None);
        }
        self.reader.charge(size_of::<K::Value>())?;
        let Entries { reader, left } = &mut **self;
        element(reader, left, Place::Key, seed).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(
        &mut self,
        seed: V,
    ) -> Result<V::Value, DecodeError> {
        if self.left.is_multiple_of(2) {
            return Err(DecodeError::custom("a value is read before its key"));
        }
        self.reader.charge(size_of::<V::Value>())?;
        let Entries { reader, left } = &mut **self;
        element(reader, left, Place::ValueOfKey, seed)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left / 2)
    }
}
