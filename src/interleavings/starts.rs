//! Processes that are started while their parent or the runtime ends.

use crate::base::pid::Pid;
use crate::exit::reason::ExitReason::{Killed, NoProc, Shutdown};
use crate::interleavings::check;
use crate::interleavings::operations::{end, kill};
use crate::interleavings::world::{World, exit};
use crate::kernel::admission::{NewProcess, NotAdmitted};
use crate::process::{Link, LinkRole};

/// Creates a process that is linked to its parent.
fn create_linked(world: &World, parent: Pid, link: Link) -> (Pid, Result<(), NotAdmitted>) {
    world.create(&NewProcess { link: Some((parent, link)), ..NewProcess::default() })
}

/// Starts a linked child.
fn start(parent: Pid) -> impl FnOnce(&World) -> (Pid, Result<(), NotAdmitted>) {
    move |world| {
        let link = Link::active(world.kernel.fresh_id(), LinkRole::Peer);
        create_linked(world, parent, link)
    }
}

/// L6.
#[test]
fn a_child_started_by_an_ending_parent_ends_with_it_or_is_not_admitted() {
    check(|world| {
        let parent = world.process();
        let ((child, admitted), ()) = world.both(start(parent), kill(parent));
        match admitted {
            Ok(()) => assert_eq!(world.exit_reason(child), Some(Killed)),
            Err(refused) => {
                assert_eq!(refused, NotAdmitted::Ended(NoProc));
                assert!(world.has_ended(child) && !world.is_alive(child));
            }
        }
    });
}

/// L6.
#[test]
fn a_child_started_by_an_ending_parent_receives_its_exit_if_it_traps() {
    check(|world| {
        let parent = world.process();
        let start_trapping = move |world: &World| {
            let (child, admitted) = start(parent)(world);
            world.set_trap_exit(child, true);
            (child, admitted.is_ok())
        };
        let ((child, admitted), ()) = world.both(start_trapping, end(parent, Shutdown));
        match (admitted, world.exit_reason(child)) {
            (true, None) => assert_eq!(world.received(child), [exit(parent, Shutdown)]),
            (true, exit_reason) => assert_eq!(exit_reason, Some(Shutdown)),
            (false, exit_reason) => assert_eq!(exit_reason, Some(NoProc)),
        }
    });
}

/// L6.
#[test]
fn a_child_that_ends_while_it_starts_is_reported_once() {
    check(|world| {
        let parent = world.trapping();
        let link = Link::awaited(world.kernel.fresh_id(), LinkRole::Peer);
        let (child, admitted) = create_linked(world, parent, link);
        assert_eq!(admitted, Ok(()));
        let acknowledge = move |world: &World| world.kernel.acknowledge(parent, child);
        let (acknowledged, ()) = world.both(acknowledge, end(child, Shutdown));
        let expected = if acknowledged { vec![exit(child, Shutdown)] } else { vec![] };
        assert_eq!(world.received(parent), expected);
    });
}

/// L15.
#[test]
fn a_process_started_during_a_shutdown_is_killed() {
    check(|world| {
        let create = |world: &World| world.create(&NewProcess::default());
        let ((child, admitted), _) = world.both(create, |world| world.shutdown());
        assert_eq!(world.exit_reason(child), Some(Killed));
        assert!(admitted == Ok(()) || admitted == Err(NotAdmitted::Ended(Killed)), "{admitted:?}");
    });
}

/// L15.
#[test]
fn a_shutdown_ends_all_processes_that_a_cascade_leaves() {
    check(|world| {
        let (parent, other) = (world.process(), world.trapping());
        assert!(world.link(other, parent));
        let ((child, _), (), _) =
            world.three(start(parent), end(parent, Shutdown), |world| world.shutdown());
        for pid in [parent, other, child] {
            assert!(world.exit_reason(pid).is_some(), "{pid} lives on");
        }
    });
}
