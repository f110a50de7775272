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
        if let Some(bucket) = &mut self.bucket
            && let Err(due) = bucket.take(Instant::now(), waited)
        {
            return Found::NoToken(due);
        }
        match self.take(client, is_alive) {
            Some(taken) => Found::Worker(Taken { has_token: self.bucket.is_some(), ..taken }),
            None => {
                self.put_token_back();
                Found::NoWorker
            }
        }
    }

    /// Puts back a token that was not used. Returns whether a client waits that may take it.
    pub(super) fn put_token_back(&mut self) -> bool {
        if let Some(bucket) = &mut self.bucket {
            bucket.put_back();
        }
        self.waiting > 0
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
}
