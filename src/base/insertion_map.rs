//! A hash map whose entries are stored, and iterated, in the order of their insertion.
//!
//! The processes that are notified of an end were most likely started in the order in which they were
//! linked to it, or began to monitor it. So their records are read in the order in which they lie in
//! memory. In the order of a hash table, each of very many records would be a miss of all caches, and
//! of the translation of addresses.
//!
//! A removal moves the last entry to the place of the removed one.
//!
//! Invariant: `places` has the index of each entry of `entries`, under the hash of its key.

use std::hash::{BuildHasher, Hash};

use hashbrown::HashTable;

use crate::base::random::MapHasher;

/// A hash map in the order of insertion.
#[derive(Debug)]
pub(crate) struct InsertionMap<K, V> {
    hasher: MapHasher,
    places: HashTable<usize>,
    entries: Vec<(K, V)>,
}

impl<K: Eq + Hash, V> InsertionMap<K, V> {
    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        Some(&self.entries[self.place(key)?].1)
    }

    pub(crate) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let at = self.place(key)?;
        Some(&mut self.entries[at].1)
    }

    fn place(&self, key: &K) -> Option<usize> {
        let is_key = |at: &usize| self.entries[*at].0 == *key;
        self.places.find(self.hasher.hash_one(key), is_key).copied()
    }

    /// Appends an entry. The map must not have the key.
    pub(crate) fn append(&mut self, key: K, value: V) {
        let InsertionMap { hasher, places, entries } = self;
        let at = entries.len();
        places.insert_unique(hasher.hash_one(&key), at, |at| hasher.hash_one(&entries[*at].0));
        entries.push((key, value));
    }

    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        let InsertionMap { hasher, places, entries } = self;
        let is_key = |at: &usize| entries[*at].0 == *key;
        let (at, _) = places.find_entry(hasher.hash_one(key), is_key).ok()?.remove();
        let last = entries.len() - 1;
        if at < last {
            let hash = hasher.hash_one(&entries[last].0);
            if let Some(place) = places.find_mut(hash, |place| *place == last) {
                *place = at;
            }
        }
        Some(entries.swap_remove(at).1)
    }
}

impl<K, V> InsertionMap<K, V> {
    pub(crate) fn entries(&self) -> &[(K, V)] {
        &self.entries
    }

    pub(crate) fn into_entries(self) -> Vec<(K, V)> {
        self.entries
    }
}

impl<K: Eq + Hash, V> FromIterator<(K, V)> for InsertionMap<K, V> {
    /// Appends the entries, of which no two have the same key.
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let hasher = MapHasher::default();
        let mut map = InsertionMap { hasher, places: HashTable::new(), entries: Vec::new() };
        entries.into_iter().for_each(|(key, value)| map.append(key, value));
        map
    }
}

#[cfg(test)]
mod tests {
    use super::InsertionMap;

    #[test]
    fn entries_are_in_the_order_of_insertion_until_one_is_removed() {
        let mut map: InsertionMap<u64, u64> = (0..100).map(|key| (key, key * 2)).collect();
        map.append(100, 1);
        let is_key = |(at, (key, _)): (usize, &(u64, u64))| at as u64 == *key;
        assert!(map.entries().iter().enumerate().all(is_key));
        assert_eq!((map.remove(&50), map.remove(&50)), (Some(100), None));
        assert_eq!(map.entries()[50], (100, 1));
        for key in (0..=100).filter(|key| *key != 50) {
            assert!(map.get(&key).is_some());
            assert!(map.remove(&key).is_some());
            assert!(map.get_mut(&key).is_none());
        }
        assert!(map.entries().is_empty());
    }
}
