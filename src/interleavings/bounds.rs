//! Messages that are sent while the mailbox is full.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::base::pid::Pid;
use crate::exit::reason::ExitReason::Shutdown;
use crate::interleavings::check;
use crate::interleavings::test_process::PayloadProcess;
use crate::interleavings::world::{World, down, message};
use crate::process::overflow::Overflow;

/// Creates a process with one message in a mailbox that has room for two.
fn nearly_full() -> (World, Pid) {
    let world = World::with_mailbox_capacity(2);
    let pid = world.process();
    assert!(world.send(pid, b"zero".to_vec()));
    (world, pid)
}

/// L11.
#[test]
fn one_of_two_sends_to_the_last_place_is_refused() {
    check(|| {
        let (world, pid) = nearly_full();
        let (one, two) = world.both(
            move |world| world.send(pid, b"one".to_vec()),
            move |world| world.send(pid, b"two".to_vec()),
        );
        assert!(one != two);
        assert_eq!(world.dropped_messages(), 1);
        let kept = message(if one { "one" } else { "two" });
        assert_eq!(world.received(pid), [message("zero"), kept]);
        world.assert_consistent();
    });
}

/// L11.
#[test]
fn a_down_is_queued_in_a_full_mailbox() {
    check(|| {
        let (world, pid) = nearly_full();
        let target = world.process();
        let reference = world.monitor(pid, target);
        let (one, two, ()) = world.three(
            move |world| world.send(pid, b"one".to_vec()),
            move |world| world.send(pid, b"two".to_vec()),
            move |world| world.end(target, Shutdown),
        );
        assert!(one != two);
        let received = world.received(pid);
        assert_eq!(received.len(), 3);
        assert!(received.contains(&down(reference, target, Shutdown)));
        world.assert_consistent();
    });
}

/// L11.
#[test]
fn counts_are_exact_while_a_reader_makes_room() {
    check(|| {
        let (world, pid) = nearly_full();
        let (one, two, mut received) = world.three(
            move |world| world.send(pid, b"one".to_vec()),
            move |world| world.send(pid, b"two".to_vec()),
            move |world| world.received(pid),
        );
        assert!(one || two);
        received.extend(world.received(pid));
        let taken = 1 + usize::from(one) + usize::from(two);
        assert_eq!(received.len(), taken);
        assert_eq!(world.dropped_messages(), 3 - taken as u64);
        assert_eq!(world.info(pid).expect("it lives").mailbox_depth, 0);
        // The mailbox has room for exactly two messages again.
        assert!(world.send(pid, vec![]) && world.send(pid, vec![]));
        assert!(!world.send(pid, vec![]));
        world.assert_consistent();
    });
}

/// L11.
#[test]
fn counts_are_exact_with_a_reader_a_down_and_a_flush() {
    check(|| {
        let (world, pid) = nearly_full();
        let target = world.process();
        let reference = world.monitor(pid, target);
        world.three(
            move |world| world.demonitor_flush(reference),
            move |world| world.end(target, Shutdown),
            move |world| world.received(pid),
        );
        world.received(pid);
        assert_eq!(world.info(pid).expect("it lives").mailbox_depth, 0);
        world.assert_consistent();
    });
}

/// L11.
#[test]
fn counts_are_exact_with_a_reader_an_exit_and_an_unlink() {
    check(|| {
        let (world, pid) = nearly_full();
        world.set_trap_exit(pid, true);
        let peer = world.process();
        assert!(world.link(pid, peer));
        world.three(
            move |world| world.unlink(pid, peer),
            move |world| world.end(peer, Shutdown),
            move |world| world.received(pid),
        );
        world.received(pid);
        assert_eq!(world.info(pid).expect("it lives").mailbox_depth, 0);
        world.assert_consistent();
    });
}

/// L11. With `DropOldest` the mailbox never exceeds its bound, and each payload is received or is
/// counted as dropped.
#[test]
fn counts_are_exact_with_a_reader_and_evictions() {
    check(|| {
        let world = World::new();
        let process = PayloadProcess::bounded(&world, 1, Overflow::DropOldest);
        let (one, two, reader) = (Arc::clone(&process), Arc::clone(&process), Arc::clone(&process));
        let send = |process: &PayloadProcess, number| {
            assert!(process.send(number), "the newest message is always queued");
            assert!(process.counts().0 <= 1);
        };
        let ((), (), mut received) =
            world.three(move |_| send(&one, 0), move |_| send(&two, 1), move |_| reader.read());
        received.extend(process.read());
        assert_eq!(received.len() + world.dropped_messages() as usize, 2);
        assert_eq!((process.counts(), process.drops()), ((0, 0), [1, 1]));
        process.end();
        world.assert_consistent();
    });
}

/// Creates a process whose mailbox has room for one message and holds payload 0.
fn full(world: &World) -> Arc<PayloadProcess> {
    let process = PayloadProcess::bounded(world, 1, Overflow::Wait);
    assert!(process.send(0));
    process
}

/// L11. When the reader makes room, the waiting message is queued; if the process ends first, the
/// send fails. The send never waits for ever.
#[test]
fn a_waiting_send_is_queued_or_fails_at_the_end() {
    check(|| {
        let world = World::new();
        let process = full(&world);
        let (sender, reader) = (Arc::clone(&process), Arc::clone(&process));
        let (queued, received) =
            world.both(move |_| sender.send_and_wait(1), move |_| reader.read_and_end());
        assert!(received == [0] || received == [0, 1]);
        assert!(queued || received == [0]);
        assert_eq!(process.drops(), [1, 1]);
        world.assert_consistent();
    });
}

/// L11. The process is killed during the send. The send fails, unless the message was queued
/// before. A received message was reported as queued.
#[test]
fn a_waiting_send_to_a_killed_process_fails() {
    check(|| {
        let world = World::new();
        let process = full(&world);
        let (sender, killer, reader) =
            (Arc::clone(&process), Arc::clone(&process), Arc::clone(&process));
        let (queued, (), received) = world.three(
            move |_| sender.send_and_wait(1),
            move |_| killer.kill(),
            move |_| reader.read_and_end(),
        );
        assert!(queued || !received.contains(&1));
        assert_eq!(process.drops(), [1, 1]);
        world.assert_consistent();
    });
}

/// L11. One of two waiting sends is dropped while the reader makes room. The message of the other
/// send is queued, whether the reader or the drop comes first.
#[test]
fn a_waiting_send_that_is_dropped_leaves_its_room_to_the_next() {
    check(|| {
        let world = World::new();
        let process = full(&world);
        let dropped = process.queue_send(1).expect("it lives").expect("it is full");
        let (kept, reader) = (Arc::clone(&process), Arc::clone(&process));
        let drops = Arc::clone(&process.drops);
        let (queued, (), mut received) = world.three(
            move |_| kept.send_and_wait(1),
            move |_| drop(dropped),
            move |_| reader.read(),
        );
        assert!(queued);
        received.extend(process.read());
        assert!(received == [0, 1] || received == [0, 1, 1], "{received:?}");
        assert_eq!(drops[1].load(Ordering::Relaxed), 2);
        assert_eq!(process.counts(), (0, 0));
        process.end();
        world.assert_consistent();
    });
}
