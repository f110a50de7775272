//! The server's side of tracking: a server that is watched notes in its record which callback runs.
//!
//! **Guarantees.** The record of a watched server says which callback runs and since when. The cost
//! for a server that is not watched is one bit of its flags, which the server reads anyway, and one
//! word beside its mailbox.
//!
//! **Steps**, for one item of a watched server; each note takes the lock of the record once, or,
//! if only polls are watched, is one store:
//! 1. The server is about to wait. The server follows the runtime's switches, and notes that the
//!    last callback has returned.
//! 2. The server finds an item. If the task that logs slow handlers sleeps, the server wakes that
//!    task and yields once, so that the task runs before the handler does.
//! 3. The server notes that the callback begins, and runs the callback.
//!
//! **Invariants**
//! 1. Turning a switch on sets [`CHECK_SWITCHES`](crate::process::flag::CHECK_SWITCHES) in the
//!    flags of each server. The bit stays set while the server is watched, and a server whose bit
//!    is set checks the switches before it waits. So turning a switch off need not change any
//!    server.
//! 2. A switch that is turned on while the server clears the bit is not missed: the switch is
//!    written before the bit is set, and the server reads the switches again after it has cleared
//!    the bit. So the bit is set again, by the code that turns the switch on or by the server.
//! 3. After a panic or an error of a handler the record names that handler until `terminate`
//!    begins. The note is removed with the record.

use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Instant;

use crate::base::sync::atomic::Ordering;
use crate::kernel::Kernel;
use crate::mailbox::Mailbox;
use crate::observe::Callback;
use crate::observe::activity::Activity;
use crate::process::{AnyProcess, flag};
use crate::runtime::Runtime;
use crate::server::context::extras::Inner;
use crate::server::tracking::{SHORTEST, SlowHandlerWatch, Watch};
use crate::server::{GenServer, ServerContext, ServerItem, WaitOutcome};

/// A server, as far as its watching needs it. It has one type for all servers, so that the code of this
/// file and of its neighbours is compiled once.
pub(crate) struct Observed<'a> {
    pub(super) process: &'a dyn AnyProcess,
    pub(super) kernel: &'a Arc<Kernel>,
    pub(super) watch: &'a mut Option<Box<Watch>>,
    /// When the next item was queued, if that item was moved out of the inbox and is stamped.
    pub(super) next_queued: Option<Instant>,
}

impl<S: GenServer> ServerContext<S> {
    /// Sets the server's own limit for its handlers, before its `init`.
    pub(crate) fn set_limit(&mut self, own_limit: Option<Duration>) {
        if own_limit.is_some() {
            let watch = Watch { own_limit, ..Watch::default() };
            self.inner().extras().watch = Some(Box::new(watch));
        }
    }

    /// Notes that `init` begins. The process is already in the table, so a switch that is turned on
    /// later sets the process' bit.
    pub(crate) fn note_init(&mut self) {
        if self.inner().is_watched() || self.process.kernel.switches.observes_handlers() {
            self.observed().note_init();
        }
    }

    /// The server for its watching, and its mailbox.
    pub(super) fn observed_beside(&mut self) -> (Observed<'_>, &Mailbox<ServerItem<S>>) {
        self.inner().extras();
        let Inner { mailbox, extras } =
            self.inner.get_mut().unwrap_or_else(PoisonError::into_inner);
        let watch = &mut extras.as_mut().expect("the extras were just made").watch;
        let next_queued = mailbox.next_queued();
        let (process, kernel) = (&*self.process as &dyn AnyProcess, &self.process.kernel);
        (Observed { process, kernel, watch, next_queued }, mailbox)
    }

    /// The server for its watching.
    pub(crate) fn observed(&mut self) -> Observed<'_> {
        self.observed_beside().0
    }
}

pub(super) fn set_observed_flag(process: &dyn AnyProcess) {
    process.raise(flag::CHECK_SWITCHES);
}

impl Observed<'_> {
    pub(super) fn runtime(&self) -> Runtime {
        Runtime { kernel: self.kernel.clone() }
    }

    fn note_init(&mut self) {
        self.kernel.apply_tracking(self.process);
        set_observed_flag(self.process);
        self.follow_switches();
        self.note_begin(Callback::Init);
    }

    /// Returns whether the switches, the server's own limit or a listener require its handlers to be
    /// watched.
    fn is_to_be_watched(&self) -> bool {
        let watch = self.watch.as_ref();
        self.kernel.switches.observes_handlers()
            || watch.is_some_and(|watch| watch.own_limit.is_some() || watch.tracers.is_some())
    }

    /// Returns whether a callback that runs is noted in the record, under its lock. If polls are
    /// watched, and nothing else, the bits of the callback are enough.
    fn is_to_keep_activity(&self) -> bool {
        self.kernel.switches.tracks_handlers()
            || self.limit().is_some()
            || self.watch.as_ref().is_some_and(|watch| watch.tracers.is_some())
    }

    /// Starts or ends the watching of the server, as the switches now require.
    fn follow_switches(&mut self) {
        if self.is_to_be_watched() {
            let keeps = self.is_to_keep_activity();
            let watch = self.watch.get_or_insert_default();
            if std::mem::replace(&mut watch.keeps_activity, keeps) && !keeps {
                self.forget_activity();
            }
            return;
        }
        *self.watch = None;
        self.process.flags().fetch_and(!flag::CHECK_SWITCHES, Ordering::SeqCst);
        // Invariant 2.
        if self.kernel.switches.observes_handlers() {
            set_observed_flag(self.process);
        }
        self.forget_activity();
    }

    fn forget_activity(&self) {
        self.process.with(|locked| {
            locked.core().registrations().map(|registrations| registrations.activity.take())
        });
    }

    /// Notes that the callback has returned, step 1.
    pub(crate) fn note_returned(&mut self) {
        self.note_traced_end();
        self.follow_switches();
        self.note_callback(None);
        let Some(watch) = self.watch else { return };
        let busy = std::mem::take(&mut watch.busy);
        let ended = self.note(|activity| if busy { activity.end() } else { None });
        self.meter_end(ended);
        // Not before `init` has returned, in which a supervisor finds its path.
        self.follow_meters();
    }

    /// Returns the outcome of the wait, at once or after one yield, step 2.
    pub(crate) fn poll_watched(
        &mut self,
        cx: &Context<'_>,
        polled: Poll<WaitOutcome>,
    ) -> Poll<WaitOutcome> {
        let limit = self.limit();
        let Some(watch) = self.watch else { return polled };
        let waited = std::mem::replace(&mut watch.waits, polled.is_pending());
        let starts = limit.is_some() && watch.slow_handler_watch.is_none();
        let Poll::Ready(found) = polled else {
            if !waited {
                self.note(|activity| activity.waits = true);
            }
            return Poll::Pending;
        };
        let woken = (waited || starts) && self.note(|activity| activity.stop_waiting(limit));
        if limit.is_none() || !(starts || woken) {
            return Poll::Ready(found);
        }
        // The process is in the table while its body runs.
        let Some(process) = self.kernel.find(self.process.pid()) else { return polled };
        let Some(watch) = self.watch else { return polled };
        let start = || SlowHandlerWatch::start(self.kernel, &process);
        watch.slow_handler_watch.get_or_insert_with(start).wake();
        watch.found = Some(found);
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Returns how long a handler may run before it is logged: the server's own limit, else the
    /// runtime's.
    fn limit(&self) -> Option<Duration> {
        let own = self.watch.as_ref().and_then(|watch| watch.own_limit);
        own.or(self.kernel.switches.slow_handler_limit()).map(|limit| limit.max(SHORTEST))
    }

    /// Notes that a callback begins, step 3. Does nothing unless the server is watched.
    pub(super) fn note_begin(&mut self, callback: Callback) {
        let limit = self.limit();
        let Some(watch) = self.watch else { return };
        watch.busy = true;
        if limit.is_none() {
            watch.slow_handler_watch = None;
        }
        self.note_callback(Some(callback));
        // A handler that has failed ends as `terminate` begins.
        let failed = self.note(|activity| activity.begin(callback, limit));
        self.meter_end(failed);
        self.meter_begin(callback);
    }

    /// Notes that a suspended server waits, and which item is queued next, because a search may
    /// have moved items out of the inbox.
    pub(crate) fn note_waiting(&mut self) {
        if let Some(watch) = self.watch {
            watch.waits = true;
            self.note(|activity| activity.waits = true);
        }
    }

    /// Notes which callback runs, for the [watch of polls](crate::observe::poll_watch).
    fn note_callback(&self, callback: Option<Callback>) {
        self.process.head().callback.store(Callback::bits(callback), Ordering::Relaxed);
    }

    /// Changes the activity in the record, if the record has one.
    fn note<R: Default>(&mut self, note: impl FnOnce(&mut Activity) -> R) -> R {
        if !self.watch.as_ref().is_some_and(|watch| watch.keeps_activity) {
            return R::default();
        }
        self.process.with(|locked| {
            let registrations = locked.core().registrations_mut();
            let activity = registrations.activity.get_or_insert_default();
            activity.next_queued = self.next_queued;
            note(activity)
        })
    }
}
