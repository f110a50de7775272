//! The tags of the external term format that nodes of OTP 25 and later send.

/// The byte in front of each term.
pub(crate) const VERSION: u8 = 131;

pub(crate) const SMALL_INTEGER: u8 = 97;
pub(crate) const INTEGER: u8 = 98;
pub(crate) const SMALL_BIG: u8 = 110;
pub(crate) const LARGE_BIG: u8 = 111;
pub(crate) const NEW_FLOAT: u8 = 70;
/// A float as text, of nodes before OTP 26 in files.
pub(crate) const FLOAT_TEXT: u8 = 99;
pub(crate) const ATOM_LATIN1: u8 = 100;
pub(crate) const SMALL_ATOM_LATIN1: u8 = 115;
pub(crate) const ATOM_UTF8: u8 = 118;
pub(crate) const SMALL_ATOM_UTF8: u8 = 119;
pub(crate) const SMALL_TUPLE: u8 = 104;
pub(crate) const LARGE_TUPLE: u8 = 105;
pub(crate) const NIL: u8 = 106;
/// A list of at most 65,535 bytes.
pub(crate) const STRING: u8 = 107;
pub(crate) const LIST: u8 = 108;
pub(crate) const BINARY: u8 = 109;
pub(crate) const BIT_BINARY: u8 = 77;
pub(crate) const MAP: u8 = 116;
pub(crate) const NEW_PID: u8 = 88;
pub(crate) const NEW_PORT: u8 = 89;
pub(crate) const V4_PORT: u8 = 120;
pub(crate) const NEWER_REFERENCE: u8 = 90;
pub(crate) const EXPORT: u8 = 113;
pub(crate) const NEW_FUN: u8 = 112;

/// A reference to the atom cache of a connection. This node doesn't ask for the cache.
pub(crate) const ATOM_CACHE_REF: u8 = 82;
/// A compressed term, in the place of the first tag.
pub(crate) const COMPRESSED: u8 = 80;
