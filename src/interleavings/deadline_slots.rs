//! Call deadlines that are armed, disarmed and expired at the same time. In these runs a slot cache has
//! two slots for all tasks.

use std::sync::Arc;
use std::task::{Wake, Waker};

use crate::interleavings::{check, thread};
use crate::time::deadline_pool::slot_cache::SlotCache;

/// A task that ignores its wakes.
struct Task;

impl Wake for Task {
    fn wake(self: Arc<Self>) {}
}

/// Arms one slot after the other, as a task that makes calls does. A slot that is armed wakes the
/// task when a later sweep finds it due.
fn calls(cache: &SlotCache, dues: &[u64]) {
    let waker = Waker::from(Arc::new(Task));
    for due in dues {
        let Some(slot) = cache.arm(*due, &waker) else { continue };
        assert!(slot.is_heard(&waker), "the slot was not armed");
        slot.register(&waker);
        assert!(slot.is_heard(&waker), "the slot was not registered");
        slot.disarm();
    }
}

/// Sweeps and other tasks use the same slots before and meanwhile.
#[test]
fn an_armed_deadline_slot_expires() {
    check(|| {
        let cache = Arc::new(SlotCache::default());
        let all = [vec![1, 2, 9], vec![3, 3], vec![9]].map(|dues| {
            let cache = cache.clone();
            thread::spawn(move || calls(&cache, &dues))
        });
        for _ in 0..2 {
            cache.take_due(5, &mut Vec::new());
        }
        for one in all {
            one.join().expect("it ends");
        }
        assert_eq!(cache.armed(), 0);
    });
}
