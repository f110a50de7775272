//! The optional panic hook, which records the location and the backtrace of a panic for its
//! [`Crash`](crate::Crash).

use std::backtrace::{Backtrace, BacktraceStatus};
use std::cell::RefCell;
use std::panic::PanicHookInfo;
use std::sync::Once;

use crate::base::current_process::{self, Current};
use crate::exit::location::CrashLocation;

/// The location and the backtrace of a panic, recorded by the hook.
pub(crate) struct PanicNote {
    by: Current,
    pub(crate) location: CrashLocation,
    pub(crate) backtrace: Option<Backtrace>,
}

thread_local! {
    /// The note of the last panic of a process on this thread, until it is taken.
    static LAST_PANIC: RefCell<Option<PanicNote>> = const { RefCell::new(None) };
}

/// Installs a panic hook that gives the [`Crash`](crate::Crash) of a panic its location, and its
/// backtrace if `RUST_BACKTRACE` enables backtraces.
///
/// The hook records the panics of processes. For every panic it then calls the hook that was
/// installed before, so the output of a panic does not change. A program calls this function once,
/// at its start; libraries should not call it. A second call does nothing.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
/// regrow::install_panic_hook();
///
/// let rt = regrow::Runtime::new();
/// let reason = rt.spawn(|_| async { panic!("boom") }).join().await;
/// let location = reason.crash().unwrap().location().unwrap();
/// assert!(location.line() > 0);
/// # }));
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
    LAST_PANIC.set(Some(note));
}

/// Takes the note of the panic that was just caught, while its process is still the current one.
///
/// Returns `None` if the last note belongs to another process. That happens if the other process
/// caught its panic itself, and the panic that was just caught did not run the hook, because it was
/// resumed.
pub(crate) fn take_panic_note() -> Option<PanicNote> {
    let current = current_process::current();
    LAST_PANIC.take().filter(|note| Some(note.by) == current)
}
