//! Bells on their stand: two for everybody, in these runs.

use std::sync::Arc;
use std::task::{Wake, Waker};

use crate::interleavings::{check, thread};
use crate::time::deadline_pool::slot_cache::Stand;

/// Any task.
struct Task;

impl Wake for Task {
    fn wake(self: Arc<Self>) {}
}

/// Arms bells one after the other, as a task that makes calls. Whoever has armed one is woken by
/// a look that comes after.
fn calls(stand: &Stand, dues: &[u64]) {
    let waker = Waker::from(Arc::new(Task));
    for due in dues {
        let Some(bell) = stand.arm(*due, &waker) else { continue };
        assert!(bell.is_heard(&waker), "armed in vain");
        bell.register(&waker);
        assert!(bell.is_heard(&waker), "registered in vain");
        bell.disarm();
    }
}

/// Whatever looks and others did to the bell before, and do to it now.
#[test]
fn a_bell_that_is_armed_is_heard() {
    check(|| {
        let stand = Arc::new(Stand::default());
        let all = [vec![1, 2, 9], vec![3, 3], vec![9]].map(|dues| {
            let stand = stand.clone();
            thread::spawn(move || calls(&stand, &dues))
        });
        for _ in 0..2 {
            stand.take_due(5, &mut Vec::new());
        }
        for one in all {
            one.join().expect("it ends");
        }
        assert_eq!(stand.armed(), 0);
    });
}
