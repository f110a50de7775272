//! Queues between two incarnations of a child that [keeps its queue](crate::ChildSpec::keep_queue).
//!
//! **Guarantees**
//! 1. For each call, cast, message and stream that an incarnation has accepted, exactly one of
//!    these is true: it was given to a handler, it is in the mailbox of one incarnation, it is in
//!    the list of the supervisor, or it was [counted as unhandled](crate::kernel::unhandled) and
//!    dropped.
//! 2. The order of the items is kept. The successor handles all of them before the items that are
//!    sent to the successor itself.
//!
//! **Steps**, each under one lock of one process:
//! 1. *Leave.* The teardown of the incarnation has entered the stage *closing*, and has taken the
//!    inbox out of its record. If its supervisor will start a successor, the teardown moves the
//!    messages into the list of the supervisor. If the supervisor no longer restarts children, the
//!    list refuses the queue.
//! 2. *Take over.* The successor has been admitted, and its body has not run. It takes the queue out
//!    of the list of the supervisor.
//! 3. *Prepend.* The successor puts the queue before the items that were sent to it since its
//!    admission.
//!
//! ```text
//!   inbox of an incarnation ──1──▶ list of the supervisor ──2, 3──▶ inbox of the successor
//!             │ refused                    │ released                        │ its own end: 1
//!             ▼                            ▼
//!    counted as unhandled, dropped    counted as unhandled, dropped
//! ```
//!
//! What happens at each step if another process ends or stops:
//!
//! | step | event | outcome |
//! |---|---|---|
//! | before 1 | the supervisor ends or begins to stop | the list refuses the queue |
//! | between 1 and 2 | the child is terminated, given up or forgotten; the supervisor stops, gives up or ends | the queue is released where the reserved names of the child are |
//! | between 1 and 2 | the start of the successor fails before its admission | the queue stays in the list |
//! | between 2 and 3 | the successor is killed | step 3 runs, and the teardown of the successor begins at step 1 |
//! | after 3 | the `init` of the successor fails | as any end: step 1 |
//!
//! **Invariants**
//! 1. A queue is left before the end of its incarnation is announced, so the supervisor finds the
//!    queue when it starts the successor.
//! 2. The list of a supervisor has at most one queue for a child. If the successor is a process of
//!    another type, it does not take the queue over. Its own queue later replaces that queue, which
//!    is then released.
//! 3. A queue that is released is counted for the incarnation that left it. Its callers get the
//!    reason with which that incarnation ended.

use crate::base::user_panics::ignore_panic;
use crate::kernel::Kernel;
use crate::kernel::closing::{Closing, EndDetails};
use crate::observe::event::LifecycleEvent;
use crate::observe::lifecycle_log;
use crate::observe::log_flood::LineKind;
use crate::observe::log_level::LogLevel;
use crate::process::{AnyProcess, KeptQueue, Unhandled, Unread};

impl Kernel {
    /// Leaves the queue of a process that is ending to its supervisor, if the supervisor will start
    /// a successor. Step 1.
    #[cold]
    #[inline(never)]
    pub(super) fn leave_queue(&self, process: &dyn AnyProcess, closing: &mut Closing) {
        crate::base::failpoint::point!("teardown before the queue is left");
        let Some(by) = closing.restarted_by() else { return };
        let Some(role) = by.role else { return };
        let Some(supervisor) = self.find(by.pid) else { return };
        let Some(items) = closing.deferred.take_kept() else { return };
        let label = process.with(|locked| locked.core().relations()?.label.clone());
        let EndDetails { reason, failed, name, .. } = &closing.details;
        let kept = KeptQueue {
            slot: role.slot,
            pid: process.pid(),
            label,
            name: name.clone(),
            reason: reason.clone(),
            failed: *failed,
            items,
        };
        let refused = supervisor.with(|locked| {
            let core = locked.core();
            if !core.restarts_children() {
                return Err(kept);
            }
            let vacated = core.registrations_mut().vacated_names.get_or_insert_default();
            Ok(vacated.insert_queue(kept))
        });
        match refused {
            Ok(None) => {}
            Ok(Some(replaced)) => self.release_queue(replaced),
            Err(kept) => {
                let KeptQueue { items, label, name, reason, .. } = kept;
                closing.deferred.put_back(items);
                ignore_panic(|| drop((label, name, reason)));
            }
        }
    }

    /// Takes the queue that an earlier incarnation of this child has left, if `accepts` returns true
    /// for its items. Step 2.
    pub(crate) fn take_kept_queue(
        &self,
        successor: &dyn AnyProcess,
        accepts: impl Fn(&dyn Unread) -> bool,
    ) -> Option<KeptQueue> {
        crate::base::failpoint::point!("start before the queue is taken over");
        let parent = successor.parent()?;
        let slot = parent.role?.slot;
        let supervisor = self.find(parent.pid)?;
        supervisor.with(|locked| {
            let vacated = locked.core().registrations()?.vacated_names.as_mut()?;
            let is_accepted = vacated.queue(slot.child).is_some_and(|kept| accepts(&*kept.items));
            if is_accepted { vacated.remove_queue(slot) } else { None }
        })
    }

    /// Reports that a process has taken over a queue with these messages.
    pub(crate) fn report_handed_on(
        &self,
        successor: &dyn AnyProcess,
        kept: &KeptQueue,
        messages: Unhandled,
    ) {
        let (pid, from, label) = (successor.pid(), kept.pid, kept.label.clone());
        let Unhandled { calls, casts, messages } = messages;
        if self.wants_log(LogLevel::Info) {
            let (label, counts) = (label.as_deref(), [calls, casts, messages]);
            self.line(LineKind::QueueHandedOn, || {
                lifecycle_log::queue_handed_on(pid, from, label, counts)
            });
        }
        self.events.publish(|| LifecycleEvent::QueueHandedOn {
            pid,
            from,
            label,
            calls,
            casts,
            messages,
        });
    }

    /// Counts, reports and drops a queue that no successor takes over.
    pub(super) fn release_queue(&self, kept: KeptQueue) {
        let KeptQueue { pid, label, name, reason, failed, mut items, .. } = kept;
        items.close_streams();
        let details = EndDetails { reason, failed, was_dropped: false, name };
        self.report_left(pid, label, &details, &*items);
        ignore_panic(|| drop(items));
        ignore_panic(|| drop(details));
    }
}
