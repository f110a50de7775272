//! Circles and their like, and how many steps it takes to see them.

use super::search::{Search, Walk};
use super::{Until, WaitEdge, Waits};
use crate::base::pid::Pid;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier};
use std::thread::scope;

const CIRCLE: &str = "this edge closes a circle";
const NO_CIRCLE: &str = "this edge closes no circle";

fn pid(number: u64) -> Pid {
    Pid::from_raw(number)
}

fn detecting() -> Waits {
    let waits = Waits::default();
    waits.detect(true);
    waits
}

/// How many steps it takes to see where the edges lead from here.
fn steps(waits: &Waits, home: Pid, from: Pid) -> usize {
    let (mut search, known) = (Search::new(home, from), waits.graph.lock());
    (1..).find(|_| search.walk(&known.edges, 1) != Walk::Unfinished).expect("it comes to an end")
}

#[test]
fn a_circle_is_named_and_others_are_left_alone() {
    let waits = detecting();
    let [a, b, c, d] = [1, 2, 3, 4].map(pid);
    let ab = waits.enter(a, b).expect(NO_CIRCLE);
    let _bd = waits.enter(b, d).expect(NO_CIRCLE);
    let _bc = waits.enter(b, c).expect(NO_CIRCLE);
    assert_eq!(waits.enter(c, a).expect_err(CIRCLE), [c, a, b, c]);
    drop(ab);
    assert!(waits.enter(c, a).is_ok());
    assert!(waits.enter(Pid::OUTSIDE, a).expect(NO_CIRCLE).is_none());
}

/// Each of a layer waits for both of the next: there are 2^24 ways, and 96 edges.
#[test]
fn converging_waits_are_followed_once_each() {
    let waits = detecting();
    let mut edges: Vec<WaitEdge> = Vec::new();
    for layer in 0..24 {
        for (from, to) in [(0, 2), (0, 3), (1, 2), (1, 3)] {
            let (from, to) = (pid(10 + 2 * layer + from), pid(10 + 2 * layer + to));
            edges.extend(waits.enter(from, to).expect(NO_CIRCLE));
        }
    }
    // Each edge is followed once, and each process is left once.
    let most = edges.len() + 2 * 25 + 1;
    let taken = steps(&waits, pid(1), pid(10));
    assert!(taken <= most, "{taken} steps, {most} would do");
    assert!(waits.enter(pid(1), pid(10)).expect(NO_CIRCLE).is_some());
    assert_eq!(waits.enter(pid(10 + 48), pid(10)).expect_err(CIRCLE).len(), 26);
}

/// Longer than what is followed under one lock, and with a process that waits for many.
#[test]
fn a_long_circle_and_a_wide_one_are_found() {
    let waits = detecting();
    let chain = |n: u64| waits.enter(pid(n), pid(n + 1)).expect(NO_CIRCLE);
    let _chain: Vec<_> = (1..5_000).map(chain).collect();
    let asks = |n: u64| waits.enter(pid(5_000), pid(10_000 + n)).expect(NO_CIRCLE);
    let _many: Vec<_> = (0..5_000).map(asks).collect();
    assert_eq!(waits.enter(pid(5_000), pid(1)).expect_err(CIRCLE).len(), 5_001);
    let _back = waits.enter(pid(14_999), pid(20_000)).expect(NO_CIRCLE);
    assert_eq!(waits.enter(pid(20_000), pid(4_999)).expect_err(CIRCLE).len(), 5);
    assert!(waits.enter(pid(30_000), pid(1)).expect(NO_CIRCLE).is_some());
}

/// One that waits twice for the same, and is done with one of them, still waits.
#[test]
fn each_wait_counts() {
    let waits = detecting();
    let once = waits.enter(pid(1), pid(2));
    let twice = waits.wait(pid(1), pid(2), Until::Answer);
    drop(once);
    assert!(waits.enter(pid(2), pid(1)).is_err());
    drop(twice);
    assert!(waits.enter(pid(2), pid(1)).is_ok());
    assert!(waits.graph.lock().edges.is_empty());
}

/// Whether its waiter has noticed or not.
#[test]
fn what_a_process_says_ends_the_waits_for_just_that() {
    let waits = detecting();
    let wait = |caller, until| waits.wait(pid(caller), pid(9), until);
    let _all = [wait(1, Until::Started), wait(1, Until::Ready), wait(2, Until::Started)];
    let _other = waits.wait(pid(1), pid(8), Until::Started);
    waits.reached(pid(9), Until::Started);
    assert!(waits.enter(pid(9), pid(2)).is_ok());
    assert!(waits.enter(pid(9), pid(1)).is_err());
    waits.reached(pid(9), Until::Ready);
    assert!(waits.enter(pid(9), pid(1)).is_ok());
    assert!(waits.enter(pid(8), pid(1)).is_err());
    drop((_all, _other));
    let known = waits.graph.lock();
    assert!(known.edges.is_empty() && known.until.is_empty());
}

/// Whether its caller has noticed or not. Another wait of the same caller stays.
#[test]
fn an_answer_ends_its_wait() {
    let waits = detecting();
    let (due, waits_for) = (Arc::new(AtomicBool::new(true)), || waits.enter(pid(1), pid(2)));
    let seen = due.clone();
    let mut once = waits_for().expect(NO_CIRCLE).expect("it is on");
    once.end_with(move || seen.load(Ordering::SeqCst));
    let twice = waits_for().expect(NO_CIRCLE);
    assert_eq!(waits.enter(pid(2), pid(1)).expect_err(CIRCLE), [pid(2), pid(1), pid(2)]);
    due.store(false, Ordering::SeqCst);
    assert!(waits.enter(pid(2), pid(1)).is_err());
    drop(twice);
    assert!(waits.enter(pid(2), pid(1)).is_ok());
    drop(once);
    let known = waits.graph.lock();
    assert!(known.edges.is_empty() && known.due.is_empty());
}

#[test]
fn of_those_that_close_a_circle_together_one_is_refused() {
    for _ in 0..500 {
        let (waits, all) = (detecting(), Barrier::new(4));
        let (waits, all) = (&waits, &all);
        let refused = scope(|scope| {
            let enters = |n: u64| {
                scope.spawn(move || {
                    all.wait();
                    let edge = waits.enter(pid(1 + n), pid(1 + (n + 1) % 4));
                    all.wait();
                    edge.is_err()
                })
            };
            let threads = [0, 1, 2, 3].map(enters);
            threads.map(|thread| thread.join().expect("it only adds an edge"))
        });
        assert_eq!(refused.into_iter().filter(|refused| *refused).count(), 1);
    }
}
