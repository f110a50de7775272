//! Messages that are sent while the receiver ends.

use std::sync::Arc;

use crate::exit::reason::ExitReason::Shutdown;
use crate::interleavings::check;
use crate::interleavings::test_process::PayloadProcess;
use crate::interleavings::world::World;
use crate::kernel::closing::End;

/// L8.
#[test]
fn a_message_to_an_ending_process_is_queued_or_returned() {
    check(|| {
        let world = World::new();
        let process = PayloadProcess::new(&world);
        let (sender, ending) = (Arc::clone(&process), Arc::clone(&process));
        let (queued, ()) = world.both(
            move |_| [sender.send(0), sender.send(1)],
            move |_| ending.process.kernel.tear_down(&*ending.process, End::Stopped(Shutdown)),
        );
        assert!(queued[0] || !queued[1], "the second was queued after the first was refused");
        assert_eq!(process.drops(), [1, 1]);
        world.assert_consistent();
    });
}

/// L8.
#[test]
fn received_messages_were_queued_and_all_are_dropped_once() {
    check(|| {
        let world = World::new();
        let process = PayloadProcess::new(&world);
        let (sender, reader) = (Arc::clone(&process), Arc::clone(&process));
        let (queued, received) =
            world.both(move |_| [sender.send(0), sender.send(1)], move |_| reader.read_and_end());
        assert!(received == [] as [usize; 0] || received == [0] || received == [0, 1]);
        assert!(received.iter().all(|&number| queued[number]), "{received:?} of {queued:?}");
        assert_eq!(process.drops(), [1, 1]);
        world.assert_consistent();
    });
}

/// L8.
#[test]
fn two_sends_a_kill_and_a_reader_drop_each_message_once() {
    check(|| {
        let world = World::new();
        let process = PayloadProcess::new(&world);
        let (sender, killer, reader) =
            (Arc::clone(&process), Arc::clone(&process), Arc::clone(&process));
        let (queued, (), received) = world.three(
            move |_| [sender.send(0), sender.send(1)],
            move |_| killer.kill(),
            move |_| reader.read_and_end(),
        );
        assert!(received.iter().all(|&number| queued[number]), "{received:?} of {queued:?}");
        assert_eq!(process.drops(), [1, 1]);
        world.assert_consistent();
    });
}

/// L8.
#[test]
fn a_message_sent_after_a_kill_is_not_received() {
    check(|| {
        let world = World::new();
        let process = PayloadProcess::new(&world);
        let (sender, reader) = (Arc::clone(&process), Arc::clone(&process));
        let (after, received) = world.both(
            move |_| {
                sender.send(0);
                sender.kill();
                sender.send(1)
            },
            move |_| reader.read_and_end(),
        );
        assert!(!after && !received.contains(&1));
        assert_eq!(process.drops(), [1, 1]);
        world.assert_consistent();
    });
}
