//! Replies that are dropped unsent inside their own server: in a handler, or with the state of the
//! server.
//!
//! # Guarantees
//!
//! If the server lives after the handler has returned, the caller of such a reply gets `NoReply`.
//! Otherwise the caller gets the reason of the server's end. The caller gets no result before the
//! handler has returned, because the handler may still end the server.
//!
//! # Steps
//!
//! 1. **Keep.** A reply that is dropped is added to a thread-local list, without a lock.
//! 2. **Resolve.** When the handler has returned, the server resolves its replies in that list with
//!    `NoReply`.
//! 3. **Hand over.** If the poll of the server ends before the handler does, or the body is
//!    dropped, the replies move to the list of unanswered callers in the server's record. The
//!    server resolves that list between two handlers with `NoReply`, or its teardown with the
//!    reason.
//!
//! # Invariants
//!
//! 1. A reply is kept only while its own server runs on the thread.
//! 2. When a poll of a server has ended, the list has no reply of that server.
//! 3. The list may also have replies of another server, if this process is polled inside a handler
//!    of that server.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use crate::base::current_process;
use crate::call::ReplySlot;
use crate::call::unanswered_list::{add_unanswered, resolve_all};
use crate::process::AnyProcess;
use crate::process::core::Unanswered;

/// A caller, and the address of the record of its server.
type UnansweredReply = (usize, Arc<dyn Unanswered>);

thread_local! {
    /// Whether the list has entries. This flag is cheaper to read than the list.
    static ANY: Cell<bool> = const { Cell::new(false) };
    static UNANSWERED: RefCell<Vec<UnansweredReply>> = const { RefCell::new(Vec::new()) };
}

/// Keeps a caller for the server whose record has this address. Keeps nothing and returns false if
/// that server does not run on this thread.
pub(crate) fn keep<T: Send + 'static>(server: usize, caller: &Arc<ReplySlot<T>>) -> bool {
    // Invariant 1.
    if current_process::current_record() != server {
        return false;
    }
    // On a thread that is ending, the list may already be destroyed.
    let kept = UNANSWERED.try_with(|kept| kept.borrow_mut().push((server, caller.clone()))).is_ok();
    ANY.set(kept || ANY.get());
    kept
}

/// Resolves the kept replies of a live server whose handler has returned, with `NoReply`.
#[inline]
pub(crate) fn resolve(server: usize) {
    if ANY.get() {
        resolve_all(take(server), None);
    }
}

/// Whether the list of this thread may have replies.
#[inline]
pub(crate) fn are_any() -> bool {
    ANY.get()
}

/// Moves the kept replies of a server to its record.
pub(crate) fn hand_over(server: &dyn AnyProcess) {
    if ANY.get() {
        hand_over_all(server, take(server.head().address()));
    }
}

#[cold]
fn hand_over_all(server: &dyn AnyProcess, callers: Vec<Arc<dyn Unanswered>>) {
    if callers.is_empty() {
        // Invariant 3: the kept replies belong to another server. Do not wake this one.
        return;
    }
    if let Err((callers, reason)) = add_unanswered(server, callers) {
        resolve_all(callers, Some(&reason));
    }
}

#[cold]
fn take(server: usize) -> Vec<Arc<dyn Unanswered>> {
    let taken = UNANSWERED.try_with(|kept| {
        let mut kept = kept.borrow_mut();
        let (own, others): (Vec<_>, Vec<_>) = kept.drain(..).partition(|(of, _)| *of == server);
        ANY.set(!others.is_empty());
        *kept = others;
        own.into_iter().map(|(_, caller)| caller).collect()
    });
    taken.unwrap_or_default()
}
