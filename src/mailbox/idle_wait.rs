//! When a reader looks for more, and when it waits.
//!
//! A reader that waits as soon as it finds nothing is woken for each item of a crowd of
//! senders; so it may yield first and look again, as long as such looks find more than one.
//!
//! A server waits *ahead*: as it takes an item that is alone, it leaves word that it waits,
//! and need not look again when it has handled that. What comes meanwhile wakes its task, which
//! is being polled, and so is polled once more. That holds only within one poll, and only
//! for a reader that does nothing else when it finds nothing.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::task::{Context, Waker};

use crate::base::sync::MutexGuard;
use crate::mailbox::inbox::{Item, KEPT_SLOTS, Mail};
use crate::mailbox::record::Process;
use crate::process::{Core, Parked, State};

/// A reader that found little looks again only before every so many parks.
const LOOK_EVERY: u8 = 64;

/// What a reader knows of its waits.
#[derive(Default)]
pub(crate) struct Parking {
    /// Looking again before parking has paid lately.
    eager: bool,
    /// It has yielded once and looks again now.
    looking: bool,
    parks: u8,
    /// It may wait ahead.
    leads: bool,
    /// It has, as it took what is in hand, in this poll of its task.
    ahead: Option<NonZeroU32>,
}

impl Parking {
    /// Of a reader that is polled by its process' task only, and does nothing else when it
    /// finds nothing.
    pub(crate) fn lead(&mut self) {
        self.leads = true;
    }

    /// It is to look for itself whether there is nothing.
    pub(crate) fn look(&mut self) {
        self.ahead = None;
    }

    /// Whether to yield and look again before the next park.
    fn looks(&self) -> bool {
        self.eager || self.parks.wrapping_add(1).is_multiple_of(LOOK_EVERY)
    }

    /// Learns from what there was, if it yielded before it looked.
    pub(crate) fn found(&mut self, found: usize) {
        if self.looking {
            self.eager = found > 1;
        }
        self.looking = false;
    }

    /// Whether it waits ahead, and all this is still the same poll.
    #[inline]
    pub(crate) fn waits_ahead<M: Item>(&mut self, process: &Process<M>) -> bool {
        let waits = self.ahead.take().is_some_and(|poll| poll.get() == process.polls());
        if waits {
            process.waits(true);
        }
        waits
    }

    /// Moves what lies in the inbox over. If there is nothing, the reader has parked or will
    /// be polled again.
    pub(crate) fn refill<M: Item>(
        &mut self,
        process: &Process<M>,
        local: &mut VecDeque<M>,
        cx: &Context<'_>,
    ) -> bool {
        self.look();
        let mut state = process.state.lock();
        if state.mail.inbox.is_empty() {
            self.wait(state, local, cx.waker());
            return false;
        }
        let found = state.mail.inbox.len();
        if process.is_counted() {
            // It came just now; it is taken in the step that counts it out.
        } else if local.is_empty() {
            std::mem::swap(local, &mut state.mail.inbox);
            // A buffer that is big is freed by a reader that parks.
            let small = local.capacity().max(state.mail.inbox.capacity()) <= KEPT_SLOTS;
            let alone = found == 1 && small && self.leads && !self.looks();
            if alone && state.core.is_task(cx.waker()) {
                process.waits(false);
                state.core.parked = Parked::Ahead;
                self.parks = self.parks.wrapping_add(1);
                self.ahead = NonZeroU32::new(process.polls());
            }
        } else {
            local.append(&mut state.mail.inbox);
        }
        drop(state);
        self.found(found);
        true
    }

    /// Yields to look again, or parks.
    fn wait<M>(
        &mut self,
        mut state: MutexGuard<'_, State<Mail<M>>>,
        local: &mut VecDeque<M>,
        waker: &Waker,
    ) {
        if !self.looking {
            let looks = self.looks();
            self.parks = self.parks.wrapping_add(1);
            if looks {
                drop(state);
                self.looking = true;
                return waker.wake_by_ref();
            }
        }
        let old = park(&mut state.core, waker);
        let big = state.mail.inbox.capacity() > KEPT_SLOTS;
        let spare = big.then(|| std::mem::take(&mut state.mail.inbox));
        drop(state);
        drop(old);
        drop(spare);
        if local.capacity() > KEPT_SLOTS && local.is_empty() {
            *local = VecDeque::new();
        }
        self.eager &= !self.looking;
        self.looking = false;
    }
}

/// Leaves word of who waits; returns a waker to be dropped after unlock.
pub(crate) fn park(core: &mut Core, waker: &Waker) -> Option<Waker> {
    if core.is_task(waker) {
        core.parked = Parked::Task;
        return None;
    }
    core.parked = Parked::Foreign;
    core.registrations_mut().reader.replace(waker.clone())
}
