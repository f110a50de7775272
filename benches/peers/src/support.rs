//! What the systems share: counting, time, memory, percentiles.

use std::time::{Duration, Instant};

pub(crate) use counting::{Countdown, Pending};

// The file of regrow's own benches.
#[path = "../../support/counting.rs"]
mod counting;

/// The number of tasks that call one server at once.
pub(crate) const CALLERS: usize = 64;

/// The number of children of a group.
pub(crate) const GROUP: usize = 100;

/// How far in the future timers are.
pub(crate) const DELAY: Duration = Duration::from_secs(600);

/// One figure: the nanoseconds since `start`, for each of `operations`.
pub(crate) fn nanos_each(start: Instant, operations: usize) -> Option<Vec<f64>> {
    Some(vec![start.elapsed().as_nanos() as f64 / operations as f64])
}

/// One figure: the resident bytes since `before`, for each of `size`.
pub(crate) fn bytes_each(before: Option<usize>, size: usize) -> Option<Vec<f64>> {
    let bytes = resident()?.saturating_sub(before?);
    Some(vec![bytes as f64 / size as f64])
}

/// The resident bytes of this process, on Linux with pages of 4 KiB.
pub(crate) fn resident() -> Option<usize> {
    let pages = std::fs::read_to_string("/proc/self/statm").ok()?;
    let resident: usize = pages.split_whitespace().nth(1)?.parse().ok()?;
    Some(resident * 4096)
}

/// Waits until the spawned tasks are idle.
pub(crate) async fn wait_until_idle() {
    tokio::time::sleep(Duration::from_millis(100)).await;
}

/// Calls from many tasks at once. Three figures: percentiles of the nanoseconds of a call.
pub(crate) async fn call_from_many<C, F>(size: usize, client: impl Fn() -> C) -> Option<Vec<f64>>
where
    C: Fn() -> F + Send + 'static,
    F: Future<Output: Send> + Send,
{
    let caller = |_| {
        let call = client();
        tokio::spawn(async move {
            let mut waits = Vec::with_capacity(size / CALLERS + 1);
            for _ in 0..size.div_ceil(CALLERS) {
                let start = Instant::now();
                let _ = call().await;
                waits.push(start.elapsed().as_nanos() as f64);
            }
            waits
        })
    };
    let mut waits = Vec::with_capacity(size);
    for caller in (0..CALLERS).map(caller).collect::<Vec<_>>() {
        waits.extend(caller.await.ok()?);
    }
    waits.sort_by(f64::total_cmp);
    let at = |thousandths: usize| waits[waits.len() * thousandths / 1_000];
    Some(vec![at(500), at(990), at(999)])
}
