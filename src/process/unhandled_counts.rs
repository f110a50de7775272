//! The counts of the messages that a process leaves unhandled.

use crate::message::MessageKind;

/// The numbers of messages that a process had accepted and has not handled when it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Unhandled {
    pub(crate) calls: usize,
    pub(crate) casts: usize,
    /// Messages and streams.
    pub(crate) messages: usize,
}

impl Unhandled {
    pub(crate) fn count(&mut self, kind: MessageKind) {
        match kind {
            MessageKind::Call => self.calls += 1,
            MessageKind::Cast => self.casts += 1,
            MessageKind::Message | MessageKind::Stream | MessageKind::Event => self.messages += 1,
        }
    }

    pub(crate) fn add(&mut self, more: Unhandled) {
        self.calls += more.calls;
        self.casts += more.casts;
        self.messages += more.messages;
    }

    pub(crate) fn total(self) -> usize {
        self.calls + self.casts + self.messages
    }
}
