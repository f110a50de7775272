//! The optional hook that lets a crash know its place.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::cell::RefCell;
use std::panic::PanicHookInfo;
use std::sync::Once;

use crate::base::current_process::{self, Current};
use crate::exit::location::CrashLocation;

/// What the hook saw of the last panic of a process on this thread.
pub(crate) struct PanicNote {
    by: Current,
    pub(crate) location: CrashLocation,
    pub(crate) backtrace: Option<Backtrace>,
}

thread_local! {
    static LAST_PANIC: RefCell<Option<PanicNote>> = const { RefCell::new(None) };
}

/// Lets the [`Crash`](crate::Crash) of a panic tell file and line, and the backtrace
/// where `RUST_BACKTRACE` asks for one.
///
/// It chains to the hook that was there before, so what a panic prints stays as it
/// was. Only panics inside of processes are looked at. Calling it again does nothing.
/// A program calls it once at its start; a library leaves it to the program.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// regrow::install_panic_hook();
///
/// let rt = regrow::Runtime::new();
/// let reason = rt.spawn(|_| async { panic!("boom") }).join().await;
/// let place = reason.crash().unwrap().location().unwrap();
/// assert!(place.line() > 0);
/// # });
/// ```
pub fn install_panic_hook() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if let Some(current) = current_process::current() {
                note(current, info);
            }
            before(info);
        }));
    });
}

fn note(by: Current, info: &PanicHookInfo<'_>) {
    let Some(place) = info.location() else { return };
    let backtrace = Backtrace::capture();
    let captured = backtrace.status() == BacktraceStatus::Captured;
    let note = PanicNote { by, location: place.into(), backtrace: captured.then_some(backtrace) };
    LAST_PANIC.with_borrow_mut(|slot| *slot = Some(note));
}

/// What was noted of the panic just caught, while its process is still acting. Another's
/// note may lie here as well: it panicked and caught that itself, and what is caught now
/// went past the hook, as a resumed panic does.
pub(crate) fn take_panic_note() -> Option<PanicNote> {
    let current = current_process::current();
    LAST_PANIC.with_borrow_mut(Option::take).filter(|note| Some(note.by) == current)
}
