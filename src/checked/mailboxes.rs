//! What is sent while the receiver ends, or while its mailbox is full.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Waker};

use crate::checked::check;
use crate::checked::world::{World, down, message};
use crate::exit::ExitReason::{Killed, Shutdown};
use crate::kernel::births::Birth;
use crate::kernel::exits::ExitSignal;
use crate::kernel::teardown::End;
use crate::mailbox::Mailbox;
use crate::message::Envelope;
use crate::pid::Pid;
use crate::process::AnyProcess;
use crate::record::{Item, Process};
use crate::signal::ExitKind;

/// A payload that says when it is dropped.
struct Probe {
    number: usize,
    drops: Arc<[AtomicUsize; 2]>,
}

impl Drop for Probe {
    fn drop(&mut self) {
        self.drops[self.number].fetch_add(1, Ordering::Relaxed);
    }
}

enum Parcel {
    Signal(Envelope),
    Probe(Probe),
}

impl Item for Parcel {
    fn from_envelope(envelope: Envelope) -> Self {
        Parcel::Signal(envelope)
    }

    fn envelope(&self) -> Option<&Envelope> {
        match self {
            Parcel::Signal(envelope) => Some(envelope),
            Parcel::Probe(_) => None,
        }
    }

    fn is_user(&self) -> bool {
        matches!(self, Parcel::Probe(_))
    }

    fn from_tick(_: u64) -> Option<Self> {
        None
    }
}

/// One process that takes parcels.
struct Post {
    process: Arc<Process<Parcel>>,
    drops: Arc<[AtomicUsize; 2]>,
}

impl Post {
    fn new(world: &World) -> Arc<Self> {
        let process = Process::<Parcel>::new(Arc::clone(&world.kernel), None);
        let any: Arc<dyn AnyProcess> = process.clone();
        world.kernel.admit(&any, &Birth::default()).expect("nothing is in its way");
        Arc::new(Post { process, drops: Arc::default() })
    }

    /// Sends a payload of this number; whether it was taken.
    fn send(&self, number: usize) -> bool {
        let probe = Probe { number, drops: Arc::clone(&self.drops) };
        match self.process.send(Parcel::Probe(probe)) {
            Ok(()) => true,
            Err((refused, _)) => {
                assert_eq!(self.drops[number].load(Ordering::Relaxed), 0, "it was given back");
                drop(refused);
                false
            }
        }
    }

    fn kill(&self) {
        let signal = ExitSignal { from: Pid::OUTSIDE, reason: &Killed, kind: ExitKind::Kill };
        self.process.kernel.signal_exit(&*self.process, signal);
    }

    /// The numbers of what is received until nothing is there; then the process ends.
    fn read_and_end(&self) -> Vec<usize> {
        let mut mailbox = Mailbox::new(Arc::clone(&self.process));
        let mut cx = Context::from_waker(Waker::noop());
        let mut numbers = Vec::new();
        while mailbox.poll_some(&mut cx).is_ready() {
            match mailbox.take() {
                Parcel::Probe(probe) => numbers.push(probe.number),
                Parcel::Signal(signal) => panic!("{signal:?}"),
            }
        }
        drop(mailbox);
        self.process.kernel.bury(&*self.process, End::Dropped);
        numbers
    }

    /// How often each payload was dropped.
    fn drops(&self) -> [usize; 2] {
        [0, 1].map(|number| self.drops[number].load(Ordering::Relaxed))
    }
}

/// L8.
#[test]
fn what_is_sent_to_a_dying_process_is_taken_or_given_back() {
    check(|| {
        let world = World::new();
        let post = Post::new(&world);
        let (sender, dying) = (Arc::clone(&post), Arc::clone(&post));
        let (taken, ()) = world.both(
            move |_| [sender.send(0), sender.send(1)],
            move |_| dying.process.kernel.bury(&*dying.process, End::Told(Shutdown)),
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
