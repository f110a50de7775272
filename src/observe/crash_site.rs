//! The callback in which a server failed, from the failure to the teardown of its process.
//!
//! **Guarantee.** A callback that returns `Ok` pays nothing: its guard has no size, and its
//! destructor runs only if the callback panics or is dropped at an await.
//!
//! **Steps**
//! 1. The loop of the server makes an [`InCallback`] before it runs a callback.
//! 2. If the callback panics or returns an error, the guard stores the callback in a thread-local,
//!    with the process that is current on this thread.
//! 3. The body of the server takes the callback in the same poll, and stores it again, with the type
//!    of the message, in the poll in which the body ends. The teardown, which is a part of that
//!    poll, takes it.
//!
//! **Invariants**
//! 1. The callback of one process is never taken for another: the process is compared, and a pid is
//!    never used again.
//! 2. A callback that is dropped at an await, because its process was killed, stores nothing.

use std::cell::Cell;

use crate::base::Pid;
use crate::base::current_process;
use crate::exit::Result;
use crate::observe::Callback;
use crate::observe::crash_report::CrashHandling;

thread_local! {
    /// Whether a failure may be stored. This flag is cheaper to read than the failure.
    static ANY: Cell<bool> = const { Cell::new(false) };
    /// The runtime and the pid of a process that failed, and what it was handling.
    static FAILED: Cell<Option<((usize, Pid), CrashHandling)>> = const { Cell::new(None) };
}

/// The callbacks, each at the index that is its number.
const CALLBACKS: [Callback; 6] = [
    Callback::Init,
    Callback::HandleCall,
    Callback::HandleCast,
    Callback::HandleInfo,
    Callback::HandleTimeout,
    Callback::HandleEvent,
];

/// Exists while the callback with this number runs.
#[must_use]
pub(crate) struct InCallback<const NUMBER: usize>(());

pub(crate) type InInit = InCallback<0>;
pub(crate) type InCall = InCallback<1>;
pub(crate) type InCast = InCallback<2>;
pub(crate) type InInfo = InCallback<3>;
pub(crate) type InTimeout = InCallback<4>;
pub(crate) type InEvent = InCallback<5>;

impl<const NUMBER: usize> InCallback<NUMBER> {
    #[inline]
    pub(crate) fn begin() -> Self {
        InCallback(())
    }

    /// Notes that the callback has returned this result.
    #[inline]
    pub(crate) fn end<T>(self, returned: Result<T>) -> Result<T> {
        std::mem::forget(self);
        if returned.is_err() {
            note_failure(CALLBACKS[NUMBER]);
        }
        returned
    }
}

/// Runs only if the callback panics, or is dropped at an await.
impl<const NUMBER: usize> Drop for InCallback<NUMBER> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            note_failure(CALLBACKS[NUMBER]);
        }
    }
}

/// Notes that this callback of the current process has failed.
#[cold]
pub(crate) fn note_failure(callback: Callback) {
    store(CrashHandling { callback, kind: None, message_type: None, elapsed: None });
}

/// Stores what the current process was handling, step 3.
pub(crate) fn store(handling: CrashHandling) {
    if let Some(current) = current_process::current() {
        FAILED.set(Some((current.process(), handling)));
        ANY.set(true);
    }
}

/// Takes what the current process was handling, if it failed in a callback.
#[inline]
pub(crate) fn take_of_current() -> Option<CrashHandling> {
    if ANY.get() { take_failure_of_current() } else { None }
}

#[cold]
#[inline(never)]
fn take_failure_of_current() -> Option<CrashHandling> {
    let (runtime, pid) = current_process::current()?.process();
    take(runtime, pid)
}

/// Takes what this process was handling, if it failed in a callback.
pub(crate) fn take(runtime: usize, pid: Pid) -> Option<CrashHandling> {
    let (by, handling) = FAILED.get()?;
    if by != (runtime, pid) {
        return None;
    }
    FAILED.set(None);
    ANY.set(false);
    Some(handling)
}
