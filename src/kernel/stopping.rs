//! When a server begins to refuse casts, messages and streams: in the step that queues the request
//! to stop.
//!
//! **Guarantee.** If a server stops by a request, it has handled every cast that it had accepted.
//! The reason is that the request and the casts are queued under the same lock, so each cast is
//! either queued before the request or refused. The guarantee does not hold if the server ends
//! earlier for another reason, or if the time of its [drain](crate::process::Drain) is over.
//!
//! The stop of a server begins in one of these steps:
//!
//! | step | opened again by |
//! |---|---|
//! | The exit of the parent is queued in a server that traps it. | an unlink that revokes the exit |
//! | A request of [`ServerRef::stop`](crate::ServerRef::stop) is queued. | |
//! | The loop has ended, and `terminate` is about to run. | |
//!
//! A supervisor refuses nothing, because it sends all its casts itself. A process without handlers
//! receives the exit of its parent as a message, and its body decides what follows.

use std::task::Waker;

use tokio::time::Instant;

use crate::base::user_panics::wake;
use crate::exit::reason::ExitReason;
use crate::kernel::Kernel;
use crate::process::{AnyProcess, Intake, Locked, flag};
use crate::time::timer_queue::after;

impl Kernel {
    /// Closes the mailbox of a server for casts, messages and streams. Begins the drain of the
    /// server, if the server has a drain time. Returns the wakers of the sends that wait for room
    /// and are refused now. Call this under the lock, and call the wakers after unlock.
    pub(crate) fn close_intake(
        &self,
        process: &dyn AnyProcess,
        locked: &mut Locked,
        intake: Intake,
        reason: &ExitReason,
    ) -> Vec<Waker> {
        if !locked.mail.is_handled() {
            return Vec::new();
        }
        let own =
            locked.core.relations.as_ref().and_then(|relations| relations.registrations.as_deref());
        let Some(own) = own else {
            // A process without this box is no supervisor, has no drain time, and has a mailbox
            // that is not counted. So no send waits for room.
            locked.core.intake = locked.core.intake.max(intake);
            return Vec::new();
        };
        if own.supervisor_record.is_some() {
            return Vec::new();
        }
        self.close_intake_of_registered(process, locked, intake, reason)
    }

    /// Does the same as [`close_intake`](Self::close_intake), for a server that has registrations.
    #[inline(never)]
    fn close_intake_of_registered(
        &self,
        process: &dyn AnyProcess,
        locked: &mut Locked,
        intake: Intake,
        reason: &ExitReason,
    ) -> Vec<Waker> {
        locked.core.intake = locked.core.intake.max(intake);
        let drain = locked.core.registrations().and_then(|own| own.drain.as_deref_mut());
        if let Some(drain) = drain.filter(|drain| drain.stop.is_none()) {
            // A thread outside of tokio must read the clock of this tokio runtime too.
            let _entered = self.tokio().map(tokio::runtime::Handle::enter);
            drain.stop = Some((after(Instant::now(), drain.limit), reason.clone()));
            process.raise(flag::CHECK_SWITCHES);
        }
        let refused = locked.mail.refused_by_stop();
        let Some(relations) = locked.core.relations() else { return Vec::new() };
        refused.iter().filter_map(|number| relations.waiters.remove(number)).collect()
    }

    /// Closes the mailbox of a server whose loop has ended. Also ends the watch of its heartbeats,
    /// because `terminate` can report none. Returns whether the server was late with its heartbeat.
    pub(crate) fn note_loop_ended(&self, process: &dyn AnyProcess) -> bool {
        let is_registered = process.with(|locked| {
            let core = locked.core();
            if core.held_registrations().is_none() {
                core.intake = Intake::LoopEnded;
            }
            core.held_registrations().is_some()
        });
        is_registered && self.note_loop_of_registered_ended(process)
    }

    /// Does the same as [`note_loop_ended`](Self::note_loop_ended), for a server that has
    /// registrations.
    #[inline(never)]
    fn note_loop_of_registered_ended(&self, process: &dyn AnyProcess) -> bool {
        let (wakers, heartbeats) = process.with(|locked| {
            let reason = &ExitReason::Normal;
            let wakers = self.close_intake(process, locked, Intake::LoopEnded, reason);
            (wakers, locked.core().registrations().and_then(|own| own.heartbeats.take()))
        });
        wake(wakers);
        heartbeats.is_some_and(|heartbeats| heartbeats.is_late)
    }
}
