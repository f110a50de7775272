//! Callers whose server ends: the kernel's part in a call.

use crate::checked::check;
use crate::checked::world::World;
use crate::exit::ExitReason::Shutdown;
use crate::process::AnyProcess;
use crate::reply::{Lost, Reply};

/// L13.
#[test]
fn a_reply_dropped_as_the_server_ends_tells_its_reason() {
    check(|| {
        let world = World::new();
        let server = world.process();
        let (reply, mut answer) = Reply::<u8>::new(world.process_of(server));
        world.both(move |_| drop(reply), move |world| world.end(server, Shutdown));
        let answer = answer.try_recv().expect("an answer, whatever it is");
        assert!(matches!(answer, Err(Lost::Exited(Shutdown))), "{answer:?}");
        world.at_rest();
    });
}

/// L13.
#[test]
fn a_reply_dropped_wakes_the_server_that_owes_the_truth() {
    check(|| {
        let world = World::new();
        let server = world.process();
        let (reply, mut answer) = Reply::<u8>::new(world.process_of(server));
        let (unanswered, ()) = world.both(
            move |world| {
                let process = world.process_of(server);
                let process: &dyn AnyProcess = &*process;
                process.with(|locked| {
                    let standing = locked.core().standing();
                    standing
                        .map(|standing| std::mem::take(&mut standing.unanswered))
                        .unwrap_or_default()
                })
            },
            move |_| drop(reply),
        );
        for caller in unanswered {
            caller.settle(None);
        }
        world.end(server, Shutdown);
        let answer = answer.try_recv().expect("an answer, whatever it is");
        assert!(matches!(answer, Err(Lost::NoReply | Lost::Exited(Shutdown))), "{answer:?}");
        world.at_rest();
    });
}
