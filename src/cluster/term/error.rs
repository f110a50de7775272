//! The errors of encoding and decoding. They contain no part of a message.

use std::fmt;

use thiserror::Error;

/// Why bytes could not be decoded, and where.
///
/// The error says what was wrong and what was expected. It quotes nothing of the decoded bytes, so
/// it can be logged.
///
/// ```
/// use regrow::cluster::{DecodeErrorKind, Term, from_bytes};
///
/// let bytes = Term::tuple([Term::atom("ok"), Term::binary("secret")]).to_bytes()?;
/// let error = from_bytes::<(bool, String)>(&bytes).unwrap_err();
/// assert!(matches!(error.kind(), DecodeErrorKind::WrongType { .. }));
/// assert_eq!(error.offset(), 3);
/// assert_eq!(error.to_string(), "found an atom, expected a boolean, at byte 3");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecodeError {
    kind: DecodeErrorKind,
    /// `None` until a decoder adds the place to an error that a type has made.
    offset: Option<usize>,
}

/// What was wrong with the bytes. [`DecodeError`] has an example.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DecodeErrorKind {
    /// The bytes end within a term, or a term announces more elements than bytes are left.
    #[error("the bytes end within a term")]
    Truncated,
    /// Bytes follow after the end of the term.
    #[error("bytes follow after the term")]
    TrailingBytes,
    /// The first byte is not the version of the external term format, 131.
    #[error("the version of the format is not 131")]
    UnknownVersion,
    /// No term of OTP 25 to 29 has this tag between nodes.
    #[error("the tag {0} is not known")]
    UnknownTag(u8),
    /// An atom is a reference to the atom cache of a connection, which this node doesn't have.
    #[error("an atom is a reference to an atom cache")]
    AtomCacheRef,
    /// The term is compressed. Nodes don't compress terms; `term_to_binary` of Erlang compresses
    /// only if it is asked to.
    #[error("the term is compressed")]
    Compressed,
    /// The content of a term breaks the rules of its tag, such as a float that is not finite.
    #[error("{0} is malformed")]
    Malformed(&'static str),
    /// An atom has more than 255 characters.
    #[error("an atom has more than 255 characters")]
    AtomTooLong,
    /// A map has a key twice.
    #[error("a map has a key twice")]
    DuplicateKey,
    /// There are more bytes than [`DecodeLimits::size`](crate::cluster::DecodeLimits::size) allows.
    #[error("there are more bytes than allowed")]
    TooLarge,
    /// The value needs more memory than
    /// [`DecodeLimits::memory`](crate::cluster::DecodeLimits::memory) allows.
    #[error("the value takes more memory than allowed")]
    TooMuchMemory,
    /// The term is nested deeper than [`DecodeLimits`](crate::cluster::DecodeLimits) allows.
    #[error("the term is nested deeper than allowed")]
    TooDeep,
    /// An integer has more bytes than
    /// [`DecodeLimits::integer`](crate::cluster::DecodeLimits::integer) allows.
    #[error("an integer is larger than allowed")]
    IntegerTooLarge,
    /// The type needs another kind of term.
    #[error("found {found}, expected {expected}")]
    WrongType {
        /// The kind of term that was found, such as `an atom`.
        found: &'static str,
        /// What the type expects, such as `a boolean`.
        expected: Box<str>,
    },
    /// The kind of term is right, but its value is not, such as 300 for a `u8`.
    #[error("the value is not {expected}")]
    WrongValue {
        /// What the type expects.
        expected: Box<str>,
    },
    /// A tuple, list or map has too few or too many elements.
    #[error("the number of elements is wrong, expected {expected}")]
    WrongLength {
        /// What the type expects.
        expected: Box<str>,
    },
    /// The list is improper: its tail is not a list.
    #[error("the list is improper")]
    ImproperList,
    /// A field is missing.
    #[error("the field `{0}` is missing")]
    MissingField(&'static str),
    /// A field of a struct is there twice.
    #[error("the field `{0}` is there twice")]
    DuplicateField(&'static str),
    /// A struct that refuses unknown fields has no such field.
    #[error("a field is not known")]
    UnknownField,
    /// The enum has no variant of this name.
    #[error("the variant is not known, expected one of {}", Listed(.expected))]
    UnknownVariant {
        /// The names of the variants in Rust.
        expected: &'static [&'static str],
    },
    /// The reply of a call stands in a list or an option, or the term has an element for it. A reply
    /// is a field of the call, and has no term.
    #[error("the reply of a call stands in a list or an option, or has a term")]
    MisplacedReply,
    /// The type itself refused the value. Its message is left out, since it may quote the value.
    #[error("the type refused the value")]
    Refused,
}

impl DecodeError {
    pub(crate) fn new(kind: DecodeErrorKind, offset: usize) -> Self {
        DecodeError { kind, offset: Some(offset) }
    }

    /// Returns an error without a place, which [`at`](Self::at) adds.
    pub(crate) fn unplaced(kind: DecodeErrorKind) -> Self {
        DecodeError { kind, offset: None }
    }

    /// Adds the place, unless the error has one.
    pub(crate) fn at(mut self, offset: usize) -> Self {
        self.offset.get_or_insert(offset);
        self
    }

    /// Returns what was wrong. [`DecodeError`] has an example.
    pub fn kind(&self) -> &DecodeErrorKind {
        &self.kind
    }

    /// Returns how many bytes stand before the place of the error. For an error of a type it is the
    /// start of the element that the type did not accept.
    pub fn offset(&self) -> usize {
        self.offset.unwrap_or(0)
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, at byte {}", self.kind, self.offset())
    }
}

impl std::error::Error for DecodeError {}

/// Shows names with commas in between.
struct Listed<'a>(&'a &'static [&'static str]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, name) in self.0.iter().enumerate() {
            f.write_str(if index > 0 { ", `" } else { "`" })?;
            write!(f, "{name}`")?;
        }
        Ok(())
    }
}

/// Why a value could not be encoded. The error quotes nothing of the value.
///
/// ```
/// use regrow::cluster::{EncodeError, to_bytes};
///
/// assert_eq!(to_bytes(&f64::NAN), Err(EncodeError::NotFinite));
/// assert_eq!(to_bytes(&Some(None::<u8>)), Err(EncodeError::NestedNil));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// A float is infinite or not a number. Erlang has no such floats.
    #[error("a float is not finite")]
    NotFinite,
    /// `Some` contains a value that is encoded as `nil` or `undefined`, so that it would be decoded
    /// as `None`.
    #[error("`Some` contains a value that would be decoded as `None`")]
    NestedNil,
    /// An atom has more than 255 characters.
    #[error("an atom has more than 255 characters")]
    AtomTooLong,
    /// A part of the value has more elements or bytes than the format can say, which is 2³² − 1.
    #[error("a part of the value has too many elements or bytes")]
    TooLarge,
    /// A field of a struct variant was skipped. These fields are positional, so none can be left out.
    #[error("the field `{0}` of a struct variant was skipped")]
    SkippedField(&'static str),
    /// The reply of a call stands in a list, in an option or as a key.
    #[error("the reply of a call stands in a list, in an option or as a key")]
    MisplacedReply,
    /// The type itself refused to be encoded. Its message is left out, since it may quote the value.
    #[error("the type refused to be encoded")]
    Refused,
}
