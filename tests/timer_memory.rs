//! The memory of very many timers is freed when they are cancelled, and soon after their target has
//! ended, long before they are due.
//!
//! This file is a program of its own, because its allocator counts the allocations of the whole
//! program.

use std::time::Duration;

use peak_alloc::PeakAlloc;
use regrow::{Pid, Runtime};
use tokio::task::yield_now;
use tokio::time::Instant;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

const HOUR: Duration = Duration::from_secs(3_600);
const ALL: usize = 200_000;

/// How much the memory may change without a leak: the memory of a few timers for each shard of the
/// queue, and the buffers of tokio.
const SLACK: usize = 256 * 1024;

fn idle(rt: &Runtime) -> Pid {
    rt.spawn(|_| std::future::pending()).pid()
}

/// Yields until the memory in use is below this, while the clock stands still.
async fn freed(below: usize) {
    let start = Instant::now();
    while ALLOCATOR.current_usage() > below {
        yield_now().await;
    }
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn the_memory_of_very_many_timers_is_freed_with_their_target_or_as_they_are_cancelled() {
    let rt = Runtime::new();
    let before = ALLOCATOR.current_usage();
    for _ in 0..2 {
        let target = idle(&rt);
        (0..ALL).for_each(|_| drop(rt.send_after(target, HOUR, Vec::new())));
        assert!(ALLOCATOR.current_usage() > before + ALL * 40);
        rt.kill(target);
        freed(before + SLACK).await;
    }
    let target = idle(&rt);
    let mut timers: Vec<_> = (0..ALL).map(|_| rt.send_after(target, HOUR, Vec::new())).collect();
    let kept = timers.split_off(ALL - ALL / 100);
    assert!(timers.iter().all(regrow::TimerRef::cancel));
    drop(timers);
    // One timer in a hundred is left, of those that were set last.
    freed(before + SLACK + ALL / 100 * 200 + ALL).await;
    assert!(kept.iter().all(regrow::TimerRef::cancel));
}
