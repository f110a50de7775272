//! A value that shares its cache lines with no other value.

use std::ops::Deref;

/// A value that one thread changes often, while other threads read the values beside it. Aligned to 128
/// bytes: processors fetch cache lines in pairs.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Padded<T>(pub(crate) T);

impl<T> Deref for Padded<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.0
    }
}
