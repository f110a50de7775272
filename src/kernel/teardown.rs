//! The teardown of a process.
//!
//! Every end of a process takes the same steps in the same order. Steps 2 to 8 are one synchronous
//! call. If many processes are notified, the call ends within step 6, and a task of the runtime
//! does the rest, as [`announcement`](crate::kernel::announcement) describes.
//!
//! | step | under the lock | what happens |
//! |---|---|---|
//! | 1 | | The caller of [`Kernel::tear_down`] has dropped the body and its values. |
//! | 2 | yes | Stage *closing*: the exit reason is fixed; items, names and groups are refused. |
//! | | | A process that [keeps its queue](crate::kernel::kept_queues) leaves it to its supervisor, if a successor follows. |
//! | 3 | | Streams that were never received are closed: their writers fail from now on. |
//! | 4 | | Names are freed or left to a successor, groups and registries are left, the pid is removed from the table, and its timers are no longer pending. |
//! | | | The messages that are left unhandled are [counted and reported](crate::kernel::unhandled). |
//! | 5 | yes | Stage *ended*: from now on, a new monitor or link of this process is notified at once. |
//! | 6 | | The end is logged, and a crash is [reported](crate::kernel::crash_reports). `Down`s are queued, links are signalled, unanswered calls are resolved. |
//! | 7 | yes | Stage *announced*: tasks that wait for the end are woken, after unlock. |
//! | 8 | | The unread items are dropped, last, because their destructors may take long. |
//!
//! Invariants:
//! 1. Each link, monitor and waiter is notified of an end exactly once, with the same reason. An
//!    entry that is made before step 5 is in the relations that step 5 takes out of the record. A
//!    link that is made between steps 5 and 7 is signalled by another round of step 7.
//! 2. When a process is notified of an end, or finds the stage *ended*, step 4 is complete: the
//!    names of the ended process are free or left to a successor, its groups are left, and none of
//!    its timers is pending.
//! 3. No user value is dropped under the lock. Each is dropped under `catch_unwind`, so a panic in
//!    a destructor or a waker does not leave a teardown unfinished.
//!
//! Step 6 is empty for a process that has no links and monitors, and whose end is not logged. Such
//! a process goes from *closing* to *announced* in step 5, and the tasks that wait for its end are
//! woken after unlock.

use std::sync::Arc;

use crate::base::pid::Pid;
use crate::base::shared_str::SharedStr;
use crate::base::sync::atomic::Ordering;
use crate::base::user_panics::{ignore_panic, wake};
use crate::kernel::Kernel;
use crate::kernel::announcement::{Announced, announce};
use crate::kernel::closing::{EndDetails, HeldRegistrations, close};
use crate::kernel::final_reason::End;
use crate::observe::event::LifecycleEvent;
use crate::observe::lifecycle_log;
use crate::observe::log_flood::LineKind;
use crate::observe::log_level::LogLevel;
use crate::process::{AnyProcess, Relations, Stage, flag};

/// The receivers of the announcement of an end, with the relations of the process.
enum Audience {
    /// Only tasks that wait for the end, if there are any. The end is not logged.
    Waiters(Option<Box<Relations>>),
    /// Links, monitors, tasks and callers, or the log.
    Relations(Option<Box<Relations>>),
}

impl Kernel {
    /// Takes steps 2 to 8.
    pub(crate) fn tear_down(self: &Arc<Self>, process: &dyn AnyProcess, end: End) {
        let pid = process.pid();
        crate::base::failpoint::point!("teardown before closing");
        let (mut closing, forgotten) = process.with(|locked| {
            let forgotten = self.keep_ended_events(pid, locked.core());
            (close(process, locked, end), forgotten)
        });
        ignore_panic(|| drop(forgotten));
        if closing.keeps_queue() {
            self.leave_queue(process, &mut closing);
        }
        closing.deferred.close_streams();
        let details = closing.details;
        crate::base::failpoint::point!("teardown before names");
        if let Some(held) = closing.registrations {
            self.release_registrations(process, *held);
        }
        let owned = self.table.remove_and(pid, || self.counters.count_end(&details.reason));
        if process.flags().fetch_or(flag::ENDED, Ordering::SeqCst) & flag::TIMED != 0 {
            self.timers.end_target(pid);
        }
        let kept = closing.unhandled.as_ref().map_or(0, |kept| kept.total());
        self.report_unhandled(process, closing.unhandled, &closing.deferred, &details);
        crate::base::failpoint::point!("teardown before ended");
        match self.enter_ended(process, &details) {
            Audience::Waiters(None) => closing.deferred.drop_all(),
            Audience::Waiters(Some(mut relations)) => {
                wake(relations.waiters.take().into_iter().map(|(_, waiter)| waiter));
                ignore_panic(|| drop(relations));
                closing.deferred.drop_all();
            }
            Audience::Relations(relations) => {
                let mut relations = relations.unwrap_or_default();
                let unread = |is_supervisor| kept + closing.deferred.count_unread(is_supervisor);
                self.report_end(pid, &mut relations, &details, &unread);
                let (reason, deferred) = (details.reason, closing.deferred);
                announce(self, process, owned, Announced { pid, reason, relations, deferred });
            }
        }
    }

    /// Takes step 5. If step 6 has nothing to do, takes step 7 as well, except for the wake-ups.
    fn enter_ended(&self, process: &dyn AnyProcess, details: &EndDetails) -> Audience {
        process.with(|locked| {
            let core = locked.core();
            process.advance(core, Stage::Ended);
            let relations = core.relations.take();
            #[cfg(regrow_proof)]
            self.trace.record(crate::kernel::trace::Event::Exited {
                pid: process.pid(),
                reason: details.reason.clone(),
            });
            // An end that is not clean may need a report. A process without relations needs none.
            let is_clean = details.reason.is_clean();
            let is_announced = |relations: &Relations| {
                relations.is_related() || !(is_clean || relations.waiters.is_empty())
            };
            if details.failed || relations.as_deref().is_some_and(is_announced) {
                return Audience::Relations(relations);
            }
            process.advance(core, Stage::Announced);
            Audience::Waiters(relations)
        })
    }

    /// Takes step 4, except for the table and the timers.
    #[inline(never)]
    fn release_registrations(&self, process: &dyn AnyProcess, held: HeldRegistrations) {
        let pid = process.pid();
        let restarted_by = held.restarted_by;
        let mut spec_name = held.spec_name;
        for (name, ()) in held.names {
            let child = spec_name.take_if(|spec| spec.name == name).map(|spec| spec.child);
            self.free_name(name, pid, restarted_by, child);
        }
        // The child had unregistered the name of its specification. The name is reserved, since the
        // successor will register it again.
        if let Some(spec) = spec_name.filter(|_| restarted_by.is_some()) {
            self.free_name(spec.name, pid, restarted_by, Some(spec.child));
        }
        self.release_key(pid, held.spec_key, restarted_by);
        // A supervisor that has ended starts no successors.
        self.release_names(held.vacated_names, pid);
        crate::base::failpoint::point!("teardown before groups");
        for (tag, ()) in held.tags {
            self.leave_group(tag, pid);
        }
        for (_, registry) in held.registries {
            // This may drop the last handle of the registry. That drops the keys and values of a
            // user.
            ignore_panic(|| {
                registry.upgrade().into_iter().for_each(|registry| registry.forget(pid))
            });
        }
        held.ancestors.iter().for_each(|ancestors| self.pass_on_orphans(process, ancestors));
    }

    /// Takes the first half of step 6: logs and reports the end.
    fn report_end(
        &self,
        pid: Pid,
        relations: &mut Relations,
        details: &EndDetails,
        unread: &dyn Fn(bool) -> usize,
    ) {
        self.log_end(pid, relations, details);
        let is_supervisor = relations.registrations.as_ref();
        if is_supervisor.is_some_and(|registrations| registrations.supervisor_record.is_some()) {
            self.report_root_end(pid, &details.reason);
        }
        self.report_crash(pid, relations, details, unread);
    }

    fn log_end(&self, pid: Pid, relations: &Relations, details: &EndDetails) {
        let label = relations.label.as_deref();
        if label.is_some() {
            self.mark_census();
        }
        let level = LogLevel::for_exit(&details.reason);
        if details.failed || (label.is_some() && self.wants_log(level)) {
            let name = details.name.as_deref();
            self.line(LineKind::Exit, || lifecycle_log::exit(pid, label, name, &details.reason));
        }
        if details.failed || label.is_some() {
            self.events.publish(|| LifecycleEvent::Exited {
                pid,
                label: label.map(SharedStr::from),
                name: details.name.clone(),
                reason: details.reason.clone(),
            });
        }
    }
}
