//! Calls that a successor of their server has taken over: the protocol is
//! [`kept_queues`](crate::kernel::kept_queues).

use std::fmt;
use std::sync::Arc;

use crate::process::{AnyProcess, CallLimit};

/// The server that has taken a call over, and the limit of the call, if it was given one.
pub(crate) struct HandedOn {
    pub(crate) server: Arc<dyn AnyProcess>,
    pub(crate) limit: Option<Arc<CallLimit>>,
}

impl fmt::Debug for HandedOn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HandedOn({})", self.server.pid())
    }
}

/// The slot of a call that a successor of its server may take over.
pub(crate) trait TakenOver: Send + Sync {
    /// Notes that this server has taken the call over. The caller of this function owns the call,
    /// and the reply in it, so the call has no result yet.
    fn hand_on(&self, to: &Arc<dyn AnyProcess>);
}
