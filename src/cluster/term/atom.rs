//! Atoms.

use std::borrow::{Borrow, Cow};
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use crate::cluster::term::error::EncodeError;

/// The maximum number of characters of an atom.
pub(crate) const LONGEST: usize = 255;

/// An atom of Erlang: a name of at most 255 characters that stands for itself.
///
/// Atoms are equal if their texts are. There is no table of atoms that could become full: the text
/// of an atom is freed with the last clone. The [`Display`](fmt::Display) text is the name as Erlang
/// writes it, in quotes where it needs quotes.
///
/// ```
/// use regrow::cluster::Atom;
///
/// let name = Atom::new("Hello")?;
/// assert_eq!(name, "Hello");
/// assert_eq!(name.to_string(), "'Hello'");
/// assert!(Atom::new(&"x".repeat(256)).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Atom(Arc<str>);

impl Atom {
    /// Returns the atom of this name.
    ///
    /// # Errors
    ///
    /// [`EncodeError::AtomTooLong`] if the name has more than 255 characters. [`Atom`] has an
    /// example.
    pub fn new(name: &str) -> Result<Self, EncodeError> {
        if is_too_long(name) {
            return Err(EncodeError::AtomTooLong);
        }
        Ok(Atom(name.into()))
    }

    /// Returns the atom of a name that is known to be short enough, such as that of an atom that was
    /// decoded.
    pub(crate) fn of(name: &str) -> Self {
        debug_assert!(!is_too_long(name), "the name of an atom has at most 255 characters");
        Atom(name.into())
    }

    /// Returns the name. [`Atom`] has an example.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Returns whether the name has too many characters for an atom.
pub(crate) fn is_too_long(name: &str) -> bool {
    name.len() > LONGEST && name.chars().nth(LONGEST).is_some()
}

/// Returns the text of Latin-1 bytes. Borrows if they are ASCII.
pub(crate) fn from_latin1(bytes: &[u8]) -> Cow<'_, str> {
    match str::from_utf8(bytes) {
        Ok(text) if text.is_ascii() => Cow::Borrowed(text),
        _ => bytes.iter().map(|&byte| char::from(byte)).collect(),
    }
}

impl Deref for Atom {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl Borrow<str> for Atom {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl PartialEq<str> for Atom {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for Atom {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl TryFrom<&str> for Atom {
    type Error = EncodeError;

    fn try_from(name: &str) -> Result<Self, EncodeError> {
        Atom::new(name)
    }
}

impl fmt::Display for Atom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_atom(f, self)
    }
}

impl fmt::Debug for Atom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_atom(f, self)
    }
}

/// The words that Erlang writes in quotes as atoms.
const RESERVED: [&str; 29] = [
    "after", "and", "andalso", "band", "begin", "bnot", "bor", "bsl", "bsr", "bxor", "case",
    "catch", "cond", "div", "else", "end", "fun", "if", "let", "maybe", "not", "of", "or",
    "orelse", "receive", "rem", "try", "when", "xor",
];

/// Writes an atom as Erlang does: in quotes, unless it is a plain name in lower case.
fn write_atom(f: &mut fmt::Formatter<'_>, name: &str) -> fmt::Result {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '@';
    let plain = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(is_part)
        && !RESERVED.contains(&name);
    if plain {
        return f.write_str(name);
    }
    f.write_str("'")?;
    name.chars().try_for_each(|c| write_char(f, c, '\''))?;
    f.write_str("'")
}

/// Writes a character of a quoted atom or of a string, escaped where it has to be.
pub(crate) fn write_char(f: &mut fmt::Formatter<'_>, c: char, quote: char) -> fmt::Result {
    match c {
        '\n' => f.write_str("\\n"),
        '\r' => f.write_str("\\r"),
        '\t' => f.write_str("\\t"),
        '\\' => f.write_str("\\\\"),
        c if c == quote => write!(f, "\\{c}"),
        c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') => {
            write!(f, "\\x{{{:X}}}", u32::from(c))
        }
        c => write!(f, "{c}"),
    }
}
