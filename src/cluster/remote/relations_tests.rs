//! The table of relations: random histories of two sides, and single steps.

use std::collections::VecDeque;

use crate::base::Pid;
use crate::base::random::Random;
use crate::cluster::remote::relations::{Monitor, Relations, Watched};
use crate::cluster::term::Words;
use crate::kernel::other_nodes::ForeignTarget;

const OWN: Pid = Pid::from_raw(1);
const OTHER: Pid = Pid::from_raw(1 << 48 | 1);

#[derive(Debug, Clone, Copy)]
enum Wire {
    Link,
    Unlink(u64),
    Ack(u64),
    Exit,
}

/// One process with its table, and the signals that are on the way to it.
#[derive(Default)]
struct Side {
    table: Relations,
    inbox: VecDeque<Wire>,
    /// Whether the process itself takes itself for linked.
    is_linked: bool,
    exits: u32,
    /// The number of links that the other side has removed.
    removals: u32,
    has_ended: bool,
}

fn link(sides: &mut [Side; 2], at: usize, id: u64) {
    let side = &mut sides[at];
    if side.has_ended {
        return;
    }
    side.is_linked = true;
    if side.table.link(OWN, OTHER, id) {
        sides[1 - at].inbox.push_back(Wire::Link);
    }
}

fn unlink(sides: &mut [Side; 2], at: usize, id: u64) {
    let side = &mut sides[at];
    if side.has_ended {
        return;
    }
    side.is_linked = false;
    if let Some(removal) = side.table.unlink(OWN, OTHER, id) {
        sides[1 - at].inbox.push_back(Wire::Unlink(removal));
    }
}

fn end(sides: &mut [Side; 2], at: usize) {
    let side = &mut sides[at];
    side.has_ended = true;
    if side.table.end(OWN, OTHER) {
        sides[1 - at].inbox.push_back(Wire::Exit);
    }
}

fn deliver(sides: &mut [Side; 2], at: usize, id: u64) {
    let side = &mut sides[at];
    let Some(signal) = side.inbox.pop_front() else { return };
    let answer = match signal {
        Wire::Link if side.has_ended => Some(Wire::Exit),
        Wire::Link => {
            side.is_linked |= side.table.link_arrived(OWN, OTHER, id);
            None
        }
        Wire::Unlink(removal) => {
            if side.table.unlink_arrived(OWN, OTHER).is_some() {
                side.is_linked = false;
                side.removals += 1;
            }
            Some(Wire::Ack(removal))
        }
        Wire::Ack(removal) => {
            side.table.removal_acknowledged(OWN, OTHER, removal);
            None
        }
        Wire::Exit => {
            if side.table.exit_arrived(OWN, OTHER) && side.is_linked && !side.has_ended {
                side.is_linked = false;
                side.exits += 1;
            }
            None
        }
    };
    sides[1 - at].inbox.extend(answer);
}

/// Random links, unlinks and at most one end of two processes, whose signals cross each other.
/// When all signals have arrived, both sides agree, no removal is left, and a process that took
/// itself for linked has got the exit of the other one, once.
#[test]
fn links_unlinks_and_exits_that_cross_leave_both_sides_agreed() {
    for seed in 0..20_000 {
        let mut random = Random::seeded(seed);
        let mut sides = [Side::default(), Side::default()];
        let ends = random.below(3);
        for id in 1..=40 {
            let at = random.below(2);
            match random.below(8) {
                0 | 1 => link(&mut sides, at, id),
                2 | 3 => unlink(&mut sides, at, id),
                4 if ends == at && id > 20 && !sides[at].has_ended => end(&mut sides, at),
                _ => deliver(&mut sides, at, id),
            }
            let exits = sides.iter().map(|side| side.exits).sum::<u32>();
            assert!(sides.iter().any(|side| side.has_ended) || exits == 0, "seed {seed}");
        }
        let at_end = [0, 1].map(|at| sides[at].has_ended);
        let believed = [0, 1].map(|at| sides[at].is_linked && !at_end[at]);
        while sides.iter().any(|side| !side.inbox.is_empty()) {
            let at = random.below(2);
            deliver(&mut sides, at, 100);
        }
        let linked = [0, 1].map(|at| sides[at].table.is_linked(OWN, OTHER));
        let entries = [0, 1].map(|at| sides[at].table.links());
        if at_end == [false, false] {
            assert_eq!(linked[0], linked[1], "seed {seed}");
            assert_eq!(linked, [0, 1].map(|at| sides[at].is_linked), "seed {seed}");
            assert_eq!(entries, linked.map(usize::from), "seed {seed}");
            assert!([0, 1].iter().all(|at| sides[*at].table.count() <= entries[*at]));
        } else {
            let living = usize::from(at_end[0]);
            assert_eq!((linked[living], sides[living].is_linked), (false, false), "seed {seed}");
            assert_eq!((entries[living], sides[living].table.count()), (0, 0), "seed {seed}");
            // Unless the other side had removed the link before its end, the exit was noticed.
            let noticed = sides[living].exits + sides[living].removals > 0;
            assert!(!believed[living] || noticed, "seed {seed}");
        }
    }
}

#[test]
fn an_exit_that_crosses_an_unlink_has_no_effect() {
    let mut table = Relations::default();
    assert!(table.link(OWN, OTHER, 1) && !table.link(OWN, OTHER, 2));
    assert_eq!(table.unlink(OWN, OTHER, 2), None); // the link is newer
    assert_eq!(table.unlink(OWN, OTHER, 3), Some(1));
    assert!(!table.link_arrived(OWN, OTHER, 4) && !table.is_linked(OWN, OTHER));
    assert!(!table.exit_arrived(OWN, OTHER));
    table.removal_acknowledged(OWN, OTHER, 1);
    assert_eq!(table.links(), 0);
}

#[test]
fn a_link_that_is_made_again_outlives_the_acknowledgement_of_its_removal() {
    let mut table = Relations::default();
    assert!(table.link(OWN, OTHER, 1));
    assert_eq!(table.unlink(OWN, OTHER, 2), Some(1));
    assert!(table.link(OWN, OTHER, 3));
    table.removal_acknowledged(OWN, OTHER, 1);
    assert!(table.is_linked(OWN, OTHER));
    assert!(table.exit_arrived(OWN, OTHER) && !table.exit_arrived(OWN, OTHER));
}

#[test]
fn a_loss_takes_all_relations_but_the_removed_ones() {
    let mut table = Relations::default();
    let removed = Pid::from_raw(1 << 48 | 2);
    table.link(OWN, OTHER, 1);
    table.link(OWN, removed, 2);
    table.unlink(OWN, removed, 3);
    let target = ForeignTarget::Pid(OTHER);
    table.monitor(4, Monitor { watcher: OWN, target, name: None });
    let watched = Watched { id: 5, target: OWN, watcher: OTHER, name: None, call: None };
    let reference = Words::pair(1, 2);
    assert!(table.watch(reference, watched.clone()) && !table.watch(reference, watched));
    assert!(table.take_watched(reference, Some(6)).is_none());
    let severed = table.take();
    assert_eq!(severed.links, [(OWN, OTHER, 1)]);
    assert_eq!((severed.monitors.len(), severed.watched.len()), (1, 1));
    assert!(table.take_monitor(4).is_none() && table.take().links.is_empty());
}

#[test]
fn the_relations_of_ended_processes_are_taken_alone() {
    let mut table = Relations::default();
    let living = Pid::from_raw(1 << 48 | 2);
    for (id, other) in [(1, OTHER), (2, living)] {
        table.link(OWN, other, id);
        let target = ForeignTarget::Pid(other);
        table.monitor(id, Monitor { watcher: OWN, target, name: None });
    }
    let ended = [OTHER, Pid::from_raw(1 << 48 | 3)].into_iter().collect();
    let severed = table.take_of(&ended);
    assert_eq!((severed.links, severed.monitors[0].0), (vec![(OWN, OTHER, 1)], 1));
    assert!(table.is_linked(OWN, living) && table.take_monitor(2).is_some());
}

#[test]
fn only_what_the_other_node_has_made_counts() {
    let mut table = Relations::default();
    let others = [2, 3, 4].map(|id| Pid::from_raw(1 << 48 | id));
    table.link(OWN, OTHER, 1);
    assert!(!table.link_arrived(OWN, OTHER, 2));
    assert_eq!(table.count(), 0);
    assert!(others.iter().all(|other| table.link_arrived(OWN, *other, 3)));
    // A removal that the other node does not acknowledge counts as the link did.
    assert!(table.unlink(OWN, others[0], 4).is_some());
    assert_eq!(table.count(), 3);
    assert!(table.exit_arrived(OWN, others[1]));
    assert_eq!(table.count(), 2);
    table.take_of(&[others[2]].into_iter().collect());
    assert_eq!(table.count(), 1);
    table.removal_acknowledged(OWN, others[0], 1);
    assert_eq!((table.count(), table.links()), (0, 1));
}
