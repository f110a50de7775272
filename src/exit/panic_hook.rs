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
/// installed before, so the output of a panic does not change; [`install_panic_hook_with`] can leave
/// out the text of processes. A program calls one of these functions once, at its start; libraries
/// should not call them. A second call does nothing.
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
    install_panic_hook_with(PanicText::Shown);
}

/// Whether the panic of a process is passed to the panic hook that was installed before, which by
/// default prints a text on stderr. [`install_panic_hook_with`] has an example.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum PanicText {
    /// Every panic is passed on.
    #[default]
    Shown,
    /// The panic of a process is not passed on, since the log has its message and its location in
    /// the line of the crash. All other panics are.
    LeftOut,
}

/// Installs the panic hook of [`install_panic_hook`], and chooses whether the panics of processes
/// are passed to the hook that was installed before.
///
/// With [`PanicText::LeftOut`] a crash is written once, by the log, and not a second time by the
/// hook of the standard library. These panics are passed on nevertheless, because the log may have
/// no line of them:
///
/// * panics outside of processes, also in tasks that a process has spawned with `tokio::spawn`;
/// * a panic of a process on a thread that has not yet handled an earlier one, because the program
///   aborts if a destructor panics while another panic unwinds;
/// * every panic of a program that is built with `panic = "abort"`.
///
/// A panic that a process catches itself is not passed on, and is in no log. A call after another
/// call of this function or of [`install_panic_hook`] does nothing. [`Run`](crate::Run) and
/// [`main`](crate::main()) call [`install_panic_hook`], so call this function before them.
///
/// ```
/// use std::sync::atomic::{AtomicUsize, Ordering};
/// use regrow::{PanicText, Runtime, install_panic_hook_with};
///
/// static SHOWN: AtomicUsize = AtomicUsize::new(0);
/// std::panic::set_hook(Box::new(|_| {
///     SHOWN.fetch_add(1, Ordering::SeqCst);
/// }));
/// install_panic_hook_with(PanicText::LeftOut);
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
/// let reason = Runtime::new().spawn(|_| async { panic!("boom") }).join().await;
/// assert!(reason.crash().unwrap().location().is_some());
/// assert_eq!(SHOWN.load(Ordering::SeqCst), 0);
/// assert!(tokio::spawn(async { panic!("no process") }).await.is_err());
/// assert_eq!(SHOWN.load(Ordering::SeqCst), 1);
/// # }));
/// ```
pub fn install_panic_hook_with(text: PanicText) {
    static ONCE: Once = Once::new();
    let leaves_out = text == PanicText::LeftOut && !cfg!(panic = "abort");
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let noted = current_process::current().map(|current| note(current, info));
            if !leaves_out || noted != Some(Noted::First) {
                before(info);
            }
        }));
    });
}

/// Whether the note of an earlier panic was still to be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Noted {
    First,
    /// The earlier panic may still unwind: the program may be about to abort.
    AfterAnother,
}

fn note(by: Current, info: &PanicHookInfo<'_>) -> Noted {
    let Some(location) = info.location() else { return Noted::AfterAnother };
    let backtrace = Backtrace::capture();
    let captured = backtrace.status() == BacktraceStatus::Captured;
    let note =
        PanicNote { by, location: location.into(), backtrace: captured.then_some(backtrace) };
    match LAST_PANIC.replace(Some(note)) {
        None => Noted::First,
        Some(_) => Noted::AfterAnother,
    }
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
