//! Supervisors that end before their children, and the higher supervisors at which these children,
//! the orphans, are recorded.

use crate::base::pid::Pid;
use crate::exit::reason::ExitReason::{Killed, Shutdown};
use crate::exit::shutdown::Shutdown::Infinity;
use crate::interleavings::check;
use crate::interleavings::operations::end;
use crate::interleavings::world::{World, exit};
use crate::kernel::admission::NewProcess;
use crate::process::{ChildRole, ChildSlot, ChildStop, Link, LinkRole, Parent};
use crate::restart::policy::Restart;

const SLOT: ChildSlot = ChildSlot { child: 0, start: 1 };
const ROLE: ChildRole = ChildRole { slot: SLOT, restart: Restart::Permanent, stop: ChildStop::No };

/// Creates a child of this supervisor. The child may be a supervisor as well.
fn child(world: &World, supervisor: Pid) -> Pid {
    let link = Link::active(world.kernel.fresh_id(), LinkRole::Peer);
    let parent = Parent { pid: supervisor, shutdown: Infinity, role: Some(ROLE) };
    let ancestors = Some(world.kernel.ancestors(supervisor, SLOT));
    let (link, parent) = (Some((supervisor, link)), Some(parent));
    world.admit(&NewProcess { link, parent, ancestors, ..NewProcess::default() })
}

/// Creates three nested supervisors, and under the lowest a worker that survives the end of its
/// supervisor.
fn nested_supervisors(world: &World) -> [Pid; 4] {
    let top = world.trapping();
    let upper = child(world, top);
    let lower = child(world, upper);
    let worker = child(world, lower);
    world.set_trap_exit(worker, true);
    [top, upper, lower, worker]
}

/// L6. Two nested supervisors end at the same time. When the top supervisor receives the exit of
/// the upper supervisor, the record of the top supervisor already lists the lower supervisor or the
/// worker as an orphan. After both ends that record lists only the worker.
#[test]
fn orphans_of_two_supervisors_that_end_together_are_recorded_above() {
    check(|world| {
        let [top, upper, lower, worker] = nested_supervisors(world);
        world.three(end(upper, Killed), end(lower, Killed), move |world| {
            assert_eq!(world.receive(top), exit(upper, Killed));
            let left = world.kernel.orphans(top, SLOT);
            assert!(left.contains(&lower) || left.contains(&worker), "{left:?}");
        });
        assert_eq!(world.kernel.orphans(top, SLOT), [worker]);
        world.end(worker, Shutdown);
        assert_eq!(world.kernel.orphans(top, SLOT), []);
    });
}

/// L6. The upper supervisor ends while its own orphans are read. The worker is then recorded at the
/// top supervisor.
#[test]
fn orphans_left_while_the_supervisor_above_ends_are_recorded_further_up() {
    check(|world| {
        let [top, upper, lower, worker] = nested_supervisors(world);
        world.end(lower, Killed);
        let orphans = move |world: &World| world.kernel.orphans(upper, SLOT);
        let ((), left) = world.both(end(upper, Shutdown), orphans);
        assert!(left.is_empty() || left == [worker]);
        assert_eq!(world.kernel.orphans(top, SLOT), [worker]);
    });
}
