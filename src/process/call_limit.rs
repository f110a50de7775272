//! The limit of a call, while deadlines are propagated: until when its caller waits, and which calls
//! led to it.
//!
//! **Guarantees.** A call that is made while another call is handled is due no later than that call.
//! When a call passes its deadline, the limit knows the whole chain: the calls above it, from the
//! first caller on, and below it the call that its server still waited for.
//!
//! **Steps**, for a call of a process whose handler handles a call:
//! 1. The caller finds the limit of the call that it handles, in its record or
//!    [handed on](crate::call::call_deadline), and creates the limit of the new call below it.
//! 2. The limit is queued with the call, and stored in the slot of its reply, for the handler.
//! 3. The new call ends, and its limit is removed from the one above it. If it ended because the
//!    deadline of the call above passed, it stays: the first caller, whose deadline passes at the
//!    same time, then names the whole chain, whichever of the two is polled first.
//!
//! **Invariants**
//! 1. A limit refers to the limits below it, and never to the one above: its path has only pids. So
//!    there is no cycle of references, and a limit and those below it are freed when the call has
//!    ended and its handler has returned.
//! 2. The lock of `nested` is taken while the lock of at most one other limit is held, that of the
//!    limit above.

use std::sync::Arc;

use tokio::time::Instant;

use crate::base::pid::Pid;
use crate::base::sync::PlainMutex;

/// The limit of one call.
#[derive(Debug)]
pub(crate) struct CallLimit {
    /// The number of the runtime whose processes `path` names.
    runtime: usize,
    /// `None` if neither this call nor any call above it has a deadline.
    due: Option<Instant>,
    /// The caller of the first call, or [`Pid::OUTSIDE`], and the server of each call down to this
    /// one.
    path: Vec<Pid>,
    /// The unanswered calls that were made while this call was handled, in the order in which they
    /// were made.
    nested: PlainMutex<Vec<Arc<CallLimit>>>,
}

impl CallLimit {
    /// Creates the limit of a call that is not made while another call is handled.
    pub(crate) fn first(
        runtime: usize,
        caller: Pid,
        server: Pid,
        due: Option<Instant>,
    ) -> Arc<Self> {
        let path = vec![caller, server];
        Arc::new(CallLimit { runtime, due, path, nested: PlainMutex::default() })
    }

    /// Creates the limit of a call that is made while this call is handled.
    pub(crate) fn nested(&self, server: Pid, due: Option<Instant>) -> Arc<Self> {
        let due = [self.due, due].into_iter().flatten().min();
        let path = self.path.iter().copied().chain([server]).collect();
        let nested = PlainMutex::default();
        let nested = Arc::new(CallLimit { runtime: self.runtime, due, path, nested });
        self.nested.lock().push(nested.clone());
        nested
    }

    /// Removes a call that has ended.
    pub(crate) fn remove(&self, ended: &Arc<CallLimit>) {
        self.nested.lock().retain(|nested| !Arc::ptr_eq(nested, ended));
    }

    /// Whether the call was made to a process of the runtime with this number. A runtime has the
    /// number of one that is gone only by chance.
    pub(crate) fn is_of(&self, runtime: usize) -> bool {
        self.runtime == runtime
    }

    pub(crate) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Returns the path to this call, and from there on the calls that its server still waits for.
    pub(crate) fn chain(&self) -> Vec<Pid> {
        let first = self.nested.lock().first().cloned();
        first.map_or_else(|| self.path.clone(), |nested| nested.chain())
    }
}
