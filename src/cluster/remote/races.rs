//! What happens between two steps of a link or a monitor: each case is forced, by code that runs
//! before or after the change of the table.

use std::sync::Arc;

use futures_util::FutureExt;

use crate::cluster::handshake::Flags;
use crate::cluster::node_name::NodeName;
use crate::cluster::remote::node_numbers::Numbered;
use crate::cluster::remote::nodes::{Connector, Nodes, Wanted};
use crate::cluster::remote::peer_connection::Up;
use crate::cluster::remote::race_world::World;
use crate::cluster::remote::signal::Signal;
use crate::cluster::wire::{ConnectionLost, Outbox};
use crate::exit::ExitReason;
use crate::kernel::Kernel;
use crate::kernel::exits::ExitSignal;
use crate::message::EncodedTerm;

const LINK: u8 = 1;
const EXIT: u8 = 3;
const MONITOR: u8 = 19;
const DEMONITOR: u8 = 20;
const UNLINK: u8 = 35;
const ACK: u8 = 36;

#[test]
fn a_link_whose_own_process_ends_between_two_steps_is_broken_once() {
    for is_before in [true, false] {
        let world = World::new();
        match is_before {
            true => world.before(World::end),
            false => world.after(World::end),
        }
        assert!(world.link());
        assert_eq!(world.sent(), [LINK, EXIT]);
        world.assert_nothing_left(0);
    }
}

#[test]
fn a_link_that_is_removed_between_two_steps_leaves_nothing() {
    for is_before in [true, false] {
        let world = World::new();
        match is_before {
            true => world.before(World::unlink),
            false => world.after(World::unlink),
        }
        world.link();
        assert_eq!(world.sent(), [LINK, UNLINK]);
        world.assert_nothing_left(0);
        // An exit that crosses the removal.
        world.exit_arrives();
        world.assert_nothing_left(0);
    }
}

/// Before the table has changed, the link belongs to the next connection, which is not made here.
#[test]
fn a_link_whose_connection_is_lost_between_two_steps_gets_one_exit() {
    for is_before in [true, false] {
        let world = World::new();
        match is_before {
            true => world.before(World::lose),
            false => world.after(World::lose),
        }
        world.link();
        world.assert_nothing_left(1);
        world.lose();
        world.assert_nothing_left(1);
    }
}

#[test]
fn a_link_whose_other_process_ends_before_the_recheck_gets_one_exit() {
    let world = World::new();
    world.after(World::exit_arrives);
    world.link();
    world.exit_arrives();
    world.assert_nothing_left(1);
}

/// The link existed. While it is made again, the other process removes the older one.
#[test]
fn a_removal_of_an_older_link_does_not_remove_the_one_that_is_made() {
    let world = World::new();
    assert!(world.link());
    world.before(World::unlink_arrives);
    assert!(world.link());
    assert_eq!(world.sent(), [LINK, ACK, LINK]);
    assert_eq!(world.rt.info(world.own).unwrap().links, 1);
    world.exit_arrives();
    world.assert_nothing_left(1);
}

/// The notification of a loss comes after the process has linked again.
#[test]
fn a_late_notification_of_a_loss_does_not_reach_a_later_link() {
    use crate::exit::ExitKind;

    let world = World::new();
    assert!(world.link());
    let (reason, id) = (&ExitReason::NoConnection, world.rt.kernel.fresh_id());
    world.unlink();
    assert!(world.link());
    for (last, left) in [(id, 1), (u64::MAX, 0)] {
        let signal = ExitSignal { from: world.other, reason, kind: ExitKind::LostLink(last) };
        world.rt.kernel.signal_foreign_link(world.own, signal);
        assert_eq!(world.rt.info(world.own).unwrap().links, left);
    }
}

#[test]
fn a_monitor_whose_watcher_ends_between_two_steps_leaves_nothing() {
    for is_before in [true, false] {
        let world = World::new();
        match is_before {
            true => world.before(World::end),
            false => world.after(World::end),
        }
        world.rt.monitor(world.own, world.other);
        assert_eq!(world.sent(), [MONITOR, DEMONITOR]);
        let taken = world
            .peer
            .respond(world.inbound.connection, |relations| (relations.take().monitors.len(), None));
        assert_eq!(taken, Ok(0));
    }
}

#[test]
fn a_monitor_whose_connection_is_lost_between_two_steps_fires_once() {
    for is_before in [true, false] {
        let world = World::new();
        match is_before {
            true => world.before(World::lose),
            false => world.after(World::lose),
        }
        let reference = world.rt.monitor(world.own, world.other);
        world.lose();
        world.assert_nothing_left(1);
        assert!(!world.rt.demonitor(reference));
    }
}

/// The process of an earlier connection has no effect on a later one.
#[test]
fn signals_of_an_earlier_connection_have_no_effect() {
    let world = World::new();
    assert!(world.link());
    let name = NodeName::parse("other@host").unwrap();
    let up = Up {
        own: world.inbound.own.clone(),
        other: Numbered::connect(name, 9).unwrap(),
        flags: Flags::default(),
        outbox: Outbox::new(10_000),
    };
    let number = world.peer.up(up); // the first one is taken for lost
    world.assert_nothing_left(1);
    assert!(world.link());
    let (from, to) = world.ends();
    assert!(world.inbound.exit(&from, &to, b"\x77\x06killed").is_err());
    assert!(world.inbound.link(&from, &to).is_err());
    world.lose();
    assert_eq!(world.rt.info(world.own).unwrap().links, 1);
    world.peer.down(number);
    world.assert_nothing_left(2);
}

#[test]
fn a_link_that_arrives_before_the_peer_has_received_an_unlink_is_none() {
    let world = World::new();
    let (from, to) = world.ends();
    world.inbound.link(&from, &to).unwrap();
    world.inbound.link(&from, &to).unwrap();
    assert_eq!(world.rt.info(world.own).unwrap().links, 1);
    world.unlink();
    assert_eq!(world.sent(), [UNLINK]);
    // The peer has not received the removal yet.
    world.inbound.link(&from, &to).unwrap();
    world.assert_nothing_left(0);
    world.inbound.unlink_acknowledged(&[97, 1], &from, &to).unwrap();
    world.inbound.link(&from, &to).unwrap();
    assert_eq!(world.rt.info(world.own).unwrap().links, 1);
    world.end();
    assert_eq!(world.sent(), [EXIT]);
}

/// A connector whose attempt to connect goes on.
#[derive(Debug)]
struct Attempt;

impl Connector for Attempt {
    fn connect(&self, _: Arc<Kernel>, wanted: Wanted) {
        assert!(wanted.take().is_some());
    }
}

/// The signals that wait have room in the queue of the connection: the size of each is an upper bound.
/// If the queue has less room, its connection ends.
#[test]
fn signals_that_wait_are_all_sent_or_end_the_connection() {
    for (limit, is_full) in [(10_000, false), (1_000, true)] {
        let world = World::new();
        let node = (*world.inbound.own).clone();
        Nodes::of(&world.rt.kernel).start(node, 10_000, Arc::new(Attempt));
        world.lose();
        let term = EncodedTerm::new(&"x".repeat(100)).unwrap();
        for _ in 0..10 {
            let (own, name, term) = (world.own, "x".repeat(255).into(), term.clone());
            let signal = Signal::SendName { own, name, term };
            world.peer.request(None, |_| ((), Some(signal))).unwrap();
        }
        assert!(world.peer.waits());
        let (outbox, flags) = (Outbox::new(limit), Flags::default());
        let own = world.inbound.own.clone();
        let other = Numbered::connect(NodeName::parse("other@host").unwrap(), 9).unwrap();
        world.peer.up(Up { own, other, flags, outbox: outbox.clone() });
        let overflowed = outbox.overflowed().now_or_never();
        assert_eq!(overflowed, is_full.then_some(ConnectionLost::Overflow(limit)));
    }
}
