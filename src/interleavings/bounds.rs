//! What is sent while the mailbox is full.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::base::pid::Pid;
use crate::exit::reason::ExitReason::Shutdown;
use crate::interleavings::check;
use crate::interleavings::test_process::Post;
use crate::interleavings::world::{World, down, message};
use crate::process::overflow::Overflow;

/// One message is in a mailbox that holds two.
fn nearly_full() -> (World, Pid) {
    let world = World::with_mailbox_capacity(2);
    let pid = world.process();
    assert!(world.send(pid, b"zero".to_vec()));
    (world, pid)
}

/// L11.
#[test]
fn of_two_for_the_last_place_one_is_shed() {
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
        world.at_rest();
    });
}

/// L11.
#[test]
fn a_full_mailbox_takes_a_down() {
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
        world.at_rest();
    });
}

/// L11.
#[test]
fn a_reader_makes_room_and_the_counts_stay_true() {
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
        // There is room for two again, and for no more.
        assert!(world.send(pid, vec![]) && world.send(pid, vec![]));
        assert!(!world.send(pid, vec![]));
        world.at_rest();
    });
}

/// L11.
#[test]
fn a_reader_a_down_and_a_flush_keep_the_counts_true() {
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
        world.at_rest();
    });
}

/// L11.
#[test]
fn a_reader_an_exit_and_an_unlink_keep_the_counts_true() {
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
        world.at_rest();
    });
}

/// L11. Where the oldest goes, the bound holds, and each payload is received or dropped.
#[test]
fn a_reader_and_evictions_keep_the_counts_true() {
    check(|| {
        let world = World::new();
        let post = Post::bounded(&world, 1, Overflow::DropOldest);
        let (one, two, reader) = (Arc::clone(&post), Arc::clone(&post), Arc::clone(&post));
        let send = |post: &Post, number| {
            assert!(post.send(number), "the newest always gets in");
            assert!(post.counts().0 <= 1);
        };
        let ((), (), mut received) =
            world.three(move |_| send(&one, 0), move |_| send(&two, 1), move |_| reader.read());
        received.extend(post.read());
        assert_eq!(received.len() + world.dropped_messages() as usize, 2);
        assert_eq!((post.counts(), post.drops()), ((0, 0), [1, 1]));
        post.end();
        world.at_rest();
    });
}

/// A mailbox for one holds one, with the number 0.
fn full(world: &World) -> Arc<Post> {
    let post = Post::bounded(world, 1, Overflow::Wait);
    assert!(post.send(0));
    post
}

/// L11. Who waits is let in by whoever makes room, or hears of the end: it never sleeps on.
#[test]
fn who_waits_for_room_is_let_in_or_told_of_the_end() {
    check(|| {
        let world = World::new();
        let post = full(&world);
        let (sender, reader) = (Arc::clone(&post), Arc::clone(&post));
        let (let_in, received) =
            world.both(move |_| sender.send_and_wait(1), move |_| reader.read_and_end());
        assert!(received == [0] || received == [0, 1]);
        assert!(let_in || received == [0]);
        assert_eq!(post.drops(), [1, 1]);
        world.at_rest();
    });
}

/// L11. The same when it is killed; what is in is no more than fits.
#[test]
fn who_waits_for_room_in_a_killed_process_is_told() {
    check(|| {
        let world = World::new();
        let post = full(&world);
        let (sender, killer, reader) = (Arc::clone(&post), Arc::clone(&post), Arc::clone(&post));
        let (let_in, (), received) = world.three(
            move |_| sender.send_and_wait(1),
            move |_| killer.kill(),
            move |_| reader.read_and_end(),
        );
        assert!(let_in || !received.contains(&1));
        assert_eq!(post.drops(), [1, 1]);
        world.at_rest();
    });
}

/// L11. Of two who wait one goes as room is made: the other gets in, whoever came first.
#[test]
fn who_goes_as_room_is_made_leaves_it_to_the_next() {
    check(|| {
        let world = World::new();
        let post = full(&world);
        let goes = post.line_up(1).expect("it lives").expect("it is full");
        let (stays, reader) = (Arc::clone(&post), Arc::clone(&post));
        let drops = Arc::clone(&post.drops);
        let (let_in, (), mut received) = world.three(
            move |_| stays.send_and_wait(1),
            move |_| drop(goes),
            move |_| reader.read(),
        );
        assert!(let_in);
        received.extend(post.read());
        assert!(received == [0, 1] || received == [0, 1, 1], "{received:?}");
        assert_eq!(drops[1].load(Ordering::Relaxed), 2);
        assert_eq!(post.counts(), (0, 0));
        post.end();
        world.at_rest();
    });
}
