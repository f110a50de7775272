//! The state of another node in the server of the connections: its attempts, its connection, and
//! the users that wait.

use tokio::time::Instant;

use crate::base::Pid;
use crate::base::random::Map;
use crate::call::Reply;
use crate::cluster::connection::competing_attempts::Attempts;
use crate::cluster::error::NodeError;
use crate::exit::Result;

/// Another node.
pub(super) struct Entry {
    pub(super) attempts: Attempts<Pid>,
    /// The authenticated attempts that are neither admitted nor refused.
    pub(super) authenticated: Map<Pid, Reply<bool>>,
    /// The users that wait for a connection.
    pub(super) waiting: Vec<Reply<Result<(), NodeError>>>,
    /// Whether signals may wait for a connection, and the server has read their request.
    pub(super) is_wanted: bool,
    /// The deadline of the attempt that the users wait for, and of each of its dials.
    pub(super) deadline: Instant,
    /// Why the last dial failed.
    pub(super) error: Option<NodeError>,
    /// The connection that the subscribers were notified of.
    pub(super) announced: Option<Pid>,
}

impl Entry {
    pub(super) fn new(is_greater: bool) -> Self {
        Entry {
            attempts: Attempts::new(is_greater),
            authenticated: Map::default(),
            waiting: Vec::new(),
            is_wanted: false,
            deadline: Instant::now(),
            error: None,
            announced: None,
        }
    }

    /// Returns the connection that is up.
    pub(super) fn connection(&self) -> Option<Pid> {
        self.attempts.connection()
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
