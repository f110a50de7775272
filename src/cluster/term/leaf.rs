//! Reads terms that have no elements: integers of 32 bits, floats, atoms, binaries, and what names
//! processes, ports, references and functions.

use std::borrow::Cow;

use crate::cluster::term::atom::{LONGEST, from_latin1, is_too_long};
use crate::cluster::term::error::{DecodeError, DecodeErrorKind};
use crate::cluster::term::ids::Words;
use crate::cluster::term::source_bytes::SourceBytes;
use crate::cluster::term::tag;
use crate::cluster::term::token::{ExportToken, PidToken, PortToken, ReferenceToken, Token};

/// The bytes of a float as text, with zeros at its end.
const FLOAT_TEXT_SIZE: usize = 31;

fn malformed(what: &'static str, start: usize) -> DecodeError {
    DecodeError::new(DecodeErrorKind::Malformed(what), start)
}

impl<'a> SourceBytes<'a> {
    /// Reads a term without elements.
    pub(crate) fn leaf(&mut self) -> Result<Token<'a>, DecodeError> {
        let start = self.offset();
        let tag = self.byte()?;
        self.leaf_after(tag, start)
    }

    /// Reads the rest of a term without elements, after its tag, which was at `start`.
    pub(crate) fn leaf_after(&mut self, tag: u8, start: usize) -> Result<Token<'a>, DecodeError> {
        let token = match tag {
            tag::SMALL_INTEGER => Token::Integer(self.byte()?.into()),
            tag::INTEGER => Token::Integer(i32::from_be_bytes(self.array()?).into()),
            tag::NEW_FLOAT => self.float(start)?,
            tag::FLOAT_TEXT => self.float_text(start)?,
            tag::STRING => match self.u16()? {
                0 => Token::Nil,
                count => Token::ByteList(self.take(count.into())?),
            },
            tag::BINARY => {
                let count = self.length()?;
                Token::Binary(self.take(count)?)
            }
            tag::BIT_BINARY => self.bitstring(start)?,
            tag::NEW_PID => Token::Pid(PidToken {
                node: self.atom()?,
                id: self.u32()?,
                serial: self.u32()?,
                creation: self.u32()?,
            }),
            tag::NEW_PORT => Token::Port(PortToken {
                node: self.atom()?,
                id: self.u32()?.into(),
                creation: self.u32()?,
            }),
            tag::V4_PORT => Token::Port(PortToken {
                node: self.atom()?,
                id: u64::from_be_bytes(self.array()?),
                creation: self.u32()?,
            }),
            tag::NEWER_REFERENCE => self.reference(start)?,
            tag::EXPORT => self.export(start)?,
            tag => Token::Atom(self.atom_after(tag, start)?),
        };
        Ok(token)
    }

    fn float(&mut self, start: usize) -> Result<Token<'a>, DecodeError> {
        let float = f64::from_be_bytes(self.array()?);
        if !float.is_finite() {
            return Err(malformed("a float", start));
        }
        Ok(Token::Float(float))
    }

    /// Reads a float that `printf("%.20e")` has written.
    fn float_text(&mut self, start: usize) -> Result<Token<'a>, DecodeError> {
        let bytes = self.take(FLOAT_TEXT_SIZE)?;
        let text = bytes.split(|&byte| byte == 0).next().unwrap_or_default();
        let float = str::from_utf8(text).ok().and_then(|text| text.trim_start().parse().ok());
        let finite = float.filter(|float: &f64| float.is_finite());
        finite.map(Token::Float).ok_or_else(|| malformed("a float", start))
    }

    fn bitstring(&mut self, start: usize) -> Result<Token<'a>, DecodeError> {
        let count = self.length()?;
        let bits = self.byte()?;
        let bytes = self.take(count)?;
        match bits {
            8 if count > 0 => Ok(Token::Binary(bytes)),
            0 if count == 0 => Ok(Token::Binary(bytes)),
            1..=7 if count > 0 => Ok(Token::Bitstring(bytes, bits)),
            _ => Err(malformed("a bitstring", start)),
        }
    }

    fn reference(&mut self, start: usize) -> Result<Token<'a>, DecodeError> {
        let count = usize::from(self.u16()?);
        let node = self.atom()?;
        let creation = self.u32()?;
        if count > Words::MOST {
            return Err(malformed("a reference", start));
        }
        let words = self.take(count * 4)?.chunks_exact(4);
        let words =
            words.map(|word| word.iter().fold(0, |word, &byte| word << 8 | u32::from(byte)));
        let words = Words::new(words).ok_or_else(|| malformed("a reference", start))?;
        Ok(Token::Reference(ReferenceToken { node, creation, words }))
    }

    fn export(&mut self, start: usize) -> Result<Token<'a>, DecodeError> {
        let (module, function) = (self.atom()?, self.atom()?);
        let [tag::SMALL_INTEGER, arity] = self.array()? else {
            return Err(malformed("an exported function", start));
        };
        Ok(Token::Export(ExportToken { module, function, arity }))
    }

    /// Reads an atom.
    pub(crate) fn atom(&mut self) -> Result<Cow<'a, str>, DecodeError> {
        let start = self.offset();
        match self.byte()? {
            tag @ (tag::ATOM_UTF8
            | tag::SMALL_ATOM_UTF8
            | tag::ATOM_LATIN1
            | tag::SMALL_ATOM_LATIN1
            | tag::ATOM_CACHE_REF) => self.atom_after(tag, start),
            _ => Err(malformed("an atom", start)),
        }
    }

    fn atom_after(&mut self, tag: u8, start: usize) -> Result<Cow<'a, str>, DecodeError> {
        let count: usize = match tag {
            tag::SMALL_ATOM_UTF8 | tag::SMALL_ATOM_LATIN1 => self.byte()?.into(),
            tag::ATOM_UTF8 | tag::ATOM_LATIN1 => self.u16()?.into(),
            tag::ATOM_CACHE_REF => {
                return Err(DecodeError::new(DecodeErrorKind::AtomCacheRef, start));
            }
            tag => return Err(DecodeError::new(DecodeErrorKind::UnknownTag(tag), start)),
        };
        let bytes = self.take(count)?;
        let name = match tag {
            tag::ATOM_UTF8 | tag::SMALL_ATOM_UTF8 => {
                Cow::Borrowed(str::from_utf8(bytes).map_err(|_| malformed("an atom", start))?)
            }
            _ if count > LONGEST => {
                return Err(DecodeError::new(DecodeErrorKind::AtomTooLong, start));
            }
            _ => from_latin1(bytes),
        };
        if is_too_long(&name) {
            return Err(DecodeError::new(DecodeErrorKind::AtomTooLong, start));
        }
        Ok(name)
    }
}
