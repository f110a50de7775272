//! The metadata of the message that a handler handles.

use std::any::type_name;

use crate::message::Metadata;
use crate::observe::message_spans;
use crate::process::AnyProcess;
use crate::server::{GenServer, ServerContext};

impl<S: GenServer> ServerContext<S> {
    /// Returns the metadata of the message that is handled, and the span of the running code while
    /// messages have spans. Keep it with a message that is handled later, and
    /// [hand it on](Metadata::hand_on) then; that method has an example.
    pub fn metadata(&self) -> Metadata {
        self.process.kernel.captured()
    }

    /// Returns the metadata for a message or a task of this server: the values of the sender, and a
    /// new span, if messages have spans.
    pub(crate) fn handled_metadata(&self, sender: &Metadata, kind: &str) -> Metadata {
        let process: &dyn AnyProcess = &*self.process;
        let kernel = &self.process.kernel;
        kernel.spanned(sender, |relation| {
            let label = process.with(|locked| locked.core().relations()?.label.clone());
            let server = label.as_deref().unwrap_or(type_name::<S>());
            message_spans::span(relation, sender.span(), (server, process.pid()), kind)
        })
    }
}
