//! Births whose parent ends, or whose runtime does.

use crate::base::pid::Pid;
use crate::exit::reason::ExitReason::{Killed, NoProc, Shutdown};
use crate::interleavings::check;
use crate::interleavings::world::{World, exit};
use crate::kernel::admission::{NewProcess, NotAdmitted};
use crate::process::{Link, LinkRole};

fn bear_linked(world: &World, parent: Pid, starting: bool) -> (Pid, Result<(), NotAdmitted>) {
    let id = world.kernel.fresh_id();
    let link = if starting { Link::awaited(id) } else { Link::active(id, LinkRole::Peer) };
    world.bear(&NewProcess { link: Some((parent, link)), ..NewProcess::default() })
}

/// L6.
#[test]
fn a_child_born_to_a_dying_parent_dies_with_it_or_is_not_born() {
    check(|| {
        let world = World::new();
        let parent = world.process();
        let ((child, born), ()) = world.both(
            move |world| bear_linked(world, parent, false),
            move |world| {
                world.kill(parent);
                world.notice(parent);
            },
        );
        match born {
            Ok(()) => assert_eq!(world.fate(child), Some(Killed)),
            Err(refused) => {
                assert_eq!(refused, NotAdmitted::Ended(NoProc));
                assert!(world.has_ended(child) && !world.is_alive(child));
            }
        }
        world.at_rest();
    });
}

/// L6.
#[test]
fn a_child_born_to_a_dying_parent_is_told_if_it_traps_by_then() {
    check(|| {
        let world = World::new();
        let parent = world.process();
        let ((child, born), ()) = world.both(
            move |world| {
                let (child, born) = bear_linked(world, parent, false);
                world.set_trap_exit(child, true);
                (child, born.is_ok())
            },
            move |world| world.end(parent, Shutdown),
        );
        match (born, world.fate(child)) {
            (true, None) => assert_eq!(world.received(child), [exit(parent, Shutdown)]),
            (true, fate) => assert_eq!(fate, Some(Shutdown)),
            (false, fate) => assert_eq!(fate, Some(NoProc)),
        }
        world.at_rest();
    });
}

/// L6.
#[test]
fn a_child_that_fails_as_it_starts_is_told_of_once() {
    check(|| {
        let world = World::new();
        let parent = world.trapping();
        let (child, born) = bear_linked(&world, parent, true);
        assert_eq!(born, Ok(()));
        let (acknowledged, ()) = world.both(
            move |world| world.kernel.acknowledge(parent, child),
            move |world| world.end(child, Shutdown),
        );
        let expected = if acknowledged { vec![exit(child, Shutdown)] } else { vec![] };
        assert_eq!(world.received(parent), expected);
        world.at_rest();
    });
}

/// L15.
#[test]
fn nobody_outlives_a_shutdown_by_being_born() {
    check(|| {
        let world = World::new();
        let ((child, born), _) =
            world.both(|world| world.bear(&NewProcess::default()), |world| world.shutdown());
        assert_eq!(world.fate(child), Some(Killed));
        assert!(born == Ok(()) || born == Err(NotAdmitted::Ended(Killed)), "{born:?}");
        world.at_rest();
    });
}

/// L15.
#[test]
fn a_shutdown_gets_whatever_a_cascade_leaves() {
    check(|| {
        let world = World::new();
        let (parent, other) = (world.process(), world.trapping());
        assert!(world.link(other, parent));
        let ((child, _), (), _) = world.three(
            move |world| bear_linked(world, parent, false),
            move |world| world.end(parent, Shutdown),
            |world| world.shutdown(),
        );
        for pid in [parent, other, child] {
            assert!(world.fate(pid).is_some(), "{pid} lives on");
        }
        world.at_rest();
    });
}
