//! The wait of the reader of a mailbox while its inbox is empty.
//!
//! # Guarantees
//!
//! A send that queues an item for a waiting reader wakes that reader. No wake is lost between the
//! reader's last check of the inbox and its wait. A waiting reader uses no processor time.
//!
//! # States
//!
//! [`ReaderWait`] determines how a sender that has queued an item wakes the reader. The lock of the
//! process guards this state:
//!
//! ```text
//!               the inbox is empty, and the reader is
//!               polled by the process' task            an item is queued: the sender
//! NotWaiting ─┬──────────────────────────────▶ Task ────── wakes the task, under the lock ──▶ NotWaiting
//!             │ polled with another waker
//!             ├──────────────────────────────▶ Foreign ─── leaves WakeDue, unlocks, wakes ──▶ NotWaiting
//!             │ a server takes the only item
//!             └──────────────────────────────▶ Announced ─ wakes the task, under the lock ──▶ NotWaiting
//! ```
//!
//! # The announced wait
//!
//! A server announces its wait when it takes the only item of the inbox:
//!
//! 1. Under one lock, the server takes the item, sets `Announced`, and records the announcement in
//!    the [head](crate::process::Head) of its record.
//! 2. The server runs the handler, without the lock.
//! 3. If the handler has returned in the same poll of the task, the wait starts. The server does
//!    not lock its mailbox again to find that the inbox is empty. This saves one lock for each item
//!    that arrives while the server is idle.
//!
//! An item that is queued during step 2 wakes the task. The task is being polled at that time, so
//! tokio polls it once more.
//!
//! # Invariants
//!
//! 1. A reader checks the inbox and registers its wait in one step under the lock.
//! 2. An announcement is valid only within the poll of the task in which it was made. If the
//!    handler returns in a later poll, that poll may have consumed the wake of an item that was
//!    queued while the handler ran, so the server checks the inbox again.
//! 3. A reader announces its wait only if it is polled with the waker of the process' task, and if
//!    it waits for nothing but an item when its inbox is empty. A server with an idle time-out
//!    waits for a timer as well, so it withdraws its announcement. A process that calls `recv` may
//!    wait for other events too, as in a `select!`, so it announces no wait.
//! 4. A waker that may run user code is woken and dropped after unlock. The waker of the process'
//!    task belongs to tokio, and is woken by reference under the lock.
//! 5. A reader that waits keeps no buffer of more than [`KEPT_SLOTS`] slots. An announced wait
//!    frees no buffer, so a reader with a larger buffer does not announce its wait.

use std::collections::VecDeque;
use std::task::{Context, Waker};

use crate::base::sync::MutexGuard;
use crate::mailbox::inbox::{Item, KEPT_SLOTS, Mail};
use crate::mailbox::record::Process;
use crate::process::{Core, Head, ReaderWait, State};

/// Moves the items of the inbox to `local` and returns true. Items of a counted mailbox are not
/// moved. If the inbox is empty, returns false: the reader then waits, or has yielded and will
/// be polled again.
#[inline(always)]
pub(crate) fn refill_or_wait<M: Item>(
    process: &Process<M>,
    local: &mut VecDeque<M>,
    cx: &Context<'_>,
) -> bool {
    process.head.announced_wait.withdraw();
    let mut state = process.state.lock();
    if state.mail.inbox.is_empty() {
        yield_or_wait(&process.head, state, local, cx.waker());
        return false;
    }
    let found = state.mail.inbox.len();
    if process.is_counted() {
        // The reader leaves the items in the inbox. It takes each in the step that counts the
        // item out.
    } else if local.is_empty() {
        std::mem::swap(local, &mut state.mail.inbox);
        // Invariant 5.
        let small = local.capacity().max(state.mail.inbox.capacity()) <= KEPT_SLOTS;
        let alone = found == 1 && small && process.head.spin.may_announce();
        if alone && state.core.is_task(cx.waker()) {
            state.core.reader_wait = ReaderWait::Announced;
            process.head.announced_wait.announce();
            process.head.spin.count_wait();
        }
    } else {
        local.append(&mut state.mail.inbox);
    }
    drop(state);
    process.head.spin.found(found);
    true
}

fn yield_or_wait<M>(
    head: &Head,
    mut state: MutexGuard<'_, State<Mail<M>>>,
    local: &mut VecDeque<M>,
    waker: &Waker,
) {
    if head.spin.found_nothing() {
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

/// Registers the wait of a reader that found no item to take. Returns the waker that was registered
/// before, to be dropped after unlock.
pub(crate) fn register(core: &mut Core, waker: &Waker) -> Option<Waker> {
    if core.is_task(waker) {
        core.reader_wait = ReaderWait::Task;
        return None;
    }
    core.reader_wait = ReaderWait::Foreign;
    core.registrations_mut().reader.replace(waker.clone())
}
