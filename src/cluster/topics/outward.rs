//! The way of an event to the relays of other nodes.

use std::any::type_name;
use std::marker::PhantomData;
use std::sync::atomic::Ordering::Relaxed;

use serde::ser::Serialize;

use crate::base::{Pid, SharedStr};
use crate::cluster::remote::nodes::Nodes;
use crate::cluster::remote::offer::Offered;
use crate::cluster::remote::pid_terms::as_node;
use crate::cluster::topics::counts::{Counts, count_fault};
use crate::cluster::topics::message::encode;
use crate::events::Elsewhere;
use crate::message::{EncodedTerm, MessageKind};
use crate::observe::DeadLetterCause;
use crate::runtime::Runtime;

/// The name of a group is that of its topics behind this.
const GROUP: &str = "topics:";

/// The topics of one name, as they are sent.
pub(super) struct Outward<K, T> {
    pub(super) runtime: Runtime,
    /// The name of the topics.
    pub(super) name: SharedStr,
    /// The group of the relays, which is also the name of the process here.
    pub(super) group: SharedStr,
    pub(super) counts: Counts,
    types: PhantomData<fn(K, T)>,
}

impl<K, T> Outward<K, T> {
    pub(super) fn new(runtime: Runtime, name: SharedStr) -> Self {
        let group = format!("{GROUP}{name}").into();
        Outward { runtime, name, group, counts: Counts::default(), types: PhantomData }
    }

    /// Returns the processes of other nodes that get the events.
    pub(super) fn members(&self) -> Vec<Pid> {
        self.runtime.kernel.foreign_members(&self.group)
    }

    fn offer(&self, nodes: &Nodes, to: Pid, term: &EncodedTerm) {
        match nodes.offer(to, term) {
            Offered::Sent => drop(self.counts.sent.fetch_add(1, Relaxed)),
            Offered::NotConnected => {}
            Offered::Full => {
                self.report(Some(to), DeadLetterCause::Full);
                let (why, fault) = ("more than half of its send buffer waits", "event left out");
                count_fault(&self.counts.left_out, &self.name, fault, &why);
            }
        }
    }

    /// Reports a message as a dead letter.
    pub(super) fn report(&self, pid: Option<Pid>, cause: DeadLetterCause) {
        let event = (MessageKind::Event, type_name::<T>());
        self.runtime.kernel.publish_dead_letter(event, pid, Some(&self.group), cause);
    }
}

impl<K: Serialize, T: Serialize> Elsewhere<K, T> for Outward<K, T> {
    fn send(&self, key: &K, event: &T) {
        let members = self.members();
        if members.is_empty() {
            return;
        }
        let nodes = Nodes::of(&self.runtime.kernel);
        match as_node(nodes.local().as_ref(), || encode(&self.name, key, event)) {
            Ok(term) => members.into_iter().for_each(|to| self.offer(&nodes, to, &term)),
            Err(why) => {
                self.report(None, DeadLetterCause::NotATerm);
                let fault = "an event has no term, so no other node gets it";
                count_fault(&self.counts.unencodable, &self.name, fault, &why);
            }
        }
    }
}
