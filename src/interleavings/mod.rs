//! Model-checker tests of the kernel's protocols: each runs a few operations in many interleavings.
//!
//! **Uses** `base`, `exit`, `message`, `time`, `restart`, `process`, `kernel`, `mailbox`, `call`,
//! `driver`, `runtime`.
//! **Knows nothing of** anything above `runtime`: a target tests processes, not servers or
//! supervisors.
//!
//! A target is a test. Its doc comment starts with the number of the property in the table below
//! that it checks, if there is one. Under `--cfg regrow_loom` loom runs the target in every
//! interleaving with at most two preemptions. Under `--cfg regrow_shuttle` shuttle runs the target
//! in a sample of schedules: half of them are random, half have few preemptions at points that
//! shuttle selects to expose bugs. `REGROW_PROOF=full` sets three preemptions and ten times as many
//! schedules. [`check`] gives a target a new [`World`] for each run. After the target's own
//! assertions `check` calls [`World::assert_consistent`], which checks properties that hold after
//! every run.
//!
//! There is no tokio runtime. A process is a record in the kernel's tables, with the mailbox and
//! the teardown of a normal build, and ends when the target ends it. If a target needs the task of
//! a process, a thread blocks on the
//! [`ProcessFuture`](crate::driver::process_future::ProcessFuture).
//!
//! | number | property |
//! |---|---|
//! | L1 | A name has at most one holder, and never one whose end was announced. |
//! | L2 | A link to or by an ending process is signalled, or is refused on both sides. |
//! | L3 | A monitor fires exactly once, and leaves no entry. |
//! | L4 | After a flush, or a `demonitor` that returned true, no `Down` is received. |
//! | L5 | After an unlink no exit is received, and both sides agree about the link. |
//! | L6 | A child of an ending parent ends or is not admitted; orphans are recorded above. |
//! | L7 | A process ends once, with one reason in all notifications, and its waiters are woken. |
//! | L8 | A send reports truly whether the message was queued; each message is dropped once. |
//! | L9 | Concurrent spawns of one name result in one holder. |
//! | L10 | A group has no ended member and loses no join; an empty group is removed. |
//! | L11 | A bounded mailbox keeps its bound and exact counts, and refuses no signal. |
//! | L13 | A call has exactly one outcome, and its caller is woken. |
//! | L14 | No pair of operations causes a deadlock. |
//! | L15 | No process outlives a shutdown of the runtime. |
//! | L16 | Two linked processes that end at once agree on which end was the first. |
//! | L17 | A process that starts trapping as a peer ends receives the exit, or ends. |
//! | L18 | A process that received the `Down` of a holder can take the name at once. |
//! | L19 | Each timer fires once, unless it is disarmed or dropped; in order; the timer task is woken. |

mod world;
mod operations;
mod test_process;
mod names;
mod names_remembered;
mod links;
mod monitors;
mod starts;
mod ends;
mod orphans;
mod mailboxes;
mod bounds;
mod groups;
mod calls;
#[cfg(regrow_shuttle)]
mod deadline_slots;
mod timers;
mod lock_order;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

#[cfg(regrow_loom)]
pub(crate) use loom::{future::block_on, thread};
#[cfg(regrow_shuttle)]
pub(crate) use shuttle::{future::block_on, thread};

use crate::interleavings::world::World;

/// Whether `REGROW_PROOF` requests the long run.
fn is_full() -> bool {
    std::env::var("REGROW_PROOF").is_ok_and(|size| size == "full")
}

/// Runs the target in all interleavings that the checker generates, each time in a new world, and
/// prints their number.
fn check(target: impl Fn(&World) + Send + Sync + 'static) {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    explore(move || {
        counted.fetch_add(1, Ordering::Relaxed);
        let world = World::new();
        target(&world);
        world.assert_consistent();
    });
    println!("{} interleavings", count.load(Ordering::Relaxed));
}

#[cfg(regrow_loom)]
fn explore(target: impl Fn() + Send + Sync + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound.get_or_insert(if is_full() { 3 } else { 2 });
    model.max_branches = model.max_branches.max(10_000);
    model.check(target);
}

#[cfg(regrow_shuttle)]
fn explore(target: impl Fn() + Send + Sync + 'static) {
    let schedules = if is_full() { 10_000 } else { 1_000 };
    let random = Arc::new(target);
    let preempting = Arc::clone(&random);
    shuttle::check_random(move || random(), schedules);
    shuttle::check_pct(move || preempting(), schedules, 3);
}
