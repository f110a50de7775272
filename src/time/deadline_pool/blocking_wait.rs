//! Blocking waits: [`wait`] blocks the current thread and polls a future until the future is ready.
//!
//! **Guarantee.** The thread polls the future again when the future's waker is woken. If the last
//! poll called [`poll_again_by`], the thread polls again at that instant at the latest.
//!
//! A deadline is measured by the clock of its tokio runtime. That runtime may be blocked, or not
//! driven at all, and then wakes no waiter. So a wait with a deadline also sets the latest instant
//! of the next poll, by the system's clock.
//!
//! **Invariants**
//! 1. `POLL_AGAIN_BY` is set only during a poll in [`wait`], and its earlier value is restored
//!    after the poll, even if the poll panics, since waits may be nested.
//! 2. A wake-up sets `woken` before it unparks the thread. So the wake-up is not lost if the polled
//!    code blocks the thread itself and thereby consumes the unpark.

use std::cell::Cell;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

thread_local! {
    /// `Some` while a future is polled in [`wait`]: the latest instant of its next poll, if there
    /// is one.
    static POLL_AGAIN_BY: Cell<Option<Option<Instant>>> = const { Cell::new(None) };
}

/// Whether this thread is polling a future in [`wait`].
pub(crate) fn is_waiting() -> bool {
    POLL_AGAIN_BY.get().is_some()
}

/// Makes [`wait`] poll the current future again at this instant, at the latest.
pub(crate) fn poll_again_by(at: Instant) {
    let earliest = POLL_AGAIN_BY.get().flatten().map_or(at, |other| other.min(at));
    POLL_AGAIN_BY.set(Some(Some(earliest)));
}

/// Sets `POLL_AGAIN_BY` during one poll, and restores the earlier value afterwards (invariant 1).
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

/// The waker of a thread that waits in [`wait`] (invariant 2).
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
