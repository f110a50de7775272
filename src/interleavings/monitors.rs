//! Monitors that are set and removed while one side ends.

use crate::base::pid::{MonitorRef, Pid};
use crate::exit::reason::ExitReason::{NoProc, Shutdown};
use crate::interleavings::check;
use crate::interleavings::operations::{demonitor, demonitor_flush, end, monitor, received};
use crate::interleavings::world::{World, down};
use crate::message::received::Received;

/// L3.
#[test]
fn a_monitor_of_an_ending_process_fires_once() {
    check(|world| {
        let (watcher, target) = (world.process(), world.process());
        let (reference, ()) = world.both(monitor(watcher, target), end(target, Shutdown));
        let truth = |reason| [down(reference, target, reason)];
        let downs = world.received(watcher);
        assert!(downs == truth(Shutdown) || downs == truth(NoProc), "{downs:?}");
    });
}

/// L3.
#[test]
fn a_monitor_by_name_of_an_ending_process_fires_once() {
    check(|world| {
        let (watcher, target) = (world.process(), world.named("n"));
        let monitor_name = move |world: &World| world.monitor_name(watcher, "n");
        let (reference, ()) = world.both(monitor_name, end(target, Shutdown));
        let truth = |reason| [Received::DownName { reference, name: "n".into(), reason }];
        let downs = world.received(watcher);
        assert!(downs == truth(Shutdown) || downs == truth(NoProc), "{downs:?}");
    });
}

/// L3.
#[test]
fn a_monitor_by_an_ending_process_leaves_no_entry() {
    check(|world| {
        let (watcher, target) = (world.process(), world.process());
        world.both(monitor(watcher, target), end(watcher, Shutdown));
        assert_eq!(world.info(target).expect("it lives").monitors, 0);
    });
}

/// L3.
#[test]
fn a_monitor_between_two_ending_processes_leaves_no_entry() {
    check(|world| {
        let (watcher, target) = (world.process(), world.process());
        world.three(monitor(watcher, target), end(watcher, Shutdown), end(target, Shutdown));
    });
}

/// Creates a process and its watcher.
fn monitored(world: &World) -> (Pid, Pid, MonitorRef) {
    let (watcher, target) = (world.process(), world.process());
    (watcher, target, world.monitor(watcher, target))
}

/// L3.
#[test]
fn a_waiting_watcher_is_woken() {
    check(|world| {
        let (watcher, target, reference) = monitored(world);
        let (received, ()) = world.both(move |world| world.receive(watcher), end(target, Shutdown));
        assert_eq!(received, down(reference, target, Shutdown));
    });
}

/// L4.
#[test]
fn after_a_flush_no_down_is_received() {
    check(|world| {
        let (watcher, target, reference) = monitored(world);
        let flush_and_receive = move |world: &World| {
            world.demonitor_flush(reference);
            world.received(watcher)
        };
        let (after, ()) = world.both(flush_and_receive, end(target, Shutdown));
        assert_eq!((after, world.received(watcher)), (vec![], vec![]));
    });
}

/// L4.
#[test]
fn a_demonitor_returns_true_exactly_if_no_down_follows() {
    check(|world| {
        let (watcher, target, reference) = monitored(world);
        let (in_time, ()) = world.both(demonitor(reference), end(target, Shutdown));
        let expected = if in_time { vec![] } else { vec![down(reference, target, Shutdown)] };
        assert_eq!(world.queued(watcher), expected.len());
        assert_eq!(world.received(watcher), expected);
    });
}

/// L4.
#[test]
fn a_demonitor_by_another_thread_and_a_reader_agree() {
    check(|world| {
        let (watcher, target, reference) = monitored(world);
        let (in_time, (), mut downs) =
            world.three(demonitor(reference), end(target, Shutdown), received(watcher));
        downs.extend(world.received(watcher));
        let expected = if in_time { vec![] } else { vec![down(reference, target, Shutdown)] };
        assert_eq!(downs, expected);
    });
}

/// L4.
#[test]
fn a_flush_by_another_thread_and_a_reader_agree() {
    check(|world| {
        let (watcher, target, reference) = monitored(world);
        let (in_time, (), before) =
            world.three(demonitor_flush(reference), end(target, Shutdown), received(watcher));
        assert!(before.is_empty() || before == [down(reference, target, Shutdown)]);
        assert!(!in_time || before.is_empty(), "in time, but a Down was received");
        assert_eq!(world.received(watcher), []);
    });
}

/// L4.
#[test]
fn a_demonitor_by_an_ending_watcher_leaves_no_entry() {
    check(|world| {
        let (watcher, target, reference) = monitored(world);
        world.both(demonitor(reference), end(watcher, Shutdown));
        assert_eq!(world.info(target).expect("it lives").monitors, 0);
    });
}
