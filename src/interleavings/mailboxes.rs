//! Messages that are sent while the receiver ends.

use crate::exit::reason::ExitReason::Shutdown;
use crate::interleavings::check;
use crate::interleavings::test_process::PayloadProcess;
use crate::kernel::final_reason::End;

fn send_both(process: &PayloadProcess) -> [bool; 2] {
    [process.send(0), process.send(1)]
}

/// L8.
#[test]
fn a_message_to_an_ending_process_is_queued_or_returned() {
    check(|world| {
        let process = PayloadProcess::new(world);
        let end = process.act(|PayloadProcess { process, .. }| {
            process.kernel.tear_down(&**process, End::Stopped(Shutdown));
        });
        let (queued, ()) = world.both(process.act(send_both), end);
        assert!(queued[0] || !queued[1], "the second was queued after the first was refused");
        assert_eq!(process.drops(), [1, 1]);
    });
}

/// L8.
#[test]
fn received_messages_were_queued_and_all_are_dropped_once() {
    check(|world| {
        let process = PayloadProcess::new(world);
        let read_and_end = process.act(PayloadProcess::read_and_end);
        let (queued, received) = world.both(process.act(send_both), read_and_end);
        assert!([0, 1].starts_with(&received), "{received:?}");
        assert!(received.iter().all(|&number| queued[number]), "{received:?} of {queued:?}");
        assert_eq!(process.drops(), [1, 1]);
    });
}

/// L8.
#[test]
fn two_sends_a_kill_and_a_reader_drop_each_message_once() {
    check(|world| {
        let process = PayloadProcess::new(world);
        let (queued, (), received) = world.three(
            process.act(send_both),
            process.act(PayloadProcess::kill),
            process.act(PayloadProcess::read_and_end),
        );
        assert!(received.iter().all(|&number| queued[number]), "{received:?} of {queued:?}");
        assert_eq!(process.drops(), [1, 1]);
    });
}

/// L8.
#[test]
fn a_message_sent_after_a_kill_is_not_received() {
    check(|world| {
        let process = PayloadProcess::new(world);
        let send_around_kill = process.act(|process| {
            process.send(0);
            process.kill();
            process.send(1)
        });
        let (after, received) =
            world.both(send_around_kill, process.act(PayloadProcess::read_and_end));
        assert!(!after && !received.contains(&1));
        assert_eq!(process.drops(), [1, 1]);
    });
}
