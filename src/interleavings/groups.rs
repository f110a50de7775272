//! Groups that are joined, left and watched while processes end.

use crate::base::pid::{MonitorRef, Pid};
use crate::exit::reason::ExitReason::Shutdown;
use crate::interleavings::check;
use crate::interleavings::world::World;
use crate::message::received::{GroupChange, Received};

const TAG: &str = "g";

fn change(reference: MonitorRef, pid: Pid, change: GroupChange) -> Received {
    Received::Group { reference, group: TAG.into(), pid, change }
}

/// L10.
#[test]
fn a_process_that_has_ended_is_no_member() {
    check(|| {
        let world = World::new();
        let pid = world.process();
        world
            .both(move |world| world.register_tag(TAG, pid), move |world| world.end(pid, Shutdown));
        assert_eq!(world.whereis_tag(TAG), []);
        assert_eq!(world.leftovers().groups, 0);
        world.assert_consistent();
    });
}

/// L10.
#[test]
fn a_join_is_kept_while_the_last_member_leaves() {
    check(|| {
        let world = World::new();
        let (old, ending, new) = (world.process(), world.process(), world.process());
        assert!(world.register_tag(TAG, old) && world.register_tag(TAG, ending));
        let (left, (), joined) = world.three(
            move |world| world.unregister_tag(TAG, old),
            move |world| world.end(ending, Shutdown),
            move |world| world.register_tag(TAG, new),
        );
        assert!(left && joined);
        assert_eq!(world.whereis_tag(TAG), [new]);
        world.assert_consistent();
    });
}

/// L10.
#[test]
fn a_join_a_leave_and_an_end_leave_no_group() {
    check(|| {
        let world = World::new();
        let pid = world.process();
        world.three(
            move |world| world.register_tag(TAG, pid),
            move |world| world.unregister_tag(TAG, pid),
            move |world| world.end(pid, Shutdown),
        );
        assert_eq!(world.leftovers().groups, 0);
        world.assert_consistent();
    });
}

/// L10.
#[test]
fn a_group_watcher_receives_each_member_once() {
    check(|| {
        let world = World::new();
        let (watcher, pid) = (world.process(), world.process());
        let ((reference, before), _) = world.both(
            move |world| world.monitor_group(watcher, TAG),
            move |world| world.register_tag(TAG, pid),
        );
        let received = world.received(watcher);
        match &*before {
            [] => assert_eq!(received, [change(reference, pid, GroupChange::Joined)]),
            members => assert_eq!((members, received), (&[pid][..], vec![])),
        }
        world.assert_consistent();
    });
}

/// L10.
#[test]
fn a_group_watcher_that_saw_a_member_receives_its_leave() {
    check(|| {
        let world = World::new();
        let (watcher, pid) = (world.process(), world.process());
        assert!(world.register_tag(TAG, pid));
        let ((reference, before), ()) = world.both(
            move |world| world.monitor_group(watcher, TAG),
            move |world| world.end(pid, Shutdown),
        );
        let left = change(reference, pid, GroupChange::Left);
        let expected = if before.is_empty() { vec![] } else { vec![left] };
        assert_eq!(world.received(watcher), expected);
        world.assert_consistent();
    });
}

/// L10.
#[test]
fn a_group_watcher_that_ends_or_demonitors_leaves_no_group() {
    check(|| {
        let world = World::new();
        let (watcher, pid) = (world.process(), world.process());
        let (reference, _) = world.monitor_group(watcher, TAG);
        world.three(
            move |world| world.demonitor(reference),
            move |world| world.end(watcher, Shutdown),
            move |world| {
                world.register_tag(TAG, pid);
                world.unregister_tag(TAG, pid);
            },
        );
        assert_eq!(world.leftovers().groups, 0);
        world.assert_consistent();
    });
}

/// L10.
#[test]
fn a_group_monitor_of_an_ending_process_leaves_no_group() {
    check(|| {
        let world = World::new();
        let watcher = world.process();
        world.both(
            move |world| world.monitor_group(watcher, TAG),
            move |world| world.end(watcher, Shutdown),
        );
        assert_eq!(world.leftovers().groups, 0);
        world.assert_consistent();
    });
}
