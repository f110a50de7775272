//! How the reader of a mailbox waits while its inbox is empty.
//!
//! # Guarantees
//!
//! A send that queues an item for a waiting reader wakes that reader. No wake is lost between the
//! reader's last check of the inbox and its wait. A waiting reader uses no processor time.
//!
//! # States
//!
//! [`ReaderWait`] says, under the lock of the process, what a sender does once it has queued an
//! item:
//!
//! ```text
//!               the inbox is empty, and the reader is
//!               polled by the process' task            an item is queued: the sender
//! NotWaiting ─┬──────────────────────────────▶ Task ────── wakes the task, under the lock ──▶ NotWaiting
//!             │ polled with another waker
//!             ├──────────────────────────────▶ Foreign ─── leaves WakeDue, unlocks, wakes ──▶ NotWaiting
//!             │ it takes an item that is alone
//!             └──────────────────────────────▶ Announced ─ wakes the task, under the lock ──▶ NotWaiting
//! ```
//!
//! # The announced wait
//!
//! A server that takes an item which is alone in the inbox announces its wait in the same locked
//! step:
//!
//! 1. It takes the item, sets `Announced`, and notes the announcement in [`AnnouncedWait`](crate::mailbox::announced_wait::AnnouncedWait).
//! 2. It runs the handler, without the lock.
//! 3. If the handler has returned in the same poll of the task, the wait starts. The server does
//!    not lock its mailbox again to find it empty, which saves one lock for each item that meets
//!    an idle server.
//!
//! An item that is queued during step 2 wakes the task, which is being polled, so tokio polls it
//! once more.
//!
//! # Invariants
//!
//! 1. A reader checks the inbox and registers its wait in one step under the lock.
//! 2. An announcement holds only within the poll of the task in which it was made: the wake of an
//!    item that is queued later may be consumed by the next poll.
//! 3. A reader announces its wait only if it is polled by the process' task alone, and does
//!    nothing else when its inbox is empty. A server with an idle time-out withdraws its
//!    announcement, and a process that receives by itself, as in a `select!`, makes none.
//! 4. A waker that may be a user's is woken and dropped after unlock. The waker of the process'
//!    task is tokio's, and is woken by reference under the lock.
//! 5. A reader that waits keeps no buffer of more than [`KEPT_SLOTS`] slots. For this reason a
//!    reader with a larger buffer does not announce its wait.

use std::collections::VecDeque;
use std::task::{Context, Waker};

use crate::base::sync::MutexGuard;
use crate::mailbox::inbox::{Item, KEPT_SLOTS, Mail};
use crate::mailbox::record::Process;
use crate::mailbox::spin::Spin;
use crate::process::{Core, ReaderWait, State};

/// The reader's part of its wait.
#[derive(Default)]
pub(crate) struct IdleWait {
    may_announce: bool,
    spin: Spin,
}

impl IdleWait {
    /// Allows announced waits. The reader satisfies invariant 3.
    pub(crate) fn allow_announcing(&mut self) {
        self.may_announce = true;
    }

    /// The inbox was found to hold this many items.
    pub(crate) fn found(&mut self, items: usize) {
        self.spin.found(items);
    }

    /// Moves the items of the inbox to `local` and returns true. If there are none, returns false:
    /// the reader then waits, or has yielded and will be polled again.
    pub(crate) fn refill_or_wait<M: Item>(
        &mut self,
        process: &Process<M>,
        local: &mut VecDeque<M>,
        cx: &Context<'_>,
    ) -> bool {
        process.announced_wait.withdraw();
        let mut state = process.state.lock();
        if state.mail.inbox.is_empty() {
            self.yield_or_wait(state, local, cx.waker());
            return false;
        }
        let found = state.mail.inbox.len();
        if process.is_counted() {
            // The item was queued just now. The reader takes it in the step that counts it out.
        } else if local.is_empty() {
            std::mem::swap(local, &mut state.mail.inbox);
            // Invariant 5.
            let small = local.capacity().max(state.mail.inbox.capacity()) <= KEPT_SLOTS;
            let alone = found == 1 && small && self.may_announce && !self.spin.is_due();
            if alone && state.core.is_task(cx.waker()) {
                state.core.reader_wait = ReaderWait::Announced;
                process.announced_wait.announce();
                self.spin.count_wait();
            }
        } else {
            local.append(&mut state.mail.inbox);
        }
        drop(state);
        self.found(found);
        true
    }

    fn yield_or_wait<M>(
        &mut self,
        mut state: MutexGuard<'_, State<Mail<M>>>,
        local: &mut VecDeque<M>,
        waker: &Waker,
    ) {
        if self.spin.found_nothing() {
            drop(state);
            return waker.wake_by_ref();
        }
        let old = register(&mut state.core, waker);
        let large = state.mail.inbox.capacity() > KEPT_SLOTS;
        let spare = large.then(|| std::mem::take(&mut state.mail.inbox));
        drop(state);
        drop(old);
        drop(spare);
        if local.capacity() > KEPT_SLOTS && local.is_empty() {
            *local = VecDeque::new();
        }
    }
}

/// Registers the wait of a reader that found nothing to take. Returns a waker to be dropped after
/// unlock.
pub(crate) fn register(core: &mut Core, waker: &Waker) -> Option<Waker> {
    if core.is_task(waker) {
        core.reader_wait = ReaderWait::Task;
        return None;
    }
    core.reader_wait = ReaderWait::Foreign;
    core.registrations_mut().reader.replace(waker.clone())
}
