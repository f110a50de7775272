//! Handles by name that remember the holder of their name.

use std::sync::Arc;

use crate::base::pid::Pid;
use crate::base::sync::atomic::{AtomicBool, Ordering};
use crate::exit::reason::ExitReason::Shutdown;
use crate::interleavings::check;
use crate::interleavings::names::{NAME, take_over};
use crate::interleavings::operations::end;
use crate::interleavings::world::World;
use crate::message::received::Envelope;
use crate::runtime::KnownHolder;

/// Makes a handle remember this process, as a request by the name does.
fn remember(known: &KnownHolder<Envelope>, world: &World, pid: Pid) {
    if world.whereis(NAME) == Some(pid) {
        known.remember(world.process_of(pid));
    }
}

fn remembering(world: &World, pid: Pid) -> KnownHolder<Envelope> {
    let known = KnownHolder::default();
    remember(&known, world, pid);
    assert_eq!(current(&known), Some(pid));
    known
}

fn current(known: &KnownHolder<Envelope>) -> Option<Pid> {
    known.current().map(|process| process.pid())
}

/// L1.
#[test]
fn a_remembered_holder_is_not_used_after_its_name_has_moved() {
    check(|world| {
        let (a, b, moved) = (world.named(NAME), world.process(), Arc::new(AtomicBool::new(false)));
        let (known, has_moved) = (remembering(world, a), moved.clone());
        let take_over = move |world: &World| {
            assert!(take_over(b)(world));
            moved.store(true, Ordering::Release);
        };
        let look = move |_: &World| {
            let has_moved = has_moved.load(Ordering::Acquire);
            assert!(!has_moved || current(&known).is_none(), "the name has moved");
        };
        world.both(take_over, look);
    });
}

/// L1.
#[test]
fn a_remembered_holder_is_not_used_once_another_process_is_found() {
    check(|world| {
        let (a, b) = (world.named(NAME), world.process());
        let known = remembering(world, a);
        let look = move |world: &World| {
            let has_moved = world.whereis(NAME) != Some(a);
            assert!(!has_moved || current(&known).is_none(), "the name has moved");
        };
        world.three(end(a, Shutdown), take_over(b), look);
    });
}

/// L1.
#[test]
fn a_holder_that_loses_its_name_while_it_is_looked_up_is_not_used() {
    check(|world| {
        let (a, b) = (world.named(NAME), world.process());
        let known = Arc::new(KnownHolder::default());
        let also = known.clone();
        world.both(take_over(b), move |world| remember(&also, world, a));
        assert_eq!(current(&known), None, "the name has moved");
    });
}

/// L1. The process that is looked up loses the name and gets it back.
#[test]
fn a_holder_that_gets_its_name_back_and_loses_it_again_is_not_used() {
    check(|world| {
        let (a, b) = (world.named(NAME), world.process());
        let known = Arc::new(KnownHolder::default());
        let also = known.clone();
        let back_and_forth = move |world: &World| {
            assert!(take_over(a)(world));
            assert!(take_over(b)(world));
        };
        world.both(back_and_forth, move |world| remember(&also, world, a));
        assert_eq!(current(&known), None, "the name has moved");
    });
}

/// L1.
#[test]
fn a_remembered_holder_is_not_used_after_its_end() {
    check(|world| {
        let (a, watcher) = (world.named(NAME), world.process());
        let known = remembering(world, a);
        world.monitor(watcher, a);
        let look = move |world: &World| {
            let received_down = !world.received(watcher).is_empty();
            assert!(!received_down || current(&known).is_none(), "the holder has ended");
        };
        world.both(end(a, Shutdown), look);
    });
}
