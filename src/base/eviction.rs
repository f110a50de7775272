//! Drops the items that a full mailbox evicts, and marks the thread during the drop.
//!
//! The reply of a call can be anywhere inside the user's message, so this crate cannot tell the
//! reply directly that the message is evicted. Instead, this module marks the thread that drops the
//! message. A reply that is dropped calls [`is_evicting`] with the address of its server's record.
//! If the result is true, the reply reports the eviction to its caller. The message can also
//! contain replies of other servers. Those replies report their usual error.

use std::cell::Cell;

use crate::base::user_panics::ignore_panic;

thread_local! {
    /// The address of the record whose mailbox evicts an item on this thread, or 0 if none does.
    static EVICTING_FROM: Cell<usize> = const { Cell::new(0) };
}

/// Drops an item that the mailbox of the record at this address has evicted. Discards a panic of
/// the item's destructor, because this thread belongs to an unrelated sender.
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
