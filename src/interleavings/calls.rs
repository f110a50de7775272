//! Calls whose server answers, drops the reply, or ends.

use std::future::poll_fn;

use crate::base::pid::Pid;
use crate::base::sync::atomic::Ordering;
use crate::call::reply::Reply;
use crate::call::reply_slot::{Answer, AwaitedReply, Lost};
use crate::call::resolve_handed_over;
use crate::exit::reason::ExitReason::Shutdown;
use crate::interleavings::operations::end;
use crate::interleavings::world::World;
use crate::interleavings::{block_on, check, thread};
use crate::process::flag;

/// Makes a call and waits for the answer. The first poll creates the reply and passes it to
/// `answering` on another thread, so that `answering` runs while the caller begins to wait.
fn asked(
    world: &World,
    pid: Pid,
    answering: impl FnOnce(Reply<u8>) + Send + 'static,
) -> Answer<u8> {
    let server = world.process_of(pid);
    let (mut answering, mut awaited, mut helper) = (Some(answering), None, None);
    let answer = block_on(poll_fn(|cx| {
        let awaited: &mut AwaitedReply<u8> = awaited.get_or_insert_with(|| {
            let (reply, awaited) = Reply::new(&server, cx.waker().clone());
            let answering = answering.take().expect("the request is sent once");
            helper = Some(thread::spawn(move || answering(reply)));
            awaited
        });
        let first = awaited.poll(cx, &*server);
        // A caller may be polled again although its waker was not woken.
        if first.is_pending() { awaited.poll(cx, &*server) } else { first }
    }));
    helper.expect("the request was sent").join().expect("it answers");
    answer
}

/// L13. The caller is woken, and finds the answer.
#[test]
fn a_caller_that_begins_to_wait_receives_its_answer() {
    check(|world| {
        let pid = world.process();
        let answer = asked(world, pid, |reply| reply.send(7));
        assert!(matches!(answer, Ok(7)), "{answer:?}");
        world.end(pid, Shutdown);
    });
}

/// L13.
#[test]
fn a_reply_dropped_while_its_server_ends_reports_the_exit_reason() {
    check(|world| {
        let pid = world.process();
        let ((), answer) = world.both(end(pid, Shutdown), |world| asked(world, pid, drop));
        assert!(matches!(answer, Err(Lost::Exited(Shutdown))), "{answer:?}");
    });
}

/// L13. Between two handlers the server resolves the calls whose replies were dropped. Its teardown
/// resolves the calls whose replies are dropped later.
#[test]
fn a_dropped_reply_is_resolved_by_the_server_or_by_its_end() {
    check(|world| {
        let pid = world.process();
        let resolve_and_end = move |world: &World| {
            let server = world.process_of(pid);
            if server.flags().load(Ordering::Acquire) & flag::UNANSWERED != 0 {
                resolve_handed_over(&*server);
            }
            world.end(pid, Shutdown);
        };
        let ((), answer) = world.both(resolve_and_end, |world| asked(world, pid, drop));
        assert!(matches!(answer, Err(Lost::NoReply | Lost::Exited(Shutdown))), "{answer:?}");
    });
}
