//! Messages that are lost while they are sent: the counts, and the dead letters that listeners
//! receive. `unhandled` makes the dead letters of messages that were accepted and never handled.
//!
//! Invariant: a dead letter is made only while there is a listener.

use std::any::type_name;

use crate::base::current_process::current_pid;
use crate::base::pid::Pid;
use crate::base::shared_str::SharedStr;
use crate::base::sync::atomic::Ordering;
use crate::kernel::Kernel;
use crate::message::{Message, MessageKind};
use crate::observe::dead_letter::{DeadLetter, DeadLetterCause};
use crate::process::any::Refused;

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
}
