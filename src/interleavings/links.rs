//! Links and unlinks while one side ends.

use crate::base::pid::Pid;
use crate::exit::reason::ExitReason::{Killed, NoProc, Normal, Shutdown};
use crate::interleavings::check;
use crate::interleavings::operations::{end, link, received, unlink};
use crate::interleavings::world::{World, exit};

/// L2.
#[test]
fn a_link_to_an_ending_process_is_signalled_or_refused() {
    check(|world| {
        let (a, b) = (world.trapping(), world.process());
        let (linked, ()) = world.both(link(a, b), end(b, Shutdown));
        let reason = if linked { Shutdown } else { NoProc };
        assert_eq!(world.received(a), [exit(b, reason)]);
        assert_eq!(world.links(a), []);
    });
}

/// L2.
#[test]
fn a_link_to_an_ending_process_ends_a_linker_that_does_not_trap() {
    check(|world| {
        let (a, b) = (world.process(), world.process());
        let (linked, ()) = world.both(link(a, b), end(b, Shutdown));
        assert_eq!(world.exit_reason(a), linked.then_some(Shutdown));
        assert_eq!(world.links(a), []);
    });
}

/// L2.
#[test]
fn a_link_by_an_ending_process_is_signalled_or_not_made() {
    check(|world| {
        let (a, b) = (world.process(), world.trapping());
        let (linked, ()) = world.both(link(a, b), end(a, Shutdown));
        let expected = if linked { vec![exit(a, Shutdown)] } else { vec![] };
        assert_eq!(world.received(b), expected);
        assert_eq!(world.links(b), []);
    });
}

/// L2.
#[test]
fn a_link_of_two_ending_processes_leaves_no_entry() {
    check(|world| {
        let (a, b) = (world.trapping(), world.trapping());
        world.three(link(a, b), end(a, Shutdown), end(b, Killed));
        assert_eq!((world.exit_reason(a), world.exit_reason(b)), (Some(Shutdown), Some(Killed)));
    });
}

/// L2.
#[test]
fn two_links_of_one_pair_are_one_link() {
    check(|world| {
        let (a, b) = (world.trapping(), world.process());
        assert_eq!(world.both(link(a, b), link(b, a)), (true, true));
        assert_eq!((world.links(a), world.links(b)), (vec![b], vec![a]));
        world.end(b, Normal);
        assert_eq!(world.received(a), [exit(b, Normal)]);
    });
}

/// L2.
#[test]
fn two_links_of_one_pair_are_signalled_once() {
    check(|world| {
        let (a, b) = (world.trapping(), world.process());
        world.three(link(a, b), link(b, a), end(b, Shutdown));
        let mut exits = world.received(a);
        // A link to a process that has ended yields a `NoProc` exit of its own.
        exits.retain(|received| *received != exit(b, NoProc));
        assert!(exits.is_empty() || exits == [exit(b, Shutdown)], "{exits:?}");
    });
}

/// Creates a process, and links it to `a`. Returns `a` and the new process.
fn linked(world: &World, a: Pid) -> (Pid, Pid) {
    let b = world.process();
    assert!(world.link(a, b));
    (a, b)
}

/// L5.
#[test]
fn after_an_unlink_no_exit_is_received() {
    check(|world| {
        let (a, b) = linked(world, world.trapping());
        let unlink_and_receive = move |world: &World| {
            world.unlink(a, b);
            world.received(a)
        };
        let (after, ()) = world.both(unlink_and_receive, end(b, Shutdown));
        assert_eq!(after, []);
        assert_eq!((world.received(a), world.links(a)), (vec![], vec![]));
    });
}

/// L5.
#[test]
fn an_unlink_by_another_thread_revokes_an_exit_that_is_being_read() {
    check(|world| {
        let (a, b) = linked(world, world.trapping());
        let ((), (), before) = world.three(unlink(a, b), end(b, Shutdown), received(a));
        assert!(before.is_empty() || before == [exit(b, Shutdown)], "{before:?}");
        assert_eq!((world.received(a), world.links(a)), (vec![], vec![]));
    });
}

/// L5.
#[test]
fn an_unlink_by_the_other_side_revokes_the_exit() {
    check(|world| {
        let (a, b) = linked(world, world.trapping());
        world.both(unlink(b, a), end(b, Shutdown));
        assert_eq!(world.queued(a), 0, "a revoked exit is not in the inbox");
        assert_eq!((world.received(a), world.links(a)), (vec![], vec![]));
    });
}

/// L5.
#[test]
fn an_unlink_takes_effect_before_or_after_an_end() {
    check(|world| {
        let (a, b) = linked(world, world.process());
        let unlink_and_look = move |world: &World| {
            world.unlink(a, b);
            world.exit_reason(a)
        };
        let (after, ()) = world.both(unlink_and_look, end(b, Shutdown));
        assert!(after.is_none() || after == Some(Shutdown));
        assert_eq!(world.exit_reason(a), after);
    });
}

/// L5.
#[test]
fn a_link_and_an_unlink_at_once_leave_both_sides_equal() {
    check(|world| {
        let (a, b) = (world.process(), world.process());
        world.both(link(a, b), unlink(a, b));
        assert_eq!(world.links(a).len(), world.links(b).len());
    });
}

/// L5.
#[test]
fn links_and_unlinks_by_both_sides_leave_both_sides_equal() {
    check(|world| {
        let (a, b) = (world.process(), world.process());
        world.both(
            move |world| {
                world.link(a, b);
                world.unlink(a, b);
            },
            move |world| {
                world.unlink(b, a);
                world.link(b, a);
            },
        );
        assert_eq!(world.links(a).len(), world.links(b).len());
    });
}

/// L5.
#[test]
fn an_unlink_between_two_links_leaves_both_sides_equal() {
    check(|world| {
        let (a, b) = (world.process(), world.process());
        world.three(link(a, b), link(b, a), unlink(a, b));
        assert_eq!(world.links(a).len(), world.links(b).len());
    });
}

/// L5.
#[test]
fn a_link_an_unlink_and_an_end_leave_no_entry() {
    check(|world| {
        let (a, b) = (world.trapping(), world.process());
        let (linked, (), ()) = world.three(link(a, b), unlink(a, b), end(b, Shutdown));
        let reason = if linked { Shutdown } else { NoProc };
        let exits = world.received(a);
        assert!(exits.is_empty() || exits == [exit(b, reason)], "{exits:?}");
        assert_eq!(world.links(a), []);
    });
}

/// L16.
#[test]
fn two_linked_processes_that_end_at_once_agree_on_the_first_end() {
    check(|world| {
        let ((a, b), watcher) = (linked(world, world.process()), world.process());
        world.monitor(watcher, a);
        world.monitor(watcher, b);
        world.both(end(a, Shutdown), end(b, Killed));
        let reasons = (world.exit_reason(a), world.exit_reason(b));
        assert_ne!(reasons, (Some(Killed), Some(Shutdown)), "each has ended because of the other");
        let downs = world.received(watcher);
        let mut downs = Vec::from_iter(downs.into_iter().map(|down| match down {
            crate::Received::Down { pid, reason, .. } => (pid, Some(reason)),
            _ => panic!("{down:?}"),
        }));
        downs.sort_by_key(|&(pid, _)| pid);
        assert_eq!(downs, [(a, reasons.0), (b, reasons.1)]);
    });
}

/// L17.
#[test]
fn a_process_that_starts_trapping_as_a_peer_ends_receives_the_exit_or_ends() {
    check(|world| {
        let (a, b) = linked(world, world.process());
        world.both(move |world| world.set_trap_exit(a, true), end(b, Shutdown));
        match world.exit_reason(a) {
            None => assert_eq!(world.received(a), [exit(b, Shutdown)]),
            Some(reason) => assert_eq!((reason, world.queued(a)), (Shutdown, 0)),
        }
    });
}
