//! Items that are lost while they are sent: to the bound of a mailbox, or to a fault of a chaos run.

use crate::base::eviction::evict;
use crate::mailbox::inbox::Item;
use crate::mailbox::record::Process;
use crate::observe::DeadLetterCause;
use crate::process::Entry;

impl<M: Item> Process<M> {
    /// Returns the item, unless the chaos run of this runtime loses it.
    #[cfg(feature = "chaos")]
    pub(super) fn unless_lost(&self, item: M) -> Option<M> {
        match self.kernel.faults.get() {
            Some(faults) if item.is_user() => faults.unless_lost(self.pid(), item),
            _ => Some(item),
        }
    }

    /// Counts, reports and drops a message that the bound of the mailbox does not let in or keep.
    #[cold]
    pub(super) fn drop_for_bound(&self, item: M, entry: Entry) {
        self.kernel.count_dropped();
        let cause = match entry {
            Entry::Evict => DeadLetterCause::Evicted,
            _ => DeadLetterCause::Dropped,
        };
        self.kernel.report_dead_letter(self.pid(), item.description(), cause);
        evict(item.sent_to().unwrap_or(self.head.address()), item);
    }
}
