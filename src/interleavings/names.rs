//! Names that change hands.

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
fn a_name_passes_from_a_dying_holder_to_the_next() {
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
        assert!(registered, "nobody else held it any more");
        assert_eq!(world.whereis(NAME), Some(b));
        world.at_rest();
    });
}

/// L1.
#[test]
fn a_name_is_never_that_of_a_process_whose_end_was_told() {
    check(|| {
        let world = World::new();
        let (a, watcher) = (world.named(NAME), world.process());
        world.monitor(watcher, a);
        world.both(
            move |world| world.end(a, Shutdown),
            move |world| {
                let told = !world.received(watcher).is_empty();
                let holder = world.whereis(NAME);
                assert!(!told || holder.is_none(), "{holder:?} is dead");
            },
        );
        world.at_rest();
    });
}

/// L1.
#[test]
fn while_a_name_changes_hands_nobody_is_sent_to_the_dead() {
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
                let told = !world.received(watcher).is_empty();
                let holder = world.whereis(NAME);
                assert!(!told || holder != Some(a), "{a} is dead");
            },
        );
        assert_eq!(world.whereis(NAME), Some(b));
        world.at_rest();
    });
}

/// L1.
#[test]
fn one_of_two_gets_the_name_of_a_dying_holder_or_none() {
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
            (true, true) => panic!("both were told that it is theirs"),
        };
        assert_eq!(world.whereis(NAME), holder);
        world.at_rest();
    });
}

/// L1.
#[test]
fn a_process_that_ends_takes_no_new_name_along() {
    check(|| {
        let world = World::new();
        let a = world.process();
        world.both(move |world| world.end(a, Shutdown), move |world| world.register(NAME, a));
        assert_eq!(world.whereis(NAME), None);
        world.at_rest();
    });
}

/// L1.
#[test]
fn a_name_that_was_taken_away_is_free_for_a_dying_process_too() {
    check(|| {
        let world = World::new();
        let (a, b) = (world.named(NAME), world.process());
        let (_, _, registered) = world.three(
            move |world| world.end(a, Shutdown),
            move |world| world.unregister(NAME),
            move |world| world.register(NAME, b),
        );
        assert!(!registered || world.whereis(NAME) != Some(a));
        world.at_rest();
    });
}

/// An incarnation of a supervisor's one child.
fn role(start: u32) -> ChildRole {
    ChildRole { slot: slot(start), restart: Restart::Permanent, stop: ChildStop::No }
}

fn slot(start: u32) -> ChildSlot {
    ChildSlot { child: 0, start }
}

/// A live process with the name that has a supervisor.
fn supervised(world: &World, supervisor: Pid, start: u32) -> Pid {
    let shutdown = crate::exit::shutdown::Shutdown::Infinity;
    let parent = Some(Parent { pid: supervisor, shutdown, role: Some(role(start)) });
    let (name, label) = (Some(NAME.into()), Some("child".into()));
    let (pid, born) = world.bear(&NewProcess { name, label, parent, ..NewProcess::default() });
    born.expect("nothing is in its way");
    pid
}

/// L1.
#[test]
fn a_name_left_to_a_dying_supervisor_is_free() {
    check(|| {
        let world = World::new();
        let supervisor = world.process();
        let child = supervised(&world, supervisor, 0);
        world.both(
            move |world| world.end(child, Shutdown),
            move |world| world.end(supervisor, Shutdown),
        );
        assert_eq!(world.kernel.names.get(NAME), None);
        world.at_rest();
    });
}

/// L1.
#[test]
fn a_name_that_a_child_had_registered_itself_goes_to_the_first_that_asks() {
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
        world.at_rest();
    });
}

/// L1.
#[test]
fn a_reserved_name_is_refused_until_its_supervisor_is_done_with_the_child() {
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
        world.at_rest();
    });
}

/// L1.
#[test]
fn the_successor_of_a_child_gets_its_name_whoever_else_asks() {
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
        world.at_rest();
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
                assert!(world.register(NAME, b), "it is reserved for nobody");
            },
        );
        assert_eq!(world.whereis(NAME), Some(b));
        world.at_rest();
    });
}

/// L1.
#[test]
fn a_name_that_its_child_gave_up_is_reserved_or_held_by_another() {
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
        world.at_rest();
    });
}

/// L1.
#[test]
fn a_name_left_by_one_child_is_not_cleared_for_the_next() {
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
        world.at_rest();
    });
}

/// What `Runtime::whereis_or_spawn` does, up to the task.
fn whereis_or_bear(world: &World) -> Pid {
    if let Some(holder) = world.whereis(NAME) {
        return holder;
    }
    let new_process = NewProcess { name: Some(NAME.into()), ..NewProcess::default() };
    match world.bear(&new_process) {
        (_, Err(NotAdmitted::NameTaken(holder))) => holder,
        (pid, born) => {
            born.expect("nothing else is in its way");
            pid
        }
    }
}

/// L9.
#[test]
fn of_two_that_spawn_what_is_not_there_one_does() {
    check(|| {
        let world = World::new();
        let (one, other) = world.both(whereis_or_bear, whereis_or_bear);
        assert_eq!(one, other);
        assert_eq!(world.whereis(NAME), Some(one));
        assert_eq!(world.list(), [one]);
        world.at_rest();
    });
}

/// L9.
#[test]
fn of_two_that_find_a_dying_incumbent_at_most_one_replaces_it() {
    check(|| {
        let world = World::new();
        let incumbent = world.named(NAME);
        let (_, one, other) = world.three(
            move |world| {
                world.kill(incumbent);
                world.notice(incumbent);
            },
            whereis_or_bear,
            whereis_or_bear,
        );
        assert_eq!(world.fate(incumbent), Some(Killed));
        let newcomer = [one, other].into_iter().find(|&pid| pid != incumbent);
        assert!([one, other].iter().all(|&pid| pid == incumbent || Some(pid) == newcomer));
        assert_eq!(world.whereis(NAME), newcomer);
        assert_eq!(world.list(), Vec::from_iter(newcomer), "a loser has left something");
        world.at_rest();
    });
}

/// L18.
#[test]
fn whoever_is_told_of_the_end_may_take_the_name_at_once() {
    check(|| {
        let world = World::new();
        let (a, heir) = (world.named(NAME), world.process());
        let reference = world.monitor(heir, a);
        world.both(
            move |world| world.end(a, Shutdown),
            move |world| {
                assert_eq!(world.receive(heir), down(reference, a, Shutdown));
                assert!(world.register(NAME, heir), "the dead hold it");
            },
        );
        assert_eq!(world.whereis(NAME), Some(heir));
        world.at_rest();
    });
}
