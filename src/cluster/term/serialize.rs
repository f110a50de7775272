//! Encodes values of Rust types: an implementation of serde's `Serializer`.

use std::fmt::Display;

use serde::ser::{self, Serialize, Serializer};

use crate::cluster::term::absent::ABSENT;
use crate::cluster::term::compound::{Compound, ENCODED, Head, ValueSerializer};
use crate::cluster::term::encoder::Encoder;
use crate::cluster::term::error::EncodeError;
use crate::cluster::term::integer::Digits;
use crate::cluster::term::names::variant_atom;
use crate::cluster::term::tag;

impl ser::Error for EncodeError {
    fn custom<T: Display>(_: T) -> Self {
        EncodeError::Refused
    }
}

impl<'o> ValueSerializer<'o> {
    fn encoder(&mut self) -> Encoder<'_> {
        Encoder::new(self.out)
    }

    /// Starts the tuple of a variant with values.
    fn tagged(
        self,
        enum_name: &str,
        variant: &str,
        values: usize,
    ) -> Result<Compound<'o>, EncodeError> {
        Compound::start_variant(self.out, values, |out| {
            Encoder::new(out).variant(enum_name, variant)
        })
    }
}

impl Encoder<'_> {
    /// Writes the atom of a variant of an enum.
    fn variant(&mut self, enum_name: &str, variant: &str) -> Result<(), EncodeError> {
        if variant_atom(enum_name, variant).eq(variant.chars()) {
            return self.atom(variant);
        }
        self.atom(&variant_atom(enum_name, variant).collect::<String>())
    }
}

/// Returns whether the bytes are an atom that is decoded as `None`.
fn is_nil(term: &[u8]) -> bool {
    let [tag::SMALL_ATOM_UTF8, _, name @ ..] = term else { return false };
    matches!(name, b"nil" | b"undefined")
}

/// Implements methods that only write.
macro_rules! writes {
    ($($method:ident($type:ty): |$encoder:ident, $value:ident| $body:expr;)*) => {
        $(fn $method(mut self, $value: $type) -> Result<(), EncodeError> {
            let mut $encoder = self.encoder();
            $body
        })*
    };
}

fn integer(encoder: &mut Encoder<'_>, integer: impl Into<i64>) -> Result<(), EncodeError> {
    encoder.integer(integer.into());
    Ok(())
}

impl<'o> Serializer for ValueSerializer<'o> {
    type Ok = ();
    type Error = EncodeError;
    type SerializeSeq = Compound<'o>;
    type SerializeTuple = Compound<'o>;
    type SerializeTupleStruct = Compound<'o>;
    type SerializeTupleVariant = Compound<'o>;
    type SerializeMap = Compound<'o>;
    type SerializeStruct = Compound<'o>;
    type SerializeStructVariant = Compound<'o>;

    writes! {
        serialize_bool(bool): |encoder, value| encoder.atom(if value { "true" } else { "false" });
        serialize_i8(i8): |encoder, value| integer(&mut encoder, value);
        serialize_i16(i16): |encoder, value| integer(&mut encoder, value);
        serialize_i32(i32): |encoder, value| integer(&mut encoder, value);
        serialize_i64(i64): |encoder, value| integer(&mut encoder, value);
        serialize_u8(u8): |encoder, value| integer(&mut encoder, value);
        serialize_u16(u16): |encoder, value| integer(&mut encoder, value);
        serialize_u32(u32): |encoder, value| integer(&mut encoder, value);
        serialize_u64(u64): |encoder, value| {
            encoder.digits(Digits::new(false, &value.to_le_bytes()))
        };
        serialize_u128(u128): |encoder, value| {
            encoder.digits(Digits::new(false, &value.to_le_bytes()))
        };
        serialize_i128(i128): |encoder, value| {
            encoder.digits(Digits::new(value < 0, &value.unsigned_abs().to_le_bytes()))
        };
        serialize_f32(f32): |encoder, value| encoder.float(value.into());
        serialize_f64(f64): |encoder, value| encoder.float(value);
        serialize_char(char): |encoder, value| {
            encoder.binary(value.encode_utf8(&mut [0; 4]).as_bytes())
        };
        serialize_str(&str): |encoder, value| encoder.binary(value.as_bytes());
        serialize_unit_struct(&'static str): |encoder, _name| encoder.atom("ok");
    }

    fn serialize_bytes(mut self, bytes: &[u8]) -> Result<(), EncodeError> {
        if self.is_encoded {
            self.encoder().raw(bytes);
            return Ok(());
        }
        self.encoder().binary(bytes)
    }

    fn serialize_unit(mut self) -> Result<(), EncodeError> {
        self.encoder().atom("ok")
    }

    fn serialize_none(mut self) -> Result<(), EncodeError> {
        self.encoder().atom("nil")
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), EncodeError> {
        let start = self.out.len();
        value.serialize(ValueSerializer::new(self.out))?;
        if self.out.len() == start {
            return Err(EncodeError::MisplacedReply);
        }
        if is_nil(&self.out[start..]) { Err(EncodeError::NestedNil) } else { Ok(()) }
    }

    fn serialize_unit_variant(
        mut self,
        name: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<(), EncodeError> {
        self.encoder().variant(name, variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        mut self,
        name: &'static str,
        value: &T,
    ) -> Result<(), EncodeError> {
        if name == ABSENT {
            return Ok(());
        }
        self.is_encoded = name == ENCODED;
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), EncodeError> {
        let mut compound = self.tagged(name, variant, 1)?;
        compound.value(value)?;
        compound.finish()
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Compound<'o>, EncodeError> {
        Ok(Compound::start(self.out, Head::List))
    }

    fn serialize_tuple(self, count: usize) -> Result<Compound<'o>, EncodeError> {
        Ok(Compound::start(self.out, Head::Tuple(count)))
    }

    fn serialize_tuple_struct(
        self,
        _: &'static str,
        count: usize,
    ) -> Result<Compound<'o>, EncodeError> {
        self.serialize_tuple(count)
    }

    fn serialize_tuple_variant(
        self,
        name: &'static str,
        _: u32,
        variant: &'static str,
        count: usize,
    ) -> Result<Compound<'o>, EncodeError> {
        self.tagged(name, variant, count)
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Compound<'o>, EncodeError> {
        Ok(Compound::start(self.out, Head::Map))
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Compound<'o>, EncodeError> {
        Ok(Compound::start(self.out, Head::Map))
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        _: u32,
        variant: &'static str,
        count: usize,
    ) -> Result<Compound<'o>, EncodeError> {
        self.tagged(name, variant, count)
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}
