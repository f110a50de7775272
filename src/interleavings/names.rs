//! Names whose holder changes.

use crate::base::pid::Pid;
use crate::exit::reason::ExitReason::{Killed, Shutdown};
use crate::interleavings::check;
use crate::interleavings::world::{World, down};
use crate::kernel::admission::{NewProcess, NotAdmitted};
use crate::kernel::{NameEntry, Vacancy};
use crate::process::{ChildRole, ChildSlot, ChildStop, Parent};
use crate::restart::policy::Restart;

const NAME: &str = "n";

/// L1.
#[test]
fn a_name_passes_from_an_ending_holder_to_the_next() {
    check(|| {
        let world = World::new();
        let (a, b) = (world.named(NAME), world.process());
        let (_, registered) = world.both(
            move |world| world.end(a, Shutdown),
            move |world| {
                world.unregister(NAME);
                world.register(NAME, b)
            },
        );
        assert!(registered, "the name was free");
        assert_eq!(world.whereis(NAME), Some(b));
        world.assert_consistent();
    });
}

/// L1.
#[test]
fn a_process_whose_end_is_announced_holds_no_name() {
    check(|| {
        let world = World::new();
        let (a, watcher) = (world.named(NAME), world.process());
        world.monitor(watcher, a);
        world.both(
            move |world| world.end(a, Shutdown),
            move |world| {
                let received_down = !world.received(watcher).is_empty();
                let holder = world.whereis(NAME);
                assert!(!received_down || holder.is_none(), "{holder:?} has ended");
            },
        );
        world.assert_consistent();
    });
}

/// L1.
#[test]
fn a_name_that_changes_its_holder_never_leads_to_an_ended_process() {
    check(|| {
        let world = World::new();
        let (a, b, watcher) = (world.named(NAME), world.process(), world.process());
        world.monitor(watcher, a);
        world.three(
            move |world| world.end(a, Shutdown),
            move |world| {
                world.unregister(NAME);
                assert!(world.register(NAME, b));
            },
            move |world| {
                let received_down = !world.received(watcher).is_empty();
                let holder = world.whereis(NAME);
                assert!(!received_down || holder != Some(a), "{a} has ended");
            },
        );
        assert_eq!(world.whereis(NAME), Some(b));
        world.assert_consistent();
    });
}

/// L1.
#[test]
fn at_most_one_of_two_gets_the_name_of_an_ending_holder() {
    check(|| {
        let world = World::new();
        let (a, b, c) = (world.named(NAME), world.process(), world.process());
        let (_, by_b, by_c) = world.three(
            move |world| world.end(a, Shutdown),
            move |world| world.register(NAME, b),
            move |world| world.register(NAME, c),
        );
        let holder = match (by_b, by_c) {
            (false, false) => None,
            (true, false) => Some(b),
            (false, true) => Some(c),
            (true, true) => panic!("both registered the name"),
        };
        assert_eq!(world.whereis(NAME), holder);
        world.assert_consistent();
    });
}

/// L1.
#[test]
fn a_name_registered_for_an_ending_process_is_freed() {
    check(|| {
        let world = World::new();
        let a = world.process();
        world.both(move |world| world.end(a, Shutdown), move |world| world.register(NAME, a));
        assert_eq!(world.whereis(NAME), None);
        world.assert_consistent();
    });
}

/// L1.
#[test]
fn an_unregistered_name_of_an_ending_process_is_free() {
    check(|| {
        let world = World::new();
        let (a, b) = (world.named(NAME), world.process());
        let (_, _, registered) = world.three(
            move |world| world.end(a, Shutdown),
            move |world| world.unregister(NAME),
            move |world| world.register(NAME, b),
        );
        assert!(!registered || world.whereis(NAME) != Some(a));
        world.assert_consistent();
    });
}

/// The role of an incarnation of the only child of a supervisor.
fn role(start: u32) -> ChildRole {
    ChildRole { slot: slot(start), restart: Restart::Permanent, stop: ChildStop::No }
}

fn slot(start: u32) -> ChildSlot {
    ChildSlot { child: 0, start }
}

/// Creates a child of this supervisor. The child holds the name.
fn supervised(world: &World, supervisor: Pid, start: u32) -> Pid {
    let shutdown = crate::exit::shutdown::Shutdown::Infinity;
    let parent = Some(Parent { pid: supervisor, shutdown, role: Some(role(start)) });
    let (name, label) = (Some(NAME.into()), Some("child".into()));
    let (pid, admitted) =
        world.create(&NewProcess { name, label, parent, ..NewProcess::default() });
    admitted.expect("nothing is in its way");
    pid
}

/// L1.
#[test]
fn a_name_left_to_an_ending_supervisor_is_freed() {
    check(|| {
        let world = World::new();
        let supervisor = world.process();
        let child = supervised(&world, supervisor, 0);
        world.both(
            move |world| world.end(child, Shutdown),
            move |world| world.end(supervisor, Shutdown),
        );
        assert_eq!(world.kernel.names.get(NAME), None);
        world.assert_consistent();
    });
}

/// L1.
#[test]
fn any_process_can_take_a_vacant_name_that_a_child_had_registered_itself() {
    check(|| {
        let world = World::new();
        let (supervisor, b) = (world.process(), world.process());
        let child = supervised(&world, supervisor, 0);
        assert!(world.register("own", child));
        world.end(child, Shutdown);
        let (registered, _) = world.both(
            move |world| world.register("own", b),
            move |world| world.kernel.free_names_of(&*world.process_of(supervisor), slot(0)),
        );
        assert!(registered);
        assert_eq!(world.whereis("own"), Some(b));
        world.assert_consistent();
    });
}

/// L1.
#[test]
fn a_reserved_name_is_refused_until_its_supervisor_frees_it() {
    check(|| {
        let world = World::new();
        let (supervisor, b) = (world.process(), world.process());
        let child = supervised(&world, supervisor, 0);
        world.end(child, Shutdown);
        assert!(!world.register(NAME, b));
        let (registered, _) = world.both(
            move |world| world.register(NAME, b),
            move |world| world.kernel.free_names_of(&*world.process_of(supervisor), slot(0)),
        );
        assert_eq!(world.whereis(NAME), registered.then_some(b));
        assert!(registered || world.register(NAME, b));
        world.assert_consistent();
    });
}

/// L1.
#[test]
fn only_the_successor_of_a_child_gets_its_reserved_name() {
    check(|| {
        let world = World::new();
        let (supervisor, b) = (world.process(), world.process());
        let first = supervised(&world, supervisor, 0);
        world.end(first, Shutdown);
        let (registered, second) = world.both(
            move |world| world.register(NAME, b),
            move |world| supervised(world, supervisor, 1),
        );
        assert!(!registered, "it is reserved, and then held");
        assert_eq!(world.whereis(NAME), Some(second));
        world.assert_consistent();
    });
}

/// L1.
#[test]
fn a_reserved_name_is_free_when_the_end_of_its_supervisor_is_announced() {
    check(|| {
        let world = World::new();
        let (supervisor, b) = (world.process(), world.process());
        let reference = world.monitor(b, supervisor);
        let child = supervised(&world, supervisor, 0);
        world.end(child, Shutdown);
        world.both(
            move |world| world.end(supervisor, Shutdown),
            move |world| {
                assert_eq!(world.receive(b), down(reference, supervisor, Shutdown));
                assert!(world.register(NAME, b), "the name is free");
            },
        );
        assert_eq!(world.whereis(NAME), Some(b));
        world.assert_consistent();
    });
}

/// L1.
#[test]
fn a_name_that_its_child_unregistered_is_reserved_or_held_by_another() {
    check(|| {
        let world = World::new();
        let (supervisor, b) = (world.process(), world.process());
        let child = supervised(&world, supervisor, 0);
        let (_, registered) = world.both(
            move |world| world.end(child, Shutdown),
            move |world| {
                world.unregister(NAME);
                world.register(NAME, b)
            },
        );
        assert_eq!(world.whereis(NAME), registered.then_some(b));
        let vacancy = Vacancy { supervisor, until: None };
        let reserved = world.kernel.names.get(NAME) == Some(NameEntry::Vacant(vacancy));
        assert_eq!(reserved, !registered);
        world.assert_consistent();
    });
}

/// L1.
#[test]
fn a_name_left_by_a_later_incarnation_is_not_freed_for_an_earlier_one() {
    check(|| {
        let world = World::new();
        let supervisor = world.process();
        let first = supervised(&world, supervisor, 0);
        world.end(first, Shutdown);
        let second = supervised(&world, supervisor, 1);
        world.both(
            move |world| world.end(second, Shutdown),
            move |world| world.kernel.free_names_of(&*world.process_of(supervisor), slot(0)),
        );
        let vacancy = Vacancy { supervisor, until: None };
        assert_eq!(world.kernel.names.get(NAME), Some(NameEntry::Vacant(vacancy)));
        world.assert_consistent();
    });
}

/// Finds or creates the holder of the name, as `Runtime::whereis_or_spawn` does, but without a
/// task.
fn whereis_or_create(world: &World) -> Pid {
    if let Some(holder) = world.whereis(NAME) {
        return holder;
    }
    let new_process = NewProcess { name: Some(NAME.into()), ..NewProcess::default() };
    match world.create(&new_process) {
        (_, Err(NotAdmitted::NameTaken(holder))) => holder,
        (pid, admitted) => {
            admitted.expect("nothing else is in its way");
            pid
        }
    }
}

/// L9.
#[test]
fn one_of_two_concurrent_spawns_of_a_name_succeeds() {
    check(|| {
        let world = World::new();
        let (one, other) = world.both(whereis_or_create, whereis_or_create);
        assert_eq!(one, other);
        assert_eq!(world.whereis(NAME), Some(one));
        assert_eq!(world.list(), [one]);
        world.assert_consistent();
    });
}

/// L9.
#[test]
fn at_most_one_of_two_replaces_an_ending_holder() {
    check(|| {
        let world = World::new();
        let holder = world.named(NAME);
        let (_, one, other) = world.three(
            move |world| {
                world.kill(holder);
                world.drop_task(holder);
            },
            whereis_or_create,
            whereis_or_create,
        );
        assert_eq!(world.exit_reason(holder), Some(Killed));
        let newcomer = [one, other].into_iter().find(|&pid| pid != holder);
        assert!([one, other].iter().all(|&pid| pid == holder || Some(pid) == newcomer));
        assert_eq!(world.whereis(NAME), newcomer);
        assert_eq!(world.list(), Vec::from_iter(newcomer), "a loser has left something");
        world.assert_consistent();
    });
}

/// L18.
#[test]
fn a_process_that_received_the_down_can_take_the_name_at_once() {
    check(|| {
        let world = World::new();
        let (a, successor) = (world.named(NAME), world.process());
        let reference = world.monitor(successor, a);
        world.both(
            move |world| world.end(a, Shutdown),
            move |world| {
                assert_eq!(world.receive(successor), down(reference, a, Shutdown));
                assert!(world.register(NAME, successor), "an ended process holds the name");
            },
        );
        assert_eq!(world.whereis(NAME), Some(successor));
        world.assert_consistent();
    });
}
