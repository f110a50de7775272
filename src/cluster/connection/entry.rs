//! What the server of the connections knows of another node.

use tokio::time::Instant;

use crate::base::Pid;
use crate::base::random::Map;
use crate::call::Reply;
use crate::cluster::connection::competing_attempts::Peer;
use crate::cluster::error::NodeError;
use crate::exit::Result;

/// Another node.
pub(super) struct Entry {
    pub(super) peer: Peer<Pid>,
    /// The authenticated attempts that are neither admitted nor refused.
    pub(super) authenticated: Map<Pid, Reply<bool>>,
    /// The users that wait for a connection.
    pub(super) waiting: Vec<Reply<Result<(), NodeError>>>,
    /// Whether signals may wait for a connection whose request the server has read.
    pub(super) is_wanted: bool,
    /// When the attempt ends that the users wait for. All its dials have this deadline.
    pub(super) deadline: Instant,
    /// Why the last dial failed.
    pub(super) error: Option<NodeError>,
    /// The connection that the subscribers know.
    pub(super) announced: Option<Pid>,
}

impl Entry {
    pub(super) fn new(is_greater: bool) -> Self {
        Entry {
            peer: Peer::new(is_greater),
            authenticated: Map::default(),
            waiting: Vec::new(),
            is_wanted: false,
            deadline: Instant::now(),
            error: None,
            announced: None,
        }
    }

    /// Whether users or signals wait for a connection.
    pub(super) fn is_awaited(&self) -> bool {
        self.is_wanted || !self.waiting.is_empty()
    }

    /// Answers the users that wait.
    pub(super) fn answer(&mut self, answer: &Result<(), NodeError>) {
        for reply in self.waiting.drain(..) {
            reply.send(answer.clone());
        }
        self.error = None;
    }
}
