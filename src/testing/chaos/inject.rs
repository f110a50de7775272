//! Lets a planned fault happen: finds the child that it hits, and injects it.

use tokio::time::Instant;

use crate::kernel::faults::{Faults, StartFault};
use crate::testing::chaos::fault::{Effect, PlannedFault, Target};
use crate::testing::chaos::plan::ChaosPlan;
use crate::testing::chaos::tree::{ChaosTree, RunningChild};
use crate::time::timer_queue::after;

/// Lets a fault happen in this tree, and returns the line for the log. If the fault has no child
/// yet, it gets one, or the note that there was none to hit.
pub(super) fn inject(
    plan: &ChaosPlan,
    tree: &ChaosTree,
    injected: &Faults,
    fault: &mut PlannedFault,
) -> String {
    let effect = fault.effect;
    let mut children = tree.running();
    children.retain(|child| {
        plan.may_hit(&child.path) && (child.is_worker || !effect.spares_supervisors())
    });
    let hit = match &fault.target {
        Target::Drawn(number) => {
            let many = u64::try_from(children.len()).unwrap_or(u64::MAX);
            let at = number.checked_rem(many).and_then(|at| usize::try_from(at).ok());
            at.and_then(|at| children.get(at))
        }
        Target::Path(path) => children.iter().find(|child| child.path == *path),
        Target::Nothing => None,
    };
    if let Target::Drawn(_) = fault.target {
        fault.target = hit.map_or(Target::Nothing, |child| Target::Path(child.path.clone()));
    }
    if let Some(child) = hit {
        apply(effect, child, tree, injected);
    }
    let missed = match (hit, &fault.target) {
        (None, Target::Path(_)) => ", which does not run",
        _ => "",
    };
    format!("fault #{}: {fault}{missed}", fault.number)
}

fn apply(effect: Effect, child: &RunningChild, tree: &ChaosTree, injected: &Faults) {
    let add = |fault| injected.add_start_fault(child.supervisor, child.id.as_str().into(), fault);
    match effect {
        Effect::Kill => {}
        Effect::Hang(time) => return injected.hang(child.pid, after(Instant::now(), time)),
        Effect::LostMessages(count) => return injected.lose(child.pid, count),
        Effect::SlowInit(time) => add(StartFault::Late(time)),
        Effect::FailedStart(count) => (0..count).for_each(|_| add(StartFault::Fails)),
    }
    tree.runtime().kill(child.pid);
}
