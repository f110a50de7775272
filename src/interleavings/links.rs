//! Links and unlinks while one side ends.

use crate::exit::reason::ExitReason::{Killed, NoProc, Normal, Shutdown};
use crate::interleavings::check;
use crate::interleavings::world::{World, exit};

/// L2.
#[test]
fn a_link_to_an_ending_process_is_signalled_or_refused() {
    check(|| {
        let world = World::new();
        let (a, b) = (world.trapping(), world.process());
        let (linked, ()) =
            world.both(move |world| world.link(a, b), move |world| world.end(b, Shutdown));
        let reason = if linked { Shutdown } else { NoProc };
        assert_eq!(world.received(a), [exit(b, reason)]);
        assert_eq!(world.links(a), []);
        world.assert_consistent();
    });
}

/// L2.
#[test]
fn a_link_to_an_ending_process_ends_a_linker_that_does_not_trap() {
    check(|| {
        let world = World::new();
        let (a, b) = (world.process(), world.process());
        let (linked, ()) =
            world.both(move |world| world.link(a, b), move |world| world.end(b, Shutdown));
        assert_eq!(world.exit_reason(a), linked.then_some(Shutdown));
        assert_eq!(world.links(a), []);
        world.assert_consistent();
    });
}

/// L2.
#[test]
fn a_link_by_an_ending_process_is_signalled_or_not_made() {
    check(|| {
        let world = World::new();
        let (a, b) = (world.process(), world.trapping());
        let (linked, ()) =
            world.both(move |world| world.link(a, b), move |world| world.end(a, Shutdown));
        let expected = if linked { vec![exit(a, Shutdown)] } else { vec![] };
        assert_eq!(world.received(b), expected);
        assert_eq!(world.links(b), []);
        world.assert_consistent();
    });
}

/// L2.
#[test]
fn a_link_of_two_ending_processes_leaves_no_entry() {
    check(|| {
        let world = World::new();
        let (a, b) = (world.trapping(), world.trapping());
        world.three(
            move |world| world.link(a, b),
            move |world| world.end(a, Shutdown),
            move |world| world.end(b, Killed),
        );
        assert_eq!((world.exit_reason(a), world.exit_reason(b)), (Some(Shutdown), Some(Killed)));
        world.assert_consistent();
    });
}

/// L2.
#[test]
fn two_links_of_one_pair_are_one_link() {
    check(|| {
        let world = World::new();
        let (a, b) = (world.trapping(), world.process());
        let (ours, theirs) =
            world.both(move |world| world.link(a, b), move |world| world.link(b, a));
        assert!(ours && theirs);
        assert_eq!((world.links(a), world.links(b)), (vec![b], vec![a]));
        world.end(b, Normal);
        assert_eq!(world.received(a), [exit(b, Normal)]);
        world.assert_consistent();
    });
}

/// L2.
#[test]
fn two_links_of_one_pair_are_signalled_once() {
    check(|| {
        let world = World::new();
        let (a, b) = (world.trapping(), world.process());
        world.three(
            move |world| world.link(a, b),
            move |world| world.link(b, a),
            move |world| world.end(b, Shutdown),
        );
        let mut exits = world.received(a);
        // A link to a process that has ended yields a `NoProc` exit of its own.
        exits.retain(|received| *received != exit(b, NoProc));
        assert!(exits.is_empty() || exits == [exit(b, Shutdown)], "{exits:?}");
        world.assert_consistent();
    });
}

/// L5.
#[test]
fn after_an_unlink_no_exit_is_received() {
    check(|| {
        let world = World::new();
        let (a, b) = (world.trapping(), world.process());
        assert!(world.link(a, b));
        let (after, ()) = world.both(
            move |world| {
                world.unlink(a, b);
                world.received(a)
            },
            move |world| world.end(b, Shutdown),
        );
        assert_eq!(after, []);
        assert_eq!((world.received(a), world.links(a)), (vec![], vec![]));
        world.assert_consistent();
    });
}

/// L5.
#[test]
fn an_unlink_by_another_thread_revokes_an_exit_that_is_being_read() {
    check(|| {
        let world = World::new();
        let (a, b) = (world.trapping(), world.process());
        assert!(world.link(a, b));
        let (_, _, before) = world.three(
            move |world| world.unlink(a, b),
            move |world| world.end(b, Shutdown),
            move |world| world.received(a),
        );
        assert!(before.is_empty() || before == [exit(b, Shutdown)], "{before:?}");
        assert_eq!((world.received(a), world.links(a)), (vec![], vec![]));
        world.assert_consistent();
    });
}

/// L5.
#[test]
fn an_unlink_by_the_other_side_revokes_the_exit() {
    check(|| {
        let world = World::new();
        let (a, b) = (world.trapping(), world.process());
        assert!(world.link(a, b));
        world.both(move |world| world.unlink(b, a), move |world| world.end(b, Shutdown));
        assert_eq!(world.queued(a), 0, "a revoked exit is not in the inbox");
        assert_eq!((world.received(a), world.links(a)), (vec![], vec![]));
        world.assert_consistent();
    });
}

/// L5.
#[test]
fn an_unlink_takes_effect_before_or_after_an_end() {
    check(|| {
        let world = World::new();
        let (a, b) = (world.process(), world.process());
        assert!(world.link(a, b));
        let (unharmed, ()) = world.both(
            move |world| {
                world.unlink(a, b);
                world.exit_reason(a).is_none()
            },
            move |world| world.end(b, Shutdown),
        );
        assert_eq!(world.exit_reason(a), (!unharmed).then_some(Shutdown));
        world.assert_consistent();
    });
}

/// L5.
#[test]
fn a_link_and_an_unlink_at_once_leave_both_sides_equal() {
    check(|| {
        let world = World::new();
        let (a, b) = (world.process(), world.process());
        world.both(move |world| world.link(a, b), move |world| world.unlink(a, b));
        assert_eq!(world.links(a).len(), world.links(b).len());
        world.assert_consistent();
    });
}

/// L5.
#[test]
fn links_and_unlinks_by_both_sides_leave_both_sides_equal() {
    check(|| {
        let world = World::new();
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
        world.assert_consistent();
    });
}

/// L5.
#[test]
fn an_unlink_between_two_links_leaves_both_sides_equal() {
    check(|| {
        let world = World::new();
        let (a, b) = (world.process(), world.process());
        world.three(
            move |world| world.link(a, b),
            move |world| world.link(b, a),
            move |world| world.unlink(a, b),
        );
        assert_eq!(world.links(a).len(), world.links(b).len());
        world.assert_consistent();
    });
}

/// L5.
#[test]
fn a_link_an_unlink_and_an_end_leave_no_entry() {
    check(|| {
        let world = World::new();
        let (a, b) = (world.trapping(), world.process());
        let (linked, _, ()) = world.three(
            move |world| world.link(a, b),
            move |world| world.unlink(a, b),
            move |world| world.end(b, Shutdown),
        );
        let reason = if linked { Shutdown } else { NoProc };
        let exits = world.received(a);
        assert!(exits.is_empty() || exits == [exit(b, reason)], "{exits:?}");
        assert_eq!(world.links(a), []);
        world.assert_consistent();
    });
}

/// L16.
#[test]
fn two_linked_processes_that_end_at_once_agree_on_the_first_end() {
    check(|| {
        let world = World::new();
        let (a, b, watcher) = (world.process(), world.process(), world.process());
        assert!(world.link(a, b));
        world.monitor(watcher, a);
        world.monitor(watcher, b);
        world.both(move |world| world.end(a, Shutdown), move |world| world.end(b, Killed));
        let reasons = (world.exit_reason(a), world.exit_reason(b));
        assert_ne!(reasons, (Some(Killed), Some(Shutdown)), "each has ended because of the other");
        let mut downs = world.received(watcher);
        downs.sort_by_key(|down| match down {
            crate::Received::Down { pid, .. } => *pid,
            _ => panic!("{down:?}"),
        });
        let downs = downs.into_iter().map(|down| match down {
            crate::Received::Down { reason, .. } => Some(reason),
            _ => None,
        });
        assert_eq!(downs.collect::<Vec<_>>(), [reasons.0, reasons.1]);
        world.assert_consistent();
    });
}

/// L17.
#[test]
fn a_process_that_starts_trapping_as_a_peer_ends_receives_the_exit_or_ends() {
    check(|| {
        let world = World::new();
        let (a, b) = (world.process(), world.process());
        assert!(world.link(a, b));
        world.both(move |world| world.set_trap_exit(a, true), move |world| world.end(b, Shutdown));
        match world.exit_reason(a) {
            None => assert_eq!(world.received(a), [exit(b, Shutdown)]),
            Some(reason) => assert_eq!((reason, world.queued(a)), (Shutdown, 0)),
        }
        world.assert_consistent();
    });
}
