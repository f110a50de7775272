//! Requests about exactly one incarnation of a child, which the requester may withdraw.
//!
//! **Invariants**
//! 1. The supervisor compares the incarnation and begins the action in one handler, so no other
//!    incarnation is stopped, however long the request was queued.
//! 2. A request is either begun or withdrawn, as its [`Claim`] says.

use crate::base::{Pid, SharedStr};
use crate::process::Claim;

/// The child of a request.
#[derive(Debug)]
pub(crate) struct ExactChild {
    pub(crate) id: SharedStr,
    /// The process of the child. `None` if the child must not run.
    pub(crate) pid: Option<Pid>,
    pub(crate) claim: Claim,
}
