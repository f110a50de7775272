//! The side of a handshake that has accepted the connection: its states, without any input or
//! output.

use crate::cluster::handshake::error::HandshakeError;
use crate::cluster::handshake::local::{Local, Session};
use crate::cluster::handshake::message::{Hello, Status, decode_reply, encode_ack};
use crate::cluster::node_name::NodeName;

/// The handshake of an acceptor.
#[derive(Debug)]
pub(crate) struct Acceptor {
    local: Local,
    challenge: u32,
    state: State,
}

#[derive(Debug)]
enum State {
    Name,
    /// The status of this node has to be decided.
    Deciding(Hello),
    /// The status was `alive`: the other node is asked whether its earlier connection is lost.
    Alive(Hello),
    Reply(Hello),
}

/// What follows a message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// The other node has this name. [`Acceptor::decide`] continues the handshake.
    Named(NodeName),
    /// Writes these bytes, and reads the next message.
    Write(Vec<u8>),
    /// The other node is authenticated. It is so from its own view after these last bytes, so
    /// nothing may refuse it once they are written.
    Done(Session, Vec<u8>),
}

impl Acceptor {
    pub(crate) fn new(local: Local, challenge: u32) -> Self {
        Acceptor { local, challenge, state: State::Name }
    }

    pub(crate) fn message(&mut self, message: &[u8]) -> Result<Next, HandshakeError> {
        match &self.state {
            State::Name => {
                let peer = Hello::decode(message)?;
                let name = peer.name.clone();
                self.state = State::Deciding(peer);
                Ok(Next::Named(name))
            }
            State::Deciding(_) => Err(HandshakeError::Unexpected),
            State::Alive(peer) => match Status::decode(message)? {
                Status::True => {
                    self.state = State::Reply(peer.clone());
                    Ok(Next::Write(self.local.hello().encode_with(self.challenge)))
                }
                Status::False => Err(HandshakeError::Superseded),
                _ => Err(HandshakeError::Unexpected),
            },
            State::Reply(peer) => {
                let (challenge, answer) = decode_reply(message)?;
                if !self.local.cookie.accepts(self.challenge, &answer) {
                    return Err(HandshakeError::WrongCookie);
                }
                let ack = encode_ack(&self.local.cookie.answer(challenge));
                Ok(Next::Done(Session::new(peer.clone()), ack))
            }
        }
    }

    /// Returns why the other node is refused whatever the connections of this one are, if it is.
    pub(crate) fn refusal(&self) -> Option<HandshakeError> {
        let State::Deciding(peer) = &self.state else { return None };
        if peer.name == self.local.name {
            return Some(HandshakeError::OwnName);
        }
        peer.flags.missing().map(HandshakeError::MissingFlags)
    }

    /// Continues with this status. Returns the bytes to write.
    pub(crate) fn decide(&mut self, status: Status) -> Vec<u8> {
        let mut bytes = status.encode();
        if let State::Deciding(peer) = &self.state {
            match status {
                Status::Ok | Status::OkSimultaneous => {
                    bytes.extend(self.local.hello().encode_with(self.challenge));
                    self.state = State::Reply(peer.clone());
                }
                Status::Alive => self.state = State::Alive(peer.clone()),
                _ => {}
            }
        }
        bytes
    }
}
