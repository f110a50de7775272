//! What supervisors leave that end before their children do, and who knows of it.

use crate::base::pid::Pid;
use crate::exit::reason::ExitReason::{Killed, Shutdown};
use crate::exit::shutdown::Shutdown::Infinity;
use crate::interleavings::check;
use crate::interleavings::world::{World, exit};
use crate::kernel::admission::NewProcess;
use crate::process::{ChildRole, ChildSlot, ChildStop, Link, LinkRole, Parent};
use crate::restart::policy::Restart;

const SEAT: ChildSlot = ChildSlot { child: 0, start: 1 };
const ROLE: ChildRole = ChildRole { slot: SEAT, restart: Restart::Permanent, stop: ChildStop::No };

/// A child of this supervisor; every one of them may be a supervisor itself.
fn child(world: &World, supervisor: Pid) -> Pid {
    let link = Link::active(world.kernel.fresh_id(), LinkRole::Peer);
    let parent = Parent { pid: supervisor, shutdown: Infinity, role: Some(ROLE) };
    let ancestors = Some(world.kernel.ancestors(supervisor, SEAT));
    let new_process = NewProcess {
        link: Some((supervisor, link)),
        parent: Some(parent),
        ancestors,
        ..NewProcess::default()
    };
    let (pid, born) = world.bear(&new_process);
    born.expect("nothing is in its way");
    pid
}

/// Three supervisors, each above the next, and a worker that lives through their ends.
fn line(world: &World) -> [Pid; 4] {
    let top = world.trapping();
    let upper = child(world, top);
    let lower = child(world, upper);
    let worker = child(world, lower);
    world.set_trap_exit(worker, true);
    [top, upper, lower, worker]
}

/// L6. Two supervisors, one above the other, end at once: whoever is told that the upper one
/// has ended knows of a process that is to be waited for, down to the child that lives on.
#[test]
fn what_two_that_end_together_leave_is_known_above() {
    check(|| {
        let world = World::new();
        let [top, upper, lower, worker] = line(&world);
        let ((), (), ()) = world.three(
            move |world| world.end(upper, Killed),
            move |world| world.end(lower, Killed),
            move |world| {
                assert_eq!(world.receive(top), exit(upper, Killed));
                let left = world.kernel.orphans(top, SEAT);
                assert!(left.contains(&lower) || left.contains(&worker), "{left:?}");
            },
        );
        assert_eq!(world.kernel.orphans(top, SEAT), [worker]);
        world.end(worker, Shutdown);
        assert_eq!(world.kernel.orphans(top, SEAT), []);
        world.at_rest();
    });
}

/// L6. The same where the upper one ends of itself, and waits for nobody any more.
#[test]
fn what_is_left_while_the_one_above_ends_is_known_above_that() {
    check(|| {
        let world = World::new();
        let [top, upper, lower, worker] = line(&world);
        world.end(lower, Killed);
        let ((), left) = world.both(
            move |world| world.end(upper, Shutdown),
            move |world| world.kernel.orphans(upper, SEAT),
        );
        assert!(left.is_empty() || left == [worker]);
        assert_eq!(world.kernel.orphans(top, SEAT), [worker]);
        world.at_rest();
    });
}
