//! A server that is watched says in its record what it is at.
//!
//! One that nobody watches reads a bit of its own flags, which it reads anyway, and a word
//! beside its mailbox, and nothing more. Once it is watched, each handler takes the record's
//! lock twice: as it begins, and when it has returned.
//!
//! What ends in between: a handler's panic or its stop leaves what runs as it is, until
//! `terminate` begins; the end of the record takes all of it. Whoever turns a switch off
//! changes nothing here: the server notices before it next waits. Turned on at that very
//! moment, the bit is raised again by one of the two, as both look after they have written.

use std::task::{Context, Poll};
use std::time::Duration;

use crate::base::sync::atomic::Ordering;
use crate::observe::activity::{Activity, Callback};
use crate::process::{AnyProcess, flag};
use crate::server::event::Waited;
use crate::server::tracking::slow_handler::{SHORTEST, SlowHandlerWatch};
use crate::server::tracking::state::Watch;
use crate::server::{GenServer, ServerContext};

impl<S: GenServer> ServerContext<S> {
    /// A limit of its own for its handlers; before its init.
    pub(crate) fn with_limit(mut self, own_limit: Option<Duration>) -> Self {
        if own_limit.is_some() {
            self.inner().watch = Some(Box::new(Watch { own_limit, ..Watch::default() }));
        }
        self
    }

    /// Its init begins. It is in the table: who turns a switch on from now on tells it.
    pub(crate) fn begin_init(&mut self) {
        if self.inner().watch.is_none() && !self.process.kernel.switches.observes_handlers() {
            return;
        }
        self.process.kernel.heed(&*self.process);
        self.raise_watched();
        if self.is_watched() {
            self.begin(Callback::Init);
        }
    }

    fn raise_watched(&self) {
        let process: &dyn AnyProcess = &*self.process;
        process.raise(flag::OBSERVED);
    }

    /// Whether somebody wants to know what it is at.
    fn is_watched(&mut self) -> bool {
        let watched = self.process.kernel.switches.observes_handlers();
        let watch = &mut self.inner().watch;
        if watched || watch.as_ref().is_some_and(|watch| watch.own_limit.is_some()) {
            watch.get_or_insert_default();
            return true;
        }
        *watch = None;
        self.process.flags().fetch_and(!flag::OBSERVED, Ordering::SeqCst);
        if self.process.kernel.switches.observes_handlers() {
            self.raise_watched();
        }
        let process: &dyn AnyProcess = &*self.process;
        process.with(|locked| {
            locked.core().registrations().map(|registrations| registrations.activity.take())
        });
        false
    }

    /// Nothing runs: the callback that did has returned.
    pub(crate) fn rest(&mut self) {
        if !self.is_watched() {
            return;
        }
        let busy = self.inner().watch.as_mut().is_some_and(|w| std::mem::take(&mut w.busy));
        self.note(|activity| {
            if busy {
                activity.end();
            }
        });
    }

    /// What it has found to handle is handled at once, or after it has yielded once to who
    /// tells of slow handlers.
    pub(crate) fn poll_watched(&mut self, cx: &Context<'_>, polled: Poll<Waited>) -> Poll<Waited> {
        let limit = self.limit();
        let Some(watch) = &mut self.inner().watch else { return polled };
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
        let process = self.process.clone();
        let Some(watch) = &mut self.inner().watch else { return polled };
        watch.slow_handler_watch.get_or_insert_with(|| SlowHandlerWatch::start(process)).wake();
        watch.found = Some(found);
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// What it had found before it yielded.
    pub(crate) fn found_before(&mut self) -> Option<Waited> {
        self.inner().watch.as_mut()?.found.take()
    }

    /// How long a handler may run untold.
    fn limit(&mut self) -> Option<Duration> {
        let of_all = self.process.kernel.switches.slow_handler_limit();
        let own = self.inner().watch.as_ref().and_then(|watch| watch.own_limit);
        own.or(of_all).map(|limit| limit.max(SHORTEST))
    }

    /// What it has taken to handle it. Nothing happens unless it is watched.
    pub(crate) fn begin(&mut self, callback: Callback) {
        let limit = self.limit();
        let Some(watch) = &mut self.inner().watch else { return };
        watch.busy = true;
        if limit.is_none() {
            watch.slow_handler_watch = None;
        }
        self.note(|activity| activity.begin(callback, limit));
    }

    /// It is suspended: something may have been moved out of the inbox, and stays queued.
    pub(crate) fn note_queue(&mut self) {
        if let Some(watch) = &mut self.inner().watch {
            watch.waits = true;
            self.note(|activity| activity.waits = true);
        }
    }

    fn note<R>(&mut self, note: impl FnOnce(&mut Activity) -> R) -> R {
        let next_queued = self.inner().mailbox.next_queued();
        let process: &dyn AnyProcess = &*self.process;
        process.with(|locked| {
            let registrations = locked.core().registrations_mut();
            let activity = registrations.activity.get_or_insert_default();
            activity.next_queued = next_queued;
            note(activity)
        })
    }
}
