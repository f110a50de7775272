//! Messages that are sent while the mailbox is full.

use crate::base::pid::Pid;
use crate::exit::reason::ExitReason::Shutdown;
use crate::interleavings::check;
use crate::interleavings::operations::{demonitor_flush, end, received, send, unlink};
use crate::interleavings::test_process::PayloadProcess;
use crate::interleavings::world::{World, down, message};
use crate::kernel::Mailboxes;
use crate::kernel::admission::NewProcess;
use crate::process::overflow_policy::Overflow;

/// Creates a process with one message in a mailbox whose capacity is two.
fn nearly_full(world: &World) -> Pid {
    let mailbox = Some(Mailboxes::bounded(2, Overflow::Reject));
    let pid = world.admit(&NewProcess { mailbox, ..NewProcess::default() });
    assert!(world.send(pid, b"zero".to_vec()));
    pid
}

/// L11.
#[test]
fn one_of_two_sends_to_the_last_place_is_refused() {
    check(|world| {
        let pid = nearly_full(world);
        let (one, two) = world.both(send(pid, "one"), send(pid, "two"));
        assert!(one != two);
        assert_eq!(world.dropped_messages(), 1);
        let kept = message(if one { "one" } else { "two" });
        assert_eq!(world.received(pid), [message("zero"), kept]);
    });
}

/// L11.
#[test]
fn a_down_is_queued_in_a_full_mailbox() {
    check(|world| {
        let (pid, target) = (nearly_full(world), world.process());
        let reference = world.monitor(pid, target);
        let (one, two, ()) = world.three(send(pid, "one"), send(pid, "two"), end(target, Shutdown));
        assert!(one != two);
        let received = world.received(pid);
        assert_eq!(received.len(), 3);
        assert!(received.contains(&down(reference, target, Shutdown)));
    });
}

/// L11.
#[test]
fn counts_are_exact_while_a_reader_makes_room() {
    check(|world| {
        let pid = nearly_full(world);
        let (one, two, mut all) = world.three(send(pid, "one"), send(pid, "two"), received(pid));
        assert!(one || two);
        all.extend(world.received(pid));
        let taken = 1 + usize::from(one) + usize::from(two);
        assert_eq!(all.len(), taken);
        assert_eq!(world.dropped_messages(), 3 - taken as u64);
        assert_eq!(world.info(pid).expect("it lives").mailbox_depth, 0);
        // The mailbox has room for exactly two messages again.
        assert!(world.send(pid, vec![]) && world.send(pid, vec![]));
        assert!(!world.send(pid, vec![]));
    });
}

/// L11.
#[test]
fn counts_are_exact_with_a_reader_a_down_and_a_flush() {
    check(|world| {
        let (pid, target) = (nearly_full(world), world.process());
        let reference = world.monitor(pid, target);
        world.three(demonitor_flush(reference), end(target, Shutdown), received(pid));
        world.received(pid);
        assert_eq!(world.info(pid).expect("it lives").mailbox_depth, 0);
    });
}

/// L11.
#[test]
fn counts_are_exact_with_a_reader_an_exit_and_an_unlink() {
    check(|world| {
        let (pid, peer) = (nearly_full(world), world.process());
        world.set_trap_exit(pid, true);
        assert!(world.link(pid, peer));
        world.three(unlink(pid, peer), end(peer, Shutdown), received(pid));
        world.received(pid);
        assert_eq!(world.info(pid).expect("it lives").mailbox_depth, 0);
    });
}

/// L11. With `DropOldest` the mailbox never exceeds its bound, and each payload is received or is
/// counted as dropped.
#[test]
fn counts_are_exact_with_a_reader_and_evictions() {
    check(|world| {
        let process = PayloadProcess::bounded(world, 1, Overflow::DropOldest);
        let send = |number| {
            process.act(move |process| {
                assert!(process.send(number), "the newest message is always queued");
                assert!(process.counts().0 <= 1);
            })
        };
        let ((), (), mut received) =
            world.three(send(0), send(1), process.act(PayloadProcess::read));
        received.extend(process.read());
        assert_eq!(received.len() + world.dropped_messages() as usize, 2);
        assert_eq!((process.counts(), process.drops()), ((0, 0), [1, 1]));
        process.end();
    });
}

/// Creates a process whose mailbox has a capacity of one message and holds payload 0.
fn full(world: &World) -> PayloadProcess {
    let process = PayloadProcess::bounded(world, 1, Overflow::Wait);
    assert!(process.send(0));
    process
}

fn send_and_wait(process: &PayloadProcess) -> bool {
    process.send_and_wait(1)
}

/// L11. When the reader makes room, the waiting message is queued; if the process ends first, the
/// send fails. The send never waits for ever.
#[test]
fn a_waiting_send_is_queued_or_fails_at_the_end() {
    check(|world| {
        let process = full(world);
        let read_and_end = process.act(PayloadProcess::read_and_end);
        let (queued, received) = world.both(process.act(send_and_wait), read_and_end);
        assert!(received == [0] || received == [0, 1]);
        assert!(queued || received == [0]);
        assert_eq!(process.drops(), [1, 1]);
    });
}

/// L11. The process is killed during the send. The send fails, unless the message was queued
/// before. A received message was reported as queued.
#[test]
fn a_waiting_send_to_a_killed_process_fails() {
    check(|world| {
        let process = full(world);
        let (queued, (), received) = world.three(
            process.act(send_and_wait),
            process.act(PayloadProcess::kill),
            process.act(PayloadProcess::read_and_end),
        );
        assert!(queued || !received.contains(&1));
        assert_eq!(process.drops(), [1, 1]);
    });
}

/// L11. One of two waiting sends is dropped while the reader makes room. The message of the other
/// send is queued, whether the reader or the drop comes first.
#[test]
fn a_waiting_send_that_is_dropped_leaves_its_room_to_the_next() {
    check(|world| {
        let process = full(world);
        let dropped = process.queue_send(1).expect("it lives").expect("it is full");
        let (queued, (), mut received) = world.three(
            process.act(send_and_wait),
            |_| drop(dropped),
            process.act(PayloadProcess::read),
        );
        assert!(queued);
        received.extend(process.read());
        assert!(received == [0, 1] || received == [0, 1, 1], "{received:?}");
        assert_eq!(process.drops()[1], 2);
        assert_eq!(process.counts(), (0, 0));
        process.end();
    });
}
