//! How a process takes over the queue of its predecessor: steps 2 and 3 of
//! [`kept_queues`](crate::kernel::kept_queues); and how a reader that is dropped gives back the items
//! that it has taken out of the inbox.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::base::user_panics::ignore_panic;
use crate::mailbox::inbox::{Item, Leftover};
use crate::mailbox::record::Process;
use crate::process::{AnyProcess, Unhandled};

impl<M: Item> Process<M> {
    /// Takes over the queue that an earlier incarnation of this child has left, if there is one.
    /// Call this after the admission of the process, before its body runs.
    pub(crate) fn take_over_queue(self: &Arc<Self>) {
        let process: Arc<dyn AnyProcess> = self.clone();
        let kept =
            self.kernel.take_kept_queue(&*process, |items| items.as_any().is::<Leftover<M>>());
        let Some(mut kept) = kept else { return };
        let taken = std::mem::replace(&mut kept.items, Box::new(Leftover::<M>(VecDeque::new())));
        let Ok(mut taken) = taken.into_any().downcast::<Leftover<M>>() else { return };
        let mut messages = Unhandled::default();
        for item in &taken.0 {
            if let Some((kind, _)) = item.description() {
                messages.count(kind);
            }
            // Before this process can drop a call.
            item.hand_on(&process);
        }
        self.prepend(&mut taken.0);
        self.kernel.report_handed_on(&*process, &kept, messages);
        // The reason of an end may be a value of the user.
        ignore_panic(|| drop(kept));
    }

    /// Puts items before those that are in the inbox, and counts them in.
    fn prepend(&self, items: &mut VecDeque<M>) {
        let mut state = self.state.lock();
        if let Some(counts) = state.core.counts() {
            for item in &*items {
                counts.count_in(item.is_user());
            }
        }
        items.append(&mut state.mail.inbox);
        std::mem::swap(items, &mut state.mail.inbox);
    }

    /// Puts the items that a reader has taken out of the inbox, and not handed out, back in front.
    /// Returns false if the process is closing, and has left its queue.
    pub(crate) fn give_back(&self, local: &mut VecDeque<M>) -> bool {
        let mut state = self.state.lock();
        if !state.core.is_open() {
            return false;
        }
        local.append(&mut state.mail.inbox);
        std::mem::swap(local, &mut state.mail.inbox);
        true
    }
}
