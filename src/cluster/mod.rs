// **Uses** no other folder.
// **Knows nothing of** programs, observers and metrics.

//! Nodes of an Erlang cluster: processes of this program and processes on the BEAM reach each other
//! over the Erlang distribution protocol. Requires the feature `cluster`.

mod term;

pub use term::{
    Atom, BigInteger, Bitstring, DecodeError, DecodeErrorKind, DecodeLimits, EncodeError, Export,
    ExternalPid, ExternalPort, ExternalReference, Fun, ImproperList, IntegerOverflow, Term, TermMap,
    Terms, from_bytes, from_bytes_within, from_term, to_bytes, to_term,
};
