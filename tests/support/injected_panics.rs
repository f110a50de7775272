//! Panics that a test injects, and a panic hook that hides them.

use std::panic;
use std::sync::Once;

/// The text of each injected panic begins with this word.
pub(crate) const BOOM: &str = "boom";

/// Installs a panic hook that does not print injected panics.
pub(crate) fn hush_injected_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let tell = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let text = info.payload().downcast_ref::<String>();
            if !text.is_some_and(|text| text.starts_with(BOOM)) {
                tell(info);
            }
        }));
    });
}
