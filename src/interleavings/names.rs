//! Names whose holder changes.

use crate::base::pid::Pid;
use crate::exit::reason::ExitReason::{Killed, Shutdown};
use crate::exit::shutdown::Shutdown::Infinity;
use crate::interleavings::check;
use crate::interleavings::operations::{end, kill};
use crate::interleavings::world::{World, down};
use crate::kernel::admission::{NewProcess, NotAdmitted};
use crate::kernel::{NameEntry, Vacancy};
use crate::message::received::Received;
use crate::process::{ChildRole, ChildSlot, ChildStop, Parent};
use crate::restart::policy::Restart;

pub(super) const NAME: &str = "n";

fn register(pid: Pid) -> impl FnOnce(&World) -> bool {
    move |world| world.register(NAME, pid)
}

/// Unregisters the name, if it has a holder, and registers it for this process.
pub(super) fn take_over(pid: Pid) -> impl FnOnce(&World) -> bool {
    move |world| {
        world.unregister(NAME);
        world.register(NAME, pid)
    }
}

/// L1.
#[test]
fn a_name_passes_from_an_ending_holder_to_the_next() {
    check(|world| {
        let (a, b) = (world.named(NAME), world.process());
        let ((), registered) = world.both(end(a, Shutdown), take_over(b));
        assert!(registered, "the name was free");
        assert_eq!(world.whereis(NAME), Some(b));
    });
}

/// Looks up the name. Checks that `ended` does not hold it if the watcher has already received a
/// `Down`.
fn look_up_after_down(watcher: Pid, ended: Pid) -> impl FnOnce(&World) {
    move |world| {
        let received_down = !world.received(watcher).is_empty();
        let holder = world.whereis(NAME);
        assert!(!received_down || holder != Some(ended), "{ended} has ended");
    }
}

/// L1.
#[test]
fn a_process_whose_end_is_announced_holds_no_name() {
    check(|world| {
        let (a, watcher) = (world.named(NAME), world.process());
        world.monitor(watcher, a);
        world.both(end(a, Shutdown), look_up_after_down(watcher, a));
    });
}

/// L1.
#[test]
fn a_name_that_changes_its_holder_never_leads_to_an_ended_process() {
    check(|world| {
        let (a, b, watcher) = (world.named(NAME), world.process(), world.process());
        world.monitor(watcher, a);
        let ((), registered, ()) =
            world.three(end(a, Shutdown), take_over(b), look_up_after_down(watcher, a));
        assert!(registered);
        assert_eq!(world.whereis(NAME), Some(b));
    });
}

/// L1.
#[test]
fn at_most_one_of_two_gets_the_name_of_an_ending_holder() {
    check(|world| {
        let (a, b, c) = (world.named(NAME), world.process(), world.process());
        let ((), by_b, by_c) = world.three(end(a, Shutdown), register(b), register(c));
        assert!(!by_b || !by_c, "both registered the name");
        assert_eq!(world.whereis(NAME), by_b.then_some(b).or(by_c.then_some(c)));
    });
}

/// L1.
#[test]
fn a_name_registered_for_an_ending_process_is_freed() {
    check(|world| {
        let a = world.process();
        world.both(end(a, Shutdown), register(a));
        assert_eq!(world.whereis(NAME), None);
    });
}

/// L1.
#[test]
fn an_unregistered_name_of_an_ending_process_is_free() {
    check(|world| {
        let (a, b) = (world.named(NAME), world.process());
        let unregister = |world: &World| world.unregister(NAME);
        let ((), _, registered) = world.three(end(a, Shutdown), unregister, register(b));
        assert!(!registered || world.whereis(NAME) != Some(a));
    });
}

fn slot(start: u32) -> ChildSlot {
    ChildSlot { child: 0, start }
}

/// Creates the only child of this supervisor, in this incarnation. The child holds the name.
fn supervised(world: &World, supervisor: Pid, start: u32) -> Pid {
    let role = ChildRole { slot: slot(start), restart: Restart::Permanent, stop: ChildStop::No };
    let parent = Some(Parent { pid: supervisor, shutdown: Infinity, role: Some(role) });
    let (name, label) = (Some(NAME.into()), Some("child".into()));
    world.admit(&NewProcess { name, label, parent, ..NewProcess::default() })
}

/// Creates a supervisor whose child has ended, so that the name is reserved.
fn reserving(world: &World) -> Pid {
    let supervisor = world.process();
    world.end(supervised(world, supervisor, 0), Shutdown);
    supervisor
}

/// Frees the names that the first incarnation of the child has left.
fn free_names(supervisor: Pid) -> impl FnOnce(&World) {
    move |world| world.kernel.free_names_of(&*world.process_of(supervisor), slot(0))
}

fn is_reserved(world: &World, supervisor: Pid) -> bool {
    let vacancy = Vacancy { supervisor, until: None };
    world.kernel.names.get(NAME) == Some(NameEntry::Vacant(vacancy))
}

/// L1.
#[test]
fn a_name_left_to_an_ending_supervisor_is_freed() {
    check(|world| {
        let supervisor = world.process();
        let child = supervised(world, supervisor, 0);
        world.both(end(child, Shutdown), end(supervisor, Shutdown));
        assert_eq!(world.kernel.names.get(NAME), None);
    });
}

/// L1.
#[test]
fn any_process_can_take_a_vacant_name_that_a_child_had_registered_itself() {
    check(|world| {
        let (supervisor, b) = (world.process(), world.process());
        let child = supervised(world, supervisor, 0);
        assert!(world.register("own", child));
        world.end(child, Shutdown);
        let register_own = move |world: &World| world.register("own", b);
        let (registered, ()) = world.both(register_own, free_names(supervisor));
        assert!(registered);
        assert_eq!(world.whereis("own"), Some(b));
    });
}

/// L1.
#[test]
fn a_reserved_name_is_refused_until_its_supervisor_frees_it() {
    check(|world| {
        let (supervisor, b) = (reserving(world), world.process());
        assert!(!world.register(NAME, b));
        let (registered, ()) = world.both(register(b), free_names(supervisor));
        assert_eq!(world.whereis(NAME), registered.then_some(b));
        assert!(registered || world.register(NAME, b));
    });
}

/// L1.
#[test]
fn only_the_successor_of_a_child_gets_its_reserved_name() {
    check(|world| {
        let (supervisor, b) = (reserving(world), world.process());
        let (registered, second) =
            world.both(register(b), move |world| supervised(world, supervisor, 1));
        assert!(!registered, "it is reserved, and then held");
        assert_eq!(world.whereis(NAME), Some(second));
    });
}

/// Receives this `Down`, and then registers the name, which must be free by then.
fn register_after(down: Received, pid: Pid) -> impl FnOnce(&World) {
    move |world| {
        assert_eq!(world.receive(pid), down);
        assert!(world.register(NAME, pid), "the name is free");
    }
}

/// L1.
#[test]
fn a_reserved_name_is_free_when_the_end_of_its_supervisor_is_announced() {
    check(|world| {
        let (supervisor, b) = (reserving(world), world.process());
        let down = down(world.monitor(b, supervisor), supervisor, Shutdown);
        world.both(end(supervisor, Shutdown), register_after(down, b));
        assert_eq!(world.whereis(NAME), Some(b));
    });
}

/// L1.
#[test]
fn a_name_that_its_child_unregistered_is_reserved_or_held_by_another() {
    check(|world| {
        let (supervisor, b) = (world.process(), world.process());
        let child = supervised(world, supervisor, 0);
        let ((), registered) = world.both(end(child, Shutdown), take_over(b));
        assert_eq!(world.whereis(NAME), registered.then_some(b));
        assert_eq!(is_reserved(world, supervisor), !registered);
    });
}

/// L1.
#[test]
fn a_name_left_by_a_later_incarnation_is_not_freed_for_an_earlier_one() {
    check(|world| {
        let supervisor = reserving(world);
        let second = supervised(world, supervisor, 1);
        world.both(end(second, Shutdown), free_names(supervisor));
        assert!(is_reserved(world, supervisor));
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
    check(|world| {
        let (one, other) = world.both(whereis_or_create, whereis_or_create);
        assert_eq!(one, other);
        assert_eq!(world.whereis(NAME), Some(one));
        assert_eq!(world.list(), [one]);
    });
}

/// L9.
#[test]
fn at_most_one_of_two_replaces_an_ending_holder() {
    check(|world| {
        let holder = world.named(NAME);
        let ((), one, other) = world.three(kill(holder), whereis_or_create, whereis_or_create);
        assert_eq!(world.exit_reason(holder), Some(Killed));
        let newcomer = [one, other].into_iter().find(|&pid| pid != holder);
        assert!([one, other].iter().all(|&pid| pid == holder || Some(pid) == newcomer));
        assert_eq!(world.whereis(NAME), newcomer);
        assert_eq!(world.list(), Vec::from_iter(newcomer), "a loser has left something");
    });
}

/// L18.
#[test]
fn a_process_that_received_the_down_can_take_the_name_at_once() {
    check(|world| {
        let (a, successor) = (world.named(NAME), world.process());
        let down = down(world.monitor(successor, a), a, Shutdown);
        world.both(end(a, Shutdown), register_after(down, successor));
        assert_eq!(world.whereis(NAME), Some(successor));
    });
}
