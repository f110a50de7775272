//! Several causes of an end at the same time, and the tasks that wait for the end.

use crate::base::pid::Pid;
use crate::exit::reason::ExitReason::{self, Killed, NoProc, Normal, Shutdown};
use crate::exit::signal::ExitKind;
use crate::interleavings::world::{World, down, exit, message};
use crate::interleavings::{block_on, check};
use crate::kernel::exits::ExitSignal;
use crate::process::AnyProcess;

/// Sends an exit signal from outside of any process. Does not use the thread-local for the current
/// process, because all threads of a checker share it.
fn signal(world: &World, pid: Pid, reason: &ExitReason, kind: ExitKind) -> bool {
    let signal = ExitSignal { from: Pid::OUTSIDE, reason, kind };
    world.kernel.signal_exit(&*world.process_of(pid), signal).was_alive()
}

/// A process, a linked process that traps exits, and a watcher.
struct Watched {
    pid: Pid,
    linked: Pid,
    watcher: Pid,
    reference: crate::MonitorRef,
}

impl Watched {
    fn new(world: &World) -> Self {
        let (pid, linked, watcher) = (world.process(), world.trapping(), world.process());
        assert!(world.link(linked, pid));
        Watched { pid, linked, watcher, reference: world.monitor(watcher, pid) }
    }

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
    check(|| {
        let world = World::new();
        let watched = Watched::new(&world);
        let pid = watched.pid;
        let (killed, exited) = world.both(
            move |world| signal(world, pid, &Killed, ExitKind::Kill),
            move |world| signal(world, pid, &Shutdown, ExitKind::Exit),
        );
        assert!(killed && exited, "it was alive");
        world.drop_task(pid);
        let reason = watched.assert_notified(&world);
        assert!(reason == Killed || reason == Shutdown);
        world.assert_consistent();
    });
}

/// L7.
#[test]
fn a_signal_and_an_end_are_announced_once() {
    check(|| {
        let world = World::new();
        let watched = Watched::new(&world);
        let pid = watched.pid;
        let (killed, ()) = world.both(
            move |world| signal(world, pid, &Killed, ExitKind::Kill),
            move |world| world.end(pid, Shutdown),
        );
        let reason = watched.assert_notified(&world);
        assert_eq!(reason, if killed { Killed } else { Shutdown });
        world.assert_consistent();
    });
}

/// L7.
#[test]
fn two_signals_and_an_end_are_announced_once() {
    check(|| {
        let world = World::new();
        let watched = Watched::new(&world);
        let pid = watched.pid;
        let (killed, exited, ()) = world.three(
            move |world| signal(world, pid, &Killed, ExitKind::Kill),
            move |world| signal(world, pid, &Shutdown, ExitKind::Exit),
            move |world| world.end(pid, Normal),
        );
        match watched.assert_notified(&world) {
            Killed => assert!(killed),
            Shutdown => assert!(exited),
            Normal => assert!(!killed && !exited),
            other => panic!("unexpected reason {other}"),
        }
        world.assert_consistent();
    });
}

/// L7.
#[test]
fn a_signal_always_wakes_the_task() {
    check(|| {
        let world = World::new();
        let pid = world.process();
        world.both(
            move |world| world.run_task(pid),
            move |world| signal(world, pid, &Killed, ExitKind::Kill),
        );
        assert!(world.has_ended(pid));
        assert_eq!(world.exit_reason(pid), Some(Killed));
        world.assert_consistent();
    });
}

/// L7.
#[test]
fn two_signals_end_a_task_once() {
    check(|| {
        let world = World::new();
        let watched = Watched::new(&world);
        let pid = watched.pid;
        world.three(
            move |world| world.run_task(pid),
            move |world| signal(world, pid, &Killed, ExitKind::Kill),
            move |world| signal(world, pid, &Shutdown, ExitKind::Exit),
        );
        let reason = watched.assert_notified(&world);
        assert!(reason == Killed || reason == Shutdown);
        world.assert_consistent();
    });
}

/// L7.
#[test]
fn a_task_that_returns_as_it_is_killed_ends_once() {
    check(|| {
        let world = World::new();
        let watched = Watched::new(&world);
        let pid = watched.pid;
        world.three(
            move |world| world.run_task(pid),
            move |world| world.send(pid, b"stop".to_vec()),
            move |world| signal(world, pid, &Killed, ExitKind::Kill),
        );
        let reason = watched.assert_notified(&world);
        assert!(reason == Killed || reason == Normal);
        world.assert_consistent();
    });
}

/// L7.
#[test]
fn a_task_is_woken_for_each_message() {
    check(|| {
        let world = World::new();
        let pid = world.process();
        let (received, _) = world.both(
            move |world| world.run_task(pid),
            move |world| {
                world.send(pid, b"one".to_vec());
                world.send(pid, b"stop".to_vec());
            },
        );
        assert_eq!(received, [message("one")]);
        assert_eq!(world.exit_reason(pid), Some(Normal));
        world.assert_consistent();
    });
}

/// L7.
#[test]
fn a_task_that_waits_for_an_end_is_woken_after_the_monitors() {
    check(|| {
        let world = World::new();
        let watched = Watched::new(&world);
        let pid = watched.pid;
        let watcher = watched.watcher;
        let ((reason, downs), ()) = world.both(
            move |world| {
                let reason = block_on(world.ended(pid));
                (reason, world.queued(watcher))
            },
            move |world| world.end(pid, Shutdown),
        );
        // If the process had already left the table, `ended` returned `NoProc` without a wait.
        assert!(reason == NoProc || (reason == Shutdown && downs == 1), "{reason}, {downs}");
        watched.assert_notified(&world);
        world.assert_consistent();
    });
}

/// L7.
#[test]
fn a_dropped_wait_for_an_end_leaves_no_waiter() {
    check(|| {
        let world = World::new();
        let pid = world.process();
        world.both(
            move |world| {
                let waiting = world.ended(pid);
                let mut waiting = std::pin::pin!(waiting);
                let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
                let _ = waiting.as_mut().poll(&mut cx);
            },
            move |world| world.end(pid, Shutdown),
        );
        let process = world.process_of(pid);
        let process: &dyn AnyProcess = &*process;
        let waiters = process.with(|locked| {
            locked.core().relations().map_or(0, |relations| relations.waiters.len())
        });
        assert_eq!(waiters, 0);
        world.assert_consistent();
    });
}

/// At each step of its end, a process is counted as alive or as finished. The counters are read in
/// the order in which a wrong teardown could make both reads miss the process.
#[test]
fn a_process_that_ends_is_never_missing_in_the_counters() {
    check(|| {
        let world = World::new();
        let pid = world.process();
        let (counted, ()) = world.both(
            |world| world.process_count() as u64 + world.finished(),
            move |world| world.end(pid, Normal),
        );
        assert!(counted >= 1);
        world.assert_consistent();
    });
}

/// The counters are read in the order in which a wrong teardown could make both reads count the
/// process.
#[test]
fn a_process_that_ends_is_never_counted_twice() {
    check(|| {
        let world = World::new();
        let pid = world.process();
        let (counted, ()) = world.both(
            |world| world.finished() + world.process_count() as u64,
            move |world| world.end(pid, Normal),
        );
        assert!(counted <= 1);
        world.assert_consistent();
    });
}
