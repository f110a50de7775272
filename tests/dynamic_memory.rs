//! A dynamic supervisor keeps no memory of children that have ended.
//!
//! This file is a program of its own, because its allocator counts the allocations of the whole
//! program. `REGROW_CHILDREN=1000000 cargo test --release --test dynamic_memory` is the long run.

mod support;

use peak_alloc::PeakAlloc;
use regrow::{ChildSpec, DynamicSupervisor, DynamicSupervisorRef, Restart, Runtime, StartError};
use support::scripted_children::{ScriptedChildren, Start};

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// How much the memory may change without a leak, mostly by buffers.
const SLACK: usize = 64 * 1024;

fn children() -> usize {
    std::env::var("REGROW_CHILDREN").map_or(20_000, |n| n.parse().expect("a number"))
}

/// Returns a temporary child with an argument of 200 bytes, which crashes or ends normally.
fn job(crash: bool) -> ChildSpec {
    let argument = "x".repeat(200);
    let body = move |_| async move {
        match crash && argument.starts_with('x') {
            true => Err(regrow::ExitReason::crashed("as planned")),
            false => Ok(()),
        }
    };
    ChildSpec::task("job", body).restart(Restart::Temporary)
}

/// Starts this number of children, and waits until the supervisor has forgotten all of them.
async fn come_and_go(jobs: &DynamicSupervisorRef, t: &ScriptedChildren, children: usize) {
    for n in 0..children {
        if n % 8 == 0 {
            t.next_starts("picky", [Start::Ignores]);
            let picky = t.child("picky").restart(Restart::Temporary);
            assert_eq!(jobs.start_child(picky).await, Err(StartError::Ignored));
        }
        let pid = jobs.start_child(job(n % 2 == 0)).await.unwrap();
        if n % 64 == 0 {
            t.rt.ended(pid).await;
        }
        if n % 1_000 == 0 {
            // All children end by themselves.
            while jobs.count_children().await.unwrap().specs > 0 {
                tokio::task::yield_now().await;
            }
        }
    }
    while jobs.count_children().await.unwrap().specs > 0 {
        tokio::task::yield_now().await;
    }
}

/// DYN-003, T44.
#[tokio::test]
async fn ended_temporary_children_leave_no_memory_allocated() {
    let mut t = ScriptedChildren::on(Runtime::new());
    let jobs = DynamicSupervisor::new().intensity(0, std::time::Duration::from_secs(1));
    let jobs = jobs.start(&t.rt).await.unwrap();
    come_and_go(&jobs, &t, 2_000).await;
    while t.try_report() {}
    let before = ALLOCATOR.current_usage();
    ALLOCATOR.reset_peak_usage();

    for _ in 0..children() / 2_000 {
        come_and_go(&jobs, &t, 2_000).await;
        while t.try_report() {}
    }

    let (kept, peak) = (ALLOCATOR.current_usage(), ALLOCATOR.peak_usage());
    assert!(kept < before + SLACK, "{before} bytes before, {kept} after");
    assert!(peak < before + 32 * SLACK, "{before} bytes before, {peak} at the most");
    assert!(t.rt.spawned() > children() as u64);
}
