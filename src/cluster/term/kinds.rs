//! Reads one kind of value, and passes it to a visitor of serde.

use std::borrow::Cow;

use serde::de::Visitor;

use crate::cluster::term::access::{ByteElements, Elements, Entries, Value};
use crate::cluster::term::atom::from_latin1;
use crate::cluster::term::error::{DecodeError, DecodeErrorKind};
use crate::cluster::term::integer::Digits;
use crate::cluster::term::reader::{wrong_type, wrong_value};
use crate::cluster::term::token::Token;

impl<'de> Value<'_, 'de> {
    /// Reads a tuple, list or map, whose head has been read.
    pub(super) fn nested<V: Visitor<'de>>(
        self,
        token: Token<'de>,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.reader.nested(|reader| match token {
            Token::Map(count) => {
                let mut entries = Entries { reader, left: 2 * count };
                let value = visitor.visit_map(&mut entries)?;
                match entries.left {
                    0 => Ok(value),
                    _ => Elements::of_tuple(entries.reader, entries.left).end().map(|()| value),
                }
            }
            Token::ByteList(bytes) => {
                let mut elements = ByteElements { reader, bytes };
                let value = visitor.visit_seq(&mut elements)?;
                let left = elements.bytes.len();
                Elements::of_tuple(elements.reader, left).end().map(|()| value)
            }
            token => {
                let mut elements = match token {
                    Token::List(count) => Elements::of_list(reader, count),
                    Token::Tuple(count) => Elements::of_tuple(reader, count),
                    _ => Elements::of_tuple(reader, 0),
                };
                let value = visitor.visit_seq(&mut elements)?;
                elements.end()?;
                Ok(value)
            }
        })
    }

    /// Makes a value that has no term. The whole call may be such a value: its term is any atom.
    pub(super) fn absent<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        if !self.may_be_absent {
            return Err(DecodeError::unplaced(DecodeErrorKind::MisplacedReply));
        }
        self.reader.absent += 1;
        if self.left.is_none() {
            match self.reader.next()? {
                Token::Atom(_) => {}
                token => return Err(wrong_type(token.kind(), &"an atom")),
            }
        }
        visitor.visit_none()
    }

    /// Reads a text: a binary, or a list of characters. The key of a map may also be an atom.
    pub(super) fn text<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, DecodeError> {
        let text: Cow<'de, str> = match self.next()? {
            Token::Binary(bytes) => match str::from_utf8(bytes) {
                Ok(text) => text.into(),
                Err(_) => return Err(wrong_value(&"a text in UTF-8")),
            },
            Token::ByteList(bytes) => from_latin1(bytes),
            Token::Nil => "".into(),
            Token::List(count) => self.characters(count)?.into(),
            Token::Atom(name) if self.is_key => name,
            token => return Err(wrong_type(token.kind(), &visitor)),
        };
        self.reader.charge(text.len())?;
        match text {
            Cow::Borrowed(text) => visitor.visit_borrowed_str(text),
            Cow::Owned(text) => visitor.visit_string(text),
        }
    }

    /// Reads the characters of a list, and its tail.
    fn characters(&mut self, count: usize) -> Result<String, DecodeError> {
        let mut text = String::new();
        for _ in 0..count {
            let Token::Integer(code) = self.reader.next()? else {
                return Err(wrong_value(&"a list of characters"));
            };
            let c = u32::try_from(code).ok().and_then(char::from_u32);
            text.push(c.ok_or_else(|| wrong_value(&"a list of characters"))?);
        }
        match self.reader.next()? {
            Token::Nil => Ok(text),
            _ => Err(DecodeError::new(DecodeErrorKind::ImproperList, self.reader.offset())),
        }
    }

    pub(super) fn number<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.next()? {
            Token::Integer(integer) => visitor.visit_i64(integer),
            Token::BigInteger(digits) => visit_digits(digits, visitor),
            Token::Float(float) => visitor.visit_f64(float),
            token => Err(wrong_type(token.kind(), &visitor)),
        }
    }

    pub(super) fn bytes<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.next()? {
            Token::Binary(bytes) | Token::ByteList(bytes) => {
                self.reader.charge(bytes.len())?;
                visitor.visit_borrowed_bytes(bytes)
            }
            Token::Nil => visitor.visit_borrowed_bytes(&[]),
            token @ Token::List(_) => self.nested(token, visitor),
            token => Err(wrong_type(token.kind(), &visitor)),
        }
    }

    pub(super) fn any<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, DecodeError> {
        let token = match self.reader.peek()? {
            Token::Integer(_) | Token::BigInteger(_) | Token::Float(_) => {
                return self.number(visitor);
            }
            Token::Binary(bytes) if str::from_utf8(bytes).is_err() => return self.bytes(visitor),
            Token::Binary(_) => return self.text(visitor),
            Token::Atom(_) if self.is_key => return self.text(visitor),
            Token::Tuple(_) | Token::List(_) | Token::Nil | Token::ByteList(_) | Token::Map(_) => {
                let token = self.next()?;
                return self.nested(token, visitor);
            }
            token => token,
        };
        self.next()?;
        match token {
            Token::Atom(name) => match &*name {
                "true" => visitor.visit_bool(true),
                "false" => visitor.visit_bool(false),
                "nil" | "undefined" => visitor.visit_none(),
                name => visitor.visit_str(name),
            },
            token => Err(wrong_type(token.kind(), &visitor)),
        }
    }
}

fn visit_digits<'de, V: Visitor<'de>>(
    digits: Digits<'_>,
    visitor: V,
) -> Result<V::Value, DecodeError> {
    let wide = digits.to_u128();
    if let Some(number) = wide.and_then(|wide| u64::try_from(wide).ok()) {
        visitor.visit_u64(number)
    } else if let Some(number) = digits.to_i128() {
        visitor.visit_i128(number)
    } else if let Some(number) = wide {
        visitor.visit_u128(number)
    } else {
        Err(wrong_value(&visitor))
    }
}
