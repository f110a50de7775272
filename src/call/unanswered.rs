//! Replies that are dropped unsent inside of their own server: in one of its handlers, or as
//! its state is dropped.
//!
//! The thread keeps them until the handler is over, without a lock. Then the server tells the
//! callers that nobody will answer. Where a poll of the server ends before the handler does,
//! or its body is dropped, they are handed over to its record: it is told in time, or gives
//! the callers the reason of its end.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use crate::base::current_process;
use crate::call::reply_slot::{ReplySlot, add_unanswered, resolve_all};
use crate::process::AnyProcess;
use crate::process::core::Unanswered;

/// A caller, and the address of the record of who owes it the truth.
type UnansweredReply = (usize, Arc<dyn Unanswered>);

thread_local! {
    static ANY: Cell<bool> = const { Cell::new(false) };
    static UNANSWERED: RefCell<Vec<UnansweredReply>> = const { RefCell::new(Vec::new()) };
}

/// Keeps a caller for the server whose record is at this address, if that one acts here.
pub(crate) fn keep<T: Send + 'static>(server: usize, caller: &Arc<ReplySlot<T>>) -> bool {
    if current_process::current_record() != server {
        return false;
    }
    // A thread that is ending keeps nothing any more.
    let kept = UNANSWERED.try_with(|owed| owed.borrow_mut().push((server, caller.clone()))).is_ok();
    ANY.set(kept || ANY.get());
    kept
}

/// The server lives, and has handled what it dropped those replies in.
#[inline]
pub(crate) fn resolve(server: usize) {
    if ANY.get() {
        resolve_all(take(server), None);
    }
}

/// From here on its record knows of them.
#[inline]
pub(crate) fn hand_over(server: &dyn AnyProcess, address: usize) {
    if ANY.get() {
        hand_over_all(server, take(address));
    }
}

#[cold]
fn hand_over_all(server: &dyn AnyProcess, callers: Vec<Arc<dyn Unanswered>>) {
    if callers.is_empty() {
        // They are another's, in whose handler this one is polled: it is not to be woken.
        return;
    }
    if let Err((callers, reason)) = add_unanswered(server, callers) {
        resolve_all(callers, Some(&reason));
    }
}

#[cold]
fn take(server: usize) -> Vec<Arc<dyn Unanswered>> {
    let taken = UNANSWERED.try_with(|owed| {
        let mut owed = owed.borrow_mut();
        let (own, others): (Vec<_>, Vec<_>) = owed.drain(..).partition(|(of, _)| *of == server);
        ANY.set(!others.is_empty());
        *owed = others;
        own.into_iter().map(|(_, caller)| caller).collect()
    });
    taken.unwrap_or_default()
}
