//! Short terms of control messages, and payloads.

use crate::cluster::term::Encoder;

/// Encodes a term without its version byte.
pub(crate) fn encoded(write: impl FnOnce(&mut Encoder<'_>)) -> Vec<u8> {
    let mut bytes = Vec::new();
    write(&mut Encoder::new(&mut bytes));
    bytes
}

/// Encodes a short atom without its version byte.
pub(crate) fn atom(text: &str) -> Vec<u8> {
    encoded(|encoder| drop(encoder.atom(text)))
}

/// Appends a payload.
pub(crate) fn append_term(out: &mut Vec<u8>, write: impl FnOnce(&mut Encoder<'_>)) {
    let mut encoder = Encoder::new(out);
    encoder.start();
    write(&mut encoder);
}
