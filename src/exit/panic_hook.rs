//! The optional panic hook, which records location and backtrace for the crash of a panic.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::cell::RefCell;
use std::panic::PanicHookInfo;
use std::sync::Once;

use crate::base::current_process::{self, Current};
use crate::exit::location::CrashLocation;

/// The location and the backtrace of a panic, as the hook saw them.
pub(crate) struct PanicNote {
    by: Current,
    pub(crate) location: CrashLocation,
    pub(crate) backtrace: Option<Backtrace>,
}

thread_local! {
    /// The last panic of a process on this thread.
    static LAST_PANIC: RefCell<Option<PanicNote>> = const { RefCell::new(None) };
}

/// Installs a panic hook that gives the [`Crash`](crate::Crash) of a panic its location, and its
/// backtrace where `RUST_BACKTRACE` enables backtraces.
///
/// The hook records panics of processes only, and calls the hook that was installed before, so a
/// panic prints what it printed before. A second call does nothing. Programs call it once, at their
/// start; libraries leave that to the program.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// regrow::install_panic_hook();
///
/// let rt = regrow::Runtime::new();
/// let reason = rt.spawn(|_| async { panic!("boom") }).join().await;
/// let location = reason.crash().unwrap().location().unwrap();
/// assert!(location.line() > 0);
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
    let Some(location) = info.location() else { return };
    let backtrace = Backtrace::capture();
    let captured = backtrace.status() == BacktraceStatus::Captured;
    let note =
        PanicNote { by, location: location.into(), backtrace: captured.then_some(backtrace) };
    LAST_PANIC.with_borrow_mut(|slot| *slot = Some(note));
}

/// Takes the note of the panic that was just caught, while its process is still the current one.
///
/// The last note may belong to another process: that one panicked and caught the panic itself, and
/// the panic that was just caught did not run the hook, as a resumed panic does not. Then the
/// result is `None`.
pub(crate) fn take_panic_note() -> Option<PanicNote> {
    let current = current_process::current();
    LAST_PANIC.with_borrow_mut(Option::take).filter(|note| Some(note.by) == current)
}
