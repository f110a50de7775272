//! The deadline of the call that a handler handles.
//!
//! **Guarantee.** While a handler runs for a call that was made while deadlines are propagated, the
//! record of the server has the limit of that call. At every other time it has none: the guard
//! removes the limit when the handler returns, panics or is dropped.

use std::sync::Arc;

use crate::call::CallDeadline;
use crate::mailbox::{Item, Process};
use crate::process::{AnyProcess, CallLimit};
use crate::server::{GenServer, ServerContext};

impl<S: GenServer> ServerContext<S> {
    /// Returns how long the caller of the call that is being handled still waits. It is known while
    /// [deadlines are propagated](crate::Runtime::propagate_deadlines). In other callbacks than
    /// `handle_call` there is no deadline: a cast has no caller.
    ///
    /// Calls that this handler makes have that deadline already. Read it to bound other work, or to
    /// [hand it on](CallDeadline::hand_on) to a task. [`CallDeadline::at`] has an example.
    pub fn deadline(&self) -> CallDeadline {
        let process: &dyn AnyProcess = &*self.process;
        CallDeadline::new(
            process.with(|locked| locked.core().registrations()?.handled_call.clone()),
        )
    }
}

/// A call that a handler handles, until the guard is dropped.
pub(crate) struct HandledCall<M: Item> {
    process: Arc<Process<M>>,
}

impl<M: Item> HandledCall<M> {
    pub(crate) fn begin(process: &Arc<Process<M>>, limit: Arc<CallLimit>) -> Self {
        let handled = HandledCall { process: process.clone() };
        handled.set(Some(limit));
        handled
    }

    fn set(&self, limit: Option<Arc<CallLimit>>) {
        let process: &dyn AnyProcess = &*self.process;
        let old = process.with(|locked| {
            std::mem::replace(&mut locked.core().registrations_mut().handled_call, limit)
        });
        drop(old);
    }
}

impl<M: Item> Drop for HandledCall<M> {
    fn drop(&mut self) {
        self.set(None);
    }
}
