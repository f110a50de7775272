//! Links that are made and unmade while one side ends.

use crate::exit::reason::ExitReason::{Killed, NoProc, Normal, Shutdown};
use crate::interleavings::check;
use crate::interleavings::world::{World, exit};

/// L2.
#[test]
fn a_link_to_a_dying_process_is_signalled_or_refused() {
    check(|| {
        let world = World::new();
        let (a, b) = (world.trapping(), world.process());
        let (linked, ()) =
            world.both(move |world| world.link(a, b), move |world| world.end(b, Shutdown));
        let reason = if linked { Shutdown } else { NoProc };
        assert_eq!(world.received(a), [exit(b, reason)]);
        assert_eq!(world.links(a), []);
        world.at_rest();
    });
}

/// L2.
#[test]
fn a_link_to_a_dying_process_ends_a_linker_that_does_not_trap() {
    check(|| {
        let world = World::new();
        let (a, b) = (world.process(), world.process());
        let (linked, ()) =
            world.both(move |world| world.link(a, b), move |world| world.end(b, Shutdown));
        assert_eq!(world.fate(a), linked.then_some(Shutdown));
        assert_eq!(world.links(a), []);
        world.at_rest();
    });
}

/// L2.
#[test]
fn a_link_by_a_dying_process_is_signalled_or_never_was() {
    check(|| {
        let world = World::new();
        let (a, b) = (world.process(), world.trapping());
        let (linked, ()) =
            world.both(move |world| world.link(a, b), move |world| world.end(a, Shutdown));
        let expected = if linked { vec![exit(a, Shutdown)] } else { vec![] };
        assert_eq!(world.received(b), expected);
        assert_eq!(world.links(b), []);
        world.at_rest();
    });
}

/// L2.
#[test]
fn a_link_of_two_that_die_leaves_nothing() {
    check(|| {
        let world = World::new();
        let (a, b) = (world.trapping(), world.trapping());
        world.three(
            move |world| world.link(a, b),
            move |world| world.end(a, Shutdown),
            move |world| world.end(b, Killed),
        );
        assert_eq!((world.fate(a), world.fate(b)), (Some(Shutdown), Some(Killed)));
        world.at_rest();
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
        world.at_rest();
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
        // A link that found nobody is an answer of its own.
        exits.retain(|received| *received != exit(b, NoProc));
        assert!(exits.is_empty() || exits == [exit(b, Shutdown)], "{exits:?}");
        world.at_rest();
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
        world.at_rest();
    });
}

/// L5.
#[test]
fn an_unlink_from_outside_is_heard_by_a_reader() {
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
        world.at_rest();
    });
}

/// L5.
#[test]
fn an_unlink_by_the_other_side_is_as_good() {
    check(|| {
        let world = World::new();
        let (a, b) = (world.trapping(), world.process());
        assert!(world.link(a, b));
        world.both(move |world| world.unlink(b, a), move |world| world.end(b, Shutdown));
        assert_eq!(world.queued(a), 0, "what was taken back lies there no more");
        assert_eq!((world.received(a), world.links(a)), (vec![], vec![]));
        world.at_rest();
    });
}

/// L5.
#[test]
fn an_unlink_comes_before_the_end_or_after_it() {
    check(|| {
        let world = World::new();
        let (a, b) = (world.process(), world.process());
        assert!(world.link(a, b));
        let (unharmed, ()) = world.both(
            move |world| {
                world.unlink(a, b);
                world.fate(a).is_none()
            },
            move |world| world.end(b, Shutdown),
        );
        assert_eq!(world.fate(a), (!unharmed).then_some(Shutdown));
        world.at_rest();
    });
}

/// L5.
#[test]
fn a_link_and_an_unlink_at_once_leave_both_sides_alike() {
    check(|| {
        let world = World::new();
        let (a, b) = (world.process(), world.process());
        world.both(move |world| world.link(a, b), move |world| world.unlink(a, b));
        assert_eq!(world.links(a).len(), world.links(b).len());
        world.at_rest();
    });
}

/// L5.
#[test]
fn links_and_unlinks_from_both_sides_leave_both_alike() {
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
        world.at_rest();
    });
}

/// L5.
#[test]
fn an_unlink_between_two_links_leaves_both_alike() {
    check(|| {
        let world = World::new();
        let (a, b) = (world.process(), world.process());
        world.three(
            move |world| world.link(a, b),
            move |world| world.link(b, a),
            move |world| world.unlink(a, b),
        );
        assert_eq!(world.links(a).len(), world.links(b).len());
        world.at_rest();
    });
}

/// L5.
#[test]
fn a_link_an_unlink_and_an_end_leave_nothing() {
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
        world.at_rest();
    });
}

/// L16.
#[test]
fn two_linked_processes_that_die_at_once_agree_who_was_first() {
    check(|| {
        let world = World::new();
        let (a, b, watcher) = (world.process(), world.process(), world.process());
        assert!(world.link(a, b));
        world.monitor(watcher, a);
        world.monitor(watcher, b);
        world.both(move |world| world.end(a, Shutdown), move |world| world.end(b, Killed));
        let told = (world.fate(a), world.fate(b));
        assert_ne!(told, (Some(Killed), Some(Shutdown)), "each has died of the other");
        let mut downs = world.received(watcher);
        downs.sort_by_key(|down| match down {
            crate::Received::Down { pid, .. } => *pid,
            _ => panic!("{down:?}"),
        });
        let downs = downs.into_iter().map(|down| match down {
            crate::Received::Down { reason, .. } => Some(reason),
            _ => None,
        });
        assert_eq!(downs.collect::<Vec<_>>(), [told.0, told.1]);
        world.at_rest();
    });
}

/// L17.
#[test]
fn whoever_starts_trapping_as_a_peer_dies_is_told_of_it_or_dies() {
    check(|| {
        let world = World::new();
        let (a, b) = (world.process(), world.process());
        assert!(world.link(a, b));
        world.both(move |world| world.set_trap_exit(a, true), move |world| world.end(b, Shutdown));
        match world.fate(a) {
            None => assert_eq!(world.received(a), [exit(b, Shutdown)]),
            Some(reason) => assert_eq!((reason, world.queued(a)), (Shutdown, 0)),
        }
        world.at_rest();
    });
}
