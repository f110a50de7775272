//! Drops the items that a full mailbox evicts, and marks the thread during the drop.
//!
//! The reply of a call is somewhere inside the user's message, so only the mark of the dropping
//! thread tells the reply that its message is evicted. A reply that is dropped calls
//! [`is_evicting`] with the address of its server's record. If the result is true, the reply
//! reports the eviction to its caller. Replies of other servers that are in the same message report
//! their usual error.

use std::cell::Cell;

use crate::base::user_panics::ignore_panic;

thread_local! {
    /// The address of the record whose mailbox an item is evicted from, or 0.
    static EVICTING_FROM: Cell<usize> = const { Cell::new(0) };
}

/// Drops an item that was evicted from the mailbox of the record at this address. Discards a panic
/// of a destructor, since the thread belongs to an unrelated sender.
pub(crate) fn evict<M>(record: usize, item: M) {
    let before = EVICTING_FROM.replace(record);
    ignore_panic(|| drop(item));
    EVICTING_FROM.set(before);
}

/// Whether this thread is evicting an item from the mailbox of the record at this address.
pub(crate) fn is_evicting(record: usize) -> bool {
    EVICTING_FROM.get() == record
}

#[cfg(test)]
mod tests {
    use super::{evict, is_evicting};

    struct ChecksAndPanics(usize);

    impl Drop for ChecksAndPanics {
        fn drop(&mut self) {
            assert!(is_evicting(self.0) && !is_evicting(self.0 + 1));
            panic!("a destructor that panics");
        }
    }

    #[test]
    fn the_thread_is_marked_during_an_eviction_and_its_panic_is_discarded() {
        assert!(!is_evicting(7));
        evict(7, ChecksAndPanics(7));
        assert!(!is_evicting(7));
    }
}
