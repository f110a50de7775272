//! Monitors that are set and removed while one side ends.

use crate::exit::reason::ExitReason::{NoProc, Shutdown};
use crate::interleavings::check;
use crate::interleavings::world::{World, down};
use crate::message::received::Received;

/// L3.
#[test]
fn a_monitor_of_an_ending_process_fires_once() {
    check(|| {
        let world = World::new();
        let (watcher, target) = (world.process(), world.process());
        let (reference, ()) = world.both(
            move |world| world.monitor(watcher, target),
            move |world| world.end(target, Shutdown),
        );
        let downs = world.received(watcher);
        let truth = [down(reference, target, Shutdown)];
        assert!(downs == truth || downs == [down(reference, target, NoProc)], "{downs:?}");
        world.assert_consistent();
    });
}

/// L3.
#[test]
fn a_monitor_by_name_of_an_ending_process_fires_once() {
    check(|| {
        let world = World::new();
        let (watcher, target) = (world.process(), world.named("n"));
        let (reference, ()) = world.both(
            move |world| world.monitor_name(watcher, "n"),
            move |world| world.end(target, Shutdown),
        );
        let truth = |reason| [Received::DownName { reference, name: "n".into(), reason }];
        let downs = world.received(watcher);
        assert!(downs == truth(Shutdown) || downs == truth(NoProc), "{downs:?}");
        world.assert_consistent();
    });
}

/// L3.
#[test]
fn a_monitor_by_an_ending_process_leaves_no_entry() {
    check(|| {
        let world = World::new();
        let (watcher, target) = (world.process(), world.process());
        world.both(
            move |world| world.monitor(watcher, target),
            move |world| world.end(watcher, Shutdown),
        );
        assert_eq!(world.info(target).expect("it lives").monitors, 0);
        world.assert_consistent();
    });
}

/// L3.
#[test]
fn a_monitor_between_two_ending_processes_leaves_no_entry() {
    check(|| {
        let world = World::new();
        let (watcher, target) = (world.process(), world.process());
        world.three(
            move |world| world.monitor(watcher, target),
            move |world| world.end(watcher, Shutdown),
            move |world| world.end(target, Shutdown),
        );
        world.assert_consistent();
    });
}

/// L3.
#[test]
fn a_waiting_watcher_is_woken() {
    check(|| {
        let world = World::new();
        let (watcher, target) = (world.process(), world.process());
        let reference = world.monitor(watcher, target);
        let (received, ()) = world
            .both(move |world| world.receive(watcher), move |world| world.end(target, Shutdown));
        assert_eq!(received, down(reference, target, Shutdown));
        world.assert_consistent();
    });
}

/// L4.
#[test]
fn after_a_flush_no_down_is_received() {
    check(|| {
        let world = World::new();
        let (watcher, target) = (world.process(), world.process());
        let reference = world.monitor(watcher, target);
        let (after, ()) = world.both(
            move |world| {
                world.demonitor_flush(reference);
                world.received(watcher)
            },
            move |world| world.end(target, Shutdown),
        );
        assert_eq!(after, []);
        assert_eq!(world.received(watcher), []);
        world.assert_consistent();
    });
}

/// L4.
#[test]
fn a_demonitor_returns_true_exactly_if_no_down_follows() {
    check(|| {
        let world = World::new();
        let (watcher, target) = (world.process(), world.process());
        let reference = world.monitor(watcher, target);
        let (in_time, ()) = world.both(
            move |world| world.demonitor(reference),
            move |world| world.end(target, Shutdown),
        );
        let expected = if in_time { vec![] } else { vec![down(reference, target, Shutdown)] };
        assert_eq!(world.queued(watcher), expected.len());
        assert_eq!(world.received(watcher), expected);
        world.assert_consistent();
    });
}

/// L4.
#[test]
fn a_demonitor_by_another_thread_and_a_reader_agree() {
    check(|| {
        let world = World::new();
        let (watcher, target) = (world.process(), world.process());
        let reference = world.monitor(watcher, target);
        let (in_time, (), mut downs) = world.three(
            move |world| world.demonitor(reference),
            move |world| world.end(target, Shutdown),
            move |world| world.received(watcher),
        );
        downs.extend(world.received(watcher));
        let expected = if in_time { vec![] } else { vec![down(reference, target, Shutdown)] };
        assert_eq!(downs, expected);
        world.assert_consistent();
    });
}

/// L4.
#[test]
fn a_flush_by_another_thread_and_a_reader_agree() {
    check(|| {
        let world = World::new();
        let (watcher, target) = (world.process(), world.process());
        let reference = world.monitor(watcher, target);
        let (in_time, (), before) = world.three(
            move |world| world.demonitor_flush(reference),
            move |world| world.end(target, Shutdown),
            move |world| world.received(watcher),
        );
        assert!(before.is_empty() || before == [down(reference, target, Shutdown)]);
        assert!(
            !in_time || before.is_empty(),
            "the demonitor was in time, but a Down was received"
        );
        assert_eq!(world.received(watcher), []);
        world.assert_consistent();
    });
}

/// L4.
#[test]
fn a_demonitor_by_an_ending_watcher_leaves_no_entry() {
    check(|| {
        let world = World::new();
        let (watcher, target) = (world.process(), world.process());
        let reference = world.monitor(watcher, target);
        world.both(
            move |world| world.demonitor(reference),
            move |world| world.end(watcher, Shutdown),
        );
        assert_eq!(world.info(target).expect("it lives").monitors, 0);
        world.assert_consistent();
    });
}
