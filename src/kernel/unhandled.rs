//! Messages that a process leaves unhandled at its end: how they are counted and reported.
//!
//! These messages are in two places. The reader has taken some of them out of the inbox. They are
//! counted when the reader is dropped, before the teardown, and the record keeps the counts. The
//! other messages are in the inbox, and the teardown counts them.
//!
//! Invariants:
//! 1. A process that leaves no message unhandled pays for two checks.
//! 2. Each message that a process has accepted is handed to its body, or counted here, once.
//! 3. A teardown reports the counts before the end of the process is announced. A queue that was
//!    [kept](crate::kernel::kept_queues) is reported when it is released.

use crate::base::pid::Pid;
use crate::base::shared_str::SharedStr;
use crate::base::sync::atomic::Ordering;
use crate::kernel::Kernel;
use crate::kernel::closing::{DeferredDrops, EndDetails};
use crate::kernel::dead_letters::Description;
use crate::message::MessageKind;
use crate::observe::dead_letter::{DeadLetter, DeadLetterCause};
use crate::observe::event::LifecycleEvent;
use crate::observe::lifecycle_log;
use crate::observe::log_flood::LineKind;
use crate::observe::log_level::LogLevel;
use crate::process::{AnyProcess, Stage, Unhandled, Unread};

impl Kernel {
    /// Counts the messages among items that the reader of a process drops. The teardown reports the
    /// counts. A reader that another task has kept may be dropped after the end of the process;
    /// then the counts are reported at once.
    pub(crate) fn note_unhandled(
        &self,
        process: &dyn AnyProcess,
        messages: &mut dyn Iterator<Item = Description>,
    ) {
        let mut unhandled = Unhandled::default();
        let is_supervisor = process.with(|locked| locked.core().supervisor_record().is_some());
        messages
            .filter(|(kind, _)| !is_supervisor || *kind != MessageKind::Cast)
            .for_each(|message| self.count_unhandled(process.pid(), message, &mut unhandled));
        if unhandled.total() == 0 {
            return;
        }
        let late = process.with(|locked| {
            let core = locked.core();
            if core.stage < Stage::Closing {
                let kept = &mut core.registrations_mut().unhandled;
                kept.get_or_insert_default().add(unhandled);
                return None;
            }
            core.reason.clone()
        });
        if let Some(reason) = late {
            let details = EndDetails { reason, failed: false, was_dropped: true, name: None };
            self.publish_unhandled(process.pid(), None, &details, unhandled);
        }
    }

    /// Reports the messages that a process leaves unhandled. `kept` counts the messages that its
    /// reader had taken out of the inbox.
    #[inline]
    pub(super) fn report_unhandled(
        &self,
        process: &dyn AnyProcess,
        kept: Option<Box<Unhandled>>,
        deferred: &DeferredDrops,
        details: &EndDetails,
    ) {
        if kept.is_some() || deferred.has_unread() {
            self.report_some_unhandled(process, kept, deferred, details);
        }
    }

    #[inline(never)]
    fn report_some_unhandled(
        &self,
        process: &dyn AnyProcess,
        kept: Option<Box<Unhandled>>,
        deferred: &DeferredDrops,
        details: &EndDetails,
    ) {
        let pid = process.pid();
        let mut unhandled = kept.map_or_else(Unhandled::default, |kept| *kept);
        let (label, is_supervisor) = process.with(|locked| {
            let core = locked.core();
            let is_supervisor = core.supervisor_record().is_some();
            (core.relations().and_then(|relations| relations.label.clone()), is_supervisor)
        });
        deferred.describe_unread(&mut |kind, message_type| {
            // The casts of a supervisor are not counted, because only the supervisor sends them.
            if !is_supervisor || kind != MessageKind::Cast {
                self.count_unhandled(pid, (kind, message_type), &mut unhandled);
            }
        });
        if unhandled.total() > 0 {
            self.publish_unhandled(pid, label, details, unhandled);
        }
    }

    /// Reports the messages of a kept queue that no successor takes over.
    pub(super) fn report_left(
        &self,
        pid: Pid,
        label: Option<SharedStr>,
        details: &EndDetails,
        items: &dyn Unread,
    ) {
        let mut unhandled = Unhandled::default();
        items.describe(&mut |kind, message_type| {
            self.count_unhandled(pid, (kind, message_type), &mut unhandled);
        });
        if unhandled.total() > 0 {
            self.publish_unhandled(pid, label, details, unhandled);
        }
    }

    fn count_unhandled(&self, pid: Pid, message: Description, unhandled: &mut Unhandled) {
        unhandled.count(message.0);
        let (kind, message_type) = message;
        self.dead_letters.publish(|| DeadLetter {
            kind,
            message_type,
            pid: Some(pid),
            name: None,
            from: None,
            cause: DeadLetterCause::Unhandled,
        });
    }

    fn publish_unhandled(
        &self,
        pid: Pid,
        label: Option<SharedStr>,
        details: &EndDetails,
        unhandled: Unhandled,
    ) {
        self.unhandled.fetch_add(unhandled.total() as u64, Ordering::Relaxed);
        let EndDetails { reason, failed, name, .. } = details;
        let Unhandled { calls, casts, messages } = unhandled;
        let is_logged = *failed || label.is_some() || name.is_some();
        if is_logged && self.wants_log(LogLevel::Warn) {
            let counts = [calls, casts, messages];
            self.line(LineKind::LeftUnhandled, || {
                lifecycle_log::left_unhandled(pid, label.as_deref(), name.as_deref(), counts);
            });
        }
        self.events.publish(|| LifecycleEvent::LeftUnhandled {
            pid,
            label,
            name: name.clone(),
            reason: reason.clone(),
            calls,
            casts,
            messages,
        });
    }
}
