//! The two tables of a registry: by key, and by process.
//!
//! Each entry has a number, greater than those of all earlier entries. Both tables find an entry by
//! its number, so an entry that was found in one table is removed from the other without a search.
//! Removed keys and values are returned to the caller: their destructors are user code, which must
//! run after the lock is released.

use std::collections::HashMap;
use std::hash::Hash;

use crate::base::Pid;
use crate::base::random::MapHasher;
use crate::base::small_map::SmallMap;

type Map<K, V> = HashMap<K, V, MapHasher>;

pub(super) struct Entries<K, V> {
    /// Entries are boxed, so that the table does not grow with the size of the values.
    by_key: Map<K, SmallMap<u64, Box<Entry<V>>>>,
    by_pid: Map<Pid, SmallMap<u64, K>>,
    last: u64,
    len: usize,
}

struct Entry<V> {
    pid: Pid,
    value: V,
    /// The number of times that the value was replaced.
    changes: u64,
}

/// Identifies an entry and one of its successive values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Version {
    number: u64,
    changes: u64,
}

impl<K, V> Entries<K, V> {
    pub(super) fn new() -> Self {
        Entries { by_key: Map::default(), by_pid: Map::default(), last: 0, len: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Returns all processes that have an entry.
    pub(super) fn members(&self) -> Vec<Pid> {
        self.by_pid.keys().copied().collect()
    }

    /// Returns whether the process has an entry.
    pub(super) fn contains(&self, pid: Pid) -> bool {
        self.by_pid.contains_key(&pid)
    }
}

impl<K: Eq + Hash + Clone, V> Entries<K, V> {
    /// Returns the holder of the key. If there are several, returns the one that was registered
    /// first.
    pub(super) fn holder(&self, key: &K) -> Option<Pid> {
        let held = self.by_key.get(key)?.iter();
        held.min_by_key(|(number, _)| **number).map(|(_, entry)| entry.pid)
    }

    /// Adds an entry. The key is given twice, once for each table. Returns the key that no table
    /// needs, if the key has a holder.
    #[must_use = "the key is dropped after the lock is released"]
    pub(super) fn add(&mut self, pid: Pid, [key, own]: [K; 2], value: V) -> Option<K> {
        self.last += 1;
        self.len += 1;
        self.by_pid.entry(pid).or_default().insert(self.last, own);
        let entry = Box::new(Entry { pid, value, changes: 0 });
        if let Some(held) = self.by_key.get_mut(&key) {
            held.insert(self.last, entry);
            return Some(key);
        }
        self.by_key.entry(key).or_default().insert(self.last, entry);
        None
    }

    /// Removes all entries of this process under this key.
    pub(super) fn remove(&mut self, pid: Pid, key: &K) -> Vec<Removed<K, V>> {
        let numbers = self.numbers(pid, key);
        numbers.into_iter().filter_map(|number| self.take(pid, key, number)).collect()
    }

    /// Removes all entries of this process.
    pub(super) fn remove_all(&mut self, pid: Pid) -> Vec<(K, Removed<K, V>)> {
        let keys = self.by_pid.remove(&pid).unwrap_or_default();
        let mut keys: Vec<_> = keys.into_iter().collect();
        keys.sort_unstable_by_key(|(number, _)| *number);
        let removed = keys.into_iter().filter_map(|(number, key)| {
            let removed = self.take(pid, &key, number)?;
            Some((key, removed))
        });
        removed.collect()
    }

    fn take(&mut self, pid: Pid, key: &K, number: u64) -> Option<Removed<K, V>> {
        let held = self.by_key.get_mut(key)?;
        let value = held.remove(&number)?.value;
        let key = if held.is_empty() { self.by_key.remove_entry(key) } else { None };
        self.len -= 1;
        let mut own = None;
        if let Some(keys) = self.by_pid.get_mut(&pid) {
            own = keys.remove(&number);
            if keys.is_empty() {
                self.by_pid.remove(&pid);
            }
        }
        Some(Removed { _key: key.map(|(key, _)| key), _own: own, value })
    }

    /// Returns the numbers of the entries of this process under this key, in order. Searches the
    /// shorter of the two lists.
    fn numbers(&self, pid: Pid, key: &K) -> Vec<u64> {
        let (Some(held), Some(keys)) = (self.by_key.get(key), self.by_pid.get(&pid)) else {
            return Vec::new();
        };
        let mut numbers: Vec<u64> = if held.len() < keys.len() {
            held.iter().filter(|(_, entry)| entry.pid == pid).map(|(n, _)| *n).collect()
        } else {
            keys.iter().filter(|(_, own)| *own == key).map(|(n, _)| *n).collect()
        };
        numbers.sort_unstable();
        numbers
    }

    pub(super) fn keys(&self, pid: Pid) -> Vec<K> {
        let Some(keys) = self.by_pid.get(&pid) else { return Vec::new() };
        let mut keys: Vec<_> = keys.iter().collect();
        keys.sort_unstable_by_key(|(number, _)| **number);
        keys.into_iter().map(|(_, key)| key.clone()).collect()
    }

    pub(super) fn all_keys(&self) -> Vec<K> {
        self.by_key.keys().cloned().collect()
    }

    /// Replaces this version of a value, unless the value was replaced or removed since it was
    /// copied. Returns the value to drop: as `Ok` the old one, as `Err` the new one.
    pub(super) fn replace(&mut self, key: &K, version: Version, value: V) -> Result<V, V> {
        let held = self.by_key.get_mut(key).and_then(|held| held.get_mut(&version.number));
        match held {
            Some(entry) if entry.changes == version.changes => {
                entry.changes += 1;
                Ok(std::mem::replace(&mut entry.value, value))
            }
            _ => Err(value),
        }
    }
}

impl<K: Eq + Hash + Clone, V: Clone> Entries<K, V> {
    pub(super) fn lookup(&self, key: &K) -> Vec<(Pid, V)> {
        let Some(held) = self.by_key.get(key) else { return Vec::new() };
        let mut held: Vec<_> = held.iter().collect();
        held.sort_unstable_by_key(|(number, _)| **number);
        held.into_iter().map(|(_, entry)| (entry.pid, entry.value.clone())).collect()
    }

    pub(super) fn all(&self) -> Vec<(K, Pid, V)> {
        let all = self.by_key.iter().flat_map(|(key, held)| {
            held.iter().map(move |(_, entry)| (key.clone(), entry.pid, entry.value.clone()))
        });
        all.collect()
    }

    /// Returns a clone of the value of the oldest entry of this process under this key, and its
    /// version.
    pub(super) fn copy(&self, pid: Pid, key: &K) -> Option<(Version, V)> {
        let number = *self.numbers(pid, key).first()?;
        let entry = self.by_key.get(key)?.get(&number)?;
        Some((Version { number, changes: entry.changes }, entry.value.clone()))
    }
}

/// The keys and the value of a removed entry, to be dropped after the lock is released.
pub(super) struct Removed<K, V> {
    _key: Option<K>,
    _own: Option<K>,
    pub(super) value: V,
}
