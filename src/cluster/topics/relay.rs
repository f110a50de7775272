//! The process that publishes here what other nodes have published.

use std::convert::Infallible;
use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use serde::de::DeserializeOwned;
use serde::ser::Serialize;

use crate::base::user_panics::catch_panic;
use crate::cluster::remote::nodes::Nodes;
use crate::cluster::remote::pid_terms::as_node;
use crate::cluster::term::DecodeLimits;
use crate::cluster::topics::counts::count_fault;
use crate::cluster::topics::error::TopicsError;
use crate::cluster::topics::message::{NotPublished, Parts};
use crate::cluster::topics::outward::Outward;
use crate::events::{Elsewhere, PubSub};
use crate::exit::{ExitReason, Result};
use crate::message::{EncodedTerm, Received};
use crate::observe::DeadLetterCause;
use crate::runtime::Runtime;
use crate::server::{GenServer, ServerContext};

/// The maximum length of the name of topics, in bytes: the name of their group is longer.
const LONGEST_NAME: usize = 200;

/// The types of keys that can be shared.
pub(super) trait Key:
    Serialize + DeserializeOwned + Eq + Hash + Clone + Send + Sync + 'static
{
}

impl<K: Serialize + DeserializeOwned + Eq + Hash + Clone + Send + Sync + 'static> Key for K {}

/// The types of events that can be shared.
pub(super) trait SharedEvent: Serialize + DeserializeOwned + Clone + Send + 'static {}

impl<T: Serialize + DeserializeOwned + Clone + Send + 'static> SharedEvent for T {}

/// The arguments of a relay.
pub(super) struct RelayArgs<K, T> {
    pub(super) topics: PubSub<K, T>,
    pub(super) outward: Arc<Outward<K, T>>,
}

impl<K, T> Clone for RelayArgs<K, T> {
    fn clone(&self) -> Self {
        RelayArgs { topics: self.topics.clone(), outward: self.outward.clone() }
    }
}

pub(super) struct Relay<K: Key, T: SharedEvent> {
    topics: PubSub<K, T>,
    outward: Arc<Outward<K, T>>,
    /// The way that this relay has set.
    way: Arc<dyn Elsewhere<K, T>>,
}

impl<K: Key, T: SharedEvent> GenServer for Relay<K, T> {
    type Args = RelayArgs<K, T>;
    type Call = Infallible;
    type Cast = Infallible;

    async fn init(args: RelayArgs<K, T>, ctx: &mut ServerContext<Self>) -> Result<Self> {
        let RelayArgs { topics, outward } = args;
        check(&ctx.runtime(), topics.runtime(), &outward.name).map_err(ExitReason::from_library)?;
        let way: Arc<dyn Elsewhere<K, T>> = outward.clone();
        if !topics.set_elsewhere(&way) {
            return Err(ExitReason::from_library(TopicsError::AlreadyShared));
        }
        // From here on, its drop removes the way.
        let relay = Relay { topics, outward, way };
        ctx.runtime().register_tag(&*relay.outward.group, ctx.pid());
        Ok(relay)
    }

    async fn handle_info(&mut self, info: Received, _: &mut ServerContext<Self>) -> Result {
        if let Received::Term(term) = info {
            self.receive(&term);
        }
        Ok(())
    }
}

/// Runs however the server ends.
impl<K: Key, T: SharedEvent> Drop for Relay<K, T> {
    fn drop(&mut self) {
        self.topics.unset_elsewhere(&self.way);
    }
}

impl<K: Key, T: SharedEvent> Relay<K, T> {
    fn receive(&self, term: &EncodedTerm) {
        let counts = &self.outward.counts;
        // The types of the user are also dropped in there.
        let published = catch_panic(|| self.publish(term.as_bytes()));
        let Err(why) = published.unwrap_or(Err(NotPublished::Panicked)) else {
            counts.received.fetch_add(1, Relaxed);
            return;
        };
        self.outward.report(None, DeadLetterCause::Undecodable);
        let fault = "a message from another node is no event of these topics";
        count_fault(&counts.undecodable, &self.outward.name, fault, &why);
    }

    /// Publishes a message here, if its topic has subscribers. The events of other topics are not
    /// decoded.
    fn publish(&self, term: &[u8]) -> std::result::Result<(), NotPublished> {
        let own = Nodes::of(&self.outward.runtime.kernel).local();
        let limits = DecodeLimits::of_frame(term.len());
        let parts = Parts::read(term, &self.outward.name, &limits)?;
        let key: K = as_node(own.as_ref(), || parts.key(&limits))?;
        if self.topics.subscriber_count(&key) > 0 {
            let event: T = as_node(own.as_ref(), || parts.event(&limits))?;
            self.topics.publish_here(&key, event);
        }
        Ok(())
    }
}

/// Checks that topics of this runtime can be shared under this name.
fn check(
    runtime: &Runtime,
    of_topics: &Runtime,
    name: &str,
) -> std::result::Result<(), TopicsError> {
    if !Arc::ptr_eq(&runtime.kernel, &of_topics.kernel) {
        return Err(TopicsError::OtherRuntime);
    }
    if name.is_empty() || name.len() > LONGEST_NAME {
        return Err(TopicsError::InvalidName(name.to_owned()));
    }
    if Nodes::of(&runtime.kernel).local().is_none() {
        return Err(TopicsError::NoNode);
    }
    if !runtime.kernel.has_shared_groups() {
        return Err(TopicsError::NoGroups);
    }
    Ok(())
}
