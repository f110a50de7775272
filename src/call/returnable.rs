//! A call that its caller takes back if no handler has received it.
//!
//! The mailbox has a [`QueuedCall`], and the caller has the [`Receipt`] of that call. Both share the
//! state of the call, which changes once:
//!
//! ```text
//!             hand_out: the server takes the call for its handler
//!           ┌────────────────────────────────────────────────────▶ HandedOut
//!   Queued ─┤
//!           └────────────────────────────────────────────────────▶ Gone
//!             take_back: the caller has stopped waiting for an answer;
//!             drop: the mailbox drops the call unread
//! ```
//!
//! # Guarantees
//!
//! 1. [`Receipt::take_back`] returns true only if no handler has received the call, and then no
//!    handler ever receives it.
//! 2. If a mailbox drops the call unread, the state is `Gone` before the reply in the call is
//!    dropped. So a caller that learns from its slot that the reply was dropped can take the call
//!    back.
//!
//! The state does not depend on where the reply is. A reply may be moved out of its call, or into
//! another message of the same server, which is left unread while the reply's own call was handled.

use std::sync::Arc;

use crate::base::PlainMutex;

enum CallState<C> {
    Queued(C),
    HandedOut,
    /// The call was taken back, or was dropped unread.
    Gone,
}

/// A returnable call, as the mailbox has it.
pub(crate) struct QueuedCall<C>(Arc<PlainMutex<CallState<C>>>);

/// A returnable call, as its caller has it.
pub(crate) struct Receipt<C>(Arc<PlainMutex<CallState<C>>>);

/// Makes a call returnable.
pub(crate) fn returnable<C>(call: C) -> (QueuedCall<C>, Receipt<C>) {
    let state = Arc::new(PlainMutex::new(CallState::Queued(call)));
    (QueuedCall(state.clone()), Receipt(state))
}

impl<C> QueuedCall<C> {
    /// Returns the call for the handler, or `None` if the caller has taken the call back.
    pub(crate) fn hand_out(self) -> Option<C> {
        let mut state = self.0.lock();
        match std::mem::replace(&mut *state, CallState::HandedOut) {
            CallState::Queued(call) => Some(call),
            CallState::HandedOut => None,
            CallState::Gone => {
                *state = CallState::Gone;
                None
            }
        }
    }
}

impl<C> Drop for QueuedCall<C> {
    fn drop(&mut self) {
        give_up(&self.0);
    }
}

impl<C> Receipt<C> {
    /// Takes the call back, and drops it. Returns false if the call was handed out.
    pub(crate) fn take_back(&self) -> bool {
        give_up(&self.0)
    }
}

/// Drops a queued call. Returns false if the call was handed out.
fn give_up<C>(state: &PlainMutex<CallState<C>>) -> bool {
    let mut state = state.lock();
    if matches!(*state, CallState::HandedOut) {
        return false;
    }
    let call = std::mem::replace(&mut *state, CallState::Gone);
    drop(state);
    // The call is a value of the user, and is dropped without the lock. Guarantee 2.
    drop(call);
    true
}

#[cfg(test)]
mod tests {
    use super::returnable;

    #[test]
    fn a_call_is_handed_out_or_taken_back_but_not_both() {
        let (queued, receipt) = returnable(7);
        assert_eq!(queued.hand_out(), Some(7));
        assert!(!receipt.take_back());

        let (queued, receipt) = returnable(7);
        assert!(receipt.take_back() && receipt.take_back());
        assert_eq!(queued.hand_out(), None);
        assert!(receipt.take_back());
    }

    #[test]
    fn a_call_that_a_mailbox_drops_can_be_taken_back() {
        let (queued, receipt) = returnable(7);
        drop(queued);
        assert!(receipt.take_back());
    }
}
