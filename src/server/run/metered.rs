//! The server's side of [meters](crate::observe::handler_meter): a server whose handlers are tracked
//! reports how long each item has waited, and how long its handler ran.
//!
//! Only the notes of a [watched](crate::server::run::tracked) server call this file. A meter may be
//! code of a user: its panics are caught, and it is called without a lock.

use tokio::time::Instant;

use crate::base::ignore_panic;
use crate::observe::activity::Running;
use crate::observe::{Callback, Handling};
use crate::server::run::tracked::Observed;
use crate::server::tracking::Metered;

impl Observed<'_> {
    /// Takes the meter of the source that is in use now, or drops the meter if there is none or
    /// handlers are not tracked.
    pub(crate) fn follow_meters(&mut self) {
        let switches = &self.kernel.switches;
        let current = if switches.tracks_handlers() { switches.meters.current() } else { 0 };
        let watch = self.watch.as_deref();
        if watch.is_none_or(|watch| watch.meter.source == current) {
            return;
        }
        let kernel = self.kernel;
        let last = (current != 0).then(|| kernel.switches.meters.last()).flatten();
        let path = last.is_some().then(|| kernel.counted_path(self.process)).flatten();
        let mut metered = Metered::default();
        if let Some((number, source)) = last {
            metered.source = number;
            ignore_panic(|| metered.meter = Some(source.meter(path)));
        }
        let Some(watch) = self.watch else { return };
        watch.meter = metered;
    }

    /// Notes when the item was queued that is taken next; for an item that is not in the mailbox, that
    /// it did not wait there.
    pub(super) fn note_queued_at(&mut self, is_in_mailbox: bool) {
        if let Some(watch) = self.watch.as_mut().filter(|watch| watch.meter.meter.is_some()) {
            watch.meter.queued_at = self.next_queued.filter(|_| is_in_mailbox);
        }
    }

    /// Reports how long the item has waited whose handler begins now.
    pub(crate) fn meter_begin(&mut self, callback: Callback) {
        let metered = self.watch.as_mut().map(|watch| &mut watch.meter);
        let Some(metered) = metered.filter(|_| callback.is_handler()) else { return };
        let Some(queued_at) = metered.queued_at.take() else { return };
        if let Some(meter) = &mut metered.meter {
            let waited = Instant::now().saturating_duration_since(queued_at);
            ignore_panic(|| meter.waited(waited));
        }
    }

    /// Reports how long a callback ran, if it was a handler.
    pub(crate) fn meter_end(&mut self, ended: Option<Running>) {
        let meter = self.watch.as_mut().and_then(|watch| watch.meter.meter.as_mut());
        if let (Some(ended), Some(meter)) = (ended, meter)
            && ended.callback.is_handler()
        {
            let Handling { callback, elapsed } = ended.handling(Instant::now());
            ignore_panic(|| meter.handled(callback, elapsed));
        }
    }
}
