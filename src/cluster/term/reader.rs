//! Reads the terms of a value of a Rust type, within limits.
//!
//! The types of the value recurse on the stack, so the depth is counted.

use serde::de::{self, Expected, Unexpected};

use crate::cluster::term::codec::memory_of;
use crate::cluster::term::decoder::Decoder;
use crate::cluster::term::error::{DecodeError, DecodeErrorKind};
use crate::cluster::term::limits::DecodeLimits;
use crate::cluster::term::token::Token;

/// The rest of the bytes, and the rest of what they may cost.
pub(crate) struct Reader<'de> {
    decoder: Decoder<'de>,
    depth: usize,
    memory: usize,
    /// How many values without a term have been made.
    pub(super) absent: usize,
}

impl<'de> Reader<'de> {
    /// Reads the term that the decoder reads next.
    pub(crate) fn new(decoder: Decoder<'de>, limits: &DecodeLimits) -> Self {
        Reader { decoder, depth: limits.depth, memory: limits.memory, absent: 0 }
    }

    /// Returns the decoder, behind all that has been read.
    pub(crate) fn into_decoder(self) -> Decoder<'de> {
        self.decoder
    }

    /// Returns how many bytes have been read.
    pub(crate) fn offset(&self) -> usize {
        self.decoder.offset()
    }

    pub(crate) fn next(&mut self) -> Result<Token<'de>, DecodeError> {
        self.decoder.next()
    }

    /// Returns the next step without reading it.
    pub(crate) fn peek(&self) -> Result<Token<'de>, DecodeError> {
        self.decoder.clone().next()
    }

    /// Reads one whole term that nothing is made of.
    pub(crate) fn skip(&mut self) -> Result<(), DecodeError> {
        self.decoder.skip().map(drop)
    }

    /// Reads one whole term, counts the memory of a [`Term`](crate::cluster::Term) that is made of
    /// it, and returns its bytes.
    pub(crate) fn encoded(&mut self) -> Result<&'de [u8], DecodeError> {
        let start = self.offset();
        let (decoder, memory) = (&mut self.decoder, &mut self.memory);
        decoder.skip_each(|token| {
            *memory = memory
                .checked_sub(memory_of(token))
                .ok_or_else(|| DecodeError::new(DecodeErrorKind::TooMuchMemory, start))?;
            Ok(())
        })
    }

    /// Reads the elements of a tuple, list or map.
    pub(crate) fn nested<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<T, DecodeError> {
        let too_deep = || DecodeError::new(DecodeErrorKind::TooDeep, self.offset());
        let depth = self.depth;
        self.depth = depth.checked_sub(1).ok_or_else(too_deep)?;
        let read = read(self);
        self.depth = depth;
        read
    }

    /// Counts memory that the value takes.
    pub(crate) fn charge(&mut self, bytes: usize) -> Result<(), DecodeError> {
        let too_much = || DecodeError::new(DecodeErrorKind::TooMuchMemory, self.offset());
        self.memory = self.memory.checked_sub(bytes).ok_or_else(too_much)?;
        Ok(())
    }
}

/// The messages of serde quote the value, so only what was expected is kept of them.
impl de::Error for DecodeError {
    fn custom<T: std::fmt::Display>(_: T) -> Self {
        DecodeError::unplaced(DecodeErrorKind::Refused)
    }

    fn invalid_type(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        wrong_type(kind_of(&unexpected), expected)
    }

    fn invalid_value(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        wrong_value(expected)
    }

    fn invalid_length(_: usize, expected: &dyn Expected) -> Self {
        wrong_length(expected)
    }

    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Self {
        DecodeError::unplaced(DecodeErrorKind::UnknownVariant { expected })
    }

    fn unknown_field(_: &str, _: &'static [&'static str]) -> Self {
        DecodeError::unplaced(DecodeErrorKind::UnknownField)
    }

    fn missing_field(field: &'static str) -> Self {
        DecodeError::unplaced(DecodeErrorKind::MissingField(field))
    }

    fn duplicate_field(field: &'static str) -> Self {
        DecodeError::unplaced(DecodeErrorKind::DuplicateField(field))
    }
}

pub(crate) fn wrong_type(found: &'static str, expected: &dyn Expected) -> DecodeError {
    let expected = expected.to_string().into();
    DecodeError::unplaced(DecodeErrorKind::WrongType { found, expected })
}

pub(crate) fn wrong_value(expected: &dyn Expected) -> DecodeError {
    DecodeError::unplaced(DecodeErrorKind::WrongValue { expected: expected.to_string().into() })
}

pub(crate) fn wrong_length(expected: &dyn Expected) -> DecodeError {
    DecodeError::unplaced(DecodeErrorKind::WrongLength { expected: expected.to_string().into() })
}

/// Returns the kind of what serde has found, without its value.
fn kind_of(unexpected: &Unexpected<'_>) -> &'static str {
    match unexpected {
        Unexpected::Bool(_) => "a boolean",
        Unexpected::Unsigned(_) | Unexpected::Signed(_) => "an integer",
        Unexpected::Float(_) => "a float",
        Unexpected::Char(_) | Unexpected::Str(_) => "a text",
        Unexpected::Bytes(_) => "a binary",
        Unexpected::Unit => "the atom `ok`",
        Unexpected::Option => "an optional value",
        Unexpected::Seq => "a list or tuple",
        Unexpected::Map => "a map",
        _ => "another value",
    }
}
