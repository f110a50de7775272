//! The clients of an own EPMD that have not registered: the oldest one is closed for another one, so
//! sockets that are opened and say nothing keep no client out.
//!
//! **If a client ends or registers** before, between or after the steps of another one: it leaves the
//! table when its [`Asking`] is dropped. A client that is closed first ends at its next poll, and a
//! name that it has just registered is free again.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::Notify;

use crate::base::PlainMutex;

/// The clients, in the order of their begin.
#[derive(Debug, Default)]
pub(super) struct Clients(PlainMutex<VecDeque<Arc<Notify>>>);

/// A client that has not registered. It leaves the table when this is dropped.
#[derive(Debug)]
pub(super) struct Asking<'c> {
    clients: &'c Clients,
    closed: Arc<Notify>,
}

impl Clients {
    pub(super) fn begin(&self) -> Asking<'_> {
        let closed = Arc::new(Notify::new());
        self.0.lock().push_back(closed.clone());
        Asking { clients: self, closed }
    }

    /// Whether all clients have registered.
    pub(super) fn is_empty(&self) -> bool {
        self.0.lock().is_empty()
    }

    pub(super) fn close_oldest(&self) {
        let oldest = self.0.lock().pop_front();
        if let Some(oldest) = oldest {
            // The permit is kept until the client looks at it.
            oldest.notify_one();
        }
    }
}

impl Asking<'_> {
    /// Waits until the client is closed for another one.
    pub(super) async fn closed(&self) {
        self.closed.notified().await;
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.clients.0.lock().retain(|other| !Arc::ptr_eq(other, &self.closed));
    }
}
