//! Which client gets the next worker, and which waiting clients are refused: the queue of the
//! clients that wait, in the order in which their requests came.
//!
//! A client that gives up leaves its reply in the queue. Such a reply is dropped when it is the
//! first of the queue. When the queue has doubled, all such replies are dropped at once. So the
//! queue holds at most twice as many replies as clients.

use std::collections::VecDeque;

use crate::call::Reply;
use crate::pool::Checkout;
use crate::server::GenServer;

/// The answer of a checkout: a worker, or the limit of the queue, which is full.
pub(super) type Answer<S> = Result<Checkout<S>, usize>;

/// The length from which on the queue is searched for clients that have given up.
const FIRST_SEARCH: usize = 64;

pub(super) struct Waiters<S: GenServer> {
    queue: VecDeque<Reply<Answer<S>>>,
    search_at: usize,
}

impl<S: GenServer> Waiters<S> {
    pub(super) fn new() -> Self {
        Waiters { queue: VecDeque::new(), search_at: FIRST_SEARCH }
    }

    pub(super) fn push(&mut self, client: Reply<Answer<S>>) {
        if self.queue.len() >= self.search_at {
            self.drop_given_up();
        }
        self.queue.push_back(client);
    }

    /// Puts a client back that was taken by [`next`](Self::next).
    pub(super) fn put_back(&mut self, client: Reply<Answer<S>>) {
        self.queue.push_front(client);
    }

    /// Removes the first client that still waits.
    pub(super) fn next(&mut self) -> Option<Reply<Answer<S>>> {
        loop {
            let client = self.queue.pop_front()?;
            if client.is_awaited() {
                return Some(client);
            }
        }
    }

    /// The number of clients, with those that have given up and were not found yet.
    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }

    /// Refuses clients until at most `most` are left. Refuses the oldest clients if `oldest` is
    /// true, otherwise the newest.
    pub(super) fn refuse_above(&mut self, most: usize, limit: usize, oldest: bool) {
        if self.queue.len() <= most {
            return;
        }
        self.drop_given_up();
        while self.queue.len() > most {
            let client = if oldest { self.queue.pop_front() } else { self.queue.pop_back() };
            if let Some(client) = client {
                client.send(Err(limit));
            }
        }
    }

    pub(super) fn drop_given_up(&mut self) {
        self.queue.retain(Reply::is_awaited);
        self.search_at = FIRST_SEARCH.max(2 * self.queue.len());
    }
}
