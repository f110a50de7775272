//! Panics on request. Tests use it to check that a panic restores the terminal.

/// Panics if this is a debug build and an environment variable names this place.
pub(crate) fn at(place: &str) {
    let is_asked = || std::env::var("REGROW_TOP_PANIC").is_ok_and(|asked| asked == place);
    assert!(!cfg!(debug_assertions) || !is_asked(), "a panic that the environment asks for");
}
