//! The server's side of a [trace](crate::server::trace): which items it reports, and when.
//!
//! An item begins when the server takes it, and ends when the server waits again, or when
//! `terminate` begins. The expiry of a timer that was cancelled is no item. All functions here run
//! only for a server that is [watched](crate::server::run::tracked).

use crate::message::Received;
use crate::observe::Callback;
use crate::server::run::tracked::{Observed, set_observed_flag};
use crate::server::trace::{Content, TraceItem, Tracer};
use crate::server::{Dispatch, GenServer, ServerItem};

/// What a trace shows of an item.
pub(super) type TracedItem<'a> = (TraceItem, Option<Content<'a>>);

impl Observed<'_> {
    /// Adds a listener of this server, which is watched from now on.
    pub(crate) fn add_tracer(&mut self, tracer: Tracer) {
        let watch = self.watch.get_or_insert_default();
        watch.tracers.get_or_insert_default().add(tracer);
        watch.keeps_activity = true;
        set_observed_flag(self.process);
    }

    /// Notes that the handling of an item begins, and its callback, if it has one.
    pub(super) fn note_item_begins(
        &mut self,
        callback: Option<Callback>,
        item: Option<TracedItem<'_>>,
    ) {
        if let Some(callback) = callback {
            self.note_begin(callback);
        }
        let tracers = self.watch.as_mut().and_then(|watch| watch.tracers.as_mut());
        if let (Some(tracers), Some((item, content))) = (tracers, item) {
            tracers.begin(item, content);
        }
    }

    /// Notes that `terminate` begins.
    pub(super) fn note_terminate(&mut self) {
        self.note_begin(Callback::Terminate);
        if let Some(tracers) = self.watch.as_mut().and_then(|watch| watch.tracers.as_mut()) {
            tracers.end();
            tracers.begin(TraceItem::Terminate, None);
        }
    }

    /// Notes that the handling of an item has ended, and stops tracing if no listener is left.
    pub(super) fn note_traced_end(&mut self) {
        let Some(watch) = self.watch else { return };
        if watch.tracers.as_mut().is_some_and(|tracers| !tracers.end()) {
            watch.tracers = None;
        }
    }
}

impl<S: GenServer> ServerItem<S> {
    /// What a trace shows of a plain call or cast.
    pub(super) fn traced(&self) -> Option<TracedItem<'_>> {
        match self {
            ServerItem::Call(call) => Some((TraceItem::Call, Some(Content::Call(call)))),
            ServerItem::Cast(cast) => Some((TraceItem::Cast, Some(Content::Cast(cast)))),
            _ => None,
        }
    }
}

impl<S: GenServer> Dispatch<S> {
    /// What a trace shows of any item.
    pub(super) fn traced(&self, is_timer: bool) -> Option<TracedItem<'_>> {
        Some(match self.plain() {
            Dispatch::Call(call) => (TraceItem::Call, Some(Content::Call(call))),
            Dispatch::LimitedCall(limited) => (TraceItem::Call, Some(Content::Call(&limited.call))),
            Dispatch::Cast(cast) => {
                let item = if is_timer { TraceItem::Timer } else { TraceItem::Cast };
                (item, Some(Content::Cast(cast)))
            }
            Dispatch::Info(envelope) => {
                let info = &envelope.received;
                let is_stream = matches!(info, Received::Stream(_));
                let item = if is_stream { TraceItem::Stream } else { TraceItem::Info };
                (item, Some(Content::Info(info)))
            }
            Dispatch::Timeout => (TraceItem::IdleTimeout, None),
            Dispatch::Own(Some(_)) => (TraceItem::Timer, None),
            Dispatch::Own(None) => (TraceItem::Internal, None),
            Dispatch::System(_) => (TraceItem::System, None),
            Dispatch::Stop(_) => (TraceItem::Stop, None),
            Dispatch::Carried(_) | Dispatch::Stale => return None,
        })
    }
}
