//! A subscriber that counts the spans of messages, and the errors in the log.

use std::sync::Arc;

use tracing::span::{Attributes, Id};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::LookupSpan;

use crate::truth::Count;

#[derive(Clone, Default)]
pub(crate) struct Spans(Arc<Counts>);

#[derive(Default)]
pub(crate) struct Counts {
    opened: Count,
    closed: Count,
    errors: Count,
}

impl Spans {
    /// The spans of messages that were opened, and those that were closed.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (self.0.opened.get(), self.0.closed.get())
    }

    /// The events of level ERROR: one for each crash.
    pub(crate) fn errors(&self) -> u64 {
        self.0.errors.get()
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Spans {
    fn on_new_span(&self, attributes: &Attributes<'_>, _: &Id, _: Context<'_, S>) {
        if attributes.metadata().target() == "regrow::message" {
            self.0.opened.add(1);
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let span = context.span(&id);
        if span.is_some_and(|span| span.metadata().target() == "regrow::message") {
            self.0.closed.add(1);
        }
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if *event.metadata().level() == Level::ERROR {
            self.0.errors.add(1);
        }
    }
}
