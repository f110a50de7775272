//! Each line of the tables alone.

use super::{Action, Attempts};
use crate::cluster::handshake::Status;

fn dialing(is_greater: bool, is_named: bool) -> Attempts<u32> {
    let mut attempts = Attempts::new(is_greater);
    assert!(attempts.needs_dial());
    attempts.dialing(0);
    assert!(!is_named || attempts.may_send_name(0));
    attempts
}

fn up(is_greater: bool) -> Attempts<u32> {
    let mut attempts = dialing(is_greater, true);
    assert_eq!(attempts.authenticated(0), [Action::Admit(0)]);
    attempts
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
        let mut attempts = Attempts::new(is_greater);
        assert_eq!((attempts.claim(1), attempts.claim(2)), (Status::Ok, Status::Ok));
        assert_eq!(up(is_greater).claim(1), Status::Alive);
    }
}

#[test]
fn a_refused_attempt_leaves_no_trace() {
    let mut attempts = dialing(false, true);
    assert_eq!(attempts.claim(1), Status::Nok);
    assert_eq!(attempts.authenticated(1), [Action::Close(1)]);
    assert_eq!(attempts.authenticated(0), [Action::Admit(0)]);
    assert_eq!(attempts.ended(0), []);
    assert!(attempts.is_idle());
}

#[test]
fn an_accepted_connection_ends_a_dial_that_the_peer_gives_up() {
    for (is_greater, is_named) in [(true, false), (true, true), (false, false)] {
        let mut attempts = dialing(is_greater, is_named);
        attempts.claim(1);
        assert_eq!(attempts.authenticated(1), [Action::Close(0), Action::Admit(1)]);
        assert!(!attempts.may_send_name(0));
        assert_eq!(attempts.ended(0), []);
        assert_eq!(attempts.connection(), Some(1));
    }
}

/// The accepted connection is claimed before the name of the dial is sent, and authenticated after.
fn held() -> Attempts<u32> {
    let mut attempts = dialing(false, false);
    assert_eq!(attempts.claim(1), Status::Ok);
    assert!(attempts.may_send_name(0));
    assert_eq!(attempts.authenticated(1), []);
    attempts
}

#[test]
fn an_attempt_that_the_peer_gives_up_waits_for_the_dial() {
    let mut attempts = held();
    assert_eq!(attempts.authenticated(0), [Action::Admit(0), Action::Close(1)]);
    let mut attempts = held();
    assert_eq!(attempts.ended(0), [Action::Admit(1)]);
    assert_eq!(attempts.connection(), Some(1));
}

#[test]
fn an_old_connection_is_closed_once_the_new_one_is_authenticated() {
    let mut attempts = up(true);
    assert_eq!(attempts.claim(1), Status::Alive);
    assert_eq!(attempts.connection(), Some(0));
    assert_eq!(attempts.authenticated(1), [Action::Close(0)]);
    assert!(attempts.is_pending());
    assert_eq!(attempts.ended(0), [Action::Admit(1)]);
    assert_eq!(attempts.connection(), Some(1));
}

#[test]
fn an_attempt_that_is_not_authenticated_displaces_nothing() {
    let mut attempts = up(true);
    attempts.claim(1);
    assert_eq!(attempts.ended(1), []);
    assert_eq!(attempts.connection(), Some(0));
}

#[test]
fn of_two_accepted_connections_the_later_one_stays() {
    let mut attempts = Attempts::new(true);
    attempts.claim(1);
    attempts.claim(2);
    assert_eq!(attempts.authenticated(2), [Action::Admit(2)]);
    assert_eq!(attempts.authenticated(1), [Action::Close(1)]);

    let mut attempts = Attempts::new(true);
    attempts.claim(1);
    attempts.claim(2);
    assert_eq!(attempts.authenticated(1), [Action::Admit(1)]);
    assert_eq!(attempts.authenticated(2), [Action::Close(1)]);
    assert_eq!(attempts.claim(3), Status::Alive);
    assert_eq!(attempts.authenticated(3), [Action::Close(2)]);
    assert_eq!(attempts.ended(1), [Action::Admit(3)]);
}

#[test]
fn a_dial_that_is_refused_for_the_peers_own_attempt_waits_for_that_one() {
    let mut attempts = dialing(true, true);
    assert_eq!(attempts.claim(1), Status::OkSimultaneous);
    assert_eq!(attempts.refused_for_own(0), []);
    assert_eq!(attempts.ended(0), []);
    assert!(attempts.is_pending() && !attempts.needs_dial());
    assert_eq!(attempts.ended(1), []);
    assert!(!attempts.is_pending() && attempts.needs_dial());
}

/// The refusal overtakes the name of the peer.
#[test]
fn the_peers_own_attempt_is_waited_for_before_its_name_has_arrived() {
    let mut attempts = dialing(true, true);
    assert_eq!((attempts.refused_for_own(0), attempts.ended(0)), (vec![], vec![]));
    assert!(attempts.is_pending() && !attempts.needs_dial() && !attempts.is_idle());
    assert_eq!(attempts.claim(1), Status::Ok);
    assert_eq!(attempts.authenticated(1), [Action::Admit(1)]);
    assert!(!attempts.is_pending());
}

#[test]
fn claims_do_not_prolong_the_wait_for_the_peers_own_attempt() {
    let mut attempts = dialing(true, true);
    attempts.refused_for_own(0);
    attempts.claim(1);
    attempts.claim(2);
    assert_eq!(attempts.ended(1), []);
    assert!(attempts.is_pending());
    attempts.overdue();
    assert!(!attempts.is_pending() && attempts.needs_dial() && !attempts.is_idle());
    assert_eq!(attempts.ended(2), []);
    assert!(attempts.is_idle());
}

/// A peer with the smaller name has no reason for this status.
#[test]
fn a_held_attempt_is_up_if_the_dial_is_refused_for_it() {
    let mut attempts = held();
    assert_eq!(attempts.refused_for_own(0), [Action::Admit(1)]);
    assert_eq!(attempts.ended(0), []);
    assert!(!attempts.is_pending() && attempts.connection() == Some(1));
}
