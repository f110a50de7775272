//! Two ways to die at once, and who waits for it.

use crate::base::pid::Pid;
use crate::exit::reason::ExitReason::{self, Killed, NoProc, Normal, Shutdown};
use crate::exit::signal::ExitKind;
use crate::interleavings::world::{World, down, exit, message};
use crate::interleavings::{block_on, check};
use crate::kernel::exits::ExitSignal;
use crate::process::AnyProcess;

/// An exit signal from outside; who is acting is not asked, since all threads of a
/// checker are one.
fn signal(world: &World, pid: Pid, reason: &ExitReason, kind: ExitKind) -> bool {
    let signal = ExitSignal { from: Pid::OUTSIDE, reason, kind };
    world.kernel.signal_exit(&*world.process_of(pid), signal).was_alive()
}

/// A process with one who is linked and traps, and one who watches.
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

    /// All have heard of one death, once, and of one reason.
    fn was_told(&self, world: &World) -> ExitReason {
        let reason = world.fate(self.pid).expect("it has ended");
        let downs = [down(self.reference, self.pid, reason.clone())];
        assert_eq!(world.received(self.watcher), downs);
        assert_eq!(world.received(self.linked), [exit(self.pid, reason.clone())]);
        reason
    }
}

/// L7.
#[test]
fn of_two_signals_the_first_is_the_reason_for_all() {
    check(|| {
        let world = World::new();
        let watched = Watched::new(&world);
        let pid = watched.pid;
        let (killed, told) = world.both(
            move |world| signal(world, pid, &Killed, ExitKind::Kill),
            move |world| signal(world, pid, &Shutdown, ExitKind::Exit),
        );
        assert!(killed && told, "it was alive");
        world.notice(pid);
        let reason = watched.was_told(&world);
        assert!(reason == Killed || reason == Shutdown);
        world.at_rest();
    });
}

/// L7.
#[test]
fn a_signal_and_an_end_are_one_death() {
    check(|| {
        let world = World::new();
        let watched = Watched::new(&world);
        let pid = watched.pid;
        let (killed, ()) = world.both(
            move |world| signal(world, pid, &Killed, ExitKind::Kill),
            move |world| world.end(pid, Shutdown),
        );
        let reason = watched.was_told(&world);
        assert_eq!(reason, if killed { Killed } else { Shutdown });
        world.at_rest();
    });
}

/// L7.
#[test]
fn two_signals_and_an_end_are_one_death() {
    check(|| {
        let world = World::new();
        let watched = Watched::new(&world);
        let pid = watched.pid;
        let (killed, told, ()) = world.three(
            move |world| signal(world, pid, &Killed, ExitKind::Kill),
            move |world| signal(world, pid, &Shutdown, ExitKind::Exit),
            move |world| world.end(pid, Normal),
        );
        match watched.was_told(&world) {
            Killed => assert!(killed),
            Shutdown => assert!(told),
            Normal => assert!(!killed && !told),
            other => panic!("nobody said {other}"),
        }
        world.at_rest();
    });
}

/// L7.
#[test]
fn a_signal_always_wakes_the_task() {
    check(|| {
        let world = World::new();
        let pid = world.process();
        world.both(
            move |world| world.live(pid),
            move |world| signal(world, pid, &Killed, ExitKind::Kill),
        );
        assert!(world.has_ended(pid));
        assert_eq!(world.fate(pid), Some(Killed));
        world.at_rest();
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
            move |world| world.live(pid),
            move |world| signal(world, pid, &Killed, ExitKind::Kill),
            move |world| signal(world, pid, &Shutdown, ExitKind::Exit),
        );
        let reason = watched.was_told(&world);
        assert!(reason == Killed || reason == Shutdown);
        world.at_rest();
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
            move |world| world.live(pid),
            move |world| world.send(pid, b"stop".to_vec()),
            move |world| signal(world, pid, &Killed, ExitKind::Kill),
        );
        let reason = watched.was_told(&world);
        assert!(reason == Killed || reason == Normal);
        world.at_rest();
    });
}

/// L7.
#[test]
fn a_task_is_woken_for_each_message() {
    check(|| {
        let world = World::new();
        let pid = world.process();
        let (received, _) = world.both(
            move |world| world.live(pid),
            move |world| {
                world.send(pid, b"one".to_vec());
                world.send(pid, b"stop".to_vec());
            },
        );
        assert_eq!(received, [message("one")]);
        assert_eq!(world.fate(pid), Some(Normal));
        world.at_rest();
    });
}

/// L7.
#[test]
fn whoever_waits_for_an_end_is_woken_after_all_others_were_told() {
    check(|| {
        let world = World::new();
        let watched = Watched::new(&world);
        let pid = watched.pid;
        let watcher = watched.watcher;
        let ((reason, told), ()) = world.both(
            move |world| {
                let reason = block_on(world.ended(pid));
                (reason, world.queued(watcher))
            },
            move |world| world.end(pid, Shutdown),
        );
        // Out of the table it is not alive, and nothing is waited for.
        assert!(reason == NoProc || (reason == Shutdown && told == 1), "{reason}, {told}");
        watched.was_told(&world);
        world.at_rest();
    });
}

/// L7.
#[test]
fn whoever_stops_waiting_for_an_end_leaves_nothing() {
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
        world.at_rest();
    });
}

/// A process is counted as alive or as finished, never as neither, at each step of its end; the
/// counters are read in the order that could lose it.
#[test]
fn the_counters_lose_nobody_who_ends() {
    check(|| {
        let world = World::new();
        let pid = world.process();
        let (counted, ()) = world.both(
            |world| world.process_count() as u64 + world.finished(),
            move |world| world.end(pid, Normal),
        );
        assert!(counted >= 1);
        world.at_rest();
    });
}

/// And in the order that could count it twice.
#[test]
fn the_counters_count_nobody_twice_who_ends() {
    check(|| {
        let world = World::new();
        let pid = world.process();
        let (counted, ()) = world.both(
            |world| world.finished() + world.process_count() as u64,
            move |world| world.end(pid, Normal),
        );
        assert!(counted <= 1);
        world.at_rest();
    });
}
