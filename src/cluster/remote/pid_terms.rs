//! A [`Pid`] as a part of a call, a cast or an answer: serde both ways.
//!
//! A local pid has a name elsewhere only as a process of a node, and a `Pid` doesn't know its runtime.
//! So this thread notes the node while a message of that node is encoded or decoded.

use std::cell::RefCell;
use std::sync::Arc;

use serde::de::{Deserialize, Deserializer, Error};
use serde::ser::{self, Serialize, Serializer};

use crate::base::Pid;
use crate::cluster::node_name::NodeName;
use crate::cluster::remote::local_node::LocalNode;
use crate::cluster::remote::node_numbers::{incarnation_of, mention};
use crate::cluster::term::{ExternalPid, PidToken};

thread_local! {
    static NODE: RefCell<Option<Arc<LocalNode>>> = const { RefCell::new(None) };
}

/// Restores the node of the code around, also when the code panics.
struct Restore(Option<Arc<LocalNode>>);

impl Drop for Restore {
    fn drop(&mut self) {
        let before = self.0.take();
        drop(NODE.try_with(|node| node.replace(before)));
    }
}

/// Runs code that encodes or decodes a message of this node.
pub(crate) fn as_node<T>(own: Option<&Arc<LocalNode>>, run: impl FnOnce() -> T) -> T {
    let _restore = Restore(NODE.try_with(|node| node.replace(own.cloned())).ok().flatten());
    run()
}

/// A pid in a message between nodes is the pid of the same process there. It is encoded only in
/// calls, casts, answers and functions of a node; elsewhere use
/// [`Runtime::external_pid`](crate::Runtime::external_pid). Requires the feature `cluster`.
impl Serialize for Pid {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let external = if self.is_foreign() {
            incarnation_of(*self).and_then(|incarnation| incarnation.external(*self))
        } else {
            NODE.with_borrow(|node| node.as_ref().map(|node| node.external(*self)))
        };
        let external = external.filter(|_| *self != Pid::OUTSIDE);
        let none = || ser::Error::custom("the pid has no name at other nodes");
        external.ok_or_else(none)?.serialize(serializer)
    }
}

/// [`Runtime::pid_of`](crate::Runtime::pid_of) makes pids of terms elsewhere. Requires the feature
/// `cluster`.
impl<'de> Deserialize<'de> for Pid {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let external = ExternalPid::deserialize(deserializer)?;
        let own = NODE.with_borrow(Clone::clone);
        let own = own.ok_or_else(|| D::Error::custom("a pid outside of a message of a node"))?;
        pid_of(Some(&own), &external).ok_or_else(|| D::Error::custom("the pid can't be stored"))
    }
}

/// Returns the pid of a process that a term names. `own` is the node of the runtime, if one has run.
pub(crate) fn pid_of(own: Option<&LocalNode>, external: &ExternalPid) -> Option<Pid> {
    let (id, serial, creation) = (external.id(), external.serial(), external.creation());
    let node = external.node().as_str();
    let token = PidToken { node: node.into(), id, serial, creation };
    // A pid that was guessed becomes that of a process that has ended.
    if let Some(Ok(Some(pid))) = own.map(|own| own.local(&token)) {
        return Some(pid);
    }
    mention(NodeName::parse(node)?, creation).ok()?.pid(id, serial)
}
