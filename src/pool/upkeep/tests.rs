//! Unit tests of the decisions of a pool.

use std::time::Duration;

use crate::base::Pid;
use crate::pool::limits::Limits;
use crate::pool::state::{State, Taken};

fn limits(size: usize, overflow: usize) -> Limits {
    Limits {
        size,
        overflow,
        overflow_idle: Duration::ZERO,
        lazy: false,
        fifo: false,
        max_lifetime: None,
        max_idle: None,
        rate: None,
    }
}

/// The first start of a worker.
fn start(state: &mut State<u64>, worker: u64) {
    state.started(worker, Pid::from_raw(worker));
    state.ready(worker, worker);
}

/// A pool whose workers are all idle. Their handles are their numbers.
fn idle(size: usize, overflow: usize) -> State<u64> {
    let mut state = State::new(limits(size, overflow));
    for _ in 0..state.missing() {
        let worker = state.add();
        start(&mut state, worker);
    }
    state.open();
    state.sort();
    state
}

fn take(state: &mut State<u64>) -> Option<Taken<u64>> {
    state.take(None, |_| true)
}

fn give_back(state: &mut State<u64>, taken: &Taken<u64>) -> bool {
    state.give_back((taken.worker, taken.lease), true, false, |_| true)
}

#[test]
fn a_return_is_counted_once() {
    let mut state = idle(1, 0);
    let first = take(&mut state).unwrap();
    assert!(!give_back(&mut state, &first));
    let second = take(&mut state).unwrap();
    assert_eq!(second.worker, first.worker);
    give_back(&mut state, &first); // the lease before
    assert!(take(&mut state).is_none());
    give_back(&mut state, &second);
    assert!(take(&mut state).is_some());
}

#[test]
fn a_return_goes_to_the_server_while_a_client_waits() {
    let mut state = idle(1, 0);
    let taken = take(&mut state).unwrap();
    state.waiting = 1;
    assert!(give_back(&mut state, &taken));
    assert_eq!(state.status().idle, 1);
    assert!(take(&mut state).is_none()); // not before the server has sorted it
    assert_eq!(state.sort(), [taken.lease]);
    assert!(take(&mut state).is_some());
}

#[test]
fn a_worker_that_is_ready_again_has_no_lease() {
    let mut state = idle(1, 0);
    let taken = take(&mut state).unwrap();
    state.ready(taken.worker, 7);
    state.sort();
    give_back(&mut state, &taken);
    assert_eq!(take(&mut state).unwrap().handle, 7);
    assert!(take(&mut state).is_none());
}

#[test]
fn surplus_workers_are_stopped_and_their_stops_count_until_they_are_forgotten() {
    let mut state = idle(1, 1);
    let first = take(&mut state).unwrap();
    state.waiting = 1;
    assert_eq!(state.missing(), 1);
    let worker = state.add();
    assert_eq!(state.missing(), 0);
    start(&mut state, worker);
    state.sort();
    let second = take(&mut state).unwrap();
    state.waiting = 0;
    assert!(give_back(&mut state, &second)); // surplus
    state.sort();
    assert_eq!(state.stops(), [(worker, Pid::from_raw(worker))]);
    assert_eq!(state.stops(), []); // requested once
    state.waiting = 1;
    assert_eq!(state.missing(), 0); // the limit counts the worker that is being stopped
    state.forget(worker);
    assert_eq!(state.missing(), 1);
    state.waiting = 0;
    assert!(!give_back(&mut state, &first));
}

#[test]
fn a_new_server_requests_stops_again_and_gets_the_clients_of_all_leases() {
    let mut state = idle(2, 0);
    let client = Pid::from_raw(9);
    let broken = take(&mut state).unwrap();
    let kept = state.take(Some(client), |_| true).unwrap();
    state.give_back((broken.worker, broken.lease), true, true, |_| true);
    let stops = [(broken.worker, Pid::from_raw(broken.worker))];
    assert_eq!(state.stops(), stops);
    assert_eq!(state.open(), [(kept.lease, client)]);
    assert_eq!(state.stops(), stops);
    state.forfeit(client);
    assert_eq!(state.stops().len(), 1);
    assert_eq!(state.live(), 0);
}

#[test]
fn a_dead_worker_is_passed_over_until_it_is_ready_again() {
    let mut state = idle(2, 0);
    let taken = state.take(None, |&handle| handle == 1).unwrap();
    assert_eq!((taken.worker, state.status().starting), (1, 1));
    assert!(take(&mut state).is_none());
    state.ready(2, 2);
    state.sort();
    assert_eq!(take(&mut state).unwrap().worker, 2);
}

#[test]
fn a_worker_is_stopped_by_its_first_process_also_if_that_was_never_ready() {
    let mut state = State::new(limits(1, 0));
    let worker = state.add();
    state.started(worker, Pid::from_raw(5));
    state.started(worker, Pid::from_raw(6));
    state.ready(worker, worker);
    state.sort();
    let taken = take(&mut state).unwrap();
    state.give_back((taken.worker, taken.lease), true, true, |_| true);
    assert_eq!(state.stops(), [(worker, Pid::from_raw(5))]);
}
