//! The variants of enums, as serde reads them: an atom, or a tuple of an atom and the values.

use std::borrow::Cow;

use serde::de::value::CowStrDeserializer;
use serde::de::{DeserializeSeed, EnumAccess, IntoDeserializer, VariantAccess, Visitor};

use crate::cluster::term::access::{Elements, Value};
use crate::cluster::term::error::DecodeError;
use crate::cluster::term::names::variant_of;
use crate::cluster::term::reader::{Reader, wrong_length};

/// A variant whose atom has been read. Its values follow.
pub(crate) struct Variant<'x, 'de> {
    pub(super) reader: &'x mut Reader<'de>,
    pub(super) enum_name: &'static str,
    pub(super) variants: &'static [&'static str],
    pub(super) atom: Cow<'de, str>,
    /// The number of values in the tuple; `None` for an atom alone.
    pub(super) values: Option<usize>,
}

impl<'x, 'de> EnumAccess<'de> for Variant<'x, 'de> {
    type Error = DecodeError;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(
        mut self,
        seed: V,
    ) -> Result<(V::Value, Self), DecodeError> {
        if let Some(variant) = variant_of(&self.atom, self.enum_name, self.variants) {
            self.atom = Cow::Borrowed(variant);
        }
        let name = CowStrDeserializer::new(self.atom.clone());
        Ok((seed.deserialize(name)?, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'_, 'de> {
    type Error = DecodeError;

    fn unit_variant(self) -> Result<(), DecodeError> {
        match self.values {
            None => Ok(()),
            Some(_) => Err(wrong_length(&"an atom without values")),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(
        self,
        seed: T,
    ) -> Result<T::Value, DecodeError> {
        let Some(mut left) = self.values else {
            // Functions of Erlang return `ok` or `{error, Reason}`.
            if self.enum_name == "Result" && self.atom == "Ok" {
                return seed.deserialize(().into_deserializer());
            }
            return seed.deserialize(Value::element(self.reader, &mut 0));
        };
        let start = self.reader.offset();
        let value = seed.deserialize(Value::element(self.reader, &mut left));
        let value = value.map_err(|error| error.at(start))?;
        match left {
            0 => Ok(value),
            _ => Err(wrong_length(&"one value")),
        }
    }

    fn tuple_variant<V: Visitor<'de>>(
        self,
        fields: usize,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        let mut elements = Elements::of_fields(self.reader, self.values.unwrap_or(0), fields);
        let value = visitor.visit_seq(&mut elements)?;
        elements.end()?;
        Ok(value)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.tuple_variant(fields.len(), visitor)
    }
}
