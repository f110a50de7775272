//! The tracking of a server whose handlers are watched: the state that the server holds, and the
//! task that logs a handler that exceeds its time limit, while the handler runs.
//!
//! **Guarantees.** A handler that runs longer than the limit is logged once. If the handler never
//! awaits, this needs another worker thread of tokio. No handler sets a timer.
//!
//! **Steps**
//! 1. A separate task, the watch, reads the server's record. While the server waits, the watch
//!    sleeps. Otherwise the watch reads the record again at the earliest time at which the running
//!    handler, or a later one, can exceed the limit.
//! 2. A server that finds an item while the watch sleeps wakes the watch, and yields once before it
//!    runs the handler. The watch then sets its timer.
//! 3. The watch logs a handler that exceeds the limit.
//!
//! **Invariants**
//! 1. The watch runs before the handler begins. Tokio may put a task that is woken into a slot of
//!    the waking worker thread. No other worker takes a task from this slot, so the woken task
//!    waits until the waking task yields. Without the yield of step 2, a handler that never awaits
//!    would delay its own watch.
//! 2. The watch holds a weak reference to the server, and is aborted when the server drops its
//!    `SlowHandlerWatch`.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep_until};

use crate::base::{ignore_panic, name};
use crate::kernel::{Kernel, NO_TOKIO};
use crate::observe::activity::Look;
use crate::observe::handler_meter::HandlerMeter;
use crate::observe::log_flood::LineKind;
use crate::observe::{ChangeKind, Handling};
use crate::process::AnyProcess;
use crate::server::WaitOutcome;
use crate::server::trace::Tracers;

/// The shortest limit: one step of tokio's timer. With a shorter limit the watch would read the
/// record without a pause, and a paused clock would not advance.
pub(crate) const SHORTEST: Duration = Duration::from_millis(1);

/// The part of the tracking state that the server itself holds. The other part is the `Activity` in
/// the server's record. A server that is not watched has no `Watch`.
#[derive(Default)]
pub(crate) struct Watch {
    /// The limit of the server's handlers, in place of the runtime's.
    pub(crate) own_limit: Option<Duration>,
    /// Whether a callback has begun and has not returned.
    pub(crate) busy: bool,
    /// Whether the record has an `Activity`: handlers are tracked, or have a limit.
    pub(crate) keeps_activity: bool,
    /// Whether the server waits for an item, so that the task that logs slow handlers may sleep.
    pub(crate) waits: bool,
    /// The outcome of the wait after which the server yielded.
    pub(crate) found: Option<WaitOutcome>,
    pub(crate) slow_handler_watch: Option<SlowHandlerWatch>,
    pub(crate) meter: Metered,
    /// The listeners of the server.
    pub(crate) tracers: Option<Box<Tracers>>,
}

/// The meter of a server whose handlers are tracked.
#[derive(Default)]
pub(crate) struct Metered {
    /// The number of the source that was asked for the meter; 0 if none was. A source that panicked
    /// has made no meter, and is not asked again.
    pub(crate) source: u64,
    pub(crate) meter: Option<Box<dyn HandlerMeter>>,
    /// When the item was queued whose handler begins next.
    pub(crate) queued_at: Option<Instant>,
}

/// The meter may be code of a user: a panic of its destructor does not end the server.
impl Drop for Metered {
    fn drop(&mut self) {
        let meter = self.meter.take();
        ignore_panic(|| drop(meter));
    }
}

/// A handle to the task that logs one server's slow handlers. Dropping the handle aborts the task.
pub(crate) struct SlowHandlerWatch {
    next: Arc<Notify>,
    task: AbortHandle,
}

impl SlowHandlerWatch {
    pub(crate) fn start(kernel: &Arc<Kernel>, process: &Arc<dyn AnyProcess>) -> Self {
        let next = Arc::new(Notify::new());
        let handle = kernel.tokio().expect(NO_TOKIO).clone();
        let watch = log_slow_handlers(kernel.clone(), Arc::downgrade(process), Arc::clone(&next));
        SlowHandlerWatch { next, task: handle.spawn(watch).abort_handle() }
    }

    /// Wakes the task, because a handler is about to begin.
    pub(crate) fn wake(&self) {
        self.next.notify_one();
    }
}

impl Drop for SlowHandlerWatch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn log_slow_handlers(kernel: Arc<Kernel>, process: Weak<dyn AnyProcess>, next: Arc<Notify>) {
    loop {
        let look = match process.upgrade() {
            Some(process) => kernel.switches.captured(|| look(&kernel, &*process)),
            None => return,
        };
        match look {
            Look::Sleep => next.notified().await,
            Look::Until(at) => sleep_until(at).await,
            Look::Report(_) => {}
        }
    }
}

/// Reads the record once, and logs a handler that exceeds the limit.
fn look(kernel: &Kernel, process: &dyn AnyProcess) -> Look {
    let (look, label) = process.with(|locked| {
        let core = locked.core();
        let activity =
            core.registrations().and_then(|registrations| registrations.activity.as_mut());
        let look = activity.map_or(Look::Sleep, |activity| activity.look(Instant::now()));
        (look, core.relations().and_then(|relations| relations.label.clone()))
    });
    if let Look::Report(Handling { callback, elapsed }) = look {
        kernel.report_own_change(process, || ChangeKind::SlowHandler { callback, elapsed });
        let (pid, label) = (process.pid(), label.map(|label| name(&label).to_string()));
        kernel.line(LineKind::SlowHandler, || {
            ignore_panic(|| {
                tracing::warn!(
                    target: "regrow::server", %pid, label, %callback, ?elapsed,
                    "a handler runs long"
                );
            });
        });
    }
    look
}
