//! Handshakes of two values, without sockets.

use super::{Acceptor, Flags, HandshakeError, Initiator, Local, Status, acceptor, initiator};
use crate::cluster::cookie::Cookie;
use crate::cluster::node_name::NodeName;

fn node(name: &str, cookie: &str) -> Local {
    let name = NodeName::parse(name).unwrap();
    Local { name, creation: 5, cookie: Cookie::new(cookie) }
}

/// Splits bytes into messages, without their prefixes.
fn messages(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk() {
        let (message, rest) = rest.split_at(u16::from_be_bytes(*length).into());
        found.push(message.to_vec());
        bytes = rest;
    }
    found
}

/// Runs a handshake in which the acceptor decides for this status. Returns both results.
fn run(
    a: Local,
    b: Local,
    status: Status,
) -> (Result<super::Session, HandshakeError>, Option<Result<super::Session, HandshakeError>>) {
    let (mut a, hello) = Initiator::begin(a, b.name.clone(), 17);
    let mut b = Acceptor::new(b, 4_000_000_000);
    let mut accepted = None;
    let mut to_b = messages(&hello);
    loop {
        let mut to_a = Vec::new();
        for message in to_b.drain(..) {
            match b.message(&message) {
                Ok(acceptor::Next::Named(_)) => to_a.extend(messages(&b.decide(status))),
                Ok(acceptor::Next::Write(bytes)) => to_a.extend(messages(&bytes)),
                Ok(acceptor::Next::Done(session, bytes)) => {
                    accepted = Some(Ok(session));
                    to_a.extend(messages(&bytes));
                }
                Err(error) => accepted = Some(Err(error)),
            }
        }
        if to_a.is_empty() {
            return (Err(HandshakeError::Closed), accepted);
        }
        for message in to_a {
            match a.message(&message) {
                Ok(initiator::Next::Write(bytes)) => to_b.extend(messages(&bytes)),
                Ok(initiator::Next::Done(session)) => return (Ok(session), accepted),
                Err(error) => return (Err(error), accepted),
            }
        }
    }
}

#[test]
fn two_nodes_with_one_cookie_accept_each_other() {
    for status in [Status::Ok, Status::OkSimultaneous, Status::Alive] {
        let (a, b) = run(node("a@h", "x"), node("b@h", "x"), status);
        let (a, b) = (a.unwrap(), b.unwrap().unwrap());
        assert_eq!((a.peer.as_str(), b.peer.as_str()), ("b@h", "a@h"));
        assert_eq!((a.flags, b.flags), (Flags::OFFERED, Flags::OFFERED));
    }
}

#[test]
fn an_acceptor_refuses_another_cookie() {
    let (a, b) = run(node("a@h", "x"), node("b@h", "y"), Status::Ok);
    assert_eq!(b, Some(Err(HandshakeError::WrongCookie)));
    assert_eq!(a, Err(HandshakeError::Closed));
}

/// The acceptor here accepts every cookie, as a node that lies would.
#[test]
fn an_initiator_refuses_an_acceptor_with_another_cookie() {
    let (a, b) = (node("a@h", "x"), node("b@h", "y"));
    let (mut a, _) = Initiator::begin(a, b.name.clone(), 17);
    a.message(b"sok").unwrap();
    a.message(&b.hello().encode_with(1)[2..]).unwrap();
    let ack = super::message::encode_ack(&b.cookie.answer(17));
    assert_eq!(a.message(&ack[2..]), Err(HandshakeError::WrongCookie));
}

#[test]
fn a_status_may_end_the_handshake() {
    for (status, error) in [
        (Status::Nok, HandshakeError::Simultaneous),
        (Status::NotAllowed, HandshakeError::NotAllowed),
        (Status::True, HandshakeError::Unexpected),
    ] {
        let (a, b) = run(node("a@h", "x"), node("b@h", "x"), status);
        assert_eq!((a, b), (Err(error), None));
    }
}

#[test]
fn an_initiator_refuses_a_node_with_another_name() {
    let (mut a, _) = Initiator::begin(node("a@h", "x"), NodeName::parse("b@h").unwrap(), 17);
    a.message(b"sok").unwrap();
    let other = node("c@h", "x").hello().encode_with(1);
    assert_eq!(a.message(&other[2..]), Err(HandshakeError::OtherName("c@h".into())));
}

#[test]
fn both_sides_refuse_a_node_without_the_required_flags() {
    let mut old = node("b@h", "x").hello();
    old.flags = Flags::of_peer(0x0107_0f94);
    let missing = HandshakeError::MissingFlags("UNLINK_ID, V4_NC".into());

    let (mut a, _) = Initiator::begin(node("a@h", "x"), old.name.clone(), 17);
    a.message(b"sok").unwrap();
    assert_eq!(a.message(&old.encode_with(1)[2..]), Err(missing.clone()));

    let mut acceptor = Acceptor::new(node("a@h", "x"), 1);
    acceptor.message(&old.encode()[2..]).unwrap();
    assert_eq!(acceptor.refusal(), Some(missing));
}

#[test]
fn a_node_refuses_its_own_name() {
    let own = node("a@h", "x");
    let mut acceptor = Acceptor::new(own.clone(), 1);
    acceptor.message(&own.hello().encode()[2..]).unwrap();
    assert_eq!(acceptor.refusal(), Some(HandshakeError::OwnName));
}

#[test]
fn an_answer_before_the_challenge_is_refused() {
    let mut acceptor = Acceptor::new(node("a@h", "x"), 1);
    let reply = super::message::encode_reply(1, &[0; 16]);
    assert_eq!(acceptor.message(&reply[2..]), Err(HandshakeError::Unexpected));
}

#[test]
fn a_peer_may_withdraw_after_the_status_alive() {
    let mut acceptor = Acceptor::new(node("a@h", "x"), 1);
    acceptor.message(&node("b@h", "x").hello().encode()[2..]).unwrap();
    acceptor.decide(Status::Alive);
    assert_eq!(acceptor.message(b"sfalse"), Err(HandshakeError::Superseded));
}
