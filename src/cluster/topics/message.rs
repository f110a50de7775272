//! The message between nodes: `{regrow_topic, Name, Key, Event}`.
//!
//! `Name` is a binary, the name under which the topics are shared. A later version of this message
//! would have another tag, so that this version counts it as undecodable.

use serde::de::DeserializeOwned;
use serde::ser::Serialize;

use crate::cluster::reply::{Undecodable, decode_message};
use crate::cluster::term::{
    Atom, DecodeError, DecodeLimits, Decoder, EncodeError, Token, to_bytes,
};
use crate::message::EncodedTerm;

const TAG: &str = "regrow_topic";

/// Why a message of another node is not published. The texts contain no part of the message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotPublished {
    #[error("it is not {{regrow_topic, Name, Key, Event}}")]
    OtherMessage,
    #[error("it names other topics")]
    OtherTopics,
    #[error("the key doesn't fit: {0}")]
    Key(Undecodable),
    #[error("the event doesn't fit: {0}")]
    Event(Undecodable),
    #[error("code of the type of the key or of the event panicked")]
    Panicked,
}

impl From<DecodeError> for NotPublished {
    fn from(_: DecodeError) -> Self {
        NotPublished::OtherMessage
    }
}

/// Encodes an event of these topics.
pub(super) fn encode<K: Serialize, T: Serialize>(
    topics: &str,
    key: &K,
    event: &T,
) -> Result<EncodedTerm, EncodeError> {
    to_bytes(&(Atom::of(TAG), topics, key, event)).map(EncodedTerm::checked)
}

/// The parts of a message, each a term without a version byte.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Parts<'t> {
    key: &'t [u8],
    event: &'t [u8],
}

impl<'t> Parts<'t> {
    /// Takes a message of these topics apart. Neither the key nor the event is decoded.
    pub(super) fn read(
        term: &'t [u8],
        topics: &str,
        limits: &DecodeLimits,
    ) -> Result<Self, NotPublished> {
        let mut decoder = Decoder::new(term, limits)?;
        decoder.start()?;
        let (Token::Tuple(4), Token::Atom(tag)) = (decoder.next()?, decoder.next()?) else {
            return Err(NotPublished::OtherMessage);
        };
        let name = decoder.next()?;
        let key = decoder.pass()?;
        let event = &term[decoder.offset()..];
        match name {
            _ if tag != TAG => Err(NotPublished::OtherMessage),
            Token::Binary(name) if name == topics.as_bytes() => Ok(Parts { key, event }),
            _ => Err(NotPublished::OtherTopics),
        }
    }

    pub(super) fn key<K: DeserializeOwned>(
        &self,
        limits: &DecodeLimits,
    ) -> Result<K, NotPublished> {
        decode_message(self.key, limits).map_err(NotPublished::Key)
    }

    pub(super) fn event<T: DeserializeOwned>(
        &self,
        limits: &DecodeLimits,
    ) -> Result<T, NotPublished> {
        decode_message(self.event, limits).map_err(NotPublished::Event)
    }
}

#[cfg(test)]
mod tests;
