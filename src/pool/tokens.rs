//! The tokens of a pool with a rate limit. A checkout takes one.
//!
//! **Guarantees**
//! 1. A client gets its token in the step that takes its worker. So a client that waits has no token,
//!    and one that gives up, or is refused, costs none.
//! 2. A checkout that its client has not received puts its token back when it is dropped. So a
//!    client that gives up while a worker is handed to it costs no token either.
//! 3. The tokens are in the table, so no restart of the server or of the workers fills the bucket.

use tokio::time::Instant;

use crate::base::Pid;
use crate::limits::Token;
use crate::pool::state::{State, Taken};

/// What there is for a client now.
pub(super) enum Found<H> {
    Worker(Taken<H>),
    /// No worker is idle.
    NoWorker,
    /// The rate limit has no token for the client before this time.
    NoToken(Instant),
}

impl<H: Clone> State<H> {
    /// Takes an idle worker for a client, with a token. `waited` says whether the client has waited
    /// in the queue.
    pub(super) fn take_with_token(
        &mut self,
        client: Option<Pid>,
        waited: bool,
        is_alive: impl Fn(&H) -> bool,
    ) -> Found<H> {
        let reserved = self.bucket.as_mut().map(|bucket| bucket.reserve(Instant::now(), waited));
        let token = match reserved.transpose() {
            Ok(token) => token,
            Err(due) => return Found::NoToken(due),
        };
        match self.take(client, is_alive) {
            Some(taken) => Found::Worker(Taken { token, ..taken }),
            None => {
                token.into_iter().for_each(|token| _ = self.put_token_back(token));
                Found::NoWorker
            }
        }
    }

    /// Puts back a token that was not used. Returns whether a client waits that may take it.
    pub(super) fn put_token_back(&mut self, token: Token) -> bool {
        if let Some(bucket) = &mut self.bucket {
            bucket.put_back(token);
        }
        self.waiting > 0
    }

    /// Uses a token up: its client has received its worker.
    pub(super) fn spend_token(&mut self, token: Token) {
        if let Some(bucket) = &mut self.bucket {
            bucket.spend(token);
        }
    }

    /// The number of tokens, if the pool has a rate limit.
    pub(super) fn tokens(&self) -> Option<usize> {
        self.bucket.as_ref().map(|bucket| bucket.tokens(Instant::now(), false))
    }

    /// The number of workers that the clients that wait could take now. A worker for which there is
    /// no token would be started in vain.
    pub(super) fn wanted(&self) -> usize {
        let Some(bucket) = &self.bucket else { return self.waiting };
        let with_token = self.waiting.min(bucket.tokens(Instant::now(), true));
        // Their clients have only been waiting for a token.
        with_token.saturating_sub(self.idle.len())
    }

    /// When the next token is due, if it may let one more worker be [wanted](Self::wanted), and
    /// there is room for this worker.
    pub(super) fn next_wanted(&self) -> Option<Instant> {
        let (bucket, now) = (self.bucket.as_ref()?, Instant::now());
        let has_room = self.workers.len() < self.limits.size + self.limits.overflow;
        let is_short = bucket.tokens(now, true) < self.waiting;
        if has_room && is_short { bucket.next_token(now) } else { None }
    }
}
