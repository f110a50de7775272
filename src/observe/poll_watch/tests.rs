//! The thread of the watch: when it starts and ends, and which slots it looks at.

use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crate::base::{Pid, SharedStr};
use crate::observe::poll_slots::leave;
use crate::observe::poll_watch::{LongPoll, PollReporter, PollWatch};

/// Sends each pid that begins, and is dropped with the thread.
struct Pids(Sender<Pid>);

impl PollReporter for Pids {
    fn describe(&self, _: Pid) -> (Option<SharedStr>, Option<SharedStr>) {
        (None, None)
    }

    fn begins(&self, poll: &LongPoll) {
        self.0.send(poll.pid).expect("the test waits");
    }

    fn ends(&self, _: &LongPoll) {}
}

fn turned_on() -> (Arc<PollWatch>, Receiver<Pid>) {
    let (watch, (sender, pids)) = (Arc::<PollWatch>::default(), mpsc::channel());
    watch.turn_on(Duration::ZERO, Pids(sender), || {}).expect("a thread can be started");
    (watch, pids)
}

#[test]
fn the_thread_ends_when_the_watch_is_turned_off_or_closed() {
    for end in [|watch: &PollWatch| watch.turn_off(|| {}), PollWatch::close] {
        let (watch, pids) = turned_on();
        watch.enter(Pid::from_raw(1));
        assert_eq!(pids.recv(), Ok(Pid::from_raw(1)));
        end(&watch);
        assert!(pids.recv().is_err(), "the reporter is dropped with its thread");
        leave();
    }
}

#[test]
fn a_slot_of_before_is_watched_by_the_next_thread() {
    let (watch, pids) = turned_on();
    watch.enter(Pid::from_raw(1));
    assert_eq!(pids.recv(), Ok(Pid::from_raw(1)));
    watch.turn_off(|| {});
    assert!(pids.recv().is_err());
    let (sender, pids) = mpsc::channel();
    watch.turn_on(Duration::ZERO, Pids(sender), || {}).expect("a thread can be started");
    assert_eq!(pids.recv(), Ok(Pid::from_raw(1)), "its poll still runs");
    leave();
    watch.enter(Pid::from_raw(2)); // in the same slot
    assert_eq!(pids.recv(), Ok(Pid::from_raw(2)));
}

/// Sends each pid that begins, and holds the thread of the watch at the first one.
struct HeldAtFirst(Sender<Pid>, Mutex<Receiver<()>>);

impl PollReporter for HeldAtFirst {
    fn describe(&self, _: Pid) -> (Option<SharedStr>, Option<SharedStr>) {
        (None, None)
    }

    fn begins(&self, poll: &LongPoll) {
        self.0.send(poll.pid).expect("the test waits");
        if poll.pid == Pid::from_raw(1) {
            let _ = self.1.lock().expect("one thread").recv();
        }
    }

    fn ends(&self, _: &LongPoll) {}
}

/// The look at a slot may come late, because a report of another one took long.
#[test]
fn a_poll_that_began_during_a_report_is_reported_after_its_limit() {
    let limit = Duration::from_millis(400);
    let (watch, (sender, pids)) = (Arc::<PollWatch>::default(), mpsc::channel());
    let (release, held) = mpsc::channel();
    watch.turn_on(limit, HeldAtFirst(sender, Mutex::new(held)), || {}).expect("a thread starts");
    watch.enter(Pid::from_raw(1));
    watch.enter(Pid::from_raw(2)); // in the next slot
    assert!(pids.iter().any(|pid| pid == Pid::from_raw(1)));
    leave();
    let reported = Instant::now();
    while reported.elapsed() < limit {
        thread::yield_now();
    }
    watch.enter(Pid::from_raw(3)); // in that slot
    let began = Instant::now();
    release.send(()).expect("the watch is held");
    assert!(pids.iter().any(|pid| pid == Pid::from_raw(3)));
    assert!(began.elapsed() >= limit, "{:?}", began.elapsed());
    watch.close();
}

#[test]
fn slots_of_threads_that_have_ended_are_removed() {
    let (watch, pids) = turned_on();
    for pid in 1..4 {
        let polls = watch.clone();
        let end = mpsc::channel::<()>();
        let thread = thread::spawn(move || {
            polls.enter(Pid::from_raw(pid));
            let _ = end.1.recv();
            leave();
        });
        assert_eq!(pids.recv(), Ok(Pid::from_raw(pid)));
        drop(end.0);
        thread.join().expect("it does not panic");
    }
    watch.enter(Pid::from_raw(4));
    assert_eq!(pids.recv(), Ok(Pid::from_raw(4)));
    watch.turn_off(|| {});
    assert!(pids.recv().is_err());
    assert_eq!(watch.new_slots.take().len(), 1, "the slots that the thread has handed back");
}
