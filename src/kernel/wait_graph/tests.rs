//! Tests that exactly the edges that close a cycle are refused, and that a search takes few steps.

use super::search::{Progress, Search};
use super::{Until, WaitEdge, Waits};
use crate::base::pid::Pid;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::thread::scope;

const CYCLE: &str = "this edge closes a cycle";
const NO_CYCLE: &str = "this edge closes no cycle";

fn pid(number: u64) -> Pid {
    Pid::from_raw(number)
}

fn detecting() -> Waits {
    let waits = Waits::default();
    waits.detect(true);
    waits
}

/// The number of steps of a whole search.
fn steps(waits: &Waits, start: Pid, from: Pid) -> usize {
    let (mut search, edges) = (Search::new(start, from), waits.graph.0.lock());
    (1..).find(|_| search.walk(&edges.counts, 1) != Progress::Unfinished).expect("a search ends")
}

#[test]
fn an_edge_that_closes_a_cycle_is_refused_with_the_cycle() {
    let waits = detecting();
    let [a, b, c, d] = [1, 2, 3, 4].map(pid);
    let ab = waits.enter(a, b).expect(NO_CYCLE);
    let _bd = waits.enter(b, d).expect(NO_CYCLE);
    let _bc = waits.enter(b, c).expect(NO_CYCLE);
    assert_eq!(waits.enter(c, a).expect_err(CYCLE), [c, a, b, c]);
    drop(ab);
    assert!(waits.enter(c, a).is_ok());
    assert!(waits.enter(Pid::OUTSIDE, a).expect(NO_CYCLE).is_none());
}

/// Each process of a layer waits for both processes of the next layer: there are 2^24 paths, but
/// only 96 edges.
#[test]
fn each_edge_is_followed_once_where_paths_converge() {
    let waits = detecting();
    let mut held: Vec<WaitEdge> = Vec::new();
    for layer in 0..24 {
        for (from, to) in [(0, 2), (0, 3), (1, 2), (1, 3)] {
            let (from, to) = (pid(10 + 2 * layer + from), pid(10 + 2 * layer + to));
            held.extend(waits.enter(from, to).expect(NO_CYCLE));
        }
    }
    // Each edge is followed once, and each process is left once.
    let most = held.len() + 2 * 25 + 1;
    let taken = steps(&waits, pid(1), pid(10));
    assert!(taken <= most, "{taken} steps, more than {most}");
    assert!(waits.enter(pid(1), pid(10)).expect(NO_CYCLE).is_some());
    assert_eq!(waits.enter(pid(10 + 48), pid(10)).expect_err(CYCLE).len(), 26);
}

/// One cycle has more edges than a search follows under one lock. The other cycle leads through a
/// process that waits for many other processes. Both cycles are found.
#[test]
fn a_long_cycle_and_a_wide_one_are_found() {
    let waits = detecting();
    let chain = |n: u64| waits.enter(pid(n), pid(n + 1)).expect(NO_CYCLE);
    let _chain: Vec<_> = (1..5_000).map(chain).collect();
    let asks = |n: u64| waits.enter(pid(5_000), pid(10_000 + n)).expect(NO_CYCLE);
    let _many: Vec<_> = (0..5_000).map(asks).collect();
    assert_eq!(waits.enter(pid(5_000), pid(1)).expect_err(CYCLE).len(), 5_001);
    let _back = waits.enter(pid(14_999), pid(20_000)).expect(NO_CYCLE);
    assert_eq!(waits.enter(pid(20_000), pid(4_999)).expect_err(CYCLE).len(), 5);
    assert!(waits.enter(pid(30_000), pid(1)).expect(NO_CYCLE).is_some());
}

/// A process that waits twice for another process, and has ended one of these waits, still waits.
#[test]
fn waits_for_the_same_process_are_counted() {
    let waits = detecting();
    let once = waits.enter(pid(1), pid(2));
    let twice = waits.wait(pid(1), pid(2), Until::Answer);
    drop(once);
    assert!(waits.enter(pid(2), pid(1)).is_err());
    drop(twice);
    assert!(waits.enter(pid(2), pid(1)).is_ok());
    assert!(waits.graph.0.lock().counts.is_empty());
}

/// The waits end at the event, whether or not the waiting process has noticed it.
#[test]
fn an_event_of_a_process_ends_only_the_waits_for_that_event() {
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
    let edges = waits.graph.0.lock();
    assert!(edges.counts.is_empty() && edges.until.is_empty());
}

/// The wait ends with the answer, whether or not the caller has noticed it. Another wait of the
/// same caller stays.
#[test]
fn an_answer_ends_its_wait() {
    let waits = detecting();
    let (due, waits_for) = (Arc::new(AtomicBool::new(true)), || waits.enter(pid(1), pid(2)));
    let seen = due.clone();
    let mut once = waits_for().expect(NO_CYCLE).expect("it is on");
    once.end_with(move || seen.load(Ordering::SeqCst));
    let twice = waits_for().expect(NO_CYCLE);
    assert_eq!(waits.enter(pid(2), pid(1)).expect_err(CYCLE), [pid(2), pid(1), pid(2)]);
    due.store(false, Ordering::SeqCst);
    assert!(waits.enter(pid(2), pid(1)).is_err());
    drop(twice);
    assert!(waits.enter(pid(2), pid(1)).is_ok());
    drop(once);
    let edges = waits.graph.0.lock();
    assert!(edges.counts.is_empty() && edges.due.is_empty());
}

/// The list asks a wait whether its answer is due: until the first one that is.
#[test]
fn a_list_stops_at_the_first_wait_that_is_due_and_its_steps_are_bounded() {
    let asked = Arc::new(AtomicUsize::new(0));
    let waits_of = |waits: &Waits, server, is_due| {
        let mut edge = waits.enter(pid(1), pid(server)).expect(NO_CYCLE).expect("it is on");
        let asked = asked.clone();
        edge.end_with(move || {
            asked.fetch_add(1, Ordering::SeqCst);
            is_due
        });
        edge
    };
    let waits = detecting();
    let _due: Vec<_> = (0..20_000).map(|_| waits_of(&waits, 2, true)).collect();
    let list = waits.list().expect("it is on");
    assert_eq!((list.waits, list.left_out), (vec![(pid(1), pid(2))], 0));
    assert_eq!(asked.swap(0, Ordering::SeqCst), 1);
    // An edge whose waits have been answered is not listed, unless there are too many of them.
    let waits = detecting();
    let _answered: Vec<_> = (0..10).map(|_| waits_of(&waits, 2, false)).collect();
    assert!(waits.list().expect("it is on").waits.is_empty());
    let _more: Vec<_> = (0..20_000).map(|_| waits_of(&waits, 3, false)).collect();
    let _next = waits_of(&waits, 4, true);
    asked.store(0, Ordering::SeqCst);
    let list = waits.list().expect("it is on");
    assert_eq!((list.waits, list.left_out), (vec![(pid(1), pid(3))], 1));
    assert!(asked.load(Ordering::SeqCst) <= 4096);
}

#[test]
fn one_of_several_callers_that_close_a_cycle_together_is_refused() {
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
