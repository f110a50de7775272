//! What the lock of a process guards.

use std::num::NonZeroU64;

use tokio::time::Instant;

use crate::base::pid::Pid;
use crate::message::received::Envelope;
use crate::process::Core;

/// What the lock guards: what every process has, and its mail.
pub(crate) struct State<Mail: ?Sized> {
    pub(crate) core: Core,
    pub(crate) mail: Mail,
}

/// The state of a process whose message type doesn't matter.
pub(crate) type Locked = State<dyn AnyMail>;

/// The mail of a process whose message type doesn't matter.
pub(crate) trait AnyMail: Send {
    /// Last in the inbox; `tracked`, with the time.
    fn put_envelope(&mut self, envelope: Envelope, tracked: bool);

    /// Whether what takes it has handlers, which can be tracked.
    fn is_handled(&self) -> bool;

    /// When the first in the inbox was queued, where that is tracked.
    fn oldest_queued(&self) -> Option<Instant>;

    /// How many items lie in the inbox.
    fn queued(&self) -> usize;

    /// Takes everything queued out, to be dropped after unlock.
    fn take_queue(&mut self) -> Option<Box<dyn Unread>>;

    /// Removes the items that this function selects, to be dropped after unlock. `passed` is a
    /// position in the inbox; it is moved so that it stays before the same item.
    fn take_out(
        &mut self,
        goes: &dyn Fn(&Envelope) -> bool,
        passed: &mut usize,
    ) -> Option<Box<dyn Unread>>;
}

/// Items that were taken out of an inbox unread. Dropped one by one: a destructor that panics
/// harms none of the others.
pub(crate) trait Unread: Send {
    /// Closes the streams among them: their writers fail from now on. Runs wakers.
    fn close_streams(&mut self);
}

impl Locked {
    pub(crate) fn core(&mut self) -> &mut Core {
        &mut self.core
    }

    /// Queues a signal and wakes the reader. No bound holds it up.
    pub(crate) fn push(&mut self, envelope: Envelope) {
        if let Some(counts) = self.core.counts() {
            counts.count_in(false);
        }
        self.mail.put_envelope(envelope, self.core.tracked);
        self.core.notify();
    }

    /// Queues an exit; that of a link carries its number, and can be taken back by it.
    pub(crate) fn push_exit(&mut self, link: u64, from: Pid, envelope: &mut Option<Envelope>) {
        let Some(envelope) = envelope.take() else { return };
        if link != 0 {
            self.core.relations_mut().add_exit(from, link);
        }
        self.push(Envelope { ticket: NonZeroU64::new(link), ..envelope });
    }

    /// Turns the tracking of its handlers on or off, if it has any.
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

    pub(crate) fn oldest_queued(&self) -> Option<Instant> {
        self.mail.oldest_queued()
    }

    pub(crate) fn take_queue(&mut self) -> Option<Box<dyn Unread>> {
        self.mail.take_queue()
    }
}
