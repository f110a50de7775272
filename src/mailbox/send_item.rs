//! The sends that are not inlined where an item is sent: that of a finished item, with the metadata of
//! the sender, and to a process that ends or stops.

use crate::base::user_panics::wake;
use crate::mailbox::inbox::Item;
use crate::mailbox::record::{Process, Sent, refusal};
use crate::message::Metadata;
use crate::process::IfFull;
use crate::process::any::Refused;

impl<M: Item> Process<M> {
    /// Queues an item. `if_full` is the sender's choice of what happens if the mailbox is full.
    pub(crate) fn send_with(&self, item: M, if_full: IfFull) -> Result<Sent, (M, Refused)> {
        if self.kernel.carrying.is_on() {
            return self.send_carrying(item, if_full);
        }
        self.send_item(item, if_full)
    }

    /// Queues an item that the process has asked for itself, without the metadata of the code that
    /// runs.
    pub(crate) fn send_own(&self, item: M) -> Result<Sent, (M, Refused)> {
        self.send_item(item, IfFull::Lose)
    }

    /// Sends an item with the metadata that the running code sees.
    #[cold]
    #[inline(never)]
    pub(super) fn send_carrying(&self, item: M, if_full: IfFull) -> Result<Sent, (M, Refused)> {
        let metadata = if item.carries() { self.kernel.captured() } else { Metadata::default() };
        if item.carries() && self.kernel.carries(&metadata) {
            return self.send_item(item.carrying(metadata), if_full);
        }
        self.send_item(item, if_full)
    }

    /// Sends an item as it is. It is the only function into which the code for a finished item is
    /// inlined: with more of them, the compiler would no longer inline the code of the frequent sends.
    #[inline(never)]
    pub(super) fn send_item(&self, item: M, if_full: IfFull) -> Result<Sent, (M, Refused)> {
        self.send_plain(item, |item| item, |item| item, if_full)
    }

    /// Sends an item to a process that ends or stops.
    #[cold]
    #[inline(never)]
    pub(super) fn send_to_ending(&self, item: M) -> Result<Sent, (M, Refused)> {
        let mut state = self.state.lock();
        if let Some(refused) = refusal(&state.core, &item) {
            drop(state);
            return Err((item, refused));
        }
        state.queue(item);
        let waker = state.core.take_due_waker();
        drop(state);
        wake(waker);
        Ok(Sent::Accepted)
    }
}
