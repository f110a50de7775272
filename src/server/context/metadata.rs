//! The metadata of the message that a handler handles.

use std::any::type_name;

use crate::kernel::Kernel;
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

    /// Returns the metadata for a task of this server: the values of the sender, and a new span, if
    /// messages have spans.
    pub(crate) fn task_metadata(&self) -> Metadata {
        let server = (&*self.process as &dyn AnyProcess, type_name::<S>());
        handled_metadata(&self.process.kernel, server, &self.metadata(), "task")
    }
}

/// Returns the metadata for a message or a task of a server of this type: the values of the sender,
/// and a new span, if messages have spans.
pub(crate) fn handled_metadata(
    kernel: &Kernel,
    (process, server_type): (&dyn AnyProcess, &str),
    sender: &Metadata,
    kind: &str,
) -> Metadata {
    kernel.spanned(sender, |relation| {
        let label = process.with(|locked| locked.core().relations()?.label.clone());
        let server = label.as_deref().unwrap_or(server_type);
        message_spans::span(relation, sender.span(), (server, process.pid()), kind)
    })
}
