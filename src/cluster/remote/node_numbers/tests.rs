//! The numbers of nodes: how long each stands for its node, and when it is given again.

use std::time::{Duration, Instant};

use super::{DAY, NoNumber, Numbers};
use crate::cluster::node_name::NodeName;

fn node(name: &str, creation: u32) -> (NodeName, u32) {
    (NodeName::parse(&format!("{name}@host")).unwrap(), creation)
}

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_number_stands_for_a_name_and_a_creation() {
    let (mut numbers, now) = (Numbers::new(100, 100), Instant::now());
    let one = numbers.connect(node("a", 1), now).unwrap();
    assert_eq!(numbers.mention(node("a", 1), now).unwrap().number, one.number);
    let other = numbers.connect(node("a", 2), now).unwrap();
    let third = numbers.mention(node("b", 1), now).unwrap();
    assert_eq!([one.number, other.number, third.number], [1, 2, 3]);
    assert_eq!(numbers.of(2).unwrap().creation, 2);
    assert!(numbers.of(4).is_none() && numbers.of(0).is_none());
}

#[test]
fn nodes_that_were_never_connected_have_a_bound() {
    let (mut numbers, now) = (Numbers::new(100, 2), Instant::now());
    numbers.connect(node("c", 1), now).unwrap();
    numbers.mention(node("a", 1), now).unwrap();
    numbers.mention(node("a", 2), now + SECOND).unwrap();
    let refused = numbers.mention(node("b", 1), now + SECOND);
    assert_eq!(refused.unwrap_err(), NoNumber::TooManyMentioned);
    // Those that are known are still mentioned, and a connection is always possible.
    assert!(numbers.mention(node("a", 1), now).is_ok());
    assert!(numbers.connect(node("b", 1), now).is_ok());
    assert!(numbers.connect(node("a", 2), now).is_ok());
    assert!(numbers.mention(node("d", 1), now).is_ok());
    // After a day, the oldest one gives way. Its pids are dead.
    assert_eq!(numbers.mention(node("d", 2), now + DAY).unwrap().number, 6);
    assert!(numbers.of(2).is_none());
    assert!(numbers.mention(node("d", 1), now).is_ok());
}

#[test]
fn a_number_is_given_again_only_when_none_is_left() {
    let (mut numbers, now) = (Numbers::new(3, 100), Instant::now());
    for creation in 1..=3 {
        let own = numbers.connect(node("a", creation), now).unwrap();
        assert_eq!(own.number, u16::try_from(creation).unwrap());
        numbers.disconnect(own.number, now + creation * SECOND);
    }
    // Creation 3 is the last incarnation of the node, and may come back. The others can't.
    for (creation, number) in [(4, 1), (5, 2), (6, 3)] {
        let own = numbers.connect(node("a", creation), now + 9 * SECOND).unwrap();
        assert_eq!(own.number, number);
    }
    assert_eq!(numbers.of(1).unwrap().creation, 4);
    let refused = numbers.connect(node("b", 1), now + 2 * DAY);
    assert_eq!(refused.unwrap_err(), NoNumber::Exhausted); // all are connected
}

#[test]
fn a_restarted_node_gets_the_number_of_its_earlier_incarnation_if_no_other_is_left() {
    let (mut numbers, now) = (Numbers::new(2, 100), Instant::now());
    for name in ["b", "a"] {
        let own = numbers.connect(node(name, 1), now).unwrap();
        numbers.disconnect(own.number, now);
    }
    let own = numbers.connect(node("a", 2), now + SECOND).unwrap();
    assert_eq!((own.number, numbers.of(1).unwrap().name.clone()), (2, node("b", 1).0));
}

#[test]
fn the_node_that_was_not_connected_for_the_longest_time_gives_way() {
    let (mut numbers, now) = (Numbers::new(3, 100), Instant::now());
    for name in ["a", "b", "c"] {
        numbers.connect(node(name, 1), now).unwrap();
    }
    assert_eq!(numbers.connect(node("d", 1), now).unwrap_err(), NoNumber::Exhausted);
    numbers.disconnect(3, now + SECOND);
    numbers.disconnect(2, now + 2 * SECOND);
    assert_eq!(numbers.connect(node("d", 1), now + 3 * SECOND).unwrap().number, 3);
    assert_eq!(numbers.connect(node("c", 1), now + 3 * SECOND).unwrap().number, 2);
    assert_eq!(numbers.of(1).unwrap().name, node("a", 1).0);
}

#[test]
fn two_connections_of_one_program_share_a_number() {
    let (mut numbers, now) = (Numbers::new(1, 100), Instant::now());
    let first = numbers.connect(node("a", 1), now).unwrap();
    assert_eq!(numbers.connect(node("a", 1), now).unwrap().number, first.number);
    numbers.disconnect(1, now);
    assert!(numbers.connect(node("b", 1), now + 2 * DAY).is_err());
    numbers.disconnect(1, now);
    assert!(numbers.connect(node("b", 1), now + 2 * DAY).is_ok());
}
