//! A dynamic supervisor's starts and stops that end otherwise than they were begun.

mod support;

use std::future::pending;
use std::time::Duration;

use regrow::{CallError, ChildSpec, DynamicSupervisor, Runtime, Shutdown};
use support::settled;
use support::troupe::{Start, Troupe};
use tokio::time::timeout;

const SECOND: Duration = Duration::from_secs(1);

/// A restart that was called off, and comes to nothing after that: the name that the child held
/// is free, and not kept for a successor.
#[tokio::test(start_paused = true)]
async fn a_restart_that_was_called_off_and_fails_leaves_no_name() {
    let mut t = Troupe::new();
    let jobs = DynamicSupervisor::new().start(&t.rt).await.unwrap();
    t.next_starts("a", [Start::Good, Start::FailsAfter(SECOND)]);
    let pid = jobs.start_child(t.child("a")).await.unwrap();
    t.rt.kill(pid);
    settled().await;
    assert_eq!(jobs.terminate_child(pid).await, Ok(()));
    tokio::time::sleep(2 * SECOND).await;
    assert_eq!(t.player("a").call(|reply| reply).await, Err(CallError::NoProc));
    let started = timeout(SECOND, jobs.get_or_start("a", t.child("a"))).await;
    assert!(started.is_ok_and(|started| started.is_ok()));
    assert_eq!(t.told().await, ["a starts", "a fails", "a starts"]);
}

/// One timer serves all stops, however many of them come and go beside one that takes long.
#[tokio::test(start_paused = true)]
async fn stops_need_one_timer() {
    let rt = Runtime::new();
    let jobs = DynamicSupervisor::new().start(&rt).await.unwrap();
    let deaf = |time| {
        let child = ChildSpec::task("deaf", |mut ctx| async move {
            let stop = ctx.cancellation_token();
            stop.cancelled().await;
            pending().await
        });
        child.shutdown(time)
    };
    let long = jobs.start_child(deaf(Shutdown::Infinity)).await.unwrap();
    tokio::spawn({
        let jobs = jobs.clone();
        async move { jobs.terminate_child(long).await }
    });
    for _ in 0..50 {
        let job = jobs.start_child(deaf(Shutdown::Timeout(SECOND / 10))).await.unwrap();
        assert_eq!(jobs.terminate_child(job).await, Ok(()));
        tokio::time::sleep(SECOND).await;
    }
    assert_eq!(rt.leftovers().timers, 1);
    rt.kill(long);
}
