//! The server's side of a [trace](crate::server::trace): which items it reports, and when.
//!
//! An item begins when the server takes it, and ends when the server waits again, or when
//! `terminate` begins. The expiry of a timer that was cancelled is no item. All functions here run
//! only for a server that is [watched](crate::server::run::tracked).

use crate::message::Received;
use crate::observe::Callback;
use crate::server::trace::{TraceContent, TraceItem, Tracer, Tracers};
use crate::server::tracking::Watch;
use crate::server::{Dispatch, GenServer, ServerContext, ServerItem};

impl<S: GenServer> ServerContext<S> {
    /// Adds a listener of this server, which is watched from now on.
    pub(crate) fn add_tracer(&mut self, tracer: Tracer<S>) {
        let watch = self.inner().watch.get_or_insert_default();
        watch.tracers.get_or_insert_default().add(tracer);
        watch.keeps_activity = true;
        self.set_observed_flag();
    }

    /// Notes that the handler of the first item of the mailbox begins. The item is a plain call or
    /// cast.
    #[cold]
    pub(crate) fn note_first_begins(&mut self, callback: Callback) {
        self.note_begin(callback);
        let inner = self.inner();
        let Some(tracers) = tracers_of(&mut inner.watch) else { return };
        match inner.mailbox.first() {
            ServerItem::Call(call) => {
                tracers.begin(TraceItem::Call, Some(TraceContent::Call(call)));
            }
            ServerItem::Cast(cast) => {
                tracers.begin(TraceItem::Cast, Some(TraceContent::Cast(cast)));
            }
            _ => {}
        }
    }

    /// Notes that the handler of a cast that was given to `continue_with` begins.
    #[cold]
    pub(crate) fn note_continue_begins(&mut self, cast: &S::Cast) {
        self.note_begin(Callback::HandleCast);
        if let Some(tracers) = tracers_of(&mut self.inner().watch) {
            tracers.begin(TraceItem::Cast, Some(TraceContent::Cast(cast)));
        }
    }

    /// Notes that the handling of any other item begins.
    #[cold]
    pub(crate) fn note_dispatch_begins(&mut self, dispatch: &Dispatch<S>, is_timer: bool) {
        if let Some(callback) = dispatch.callback() {
            self.note_begin(callback);
        }
        let Some(tracers) = tracers_of(&mut self.inner().watch) else { return };
        let (item, content) = match dispatch.plain() {
            Dispatch::Call(call) => (TraceItem::Call, Some(TraceContent::Call(call))),
            Dispatch::LimitedCall(limited) => {
                (TraceItem::Call, Some(TraceContent::Call(&limited.call)))
            }
            Dispatch::Cast(cast) => {
                let item = if is_timer { TraceItem::Timer } else { TraceItem::Cast };
                (item, Some(TraceContent::Cast(cast)))
            }
            Dispatch::Info(envelope) => {
                let info = &envelope.received;
                let is_stream = matches!(info, Received::Stream(_));
                let item = if is_stream { TraceItem::Stream } else { TraceItem::Info };
                (item, Some(TraceContent::Info(info)))
            }
            Dispatch::Timeout => (TraceItem::IdleTimeout, None),
            Dispatch::System(_) => (TraceItem::System, None),
            Dispatch::Stop(_) => (TraceItem::Stop, None),
            Dispatch::Carried(_) | Dispatch::Stale => return,
        };
        tracers.begin(item, content);
    }

    /// Notes that `terminate` begins.
    pub(crate) fn note_terminate(&mut self) {
        self.note_begin(Callback::Terminate);
        if let Some(tracers) = tracers_of(&mut self.inner().watch) {
            tracers.end();
            tracers.begin(TraceItem::Terminate, None);
        }
    }

    /// Notes that the handling of an item has ended, and stops tracing if no listener is left.
    pub(crate) fn note_traced_end(&mut self) {
        let Some(watch) = &mut self.inner().watch else { return };
        if watch.tracers.as_mut().is_some_and(|tracers| !tracers.end()) {
            watch.tracers = None;
        }
    }
}

fn tracers_of<S: GenServer>(watch: &mut Option<Box<Watch<S>>>) -> Option<&mut Tracers<S>> {
    watch.as_mut()?.tracers.as_deref_mut()
}
