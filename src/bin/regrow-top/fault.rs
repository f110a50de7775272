//! Panics on request, for the tests of what a panic does to the terminal.

/// Panics if this is a debug build and the environment asks for a panic at this place.
pub(crate) fn at(place: &str) {
    let is_asked = || std::env::var("REGROW_TOP_PANIC").is_ok_and(|asked| asked == place);
    assert!(!cfg!(debug_assertions) || !is_asked(), "a panic that the environment asks for");
}
