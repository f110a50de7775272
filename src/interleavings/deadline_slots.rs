//! Bells on their stand: two for everybody, in these runs.

use std::sync::Arc;
use std::task::{Wake, Waker};

use crate::interleavings::{check, thread};
use crate::time::deadline_pool::slot_cache::SlotCache;

/// Any task.
struct Task;

impl Wake for Task {
    fn wake(self: Arc<Self>) {}
}

/// Arms bells one after the other, as a task that makes calls. Whoever has armed one is woken by
/// a look that comes after.
fn calls(cache: &SlotCache, dues: &[u64]) {
    let waker = Waker::from(Arc::new(Task));
    for due in dues {
        let Some(slot) = cache.arm(*due, &waker) else { continue };
        assert!(slot.is_heard(&waker), "armed in vain");
        slot.register(&waker);
        assert!(slot.is_heard(&waker), "registered in vain");
        slot.disarm();
    }
}

/// Whatever looks and others did to the bell before, and do to it now.
#[test]
fn a_bell_that_is_armed_is_heard() {
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
