//! What is sent while the receiver ends.

use std::sync::Arc;

use crate::exit::reason::ExitReason::Shutdown;
use crate::interleavings::check;
use crate::interleavings::test_process::Post;
use crate::interleavings::world::World;
use crate::kernel::closing::End;

/// L8.
#[test]
fn what_is_sent_to_a_dying_process_is_taken_or_given_back() {
    check(|| {
        let world = World::new();
        let post = Post::new(&world);
        let (sender, dying) = (Arc::clone(&post), Arc::clone(&post));
        let (taken, ()) = world.both(
            move |_| [sender.send(0), sender.send(1)],
            move |_| dying.process.kernel.tear_down(&*dying.process, End::Stopped(Shutdown)),
        );
        assert!(taken[0] || !taken[1], "the second was taken after the first was refused");
        assert_eq!(post.drops(), [1, 1]);
        world.at_rest();
    });
}

/// L8.
#[test]
fn what_is_received_was_taken_and_all_is_dropped_once() {
    check(|| {
        let world = World::new();
        let post = Post::new(&world);
        let (sender, reader) = (Arc::clone(&post), Arc::clone(&post));
        let (taken, received) =
            world.both(move |_| [sender.send(0), sender.send(1)], move |_| reader.read_and_end());
        assert!(received == [] as [usize; 0] || received == [0] || received == [0, 1]);
        assert!(received.iter().all(|&number| taken[number]), "{received:?} of {taken:?}");
        assert_eq!(post.drops(), [1, 1]);
        world.at_rest();
    });
}

/// L8.
#[test]
fn two_sends_a_kill_and_a_reader_drop_all_once() {
    check(|| {
        let world = World::new();
        let post = Post::new(&world);
        let (sender, killer, reader) = (Arc::clone(&post), Arc::clone(&post), Arc::clone(&post));
        let (taken, (), received) = world.three(
            move |_| [sender.send(0), sender.send(1)],
            move |_| killer.kill(),
            move |_| reader.read_and_end(),
        );
        assert!(received.iter().all(|&number| taken[number]), "{received:?} of {taken:?}");
        assert_eq!(post.drops(), [1, 1]);
        world.at_rest();
    });
}

/// L8.
#[test]
fn nothing_sent_after_a_kill_is_received() {
    check(|| {
        let world = World::new();
        let post = Post::new(&world);
        let (sender, reader) = (Arc::clone(&post), Arc::clone(&post));
        let (after, received) = world.both(
            move |_| {
                sender.send(0);
                sender.kill();
                sender.send(1)
            },
            move |_| reader.read_and_end(),
        );
        assert!(!after && !received.contains(&1));
        assert_eq!(post.drops(), [1, 1]);
        world.at_rest();
    });
}
