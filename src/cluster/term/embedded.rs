//! Terms, atoms, pids, ports and references as parts of values of Rust types.
//!
//! A value of these types passes through serde as a newtype of a certain name, with its bytes. The
//! serializers of this format write these bytes as they are. Other formats, such as JSON, get the
//! bytes.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error, Unexpected, Visitor};
use serde::ser::{self, Serialize, Serializer};

use crate::cluster::term::atom::Atom;
use crate::cluster::term::codec::{read_term, write_term};
use crate::cluster::term::compound::ENCODED;
use crate::cluster::term::decoder::Decoder;
use crate::cluster::term::encoder::Encoder;
use crate::cluster::term::error::{DecodeError, EncodeError};
use crate::cluster::term::ids::{ExternalPid, ExternalPort, ExternalReference};
use crate::cluster::term::limits::DecodeLimits;
use crate::cluster::term::value::Term;

/// Bytes, in serde's sense.
struct Bytes(Vec<u8>);

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

fn serialize<S: Serializer>(
    serializer: S,
    write: impl FnOnce(&mut Encoder<'_>) -> Result<(), EncodeError>,
) -> Result<S::Ok, S::Error> {
    let mut bytes = Vec::new();
    write(&mut Encoder::new(&mut bytes)).map_err(ser::Error::custom)?;
    serializer.serialize_newtype_struct(ENCODED, &Bytes(bytes))
}

/// Reads the bytes of a term, and makes a value of the term.
struct Embedded<T> {
    expected: &'static str,
    of: fn(Term) -> Option<T>,
    made: PhantomData<T>,
}

impl<'de, T> Visitor<'de> for Embedded<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expected)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        deserializer.deserialize_bytes(self)
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<T, E> {
        let term = decoded(bytes).map_err(E::custom)?;
        (self.of)(term).ok_or_else(|| E::invalid_type(Unexpected::Other("a term"), &self))
    }
}

/// Decodes a term without the version byte. The reader of the whole value has counted its memory.
fn decoded(bytes: &[u8]) -> Result<Term, DecodeError> {
    let limits = DecodeLimits::new().size(usize::MAX).memory(usize::MAX).integer(usize::MAX);
    let mut decoder = Decoder::new(bytes, &limits)?;
    decoder.start_inside();
    let term = read_term(&mut decoder, &limits)?;
    decoder.end()?;
    Ok(term)
}

/// Implements both directions by a function that writes and one that takes the value from a term.
macro_rules! embedded {
    ($($type:ident, $expected:literal: |$value:ident, $encoder:ident| $write:expr, $of:expr;)*) => {
        $(impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let $value = self;
                serialize(serializer, |$encoder| $write)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let visitor = Embedded { expected: $expected, of: $of, made: PhantomData };
                deserializer.deserialize_newtype_struct(ENCODED, visitor)
            }
        })*
    };
}

embedded! {
    Term, "a term": |term, encoder| write_term(term, encoder), Some;
    Atom, "an atom": |atom, encoder| encoder.atom(atom), |term| match term {
        Term::Atom(atom) => Some(atom),
        _ => None,
    };
    ExternalPid, "a pid": |pid, encoder| encoder.pid(pid), |term| match term {
        Term::Pid(pid) => Some(*pid),
        _ => None,
    };
    ExternalPort, "a port": |port, encoder| encoder.port(port), |term| match term {
        Term::Port(port) => Some(*port),
        _ => None,
    };
    ExternalReference, "a reference": |reference, encoder| encoder.reference(reference),
        |term| match term {
            Term::Reference(reference) => Some(*reference),
            _ => None,
        };
}
