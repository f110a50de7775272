//! Waiting on a thread that may block: a future is polled there until it is ready.
//!
//! What the future waits for wakes the thread. Its deadlines go by the clock of the tokio that
//! they belong to; but that tokio may be blocked, or driven by nobody, and then wakes nobody.
//! So a deadline also leaves word [when to look](poll_again_by) at the latest, by the system's clock.

use std::cell::Cell;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

thread_local! {
    /// Set while a future is polled in [`wait`]; in there, when to poll it again at the latest.
    static POLL_AGAIN_BY: Cell<Option<Option<Instant>>> = const { Cell::new(None) };
}

/// Whether this thread polls a future in [`wait`].
pub(crate) fn is_waiting() -> bool {
    POLL_AGAIN_BY.get().is_some()
}

/// Has the future that is being polled polled again at this instant at the latest.
pub(crate) fn poll_again_by(at: Instant) {
    let earliest = POLL_AGAIN_BY.get().flatten().map_or(at, |other| other.min(at));
    POLL_AGAIN_BY.set(Some(Some(earliest)));
}

/// One poll; what was set before it is set again after it, also if it panics.
struct Polling {
    before: Option<Option<Instant>>,
}

impl Polling {
    fn enter() -> Self {
        Polling { before: POLL_AGAIN_BY.replace(Some(None)) }
    }
}

impl Drop for Polling {
    fn drop(&mut self) {
        POLL_AGAIN_BY.set(self.before);
    }
}

/// Wakes a thread that waits in [`wait`]. It says so, too: what is polled there may block the
/// thread by itself, and use up what would have unparked it.
struct Unpark {
    thread: Thread,
    woken: AtomicBool,
}

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.woken.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

/// Polls a future on this thread until it is ready.
pub(crate) fn wait<F: Future>(future: F) -> F::Output {
    let unpark = Arc::new(Unpark { thread: thread::current(), woken: AtomicBool::new(false) });
    let waker = Waker::from(unpark.clone());
    let mut cx = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        let polling = Polling::enter();
        if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
            return output;
        }
        let poll_again_by = POLL_AGAIN_BY.get().flatten();
        drop(polling);
        while !unpark.woken.swap(false, Ordering::Acquire) {
            match poll_again_by.map(|at| at.saturating_duration_since(Instant::now())) {
                None => thread::park(),
                Some(Duration::ZERO) => break,
                Some(left) => thread::park_timeout(left),
            }
        }
    }
}
