//! Subscribers, and the delivery to a server.

use std::any::type_name;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::base::user_panics::catch_panic;
use crate::base::{Pid, ignore_panic};
use crate::events::TopicEvent;
use crate::mailbox::Process;
use crate::message::MessageKind;
use crate::process::IfFull;
use crate::process::any::Refused;
use crate::server::{GenServer, ServerItem};

/// A subscriber of a topic, as [`PubSub::subscribers`](crate::PubSub::subscribers) lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Subscriber {
    /// The process: the server, or the process that made the stream. `None` for a stream that was
    /// made outside of processes.
    pub pid: Option<Pid>,
    /// How many events the subscriber has missed.
    pub missed: u64,
}

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Delivered {
    Accepted,
    Lost,
    /// The event was lost, and the subscription ends.
    Unsubscribed,
}

/// A subscriber of any type.
pub(super) trait Deliver<T>: Send + Sync {
    /// Delivers an event, and does not wait.
    fn deliver(&self, event: T) -> Delivered;

    /// Ends a stream after its queued events.
    fn close(&self) {}

    fn info(&self) -> Subscriber;
}

/// The numbers of lost events of a subscriber.
#[derive(Debug, Default)]
pub(super) struct Losses {
    /// Since the last event that was accepted.
    gap: AtomicU64,
    total: AtomicU64,
}

impl Losses {
    pub(super) fn total(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }

    /// Takes the number of events that were lost since the last one that was accepted.
    fn take_gap(&self) -> u64 {
        // The load is cheaper than the exchange, and there is a gap only seldom.
        if self.gap.load(Ordering::Relaxed) == 0 { 0 } else { self.gap.swap(0, Ordering::Relaxed) }
    }

    /// Counts a lost event. `missed` is the number of events lost before it, which it would have
    /// reported.
    fn lose(&self, missed: u64) {
        self.gap.fetch_add(missed + 1, Ordering::Relaxed);
        self.total.fetch_add(1, Ordering::Relaxed);
    }
}

/// A server that gets each event as a cast.
pub(super) struct ServerSubscriber<S: GenServer, F> {
    pub(super) process: Arc<Process<ServerItem<S>>>,
    pub(super) make: F,
    pub(super) losses: Arc<Losses>,
}

impl<T, S, F> Deliver<T> for ServerSubscriber<S, F>
where
    S: GenServer,
    F: Fn(TopicEvent<T>) -> S::Cast + Send + Sync,
{
    fn deliver(&self, event: T) -> Delivered {
        let missed = self.losses.take_gap();
        let cast = match catch_panic(|| (self.make)(TopicEvent { event, missed })) {
            Ok(cast) => cast,
            Err(panic) => return self.panicked(missed, &panic),
        };
        match self.process.send_wrapped(cast, ServerItem::Cast, IfFull::Lose) {
            Ok(_) => Delivered::Accepted,
            Err((refused, why)) => {
                ignore_panic(|| drop(refused));
                self.refused(missed, why)
            }
        }
    }

    fn info(&self) -> Subscriber {
        Subscriber { pid: Some(self.process.pid()), missed: self.losses.total() }
    }
}

impl<S: GenServer, F> ServerSubscriber<S, F> {
    #[cold]
    fn refused(&self, missed: u64, why: Refused) -> Delivered {
        self.losses.lose(missed);
        let kernel = &self.process.kernel;
        let cast = (MessageKind::Cast, type_name::<S::Cast>());
        kernel.publish_dead_letter(cast, Some(self.process.pid()), None, why.into());
        Delivered::Lost
    }

    #[cold]
    fn panicked(&self, missed: u64, panic: &str) -> Delivered {
        self.losses.lose(missed);
        let (pid, cast) = (self.process.pid(), type_name::<S::Cast>());
        ignore_panic(|| {
            tracing::error!(
                target: "regrow::events", %pid, cast, panic,
                "no cast was made of an event: the function of the subscription panicked"
            );
        });
        Delivered::Lost
    }
}
