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
//! A call may also be made later than its place in the mailbox: [`reserved`] queues a call that is
//! empty, which [`Receipt::fill`] fills while it is `Queued`. A server that reaches an empty call
//! skips it, and its state is then `Gone`.
//!
//! The state does not depend on where the reply is. A reply may be moved out of its call, or into
//! another message of the same server, which is left unread while the reply's own call was handled.

use std::sync::Arc;

use crate::base::PlainMutex;

enum CallState<C> {
    /// The call, or `None` if the place is reserved for a call that is not made yet.
    Queued(Option<C>),
    HandedOut,
    /// The call was taken back, or was dropped unread, or was reached before it was made.
    Gone,
}

/// A returnable call, as the mailbox has it.
pub(crate) struct QueuedCall<C>(Arc<PlainMutex<CallState<C>>>);

/// A returnable call, as its caller has it.
pub(crate) struct Receipt<C>(Arc<PlainMutex<CallState<C>>>);

/// Makes a call returnable.
pub(crate) fn returnable<C>(call: C) -> (QueuedCall<C>, Receipt<C>) {
    let state = Arc::new(PlainMutex::new(CallState::Queued(Some(call))));
    (QueuedCall(state.clone()), Receipt(state))
}

/// Makes an empty call, which keeps a place in a mailbox.
#[cfg(feature = "tower")]
pub(crate) fn reserved<C>() -> (QueuedCall<C>, Receipt<C>) {
    let state = Arc::new(PlainMutex::new(CallState::Queued(None)));
    (QueuedCall(state.clone()), Receipt(state))
}

impl<C> QueuedCall<C> {
    /// Returns the call for the handler, or `None` if the caller has taken the call back.
    pub(crate) fn hand_out(self) -> Option<C> {
        let mut state = self.0.lock();
        match std::mem::replace(&mut *state, CallState::HandedOut) {
            CallState::Queued(Some(call)) => Some(call),
            CallState::HandedOut => None,
            CallState::Queued(None) | CallState::Gone => {
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

#[cfg(feature = "tower")]
impl<C> Receipt<C> {
    /// Puts the call into its reserved place. Returns the call if the place is gone: the server has
    /// reached it, or has ended.
    pub(crate) fn fill(&self, call: C) -> Result<(), C> {
        match &mut *self.0.lock() {
            CallState::Queued(empty @ None) => {
                *empty = Some(call);
                Ok(())
            }
            _ => Err(call),
        }
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
    #[cfg(feature = "tower")]
    use super::reserved;
    use super::returnable;

    #[cfg(feature = "tower")]
    #[test]
    fn a_reserved_place_is_filled_once_and_only_before_the_server_reaches_it() {
        let (queued, receipt) = reserved();
        assert_eq!((receipt.fill(7), receipt.fill(8)), (Ok(()), Err(8)));
        assert_eq!(queued.hand_out(), Some(7));
        assert!(!receipt.take_back());

        let (queued, receipt) = reserved();
        assert_eq!((queued.hand_out(), receipt.fill(7)), (None, Err(7)));
        assert!(receipt.take_back());

        let (queued, receipt) = reserved();
        drop(queued);
        assert_eq!(receipt.fill(7), Err(7));
    }

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
