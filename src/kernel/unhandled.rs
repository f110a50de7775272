//! Messages that are lost: those that a process leaves unhandled at its end, and dead letters.
//!
//! The messages that a process leaves unhandled are in two places. The reader has taken some out of
//! the inbox: they are counted when the reader is dropped, before the teardown, and the counts are
//! kept in the record. The others are in the inbox, and are counted by the teardown.
//!
//! Invariants:
//! 1. A process that leaves no message unhandled pays for two checks.
//! 2. Each message that a process has accepted is handed to its body, or counted here, once.
//! 3. A teardown reports the counts before the end of the process is announced. A queue that was
//!    [kept](crate::kernel::kept_queues) is reported when it is released.
//! 4. A dead letter is made only while there is a listener.

use std::any::type_name;

use crate::base::current_process::current_pid;
use crate::base::pid::Pid;
use crate::base::shared_str::SharedStr;
use crate::base::sync::atomic::Ordering;
use crate::kernel::Kernel;
use crate::kernel::closing::{DeferredDrops, EndDetails};
use crate::message::{Message, MessageKind};
use crate::observe::dead_letter::{DeadLetter, DeadLetterCause};
use crate::observe::event::LifecycleEvent;
use crate::observe::lifecycle_log;
use crate::observe::log_flood::LineKind;
use crate::observe::log_level::LogLevel;
use crate::process::any::Refused;
use crate::process::{AnyProcess, Stage, Unhandled, Unread};

/// The kind and the type of a message.
pub(crate) type Description = (MessageKind, &'static str);

impl From<Refused> for DeadLetterCause {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Dead => DeadLetterCause::NoProcess,
            Refused::Full => DeadLetterCause::Full,
            Refused::Stopping => DeadLetterCause::Stopping,
        }
    }
}

impl Kernel {
    /// Counts a message that a full mailbox refused.
    pub(crate) fn count_refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a message that was dropped because a mailbox was full.
    pub(crate) fn count_dropped(&self) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }

    /// Reports a message that was sent to the process with this pid and is lost. Does nothing for
    /// an item that is no message.
    pub(crate) fn report_dead_letter(
        &self,
        pid: Pid,
        message: Option<Description>,
        cause: DeadLetterCause,
    ) {
        if let Some(message) = message {
            self.publish_dead_letter(message, Some(pid), None, cause);
        }
    }

    /// Reports bytes that were sent to a name that no process holds.
    #[cold]
    pub(crate) fn report_unaddressed(&self, name: &str) {
        if self.dead_letters.has_listeners() {
            let message = (MessageKind::Message, type_name::<Message>());
            let cause = DeadLetterCause::NoProcess;
            self.publish_dead_letter(message, None, Some(&name.into()), cause);
        }
    }

    /// Reports a message that was lost while it was sent.
    pub(crate) fn publish_dead_letter(
        &self,
        (kind, message_type): Description,
        pid: Option<Pid>,
        name: Option<&SharedStr>,
        cause: DeadLetterCause,
    ) {
        self.dead_letters.publish(|| {
            let from = current_pid(self.number());
            let was_sent_now = cause != DeadLetterCause::Evicted;
            let from = Some(from).filter(|&from| was_sent_now && from != Pid::OUTSIDE);
            DeadLetter { kind, message_type, pid, name: name.cloned(), from, cause }
        });
    }

    /// Counts the messages among items that the reader of a process drops. The teardown reports
    /// the counts. If the process has ended, its reader was kept by another task, and the counts
    /// are reported at once.
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

    /// Reports the messages that a process leaves unhandled. `kept` are those that its reader had
    /// taken out of the inbox.
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
            // The casts of a supervisor are its own.
            if !is_supervisor || kind != MessageKind::Cast {
                self.count_unhandled(pid, (kind, message_type), &mut unhandled);
            }
        });
        if unhandled.total() > 0 {
            self.publish_unhandled(pid, label, details, unhandled);
        }
    }

    /// Reports messages that a process has left, and that no successor takes over.
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
