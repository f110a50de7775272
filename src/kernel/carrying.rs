//! Whether the messages of a runtime carry metadata, and which metadata a message carries.
//!
//! A switch decides whether messages carry metadata. While the switch is off, a send pays for one
//! more load. The first use of metadata in the runtime turns the switch on for good. The setting
//! for spans of messages turns it on as well.

use tracing::Span;

use crate::base::ignore_panic;
use crate::base::sync::atomic::{AtomicU8, Ordering};
use crate::kernel::Kernel;
use crate::message::Metadata;
use crate::observe::message_spans::MessageSpans;

const ON: u8 = 1;
const CHILD: u8 = 2;
const FOLLOWS_FROM: u8 = 4;

/// Whether the messages of a runtime carry metadata, and which spans they have.
pub(crate) struct Carrying(AtomicU8);

impl Default for Carrying {
    fn default() -> Self {
        Carrying(AtomicU8::new(0))
    }
}

impl Carrying {
    #[inline]
    pub(crate) fn is_on(&self) -> bool {
        self.0.load(Ordering::Relaxed) != 0
    }

    pub(crate) fn spans(&self) -> MessageSpans {
        match self.0.load(Ordering::Relaxed) {
            bits if bits & CHILD != 0 => MessageSpans::Child,
            bits if bits & FOLLOWS_FROM != 0 => MessageSpans::FollowsFrom,
            _ => MessageSpans::Off,
        }
    }

    pub(crate) fn turn_on(&self) {
        if !self.is_on() {
            self.0.fetch_or(ON, Ordering::SeqCst);
        }
    }

    pub(crate) fn set_spans(&self, spans: MessageSpans) {
        self.0.fetch_and(ON, Ordering::SeqCst);
        let bits = match spans {
            MessageSpans::Off => 0,
            MessageSpans::Child => ON | CHILD,
            MessageSpans::FollowsFrom => ON | FOLLOWS_FROM,
        };
        self.0.fetch_or(bits, Ordering::SeqCst);
    }
}

impl Kernel {
    /// Whether the handler of a message with this metadata runs in a scope or in a span.
    pub(crate) fn carries(&self, metadata: &Metadata) -> bool {
        !metadata.is_nothing() || self.carrying.spans() != MessageSpans::Off
    }

    /// Returns the metadata of a sender with the span that `span` creates, or without a span if
    /// messages have none. The subscriber that creates the span may panic.
    pub(crate) fn spanned(
        &self,
        sender: &Metadata,
        span: impl FnOnce(MessageSpans) -> Span,
    ) -> Metadata {
        let relation = match self.carrying.spans() {
            MessageSpans::Off => return sender.with_span(Span::none()),
            MessageSpans::Child if sender.is_chain_over() => MessageSpans::FollowsFrom,
            relation => relation,
        };
        let mut own = Span::none();
        ignore_panic(|| own = self.switches.captured(|| span(relation)));
        sender.continued(own, relation == MessageSpans::FollowsFrom)
    }

    /// Returns the metadata of a message that the running code sends for later, such as by a timer.
    /// The span of such a message has no parent: its handler may send the next such message, and
    /// the chain of parents would have no end.
    pub(crate) fn captured_for_later(&self) -> Metadata {
        self.captured().begins_chain()
    }

    /// Returns the metadata of a message that the running code sends. Call this without a lock,
    /// because the subscriber of the user may run.
    pub(crate) fn captured(&self) -> Metadata {
        if !self.carrying.is_on() {
            return Metadata::default();
        }
        let visible = Metadata::current();
        if self.carrying.spans() == MessageSpans::Off {
            return visible;
        }
        // If the subscriber has disabled the span of the running code, the parent is the span of
        // the message that the code handles.
        let mut captured = visible.clone();
        ignore_panic(|| {
            let span = Span::current();
            if !span.is_none() {
                captured = visible.with_span(span);
            }
        });
        captured
    }
}
