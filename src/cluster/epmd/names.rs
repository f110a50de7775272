//! The names that are registered with an own EPMD.

use std::sync::Arc;

use crate::base::PlainMutex;
use crate::base::random::{Map, identifying_number};
use crate::cluster::epmd::requests::{Registered, found, names};

/// The names, which are the keys of the map.
#[derive(Debug, Clone, Default)]
pub(crate) struct Names(Arc<PlainMutex<Map<String, Registered>>>);

/// A name that is registered. Its drop removes the name.
#[derive(Debug)]
pub(crate) struct Held {
    names: Names,
    name: String,
}

impl Names {
    /// Registers a node; `None` if its name belongs to another one. Returns its creation as well.
    pub(crate) fn register(&self, node: &Registered) -> Option<(Held, u32)> {
        let mut names = self.0.lock();
        if names.contains_key(&node.name) {
            return None;
        }
        names.insert(node.name.clone(), node.clone());
        drop(names);
        let creation = u32::try_from(identifying_number() & 0xffff_ffff).unwrap_or_default().max(4);
        Some((Held { names: self.clone(), name: node.name.clone() }, creation))
    }

    /// Returns the reply to a look-up.
    pub(crate) fn find(&self, name: &str) -> Vec<u8> {
        found(self.0.lock().get(name))
    }

    /// Returns the reply to a request for all names.
    pub(crate) fn all(&self, port: u16) -> Vec<u8> {
        names(port, self.0.lock().values())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let removed = self.names.0.lock().remove(&self.name);
        drop(removed);
    }
}
