//! A term of Erlang as the bytes that nodes send.

use std::fmt;

/// A term of Erlang in its external format: what processes of different nodes send each other.
///
/// [`EncodedTerm::new`] encodes a value, and [`decode`](Self::decode) returns one. The
/// [module](crate::cluster#values-of-rust-types) says which term a value is. A term that another
/// node has sent is not checked: a decode may fail, because that node has sent nonsense or more than
/// the limits of the decode allow.
///
/// The [`Debug`](fmt::Debug) text has the length, and nothing of the content.
///
/// ```
/// use regrow::cluster::EncodedTerm;
///
/// let term = EncodedTerm::new(&("milk", 3))?;
/// assert_eq!(term.term()?.to_string(), r#"{<<"milk">>,3}"#);
/// assert_eq!(term.decode::<(String, u32)>()?, ("milk".to_owned(), 3));
/// assert_eq!(format!("{term:?}"), "EncodedTerm(14 bytes)");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct EncodedTerm {
    bytes: Vec<u8>,
    /// The bytes are one whole term.
    is_checked: bool,
}

impl EncodedTerm {
    /// Bytes that an encoder has written, or that were decoded once.
    pub(crate) fn checked(bytes: Vec<u8>) -> Self {
        EncodedTerm { bytes, is_checked: true }
    }

    /// Bytes that another node has sent.
    pub(crate) fn unchecked(bytes: Vec<u8>) -> Self {
        EncodedTerm { bytes, is_checked: false }
    }

    /// Whether the bytes are known to be one whole term.
    pub(crate) fn is_checked(&self) -> bool {
        self.is_checked
    }

    /// Returns the bytes, as `term_to_binary/1` of Erlang does: the version byte and the term.
    ///
    /// ```
    /// use regrow::cluster::EncodedTerm;
    ///
    /// assert_eq!(EncodedTerm::new(&42)?.as_bytes(), [131, 97, 42]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// Two terms are equal if their bytes are.
impl PartialEq for EncodedTerm {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for EncodedTerm {}

impl fmt::Debug for EncodedTerm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EncodedTerm({} bytes)", self.bytes.len())
    }
}
