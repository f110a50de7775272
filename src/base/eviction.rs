//! Letting go of what a full mailbox drops.
//!
//! Only the thread knows that what it drops is evicted: a caller's reply lies somewhere
//! inside the user's own message. The reply asks here when it is dropped, and tells its
//! caller the truth. It asks by the record it belongs to, so replies of other servers that
//! happen to lie in the same message say what they always do.

use std::cell::Cell;

use crate::base::catch::ignore_panic;

thread_local! {
    /// The address of the record something is evicted from, or 0.
    static EVICTING_FROM: Cell<usize> = const { Cell::new(0) };
}

/// Drops what was evicted from the mailbox of the record at this address. The thread is
/// an innocent sender's: a destructor's panic ends here.
pub(crate) fn evict<M>(record: usize, item: M) {
    let before = EVICTING_FROM.replace(record);
    ignore_panic(|| drop(item));
    EVICTING_FROM.set(before);
}

/// Whether something is being evicted from that record's mailbox, by this thread.
pub(crate) fn is_evicting(record: usize) -> bool {
    EVICTING_FROM.get() == record
}

#[cfg(test)]
mod tests {
    use super::{evict, is_evicting};

    struct Looks(usize);

    impl Drop for Looks {
        fn drop(&mut self) {
            assert!(is_evicting(self.0) && !is_evicting(self.0 + 1));
            panic!("and it fails");
        }
    }

    #[test]
    fn what_is_evicted_knows_it_and_harms_nobody() {
        assert!(!is_evicting(7));
        evict(7, Looks(7));
        assert!(!is_evicting(7));
    }
}
