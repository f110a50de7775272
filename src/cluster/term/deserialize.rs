//! Decodes values of Rust types: an implementation of serde's `Deserializer`.

use serde::de::value::BorrowedBytesDeserializer;
use serde::de::{Deserializer, Visitor};

use crate::cluster::term::absent;
use crate::cluster::term::access::{Elements, Value};
use crate::cluster::term::compound::ENCODED;
use crate::cluster::term::error::DecodeError;
use crate::cluster::term::reader::{wrong_length, wrong_type, wrong_value};
use crate::cluster::term::token::Token;
use crate::cluster::term::variant::Variant;

/// Implements methods by others.
macro_rules! methods {
    ($($helper:ident: $($method:ident)*;)*) => {
        $($(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
            self.$helper(visitor)
        })*)*
    };
}

impl<'de> Deserializer<'de> for Value<'_, 'de> {
    type Error = DecodeError;

    methods! {
        any: deserialize_any;
        number: deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
            deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128
            deserialize_f32 deserialize_f64;
        text: deserialize_str deserialize_string deserialize_char;
        bytes: deserialize_bytes deserialize_byte_buf;
    }

    fn deserialize_bool<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.next()? {
            Token::Atom(name) if name == "true" => visitor.visit_bool(true),
            Token::Atom(name) if name == "false" => visitor.visit_bool(false),
            token => Err(wrong_type(token.kind(), &visitor)),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, DecodeError> {
        if absent::take_asked() {
            return self.absent(visitor);
        }
        self.may_be_absent = false;
        if self.left.as_ref().is_some_and(|left| **left == 0) {
            return Err(wrong_length(&"one more element"));
        }
        match self.reader.peek()? {
            Token::Atom(name) if name == "nil" || name == "undefined" => {
                self.next()?;
                visitor.visit_none()
            }
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_unit<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.next()? {
            Token::Atom(name) if name == "ok" => visitor.visit_unit(),
            Token::Atom(_) => Err(wrong_value(&"the atom `ok`")),
            token => Err(wrong_type(token.kind(), &"the atom `ok`")),
        }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        mut self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        if name != ENCODED {
            return visitor.visit_newtype_struct(self);
        }
        self.take()?;
        let bytes = self.reader.encoded()?;
        visitor.visit_newtype_struct(BorrowedBytesDeserializer::new(bytes))
    }

    fn deserialize_seq<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.next()? {
            token @ (Token::List(_) | Token::Nil | Token::ByteList(_)) => {
                self.nested(token, visitor)
            }
            token => Err(wrong_type(token.kind(), &visitor)),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        mut self,
        fields: usize,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        match self.next()? {
            Token::Tuple(count) => self.reader.nested(|reader| {
                let mut elements = Elements::of_fields(reader, count, fields);
                let value = visitor.visit_seq(&mut elements)?;
                elements.end()?;
                Ok(value)
            }),
            token => Err(wrong_type(token.kind(), &visitor)),
        }
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        count: usize,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.deserialize_tuple(count, visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.next()? {
            token @ Token::Map(_) => self.nested(token, visitor),
            token => Err(wrong_type(token.kind(), &visitor)),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        mut self,
        enum_name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        let start = self.reader.offset();
        let token = self.next()?;
        self.reader.nested(|reader| {
            let (atom, values) = match token {
                Token::Atom(atom) => (atom, None),
                Token::Tuple(count) if count > 0 => match reader.next()? {
                    Token::Atom(atom) => (atom, Some(count - 1)),
                    _ => return Err(wrong_value(&visitor).at(start)),
                },
                token => return Err(wrong_type(token.kind(), &visitor).at(start)),
            };
            visitor.visit_enum(Variant { reader, enum_name, variants, atom, values })
        })
    }

    fn deserialize_identifier<V: Visitor<'de>>(
        mut self,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.is_key = true;
        self.text(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(
        mut self,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.take()?;
        self.reader.skip()?;
        visitor.visit_unit()
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}
