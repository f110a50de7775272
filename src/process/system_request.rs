//! Requests to a server whose type the requester does not know. They are carried out in order with all
//! other items.

use tokio::sync::{oneshot, watch};

use crate::process::Claim;

/// A request to a server of any type.
#[derive(Debug)]
pub(crate) enum SystemRequest {
    Suspend(SuspendRequest),
    #[cfg_attr(not(feature = "observer"), allow(dead_code))]
    Status(StatusRequest),
}

/// Why a request was not queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotQueued {
    /// The process is no server.
    NotAServer,
    /// The process is ending or has ended.
    Ended,
}

/// A request to suspend a server, or to resume it, unless the requester withdraws its claim before.
#[derive(Debug)]
pub(crate) struct SuspendRequest {
    suspends: bool,
    claim: Claim,
    done: oneshot::Sender<()>,
}

impl SuspendRequest {
    /// Returns the request, and the receiver of the answer.
    pub(crate) fn new(suspends: bool, claim: Claim) -> (Self, oneshot::Receiver<()>) {
        let (done, answer) = oneshot::channel();
        (SuspendRequest { suspends, claim, done }, answer)
    }

    /// Begins and ends the request, unless it was withdrawn. Returns whether the server is suspended
    /// from now on; `is_suspended` says whether it is now.
    pub(crate) fn carry_out(self, is_suspended: bool) -> bool {
        if !self.claim.begin() {
            return is_suspended;
        }
        // An error means that the requester is gone. Its claim says that this was begun.
        let _ = self.done.send(());
        self.suspends
    }
}

/// A request for the line that a server publishes. Any number of readers may wait for the answer.
#[derive(Debug)]
pub(crate) struct StatusRequest(watch::Sender<Option<StatusAnswer>>);

/// The line of a server, if it publishes one; an error if the function that makes it has panicked.
pub(crate) type StatusAnswer = Result<Option<String>, ()>;

impl StatusRequest {
    /// Returns the request, and the receiver of the answer. The receiver is closed when the server has
    /// ended without an answer.
    #[cfg(feature = "observer")]
    pub(crate) fn new() -> (Self, watch::Receiver<Option<StatusAnswer>>) {
        let (answered, answer) = watch::channel(None);
        (StatusRequest(answered), answer)
    }

    pub(crate) fn answer(self, answer: StatusAnswer) {
        self.0.send_replace(Some(answer));
    }
}
