//! The acknowledgement of a server's `init`, from the server to the starter that waits for it.
//!
//! **Guarantee.** The starter gets exactly one notice: the acknowledgement or, if the body of the
//! server is dropped or ends without one, the absence of it. A starter that gets no acknowledgement
//! waits for the end of the process, which follows.

use std::sync::Arc;

use tokio::sync::oneshot;

use crate::base::{Pid, ignore_panic};
use crate::runtime::StartError;

/// How the `init` of a server has ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ack {
    Started,
    /// The server ends, and this is the error of its start.
    Refused(Box<StartError>),
}

/// The receiver of an acknowledgement.
pub(crate) enum Starter {
    /// A task that awaits the channel.
    Waiting(oneshot::Sender<Ack>),
    /// A process that gets the acknowledgements of several servers, among its other messages.
    Process(Arc<dyn AckReceiver>),
}

/// Receives the acknowledgements of several servers.
pub(crate) trait AckReceiver: Send + Sync {
    /// Receives the acknowledgement of this server, or `None` if the server ends without one.
    /// This is called in the process of the server.
    fn acknowledged(&self, server: Pid, ack: Option<Ack>);
}

/// Sends one acknowledgement. If it is dropped before, the starter is notified of that.
pub(crate) struct AckSender {
    server: Pid,
    starter: Option<Starter>,
}

impl AckSender {
    pub(crate) fn new(server: Pid, starter: Starter) -> Self {
        AckSender { server, starter: Some(starter) }
    }

    pub(crate) fn send(mut self, ack: Ack) {
        self.notify(Some(ack));
    }

    fn notify(&mut self, ack: Option<Ack>) {
        let Some(starter) = self.starter.take() else { return };
        // The waker of a starter may be code of a user.
        ignore_panic(|| match (starter, ack) {
            // An error means that the starter has stopped waiting.
            (Starter::Waiting(sender), Some(ack)) => drop(sender.send(ack)),
            (Starter::Waiting(sender), None) => drop(sender),
            (Starter::Process(receiver), ack) => receiver.acknowledged(self.server, ack),
        });
    }
}

impl Drop for AckSender {
    fn drop(&mut self) {
        self.notify(None);
    }
}
