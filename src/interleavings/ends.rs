//! Several causes of an end at the same time, and the tasks that wait for the end.

use crate::base::pid::{MonitorRef, Pid};
use crate::exit::reason::ExitReason::{self, Killed, NoProc, Normal, Shutdown};
use crate::exit::signal::ExitKind::{Exit, Kill};
use crate::interleavings::operations::{end, run_task, send, signal};
use crate::interleavings::world::{World, down, exit, message};
use crate::interleavings::{block_on, check};
use crate::process::AnyProcess;

/// A process, a linked process that traps exits, and a watcher.
struct Watched {
    pid: Pid,
    linked: Pid,
    watcher: Pid,
    reference: MonitorRef,
}

fn watched(world: &World) -> (Watched, Pid) {
    let (pid, linked, watcher) = (world.process(), world.trapping(), world.process());
    assert!(world.link(linked, pid));
    (Watched { pid, linked, watcher, reference: world.monitor(watcher, pid) }, pid)
}

impl Watched {
    /// Checks that the watcher and the linked process were notified once each, with the same
    /// reason. Returns the reason.
    fn assert_notified(&self, world: &World) -> ExitReason {
        let reason = world.exit_reason(self.pid).expect("it has ended");
        let downs = [down(self.reference, self.pid, reason.clone())];
        assert_eq!(world.received(self.watcher), downs);
        assert_eq!(world.received(self.linked), [exit(self.pid, reason.clone())]);
        reason
    }
}

/// L7.
#[test]
fn the_first_of_two_signals_is_the_reason_in_all_notifications() {
    check(|world| {
        let (watched, pid) = watched(world);
        let alive = world.both(signal(pid, Killed, Kill), signal(pid, Shutdown, Exit));
        assert_eq!(alive, (true, true));
        world.drop_task(pid);
        let reason = watched.assert_notified(world);
        assert!(reason == Killed || reason == Shutdown);
    });
}

/// L7.
#[test]
fn a_signal_and_an_end_are_announced_once() {
    check(|world| {
        let (watched, pid) = watched(world);
        let (killed, ()) = world.both(signal(pid, Killed, Kill), end(pid, Shutdown));
        let reason = watched.assert_notified(world);
        assert_eq!(reason, if killed { Killed } else { Shutdown });
    });
}

/// L7.
#[test]
fn two_signals_and_an_end_are_announced_once() {
    check(|world| {
        let (watched, pid) = watched(world);
        let (killed, exited, ()) =
            world.three(signal(pid, Killed, Kill), signal(pid, Shutdown, Exit), end(pid, Normal));
        match watched.assert_notified(world) {
            Killed => assert!(killed),
            Shutdown => assert!(exited),
            Normal => assert!(!killed && !exited),
            other => panic!("unexpected reason {other}"),
        }
    });
}

/// L7.
#[test]
fn a_signal_always_wakes_the_task() {
    check(|world| {
        let pid = world.process();
        world.both(run_task(pid), signal(pid, Killed, Kill));
        assert!(world.has_ended(pid));
        assert_eq!(world.exit_reason(pid), Some(Killed));
    });
}

/// L7.
#[test]
fn two_signals_end_a_task_once() {
    check(|world| {
        let (watched, pid) = watched(world);
        world.three(run_task(pid), signal(pid, Killed, Kill), signal(pid, Shutdown, Exit));
        let reason = watched.assert_notified(world);
        assert!(reason == Killed || reason == Shutdown);
    });
}

/// L7.
#[test]
fn a_task_that_returns_as_it_is_killed_ends_once() {
    check(|world| {
        let (watched, pid) = watched(world);
        world.three(run_task(pid), send(pid, "stop"), signal(pid, Killed, Kill));
        let reason = watched.assert_notified(world);
        assert!(reason == Killed || reason == Normal);
    });
}

/// L7.
#[test]
fn a_task_is_woken_for_each_message() {
    check(|world| {
        let pid = world.process();
        let (received, ()) = world.both(run_task(pid), move |world| {
            world.send(pid, b"one".to_vec());
            world.send(pid, b"stop".to_vec());
        });
        assert_eq!(received, [message("one")]);
        assert_eq!(world.exit_reason(pid), Some(Normal));
    });
}

/// L7.
#[test]
fn a_task_that_waits_for_an_end_is_woken_after_the_monitors() {
    check(|world| {
        let (watched, pid) = watched(world);
        let watcher = watched.watcher;
        let wait = move |world: &World| (block_on(world.ended(pid)), world.queued(watcher));
        let ((reason, downs), ()) = world.both(wait, end(pid, Shutdown));
        // If the process had already left the table, `ended` returned `NoProc` without a wait.
        assert!(reason == NoProc || (reason == Shutdown && downs == 1), "{reason}, {downs}");
        watched.assert_notified(world);
    });
}

/// L7.
#[test]
fn a_dropped_wait_for_an_end_leaves_no_waiter() {
    check(|world| {
        let pid = world.process();
        let wait_briefly = move |world: &World| {
            let waiting = std::pin::pin!(world.ended(pid));
            let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
            let _ = waiting.poll(&mut cx);
        };
        world.both(wait_briefly, end(pid, Shutdown));
        let process: &dyn AnyProcess = &*world.process_of(pid);
        let waiters = process.with(|locked| {
            locked.core().relations().map_or(0, |relations| relations.waiters.len())
        });
        assert_eq!(waiters, 0);
    });
}

/// At each step of its end, a process is counted as alive or as finished. The counters are read in
/// the order in which a wrong teardown could make both reads miss the process.
#[test]
fn a_process_that_ends_is_never_missing_in_the_counters() {
    check(|world| {
        let pid = world.process();
        let count = |world: &World| world.process_count() as u64 + world.finished();
        let (counted, ()) = world.both(count, end(pid, Normal));
        assert!(counted >= 1);
    });
}

/// The counters are read in the order in which a wrong teardown could make both reads count the
/// process.
#[test]
fn a_process_that_ends_is_never_counted_twice() {
    check(|world| {
        let pid = world.process();
        let count = |world: &World| world.finished() + world.process_count() as u64;
        let (counted, ()) = world.both(count, end(pid, Normal));
        assert!(counted <= 1);
    });
}
