//! A caller's waker that counts, and may panic.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Wake, Waker};

/// Counts how often it is woken, and may panic then.
#[derive(Debug)]
pub struct Sleeper {
    panics: bool,
    woken: AtomicUsize,
}

impl Sleeper {
    pub fn woken(&self) -> usize {
        self.woken.load(Ordering::SeqCst)
    }
}

impl Wake for Sleeper {
    fn wake(self: Arc<Self>) {
        self.woken.fetch_add(1, Ordering::SeqCst);
        assert!(!self.panics, "as asked");
    }
}

pub fn sleeper(panics: bool) -> (Arc<Sleeper>, Waker) {
    let sleeper = Arc::new(Sleeper { panics, woken: AtomicUsize::new(0) });
    (sleeper.clone(), Waker::from(sleeper))
}
