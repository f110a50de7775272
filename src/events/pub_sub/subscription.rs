//! The subscription of a server, as a guard.

use std::fmt;
use std::sync::{Arc, Weak};

use crate::base::ignore_panic;
use crate::events::pub_sub::subscriber::Losses;

/// Topics of any type.
pub(super) trait Unsubscribe: Send + Sync {
    /// Ends the subscription that has this number.
    fn unsubscribe(&self, number: u64);
}

/// The subscription of a server to a topic. It ends when this value is dropped, or when the server ends.
/// A server keeps it in its state, or [for its whole life](Self::keep).
/// [`PubSub`](crate::PubSub) has an example.
#[must_use = "dropping it ends the subscription: use `keep` to subscribe until the server ends"]
pub struct Subscription {
    pub(super) number: u64,
    /// `None` if the subscription is kept.
    pub(super) source: Option<Weak<dyn Unsubscribe>>,
    pub(super) losses: Arc<Losses>,
}

impl Subscription {
    /// Lets the subscription last until the server ends.
    pub fn keep(mut self) {
        self.source = None;
    }

    /// Ends the subscription, as a drop does. No event that is published after this call reaches the
    /// subscriber. An event of a publish that has begun may still become a cast.
    pub fn unsubscribe(self) {}

    /// Returns how many events of this subscription were lost, because the mailbox of the server
    /// refused them or the function that makes the cast panicked.
    pub fn missed(&self) -> u64 {
        self.losses.total()
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let Some(source) = self.source.take() else { return };
        // The subscriber, whose function is user code, is dropped here.
        ignore_panic(|| {
            source.upgrade().into_iter().for_each(|topics| topics.unsubscribe(self.number));
        });
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Subscription({} missed)", self.missed())
    }
}
