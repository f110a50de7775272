//! The side of a handshake that has opened the connection: its states, without any input or output.

use crate::cluster::handshake::error::HandshakeError;
use crate::cluster::handshake::local::{Local, Session};
use crate::cluster::handshake::message::{Hello, Status, decode_ack, encode_reply};
use crate::cluster::node_name::NodeName;

/// The handshake of an initiator.
#[derive(Debug)]
pub(crate) struct Initiator {
    local: Local,
    peer: NodeName,
    challenge: u32,
    state: State,
}

#[derive(Debug)]
enum State {
    Status,
    Challenge,
    Ack(Hello),
}

/// What follows a message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Writes these bytes, which may be none, and reads the next message.
    Write(Vec<u8>),
    /// The other node is authenticated, and has authenticated this one.
    Done(Session),
}

impl Initiator {
    /// Begins a handshake. Returns its first message as well.
    pub(crate) fn begin(local: Local, peer: NodeName, challenge: u32) -> (Self, Vec<u8>) {
        let hello = local.hello().encode();
        (Initiator { local, peer, challenge, state: State::Status }, hello)
    }

    pub(crate) fn message(&mut self, message: &[u8]) -> Result<Next, HandshakeError> {
        match &self.state {
            State::Status => self.status(Status::decode(message)?),
            State::Challenge => self.challenged(message),
            State::Ack(peer) => {
                let answer = decode_ack(message)?;
                if !self.local.cookie.accepts(self.challenge, &answer) {
                    return Err(HandshakeError::WrongCookie);
                }
                Ok(Next::Done(Session::new(peer.clone())))
            }
        }
    }

    fn status(&mut self, status: Status) -> Result<Next, HandshakeError> {
        let answer = match status {
            Status::Ok | Status::OkSimultaneous => Vec::new(),
            // This node has no connection to that node, or it would not open another one.
            Status::Alive => Status::True.encode(),
            Status::Nok => return Err(HandshakeError::Simultaneous),
            Status::NotAllowed => return Err(HandshakeError::NotAllowed),
            Status::True | Status::False => return Err(HandshakeError::Unexpected),
        };
        self.state = State::Challenge;
        Ok(Next::Write(answer))
    }

    fn challenged(&mut self, message: &[u8]) -> Result<Next, HandshakeError> {
        let (peer, challenge) = Hello::decode_with_challenge(message)?;
        if peer.name != self.peer {
            return Err(HandshakeError::OtherName(peer.name.to_string()));
        }
        if let Some(missing) = peer.flags.missing() {
            return Err(HandshakeError::MissingFlags(missing));
        }
        self.state = State::Ack(peer);
        Ok(Next::Write(encode_reply(self.challenge, &self.local.cookie.answer(challenge))))
    }
}
