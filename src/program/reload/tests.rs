//! Tests of reloads under a paused clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use tokio::time::sleep;

use crate::base::PlainMutex;
use crate::child::ChildSpec;
use crate::exit::{ExitReason, Result};
use crate::program::reload::{HangupClosure, OnHangup, Reloader};
use crate::runtime::Runtime;
use crate::supervisor::{ChildInfo, Supervisor, SupervisorRef};

const SECOND: Duration = Duration::from_secs(1);

/// Starts a tree whose child takes one second to start and one second to stop. Also returns the
/// number of starts of the child.
async fn start_slow_tree(rt: &Runtime) -> (SupervisorRef, Arc<AtomicU32>) {
    let starts = Arc::new(AtomicU32::new(0));
    let counted = starts.clone();
    let child = ChildSpec::task("slow", move |mut ctx| {
        counted.fetch_add(1, Ordering::SeqCst);
        async move {
            sleep(SECOND).await;
            ctx.set_health(crate::Health::Ready);
            ctx.shutdown().await;
            sleep(SECOND).await;
            Ok(())
        }
    });
    let child = child.ready_within(Duration::from_secs(60));
    let inner = Supervisor::one_for_one().with_id("inner").child(child);
    let tree = Supervisor::one_for_one().child(inner).start(rt).await;
    (tree.expect("it starts"), starts)
}

fn restart_slow() -> OnHangup {
    OnHangup { call: None, restart: Some("inner/slow".to_owned()) }
}

async fn info_of_slow(rt: &Runtime, tree: &SupervisorRef) -> ChildInfo {
    let inner = tree.which_child("inner").await.expect("it is there").pid();
    let inner = rt.server_at(inner.expect("it runs")).expect("it is a supervisor");
    SupervisorRef { server: inner }.which_child("slow").await.expect("it is there")
}

#[tokio::test(start_paused = true)]
async fn requests_during_the_stop_of_the_child_join_that_restart() {
    let rt = Runtime::new();
    let (tree, starts) = start_slow_tree(&rt).await;
    let reloader = Reloader::start(&rt, &tree, &restart_slow(), None);
    for _ in 0..5 {
        reloader.request();
        sleep(SECOND / 10).await;
    }
    sleep(60 * SECOND).await;
    assert_eq!(starts.load(Ordering::SeqCst), 2);
    let slow = info_of_slow(&rt, &tree).await;
    assert_eq!((slow.restarts, slow.starts_by_hand, slow.history.len()), (0, 1, 1));
    assert!(slow.pid().is_some());
}

#[tokio::test(start_paused = true)]
async fn requests_during_the_start_of_the_child_cause_one_more_restart() {
    let rt = Runtime::new();
    let (tree, starts) = start_slow_tree(&rt).await;
    let reloader = Reloader::start(&rt, &tree, &restart_slow(), None);
    reloader.request();
    sleep(SECOND + SECOND / 2).await; // the child is starting
    for _ in 0..5 {
        reloader.request();
    }
    sleep(60 * SECOND).await;
    assert_eq!(starts.load(Ordering::SeqCst), 3);
    let slow = info_of_slow(&rt, &tree).await;
    assert_eq!((slow.restarts, slow.starts_by_hand), (0, 2));
}

#[tokio::test(start_paused = true)]
async fn a_dropped_reloader_restarts_nothing() {
    let rt = Runtime::new();
    let (tree, starts) = start_slow_tree(&rt).await;
    let reloader = Reloader::start(&rt, &tree, &restart_slow(), None);
    reloader.request();
    sleep(SECOND / 2).await; // the child is stopping
    drop(reloader);
    sleep(60 * SECOND).await;
    assert_eq!(starts.load(Ordering::SeqCst), 1);
}

/// Returns a closure that takes one second, and the number of its calls. The calls return these
/// results, the first one first, and after that `Ok(())`.
fn slow_closure(results: Vec<Result>) -> (HangupClosure, Arc<AtomicU32>) {
    let (calls, results) = (Arc::new(AtomicU32::new(0)), Arc::new(PlainMutex::new(results)));
    let counted = calls.clone();
    let closure = async move || {
        counted.fetch_add(1, Ordering::SeqCst);
        sleep(SECOND).await;
        let next = results.lock().pop();
        next.unwrap_or(Ok(()))
    };
    (HangupClosure::new(closure), calls)
}

#[tokio::test(start_paused = true)]
async fn requests_while_the_closure_runs_cause_one_more_call() {
    let rt = Runtime::new();
    let (tree, starts) = start_slow_tree(&rt).await;
    let (call, calls) = slow_closure(Vec::new());
    let on_hangup = OnHangup { call: Some(call), restart: None };
    let reloader = Reloader::start(&rt, &tree, &on_hangup, None);
    for _ in 0..5 {
        reloader.request();
        sleep(SECOND / 10).await;
    }
    sleep(60 * SECOND).await;
    assert_eq!((calls.load(Ordering::SeqCst), starts.load(Ordering::SeqCst)), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn requests_during_the_stop_of_the_child_cause_one_more_call_and_restart() {
    let rt = Runtime::new();
    let (tree, starts) = start_slow_tree(&rt).await;
    let (call, calls) = slow_closure(Vec::new());
    let on_hangup = OnHangup { call: Some(call), ..restart_slow() };
    let reloader = Reloader::start(&rt, &tree, &on_hangup, None);
    reloader.request();
    sleep(SECOND + SECOND / 2).await; // the child is stopping
    reloader.request();
    reloader.request();
    sleep(60 * SECOND).await;
    assert_eq!((calls.load(Ordering::SeqCst), starts.load(Ordering::SeqCst)), (2, 3));
}

#[tokio::test(start_paused = true)]
async fn a_closure_that_fails_leaves_the_child_alone() {
    let rt = Runtime::new();
    let (tree, starts) = start_slow_tree(&rt).await;
    let (call, calls) = slow_closure(vec![Err(ExitReason::crashed("no such port"))]);
    let on_hangup = OnHangup { call: Some(call), ..restart_slow() };
    let reloader = Reloader::start(&rt, &tree, &on_hangup, None);
    for expected in [1, 2] {
        reloader.request();
        sleep(60 * SECOND).await;
        assert_eq!(starts.load(Ordering::SeqCst), expected);
    }
    assert_eq!(calls.load(Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn a_panic_of_the_closure_is_its_error() {
    let panics = |early: bool| {
        HangupClosure::new(move || {
            assert!(!early, "before the future");
            async move { if early { Ok(()) } else { panic!("in the future") } }
        })
    };
    for (early, text) in [(true, "before the future"), (false, "in the future")] {
        let reason = panics(early).call().await.unwrap_err();
        assert!(reason.crash().expect("a panic").message().contains(text), "{reason}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_dropped_reloader_drops_a_closure_that_runs() {
    let rt = Runtime::new();
    let (tree, _) = start_slow_tree(&rt).await;
    let alive = Arc::new(());
    let held = Arc::downgrade(&alive);
    let call = HangupClosure::new(async move || {
        let _alive = alive;
        std::future::pending::<Result>().await
    });
    let on_hangup = OnHangup { call: Some(call), restart: None };
    let reloader = Reloader::start(&rt, &tree, &on_hangup, None);
    reloader.request();
    sleep(SECOND).await;
    drop((reloader, on_hangup));
    sleep(SECOND).await;
    assert!(held.upgrade().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_failed_restart_leaves_the_child_stopped_until_the_next_request() {
    let rt = Runtime::new();
    let valid = Arc::new(AtomicBool::new(true));
    let reads = valid.clone();
    let child = ChildSpec::task("reader", move |ctx| async move {
        if !reads.load(Ordering::SeqCst) {
            return Err(ExitReason::crashed("invalid"));
        }
        ctx.set_health(crate::Health::Ready);
        std::future::pending().await
    });
    let tree = Supervisor::one_for_one().child(child.ready_within(SECOND));
    let tree = tree.start(&rt).await.expect("it starts");
    let on_hangup = OnHangup { call: None, restart: Some("reader".to_owned()) };
    let reloader = Reloader::start(&rt, &tree, &on_hangup, None);
    for is_valid in [false, true] {
        valid.store(is_valid, Ordering::SeqCst);
        reloader.request();
        sleep(60 * SECOND).await;
        let reader = tree.which_child("reader").await.expect("it is there");
        assert_eq!(reader.pid().is_some(), is_valid);
    }
}
