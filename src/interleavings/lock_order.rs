//! Runs operations that take locks, first in pairs, and then all at the same time: no combination
//! causes a deadlock, and the records and tables agree afterwards.

use crate::base::pid::Pid;
use crate::exit::reason::ExitReason::Shutdown;
use crate::interleavings::check;
use crate::interleavings::world::World;

type Act = fn(&World, Pid, Pid);

const ACTS: [Act; 8] = [
    |world, a, b| _ = world.link(a, b),
    |world, a, b| _ = world.link(b, a),
    |world, a, _| world.end(a, Shutdown),
    |world, a, _| _ = world.register("n", a),
    |world, a, b| _ = world.monitor(b, a),
    |world, _, _| _ = world.unregister("n"),
    |world, a, _| _ = world.register_tag("g", a),
    |world, _, b| _ = world.monitor_group(b, "g"),
];

/// Creates two processes with relations, so that each operation changes something.
fn with_relations(world: &World) -> (Pid, Pid) {
    let (a, b) = (world.trapping(), world.trapping());
    assert!(world.register("n", b) && world.register_tag("g", b));
    world.monitor_group(a, "g");
    world.monitor(a, b);
    (a, b)
}

fn check_pairs_with(first: Act, others: &'static [Act]) {
    for &second in others {
        check(move |world| {
            let (a, b) = with_relations(world);
            world.both(move |world| first(world, a, b), |world| second(world, a, b));
        });
    }
}

/// L14.
#[test]
fn a_link_causes_no_deadlock() {
    check_pairs_with(ACTS[0], &ACTS);
}

/// L14.
#[test]
fn a_link_by_the_other_side_causes_no_deadlock() {
    check_pairs_with(ACTS[1], &ACTS[1..]);
}

/// L14.
#[test]
fn an_end_causes_no_deadlock() {
    // A process ends only once, so the end is not paired with itself. The pairs with links are
    // checked by the two tests above.
    check_pairs_with(ACTS[2], &ACTS[3..]);
}

/// L14.
#[test]
fn a_registration_causes_no_deadlock() {
    check_pairs_with(ACTS[3], &ACTS[3..]);
}

/// L14.
#[test]
fn a_monitor_causes_no_deadlock() {
    check_pairs_with(ACTS[4], &ACTS[4..]);
}

/// L14.
#[test]
fn an_unregistration_causes_no_deadlock() {
    check_pairs_with(ACTS[5], &ACTS[5..]);
}

/// L14.
#[test]
fn a_group_causes_no_deadlock() {
    check_pairs_with(ACTS[6], &ACTS[6..]);
    check_pairs_with(ACTS[7], &ACTS[7..]);
}

/// L14. There are too many threads to run all interleavings, so shuttle draws a sample.
#[cfg(regrow_shuttle)]
#[test]
fn all_operations_at_once_cause_no_deadlock() {
    check(|world| {
        let (a, b) = with_relations(world);
        let acts = ACTS.map(|act| world.on_thread(move |world| act(world, a, b)));
        acts.into_iter().for_each(|act| act.join().expect("nothing panics"));
    });
}
