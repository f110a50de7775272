//! The external term format of Erlang: terms from bytes and bytes from terms, with and without Rust
//! types for them.
//!
//! **Uses** no other folder.
//! **Knows nothing of** connections, nodes and processes: it works on bytes alone.
//!
//! **Parts**, from the ground up: the kinds of values ([`atom`] to [`bitstring`]); the [`decoder`],
//! which reads a term step by step, and the [`encoder`]; [`Term`] with what it needs to be walked
//! through, compared, built and shown without recursion; and serde both ways ([`serialize`],
//! [`deserialize`]).
//!
//! **Guarantees.** No bytes cause a panic. No bytes make a decode allocate more than their own number
//! times the size of an element, and never more than the limit. No depth of a term overflows the
//! stack: nothing recurses on a `Term`, and a decode of a Rust type counts its depth. An error says
//! where it happened, and contains no part of the bytes.
//!
//! **Invariants**
//! 1. The [`Decoder`] counts the terms that it owes, and refuses a step that owes
//!    more than bytes are left.
//! 2. A value has one form: an integer is a [`BigInteger`] only beyond 64 bits, a list is improper
//!    only if its tail is no list, a bitstring has an incomplete byte, the keys of a map ascend. So
//!    equality compares forms.
//! 3. The encoder writes the number of elements after the elements. A value that writes nothing is
//!    no element.
//! 4. An element is read when its type asks for it, so a type may stand where no element is. Only an
//!    [absent] value asks for nothing.

mod tag;
mod limits;
mod error;
mod atom;
mod integer;
mod ids;
mod functions;
mod bitstring;
mod token;
mod source_bytes;
mod leaf;
mod decoder;
mod pass;
mod encoder;
mod node_ids;
mod value;
mod walk;
mod compare;
mod build;
mod convert;
mod display;
mod codec;
mod names;
mod absent;
mod compound;
mod serialize;
mod reader;
mod access;
mod kinds;
mod variant;
mod deserialize;
mod embedded;
mod typed;

pub(crate) use absent::{ABSENT, deserialize_absent};
pub use atom::Atom;
pub(crate) use atom::is_too_long;
pub use bitstring::Bitstring;
pub(crate) use decoder::Decoder;
pub(crate) use encoder::Encoder;
pub use error::{DecodeError, DecodeErrorKind, EncodeError};
pub use functions::{Export, Fun};
pub(crate) use ids::Words;
pub use ids::{ExternalPid, ExternalPort, ExternalReference};
pub use integer::{BigInteger, IntegerOverflow};
pub use limits::DecodeLimits;
pub(crate) use node_ids::NodeIds;
pub(crate) use token::{PidToken, ReferenceToken, Token};
pub use typed::{from_bytes, from_bytes_within, from_term, to_bytes, to_term};
pub(crate) use typed::{from_bytes_inside, write_value};
pub use value::{ImproperList, Term, TermMap, Terms};
