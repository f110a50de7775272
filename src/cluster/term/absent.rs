//! Values that have no term: the reply of a call. Such a value is left out of the term of its call,
//! and is made by the decode of the call without reading anything.
//!
//! A type can talk to its deserializer only through the methods of serde, and a deserializer of
//! serde's own stands in for a missing field of a struct. That one accepts a request for an option
//! and no other. So an absent value asks for an option, under a flag of this thread that says that
//! no option is meant. The deserializer that sees the flag takes it off before it does anything else,
//! so no code of the user runs under it, and a guard takes it off however the request ends.

use std::cell::Cell;

use serde::de::{Deserializer, Visitor};

/// The name of a newtype that has no term.
pub(crate) const ABSENT: &str = "$regrow::cluster::Absent";

thread_local! {
    static IS_ASKED: Cell<bool> = const { Cell::new(false) };
}

struct TakeOff;

impl Drop for TakeOff {
    fn drop(&mut self) {
        let _ = IS_ASKED.try_with(|is_asked| is_asked.set(false));
    }
}

/// Asks a deserializer for a value that has no term. The visitor visits `None`.
pub(crate) fn deserialize_absent<'de, D: Deserializer<'de>, V: Visitor<'de>>(
    deserializer: D,
    visitor: V,
) -> Result<V::Value, D::Error> {
    let _ = IS_ASKED.try_with(|is_asked| is_asked.set(true));
    let _guard = TakeOff;
    deserializer.deserialize_option(visitor)
}

/// Takes the flag off; returns whether an absent value was asked for.
pub(crate) fn take_asked() -> bool {
    IS_ASKED.try_with(|is_asked| is_asked.replace(false)).unwrap_or(false)
}
