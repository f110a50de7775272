//! The keys of a unique registry that are reserved for the successor of a child.

use std::collections::HashMap;
use std::hash::Hash;

use crate::base::Pid;
use crate::base::random::MapHasher;
use crate::process::{ChildSlot, Reservation};

/// The reservations of a registry. Only supervised restarts make entries, so most registries have
/// none.
pub(super) struct Reservations<K>(HashMap<K, Reservation, MapHasher>);

impl<K> Reservations<K> {
    pub(super) fn new() -> Self {
        Reservations(HashMap::default())
    }
}

impl<K: Eq + Hash> Reservations<K> {
    pub(super) fn get(&self, key: &K) -> Option<&Reservation> {
        if self.0.is_empty() { None } else { self.0.get(key) }
    }

    /// Returns the reservation that keeps a process from the key. `incarnation` is set for a child:
    /// its supervisor, and which incarnation it is.
    pub(super) fn refusing(
        &self,
        key: &K,
        incarnation: Option<(Pid, ChildSlot)>,
    ) -> Option<&Reservation> {
        let reservation = self.get(key)?;
        let is_successor = incarnation.is_some_and(|(supervisor, slot)| {
            supervisor == reservation.supervisor && slot.child == reservation.slot.child
        });
        (!is_successor).then_some(reservation)
    }

    /// Adds a reservation. Returns the key that the table does not need. Do not drop it under the
    /// registry's lock.
    pub(super) fn insert(&mut self, key: K, reservation: Reservation) -> Option<K> {
        if let Some(before) = self.0.get_mut(&key) {
            *before = reservation;
            return Some(key);
        }
        self.0.insert(key, reservation);
        None
    }

    /// Removes the reservation of a key. Do not drop the key under the registry's lock.
    pub(super) fn remove(&mut self, key: &K) -> Option<K> {
        if self.0.is_empty() { None } else { self.0.remove_entry(key).map(|(key, _)| key) }
    }
}
