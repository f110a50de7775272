//! Shared, immutable text, such as the names of processes and of groups.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

/// A shared, immutable text, such as the name of a process or of a group.
///
/// A `SharedStr` derefs to `str`, compares with `str`, is one word wide in a mailbox, and is cheap
/// to clone.
///
/// ```
/// use regrow::SharedStr;
///
/// let name = SharedStr::from("kv");
/// assert_eq!(name, "kv");
/// assert_eq!(name.as_str(), "kv");
/// assert_eq!(name.len(), 2);
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SharedStr(Arc<Box<str>>);

impl SharedStr {
    /// The text itself. [`SharedStr`] has an example.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Implements the traits by which a type with `as_str` is used as its text. The type itself implements
/// `PartialEq<str>`.
macro_rules! use_as_text {
    ($text:ty) => {
        impl std::ops::Deref for $text {
            type Target = str;

            fn deref(&self) -> &str {
                self.as_str()
            }
        }

        impl AsRef<str> for $text {
            fn as_ref(&self) -> &str {
                self.as_str()
            }
        }

        impl PartialEq<&str> for $text {
            fn eq(&self, other: &&str) -> bool {
                *self == **other
            }
        }

        impl std::fmt::Debug for $text {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Debug::fmt(self.as_str(), f)
            }
        }
    };
}

pub(crate) use use_as_text;

use_as_text!(SharedStr);

impl Borrow<str> for SharedStr {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl From<&str> for SharedStr {
    fn from(text: &str) -> Self {
        SharedStr(Arc::new(text.into()))
    }
}

impl From<String> for SharedStr {
    fn from(text: String) -> Self {
        SharedStr(Arc::new(text.into()))
    }
}

impl PartialEq<str> for SharedStr {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl fmt::Display for SharedStr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self)
    }
}
