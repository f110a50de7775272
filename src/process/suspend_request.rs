//! A request to suspend or to resume a server whose type the requester does not know.

use tokio::sync::oneshot;

/// A request to suspend a server, or to resume it. It is carried out in order with all other items,
/// unless the requester has dropped the receiver of the answer before.
#[derive(Debug)]
pub(crate) struct SuspendRequest {
    suspends: bool,
    done: oneshot::Sender<()>,
}

/// Why a request to suspend or resume was not queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SuspendRefused {
    /// The process is no server.
    NotAServer,
    /// The process is ending or has ended.
    Ended,
}

impl SuspendRequest {
    /// Returns the request, and the receiver of the answer.
    pub(crate) fn new(suspends: bool) -> (Self, oneshot::Receiver<()>) {
        let (done, answer) = oneshot::channel();
        (SuspendRequest { suspends, done }, answer)
    }

    /// Answers the request. Returns whether the server is suspended from now on; `is_suspended` says
    /// whether it is now. The requester either gets the answer or has withdrawn the request: both in
    /// one step.
    pub(crate) fn carry_out(self, is_suspended: bool) -> bool {
        match self.done.send(()) {
            Ok(()) => self.suspends,
            Err(()) => is_suspended,
        }
    }
}
