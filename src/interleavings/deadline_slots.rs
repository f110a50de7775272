//! The per-task slot cache of call deadlines, with two slots for all tasks.

use std::sync::Arc;
use std::task::{Wake, Waker};

use crate::base::sync::atomic::{AtomicU64, Ordering::SeqCst};
use crate::interleavings::check;
use crate::time::deadline_pool::cached_slot::LIMIT;
use crate::time::deadline_pool::slot_cache::SlotCache;

/// A task that does nothing when it is woken.
struct Task;

impl Wake for Task {
    fn wake(self: Arc<Self>) {}
}

/// Arms slots one after the other, as a task does that makes calls. Checks that a sweep after a
/// slot was armed would wake the task.
fn calls(cache: &SlotCache, dues: &[u64]) {
    let waker = Waker::from(Arc::new(Task));
    for due in dues {
        let Some(slot) = cache.arm(*due, &waker) else { continue };
        assert!(slot.will_wake(&waker), "no sweep wakes the task that armed the slot");
        slot.register(&waker);
        assert!(slot.will_wake(&waker), "no sweep wakes the waker that was registered");
        slot.disarm();
    }
}

/// Three tasks arm slots from the same cache while sweeps run. Each task that has armed a slot is
/// woken by a later sweep, whatever sweeps and other tasks do to that slot before or at the same
/// time.
#[test]
fn a_task_that_armed_a_slot_is_woken_by_a_sweep() {
    check(|world| {
        let cache = Arc::new(SlotCache::default());
        let all = [vec![1, 2, 9], vec![3, 3], vec![9]].map(|dues| {
            let cache = cache.clone();
            world.on_thread(move |_| calls(&cache, &dues))
        });
        for _ in 0..2 {
            cache.expire_due(|| 5, &mut Vec::new());
        }
        all.into_iter().for_each(|one| one.join().expect("it ends"));
        assert_eq!(cache.armed(), 0);
    });
}

/// Two tasks arm their slots for a limit, again and again. Time passes before each call, also while
/// a sweep runs. No
/// slot expires before its limit has passed, and a task that has armed a slot is woken by a later
/// sweep.
#[test]
fn a_slot_armed_for_a_limit_never_expires_early() {
    check(|world| {
        let (cache, time) = (Arc::new(SlotCache::default()), Arc::new(AtomicU64::new(1)));
        let all = [2, 3].map(|limit| {
            let (cache, time) = (cache.clone(), time.clone());
            world.on_thread(move |_| {
                let waker = Waker::from(Arc::new(Task));
                for _ in 0..3 {
                    let start = time.fetch_add(1, SeqCst) + 1;
                    let Some(slot) = cache.arm(LIMIT | limit, &waker) else { continue };
                    assert!(slot.will_wake(&waker), "no sweep wakes the task that armed the slot");
                    if slot.has_expired() {
                        assert!(time.load(SeqCst) >= start + limit, "the slot expired early");
                    }
                    slot.disarm();
                }
            })
        });
        for _ in 0..4 {
            time.fetch_add(1, SeqCst);
            cache.expire_due(|| time.load(SeqCst), &mut Vec::new());
        }
        all.into_iter().for_each(|one| one.join().expect("it ends"));
        assert_eq!(cache.armed(), 0);
    });
}
