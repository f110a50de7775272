//! Groups that are joined, left and watched while processes end.

use crate::base::pid::{MonitorRef, Pid};
use crate::exit::reason::ExitReason::Shutdown;
use crate::interleavings::check;
use crate::interleavings::operations::{demonitor, end};
use crate::interleavings::world::World;
use crate::message::received::{GroupChange, Received};

const TAG: &str = "g";

fn change(reference: MonitorRef, pid: Pid, change: GroupChange) -> Received {
    Received::Group { reference, group: TAG.into(), pid, change }
}

fn join(pid: Pid) -> impl FnOnce(&World) -> bool {
    move |world| world.register_tag(TAG, pid)
}

fn leave(pid: Pid) -> impl FnOnce(&World) -> bool {
    move |world| world.unregister_tag(TAG, pid)
}

fn watch(watcher: Pid) -> impl FnOnce(&World) -> (MonitorRef, Vec<Pid>) {
    move |world| world.monitor_group(watcher, TAG)
}

/// L10.
#[test]
fn a_process_that_has_ended_is_no_member() {
    check(|world| {
        let pid = world.process();
        world.both(join(pid), end(pid, Shutdown));
        assert_eq!(world.whereis_tag(TAG), []);
        assert_eq!(world.leftovers().groups, 0);
    });
}

/// L10.
#[test]
fn a_join_is_kept_while_the_last_member_leaves() {
    check(|world| {
        let (old, ending, new) = (world.process(), world.process(), world.process());
        assert!(world.register_tag(TAG, old) && world.register_tag(TAG, ending));
        let (left, (), joined) = world.three(leave(old), end(ending, Shutdown), join(new));
        assert!(left && joined);
        assert_eq!(world.whereis_tag(TAG), [new]);
    });
}

/// L10.
#[test]
fn a_join_a_leave_and_an_end_leave_no_group() {
    check(|world| {
        let pid = world.process();
        world.three(join(pid), leave(pid), end(pid, Shutdown));
        assert_eq!(world.leftovers().groups, 0);
    });
}

/// L10.
#[test]
fn a_group_watcher_receives_each_member_once() {
    check(|world| {
        let (watcher, pid) = (world.process(), world.process());
        let ((reference, before), _) = world.both(watch(watcher), join(pid));
        let received = world.received(watcher);
        match &*before {
            [] => assert_eq!(received, [change(reference, pid, GroupChange::Joined)]),
            members => assert_eq!((members, received), (&[pid][..], vec![])),
        }
    });
}

/// L10.
#[test]
fn a_group_watcher_that_saw_a_member_receives_its_leave() {
    check(|world| {
        let (watcher, pid) = (world.process(), world.process());
        assert!(world.register_tag(TAG, pid));
        let ((reference, before), ()) = world.both(watch(watcher), end(pid, Shutdown));
        let left = change(reference, pid, GroupChange::Left);
        let expected = if before.is_empty() { vec![] } else { vec![left] };
        assert_eq!(world.received(watcher), expected);
    });
}

/// L10.
#[test]
fn a_group_watcher_that_ends_or_demonitors_leaves_no_group() {
    check(|world| {
        let (watcher, pid) = (world.process(), world.process());
        let (reference, _) = world.monitor_group(watcher, TAG);
        world.three(demonitor(reference), end(watcher, Shutdown), move |world| {
            world.register_tag(TAG, pid);
            world.unregister_tag(TAG, pid);
        });
        assert_eq!(world.leftovers().groups, 0);
    });
}

/// L10.
#[test]
fn a_group_monitor_of_an_ending_process_leaves_no_group() {
    check(|world| {
        let watcher = world.process();
        world.both(watch(watcher), end(watcher, Shutdown));
        assert_eq!(world.leftovers().groups, 0);
    });
}
