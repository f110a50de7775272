//! A waker that counts its calls, and may panic.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Wake, Waker};

/// Counts its calls, and panics in each call if `panics` is set.
#[derive(Debug)]
pub struct CountingWaker {
    panics: bool,
    woken: AtomicUsize,
}

impl CountingWaker {
    pub fn woken(&self) -> usize {
        self.woken.load(Ordering::SeqCst)
    }
}

impl Wake for CountingWaker {
    fn wake(self: Arc<Self>) {
        self.woken.fetch_add(1, Ordering::SeqCst);
        assert!(!self.panics, "as asked");
    }
}

pub fn counting_waker(panics: bool) -> (Arc<CountingWaker>, Waker) {
    let counts = Arc::new(CountingWaker { panics, woken: AtomicUsize::new(0) });
    (counts.clone(), Waker::from(counts))
}
