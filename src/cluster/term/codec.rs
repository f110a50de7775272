//! Terms from bytes, and bytes from terms.

use crate::cluster::term::atom::Atom;
use crate::cluster::term::bitstring::Bitstring;
use crate::cluster::term::build::{Builder, Shape, sorted_map, with_tail};
use crate::cluster::term::decoder::Decoder;
use crate::cluster::term::encoder::{Encoder, LONGEST_BYTE_LIST};
use crate::cluster::term::error::{DecodeError, DecodeErrorKind, EncodeError};
use crate::cluster::term::functions::{Export, Fun};
use crate::cluster::term::ids::{ExternalPid, ExternalPort, ExternalReference};
use crate::cluster::term::integer::BigInteger;
use crate::cluster::term::limits::DecodeLimits;
use crate::cluster::term::token::Token;
use crate::cluster::term::value::{Term, Terms};
use crate::cluster::term::walk::{Visit, Walk};

impl Term {
    /// Decodes a term, as `binary_to_term` of Erlang, within the default
    /// [limits](DecodeLimits). [`Term`] has an example.
    ///
    /// # Errors
    ///
    /// If the bytes are not one whole term, or exceed a limit.
    pub fn from_bytes(bytes: &[u8]) -> Result<Term, DecodeError> {
        Term::from_bytes_within(bytes, &DecodeLimits::new())
    }

    /// [`from_bytes`](Self::from_bytes) within these limits. [`DecodeLimits`] has an example.
    ///
    /// # Errors
    ///
    /// If the bytes are not one whole term, or exceed a limit.
    pub fn from_bytes_within(bytes: &[u8], limits: &DecodeLimits) -> Result<Term, DecodeError> {
        let mut decoder = Decoder::new(bytes, limits)?;
        decoder.start()?;
        let term = read_term(&mut decoder, limits)?;
        decoder.end()?;
        Ok(term)
    }

    /// Encodes the term, as `term_to_binary` of Erlang. [`Term`] has an example.
    ///
    /// The bytes are those of OTP 26 and later, but for the order of the entries of maps.
    ///
    /// # Errors
    ///
    /// If a float is not finite, or a part has more than 2³² − 1 elements or bytes.
    pub fn to_bytes(&self) -> Result<Vec<u8>, EncodeError> {
        let mut bytes = Vec::new();
        let mut encoder = Encoder::new(&mut bytes);
        encoder.start();
        write_term(self, &mut encoder)?;
        Ok(bytes)
    }
}

/// The shape of a term that is decoded.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Decoded {
    Tuple,
    /// The last part is the tail.
    List,
    Map,
}

impl Shape for Decoded {
    type Error = DecodeErrorKind;

    fn close(self, mut parts: Vec<Term>) -> Result<Term, DecodeErrorKind> {
        match self {
            Decoded::Tuple => Ok(Term::Tuple(parts.into())),
            Decoded::List => {
                let tail = parts.pop().unwrap_or(Term::List(Terms::default()));
                Ok(with_tail(parts, tail))
            }
            Decoded::Map => {
                let mut parts = parts.into_iter();
                let entry = || Some((parts.next()?, parts.next()?));
                match sorted_map(std::iter::from_fn(entry).collect()) {
                    (_, true) => Err(DecodeErrorKind::DuplicateKey),
                    (map, false) => Ok(Term::Map(map)),
                }
            }
        }
    }
}

/// Decodes the term that follows.
pub(crate) fn read_term(
    decoder: &mut Decoder<'_>,
    limits: &DecodeLimits,
) -> Result<Term, DecodeError> {
    let mut builder = Builder::new();
    let mut memory = limits.memory;
    loop {
        let start = decoder.offset();
        let error = |kind| DecodeError::new(kind, start);
        let token = decoder.next()?;
        let left = memory.checked_sub(memory_of(&token));
        memory = left.ok_or_else(|| error(DecodeErrorKind::TooMuchMemory))?;
        let whole = match token {
            // A list that is the tail of a list continues it.
            Token::List(count) if builder.lacks_last() == Some(&Decoded::List) => {
                builder.extend(count);
                Ok(None)
            }
            Token::Tuple(count) => builder.open(Decoded::Tuple, count),
            Token::List(count) => builder.open(Decoded::List, count + 1),
            Token::Map(count) => builder.open(Decoded::Map, count * 2),
            leaf => builder.add(leaf_term(leaf)),
        };
        if let Some(term) = whole.map_err(error)? {
            return Ok(term);
        }
        if builder.depth() > limits.term_depth {
            return Err(error(DecodeErrorKind::TooDeep));
        }
    }
}

/// The memory of the administration of a part that is allocated for itself, about.
const ALLOCATION: usize = 32;

/// Returns the memory that a step of a term takes, in bytes. The decoder has checked the numbers of
/// elements against the bytes that are left, so the products do not overflow.
pub(crate) fn memory_of(token: &Token<'_>) -> usize {
    let terms = |count: usize| count.saturating_mul(size_of::<Term>());
    let more = match token {
        Token::Integer(_) | Token::Float(_) | Token::Nil => return 0,
        Token::BigInteger(digits) => size_of::<BigInteger>() + digits.magnitude.len(),
        Token::Atom(name) => name.len(),
        Token::Tuple(count) | Token::List(count) => terms(*count),
        Token::Map(count) => terms(*count).saturating_mul(2),
        Token::ByteList(bytes) => terms(bytes.len()),
        Token::Binary(bytes) => bytes.len(),
        Token::Bitstring(bytes, _) => size_of::<Bitstring>() + bytes.len(),
        Token::Pid(pid) => size_of::<ExternalPid>() + pid.node.len(),
        Token::Port(port) => size_of::<ExternalPort>() + port.node.len(),
        Token::Reference(reference) => size_of::<ExternalReference>() + reference.node.len(),
        Token::Export(export) => {
            size_of::<Export>() + export.module.len() + export.function.len() + ALLOCATION
        }
        Token::Fun(fun) => size_of::<Fun>() + fun.module.len() + fun.bytes.len() + ALLOCATION,
    };
    more.saturating_add(ALLOCATION)
}

/// Returns the term of a step without parts.
fn leaf_term(token: Token<'_>) -> Term {
    match token {
        Token::Integer(integer) => Term::Integer(integer),
        Token::BigInteger(digits) => Term::BigInteger(BigInteger::new(digits)),
        Token::Float(float) => Term::Float(float),
        Token::Atom(name) => Term::Atom(Atom::of(&name)),
        Token::ByteList(bytes) => Term::list(bytes.iter().map(|&byte| byte.into())),
        Token::Binary(bytes) => Term::Binary(bytes.to_vec()),
        Token::Bitstring(bytes, bits) => match Bitstring::new(bytes.to_vec(), bits) {
            Some(bitstring) => bitstring.into(),
            None => Term::Binary(bytes.to_vec()),
        },
        Token::Pid(pid) => ExternalPid::from(pid).into(),
        Token::Port(port) => ExternalPort::from(port).into(),
        Token::Reference(reference) => ExternalReference::from(reference).into(),
        Token::Export(export) => {
            let (module, function) = (Atom::of(&export.module), Atom::of(&export.function));
            Export::new(module, function, export.arity).into()
        }
        Token::Fun(fun) => Fun::new(Atom::of(&fun.module), fun.index, fun.arity, fun.bytes).into(),
        Token::Nil | Token::Tuple(_) | Token::List(_) | Token::Map(_) => {
            Term::List(Terms::default())
        }
    }
}

/// Encodes a term.
pub(crate) fn write_term(term: &Term, encoder: &mut Encoder<'_>) -> Result<(), EncodeError> {
    let mut walk = Walk::new(term);
    while let Some(visit) = walk.next() {
        match visit {
            Visit::Term { term: Term::List(elements), .. } if is_byte_list(elements) => {
                encoder
                    .byte_list(elements.iter().filter_map(byte).collect::<Vec<_>>().into_iter())?;
                walk.leave_out_parts();
            }
            Visit::Term { term, .. } => write_head(term, encoder)?,
            Visit::End(Term::List(_)) => encoder.nil(),
            Visit::End(_) => {}
        }
    }
    Ok(())
}

/// Returns the integer of a byte list.
fn byte(term: &Term) -> Option<u8> {
    u8::try_from(term.as_integer()?).ok()
}

/// Returns whether OTP writes this list as bytes.
fn is_byte_list(elements: &[Term]) -> bool {
    let short = (1..=LONGEST_BYTE_LIST).contains(&elements.len());
    short && elements.iter().all(|element| byte(element).is_some())
}

/// Writes a term without its parts.
fn write_head(term: &Term, encoder: &mut Encoder<'_>) -> Result<(), EncodeError> {
    match term {
        Term::Integer(integer) => encoder.integer(*integer),
        Term::BigInteger(big) => encoder.digits(big.digits())?,
        Term::Float(float) => encoder.float(*float)?,
        Term::Atom(atom) => encoder.atom(atom)?,
        Term::Tuple(elements) => encoder.tuple(elements.len())?,
        Term::List(elements) if elements.is_empty() => encoder.nil(),
        Term::List(elements) => encoder.list(elements.len())?,
        Term::ImproperList(list) => encoder.list(list.elements().len())?,
        Term::Binary(bytes) => encoder.binary(bytes)?,
        Term::Bitstring(bits) => encoder.bitstring(bits.bytes(), bits.last_bits())?,
        Term::Map(map) => encoder.map(map.len())?,
        Term::Pid(pid) => encoder.pid(pid)?,
        Term::Port(port) => encoder.port(port)?,
        Term::Reference(reference) => encoder.reference(reference)?,
        Term::Export(export) => encoder.export(export)?,
        Term::Fun(fun) => encoder.raw(fun.bytes()),
    }
    Ok(())
}
