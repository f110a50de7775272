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
fn no_dead_process_is_a_member() {
    check(|| {
        let world = World::new();
        let pid = world.process();
        world
            .both(move |world| world.register_tag(TAG, pid), move |world| world.end(pid, Shutdown));
        assert_eq!(world.whereis_tag(TAG), []);
        assert_eq!(world.leftovers().groups, 0);
        world.at_rest();
    });
}

/// L10.
#[test]
fn no_join_is_lost_as_the_last_member_goes() {
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
        world.at_rest();
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
        world.at_rest();
    });
}

/// L10.
#[test]
fn a_watcher_sees_each_member_once() {
    check(|| {
        let world = World::new();
        let (watcher, pid) = (world.process(), world.process());
        let ((reference, before), _) = world.both(
            move |world| world.monitor_group(watcher, TAG),
            move |world| world.register_tag(TAG, pid),
        );
        let told = world.received(watcher);
        match &*before {
            [] => assert_eq!(told, [change(reference, pid, GroupChange::Joined)]),
            members => assert_eq!((members, told), (&[pid][..], vec![])),
        }
        world.at_rest();
    });
}

/// L10.
#[test]
fn a_watcher_sees_a_member_go_if_it_saw_it_come() {
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
        world.at_rest();
    });
}

/// L10.
#[test]
fn a_watcher_that_ends_or_lets_go_leaves_no_group() {
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
        world.at_rest();
    });
}

/// L10.
#[test]
fn a_watch_by_a_dying_process_leaves_no_group() {
    check(|| {
        let world = World::new();
        let watcher = world.process();
        world.both(
            move |world| world.monitor_group(watcher, TAG),
            move |world| world.end(watcher, Shutdown),
        );
        assert_eq!(world.leftovers().groups, 0);
        world.at_rest();
    });
}
