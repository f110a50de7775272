//! What a decoder returns: one step of a term, without its elements.

use std::borrow::Cow;

use crate::cluster::term::atom::Atom;
use crate::cluster::term::ids::{ExternalPid, ExternalPort, ExternalReference, Words};
use crate::cluster::term::integer::Digits;

/// One step of a term. The elements of a tuple, list or map are the next steps. Texts and bytes are
/// borrowed from the encoded term.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Token<'a> {
    Integer(i64),
    /// An integer that does not fit into an `i64`.
    BigInteger(Digits<'a>),
    /// Finite.
    Float(f64),
    /// At most 255 characters.
    Atom(Cow<'a, str>),
    /// This many elements follow.
    Tuple(usize),
    /// This many elements follow, and then the tail. The tail of a proper list is a list.
    List(usize),
    /// The empty list.
    Nil,
    /// A list of integers from 0 to 255. Nothing follows.
    ByteList(&'a [u8]),
    Binary(&'a [u8]),
    /// The last byte has this many bits, 1 to 7, at its top.
    Bitstring(&'a [u8], u8),
    /// This many pairs follow, of a key and its value.
    Map(usize),
    Pid(PidToken<'a>),
    Port(PortToken<'a>),
    Reference(ReferenceToken<'a>),
    Export(ExportToken<'a>),
    /// With all that it has captured. Nothing follows.
    Fun(FunToken<'a>),
}

impl Token<'_> {
    /// Returns the kind of the term, for errors.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Token::Integer(_) | Token::BigInteger(_) => "an integer",
            Token::Float(_) => "a float",
            Token::Atom(_) => "an atom",
            Token::Tuple(_) => "a tuple",
            Token::List(_) | Token::Nil | Token::ByteList(_) => "a list",
            Token::Binary(_) => "a binary",
            Token::Bitstring(..) => "a bitstring",
            Token::Map(_) => "a map",
            Token::Pid(_) => "a pid",
            Token::Port(_) => "a port",
            Token::Reference(_) => "a reference",
            Token::Export(_) | Token::Fun(_) => "a function",
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PidToken<'a> {
    pub(crate) node: Cow<'a, str>,
    pub(crate) id: u32,
    pub(crate) serial: u32,
    pub(crate) creation: u32,
}

impl From<PidToken<'_>> for ExternalPid {
    fn from(pid: PidToken<'_>) -> Self {
        ExternalPid::new(Atom::of(&pid.node), pid.id, pid.serial, pid.creation)
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PortToken<'a> {
    pub(crate) node: Cow<'a, str>,
    pub(crate) id: u64,
    pub(crate) creation: u32,
}

impl From<PortToken<'_>> for ExternalPort {
    fn from(port: PortToken<'_>) -> Self {
        ExternalPort::new(Atom::of(&port.node), port.id, port.creation)
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ReferenceToken<'a> {
    pub(crate) node: Cow<'a, str>,
    pub(crate) creation: u32,
    pub(crate) words: Words,
}

impl From<ReferenceToken<'_>> for ExternalReference {
    fn from(reference: ReferenceToken<'_>) -> Self {
        ExternalReference::of(Atom::of(&reference.node), reference.creation, reference.words)
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ExportToken<'a> {
    pub(crate) module: Cow<'a, str>,
    pub(crate) function: Cow<'a, str>,
    pub(crate) arity: u8,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct FunToken<'a> {
    pub(crate) module: Cow<'a, str>,
    pub(crate) index: u32,
    pub(crate) arity: u8,
    /// The whole term, from its tag on.
    pub(crate) bytes: &'a [u8],
}
