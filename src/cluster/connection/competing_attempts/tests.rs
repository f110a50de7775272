//! Each line of the tables alone.

use super::{Action, Peer};
use crate::cluster::handshake::Status;

fn dialing(is_greater: bool, is_named: bool) -> Peer<u32> {
    let mut peer = Peer::new(is_greater);
    assert!(peer.needs_dial());
    peer.dialing(0);
    assert!(!is_named || peer.may_send_name(0));
    peer
}

fn up(is_greater: bool) -> Peer<u32> {
    let mut peer = dialing(is_greater, true);
    assert_eq!(peer.authenticated(0), [Action::Admit(0)]);
    peer
}

#[test]
fn the_status_depends_on_the_names_and_the_dial() {
    for (is_greater, is_named, status) in [
        (true, false, Status::OkSimultaneous),
        (true, true, Status::OkSimultaneous),
        (false, false, Status::Ok),
        (false, true, Status::Nok),
    ] {
        assert_eq!(dialing(is_greater, is_named).claim(1), status);
    }
    for is_greater in [true, false] {
        let mut peer = Peer::new(is_greater);
        assert_eq!((peer.claim(1), peer.claim(2)), (Status::Ok, Status::Ok));
        assert_eq!(up(is_greater).claim(1), Status::Alive);
    }
}

#[test]
fn a_refused_attempt_leaves_no_trace() {
    let mut peer = dialing(false, true);
    assert_eq!(peer.claim(1), Status::Nok);
    assert_eq!(peer.authenticated(1), [Action::Close(1)]);
    assert_eq!(peer.authenticated(0), [Action::Admit(0)]);
    assert_eq!(peer.ended(0), []);
    assert!(peer.is_idle());
}

#[test]
fn an_accepted_connection_ends_a_dial_that_the_peer_gives_up() {
    for (is_greater, is_named) in [(true, false), (true, true), (false, false)] {
        let mut peer = dialing(is_greater, is_named);
        peer.claim(1);
        assert_eq!(peer.authenticated(1), [Action::Close(0), Action::Admit(1)]);
        assert!(!peer.may_send_name(0));
        assert_eq!(peer.ended(0), []);
        assert_eq!(peer.connection(), Some(1));
    }
}

/// The accepted connection is claimed before the name of the dial is sent, and authenticated after.
fn held() -> Peer<u32> {
    let mut peer = dialing(false, false);
    assert_eq!(peer.claim(1), Status::Ok);
    assert!(peer.may_send_name(0));
    assert_eq!(peer.authenticated(1), []);
    peer
}

#[test]
fn an_attempt_that_the_peer_gives_up_waits_for_the_dial() {
    let mut peer = held();
    assert_eq!(peer.authenticated(0), [Action::Admit(0), Action::Close(1)]);
    let mut peer = held();
    assert_eq!(peer.ended(0), [Action::Admit(1)]);
    assert_eq!(peer.connection(), Some(1));
}

#[test]
fn an_old_connection_is_closed_once_the_new_one_is_authenticated() {
    let mut peer = up(true);
    assert_eq!(peer.claim(1), Status::Alive);
    assert_eq!(peer.connection(), Some(0));
    assert_eq!(peer.authenticated(1), [Action::Close(0)]);
    assert!(peer.is_pending());
    assert_eq!(peer.ended(0), [Action::Admit(1)]);
    assert_eq!(peer.connection(), Some(1));
}

#[test]
fn an_attempt_that_is_not_authenticated_displaces_nothing() {
    let mut peer = up(true);
    peer.claim(1);
    assert_eq!(peer.ended(1), []);
    assert_eq!(peer.connection(), Some(0));
}

#[test]
fn of_two_accepted_connections_the_later_one_stays() {
    let mut peer = Peer::new(true);
    peer.claim(1);
    peer.claim(2);
    assert_eq!(peer.authenticated(2), [Action::Admit(2)]);
    assert_eq!(peer.authenticated(1), [Action::Close(1)]);

    let mut peer = Peer::new(true);
    peer.claim(1);
    peer.claim(2);
    assert_eq!(peer.authenticated(1), [Action::Admit(1)]);
    assert_eq!(peer.authenticated(2), [Action::Close(1)]);
    assert_eq!(peer.claim(3), Status::Alive);
    assert_eq!(peer.authenticated(3), [Action::Close(2)]);
    assert_eq!(peer.ended(1), [Action::Admit(3)]);
}

#[test]
fn a_dial_that_is_refused_for_the_peers_own_attempt_waits_for_that_one() {
    let mut peer = dialing(true, true);
    assert_eq!(peer.claim(1), Status::OkSimultaneous);
    assert_eq!(peer.refused_for_own(0), []);
    assert_eq!(peer.ended(0), []);
    assert!(peer.is_pending() && !peer.needs_dial());
    assert_eq!(peer.ended(1), []);
    assert!(!peer.is_pending() && peer.needs_dial());
}

/// The refusal overtakes the name of the peer.
#[test]
fn the_peers_own_attempt_is_waited_for_before_its_name_has_arrived() {
    let mut peer = dialing(true, true);
    assert_eq!((peer.refused_for_own(0), peer.ended(0)), (vec![], vec![]));
    assert!(peer.is_pending() && !peer.needs_dial() && !peer.is_idle());
    assert_eq!(peer.claim(1), Status::Ok);
    assert_eq!(peer.authenticated(1), [Action::Admit(1)]);
    assert!(!peer.is_pending());
}

#[test]
fn claims_do_not_prolong_the_wait_for_the_peers_own_attempt() {
    let mut peer = dialing(true, true);
    peer.refused_for_own(0);
    peer.claim(1);
    peer.claim(2);
    assert_eq!(peer.ended(1), []);
    assert!(peer.is_pending());
    peer.overdue();
    assert!(!peer.is_pending() && peer.needs_dial() && !peer.is_idle());
    assert_eq!(peer.ended(2), []);
    assert!(peer.is_idle());
}

/// A peer with the smaller name has no reason for this status.
#[test]
fn a_held_attempt_is_up_if_the_dial_is_refused_for_it() {
    let mut peer = held();
    assert_eq!(peer.refused_for_own(0), [Action::Admit(1)]);
    assert_eq!(peer.ended(0), []);
    assert!(!peer.is_pending() && peer.connection() == Some(1));
}
