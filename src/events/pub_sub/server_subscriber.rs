//! The delivery of an event to a subscriber that is a server. `stream` has the delivery to a
//! stream.

use std::any::type_name;
use std::sync::Arc;

use crate::base::ignore_panic;
use crate::base::user_panics::catch_panic;
use crate::events::TopicEvent;
use crate::events::pub_sub::subscriber::{Deliver, Delivered, Losses, Subscriber};
use crate::mailbox::Process;
use crate::message::MessageKind;
use crate::process::IfFull;
use crate::process::any::Refused;
use crate::server::{GenServer, ServerItem};

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
