//! The state that the lock of a process guards, and the operations that queue a signal.

use std::num::NonZeroU64;

use tokio::time::Instant;

use crate::base::pid::Pid;
use crate::message::received::Envelope;
use crate::process::{Core, Intake, Unread};

/// The guarded state: a core of the same type for all processes, and the mail.
pub(crate) struct State<Mail: ?Sized> {
    pub(crate) core: Core,
    pub(crate) mail: Mail,
}

/// The state of a process of any message type.
pub(crate) type Locked = State<dyn AnyMail>;

/// The mail of a process of any message type.
pub(crate) trait AnyMail: Send {
    /// Appends an envelope to the inbox, stamped with the time if `tracked`.
    fn put_envelope(&mut self, envelope: Envelope, tracked: bool);

    /// Whether the process has handlers, which can be tracked.
    fn is_handled(&self) -> bool;

    /// When the first item of the inbox was queued, if items are stamped with the time.
    fn oldest_queued(&self) -> Option<Instant>;

    /// The number of items in the inbox.
    fn queued(&self) -> usize;

    /// The numbers of the items of the send queue that a server refuses while it stops.
    fn refused_by_stop(&self) -> Vec<u64>;

    /// Takes all items out of the inbox, to be dropped after unlock.
    fn take_queue(&mut self) -> Option<Box<dyn Unread>>;

    /// Takes out the items for which `selects` returns true, to be dropped after unlock. `passed`
    /// is a position in the inbox, which is adjusted so that it stays before the same item.
    fn take_out(
        &mut self,
        selects: &dyn Fn(&Envelope) -> bool,
        passed: &mut usize,
    ) -> Option<Box<dyn Unread>>;
}

impl Locked {
    pub(crate) fn core(&mut self) -> &mut Core {
        &mut self.core
    }

    /// Queues a signal and wakes the reader. Signals are exempt from the bound of a mailbox.
    pub(crate) fn push(&mut self, envelope: Envelope) {
        if let Some(counts) = self.core.counts() {
            counts.count_in(false);
        }
        self.mail.put_envelope(envelope, self.core.tracked);
        self.core.notify();
    }

    /// Queues an exit signal. The number of the link, or 0 if there is none, becomes the ticket of
    /// the signal, by which an unlink can revoke it.
    pub(crate) fn push_exit(&mut self, link: u64, from: Pid, envelope: &mut Option<Envelope>) {
        let Some(envelope) = envelope.take() else { return };
        if link != 0 {
            self.core.relations_mut().add_exit_ticket(from, link);
        }
        self.push(Envelope { ticket: NonZeroU64::new(link), ..envelope });
    }

    /// The number of items that are queued and not yet received. Of a mailbox that is not counted,
    /// the items that its reader has taken over in a batch are left out.
    pub(crate) fn queued_items(&mut self) -> usize {
        match self.core.counts() {
            Some(counts) => counts.depth,
            None => self.mail.queued(),
        }
    }

    /// Opens the mailbox of a server again, because the queued exit of its parent was revoked.
    pub(crate) fn reopen_intake(&mut self) {
        if self.core.intake != Intake::ClosedByParent {
            return;
        }
        self.core.intake = Intake::Open;
        if let Some(drain) = self.core.registrations().and_then(|own| own.drain.as_mut()) {
            drain.stop = None;
        }
    }

    /// Turns the tracking of handlers on or off, if the process has handlers. A change resets the
    /// number of handled items.
    pub(crate) fn track(&mut self, on: bool) {
        let on = on && self.mail.is_handled();
        if self.core.tracked == on {
            return;
        }
        self.core.tracked = on;
        if let Some(activity) = self.core.registrations().and_then(|s| s.activity.as_mut()) {
            activity.handled = 0;
        }
    }
}
