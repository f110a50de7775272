//! Processes that are started while their parent or the runtime ends.

use crate::base::pid::Pid;
use crate::exit::reason::ExitReason::{Killed, NoProc, Shutdown};
use crate::interleavings::check;
use crate::interleavings::world::{World, exit};
use crate::kernel::admission::{NewProcess, NotAdmitted};
use crate::process::{Link, LinkRole};

fn create_linked(world: &World, parent: Pid, starting: bool) -> (Pid, Result<(), NotAdmitted>) {
    let id = world.kernel.fresh_id();
    let link = if starting { Link::awaited(id) } else { Link::active(id, LinkRole::Peer) };
    world.create(&NewProcess { link: Some((parent, link)), ..NewProcess::default() })
}

/// L6.
#[test]
fn a_child_started_by_an_ending_parent_ends_with_it_or_is_not_admitted() {
    check(|| {
        let world = World::new();
        let parent = world.process();
        let ((child, admitted), ()) = world.both(
            move |world| create_linked(world, parent, false),
            move |world| {
                world.kill(parent);
                world.drop_task(parent);
            },
        );
        match admitted {
            Ok(()) => assert_eq!(world.exit_reason(child), Some(Killed)),
            Err(refused) => {
                assert_eq!(refused, NotAdmitted::Ended(NoProc));
                assert!(world.has_ended(child) && !world.is_alive(child));
            }
        }
        world.assert_consistent();
    });
}

/// L6.
#[test]
fn a_child_started_by_an_ending_parent_receives_its_exit_if_it_traps() {
    check(|| {
        let world = World::new();
        let parent = world.process();
        let ((child, admitted), ()) = world.both(
            move |world| {
                let (child, admitted) = create_linked(world, parent, false);
                world.set_trap_exit(child, true);
                (child, admitted.is_ok())
            },
            move |world| world.end(parent, Shutdown),
        );
        match (admitted, world.exit_reason(child)) {
            (true, None) => assert_eq!(world.received(child), [exit(parent, Shutdown)]),
            (true, exit_reason) => assert_eq!(exit_reason, Some(Shutdown)),
            (false, exit_reason) => assert_eq!(exit_reason, Some(NoProc)),
        }
        world.assert_consistent();
    });
}

/// L6.
#[test]
fn a_child_that_ends_while_it_starts_is_reported_once() {
    check(|| {
        let world = World::new();
        let parent = world.trapping();
        let (child, admitted) = create_linked(&world, parent, true);
        assert_eq!(admitted, Ok(()));
        let (acknowledged, ()) = world.both(
            move |world| world.kernel.acknowledge(parent, child),
            move |world| world.end(child, Shutdown),
        );
        let expected = if acknowledged { vec![exit(child, Shutdown)] } else { vec![] };
        assert_eq!(world.received(parent), expected);
        world.assert_consistent();
    });
}

/// L15.
#[test]
fn a_process_started_during_a_shutdown_is_killed() {
    check(|| {
        let world = World::new();
        let ((child, admitted), _) =
            world.both(|world| world.create(&NewProcess::default()), |world| world.shutdown());
        assert_eq!(world.exit_reason(child), Some(Killed));
        assert!(admitted == Ok(()) || admitted == Err(NotAdmitted::Ended(Killed)), "{admitted:?}");
        world.assert_consistent();
    });
}

/// L15.
#[test]
fn a_shutdown_ends_all_processes_that_a_cascade_leaves() {
    check(|| {
        let world = World::new();
        let (parent, other) = (world.process(), world.trapping());
        assert!(world.link(other, parent));
        let ((child, _), (), _) = world.three(
            move |world| create_linked(world, parent, false),
            move |world| world.end(parent, Shutdown),
            |world| world.shutdown(),
        );
        for pid in [parent, other, child] {
            assert!(world.exit_reason(pid).is_some(), "{pid} lives on");
        }
        world.assert_consistent();
    });
}
