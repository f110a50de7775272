//! A map that is optimized for few entries. Most processes have at most one link, monitor or name,
//! some have a few, and a rare process has thousands.

use std::hash::Hash;

use crate::base::insertion_map::InsertionMap;

/// The maximum number of entries in a list. More entries are kept in a [hash table](InsertionMap).
const FEW: usize = 8;

/// A map that holds one entry in place, a few in a list, and more in a hash table.
#[derive(Debug)]
pub(crate) enum SmallMap<K, V> {
    /// No entry or one, without an allocation.
    One(Option<(K, V)>),
    Few(Vec<(K, V)>),
    Many(Box<InsertionMap<K, V>>),
}

impl<K, V> Default for SmallMap<K, V> {
    fn default() -> Self {
        SmallMap::One(None)
    }
}

impl<K: Eq + Hash, V> SmallMap<K, V> {
    pub(crate) fn len(&self) -> usize {
        match self {
            SmallMap::One(one) => usize::from(one.is_some()),
            SmallMap::Few(list) => list.len(),
            SmallMap::Many(table) => table.entries().len(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        match self {
            SmallMap::One(one) => one.as_ref().filter(|(k, _)| k == key).map(|(_, v)| v),
            SmallMap::Few(list) => list.iter().find(|(k, _)| k == key).map(|(_, v)| v),
            SmallMap::Many(table) => table.get(key),
        }
    }

    pub(crate) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        match self {
            SmallMap::One(one) => one.as_mut().filter(|(k, _)| k == key).map(|(_, v)| v),
            SmallMap::Few(list) => list.iter_mut().find(|(k, _)| k == key).map(|(_, v)| v),
            SmallMap::Many(table) => table.get_mut(key),
        }
    }

    pub(crate) fn contains(&self, key: &K) -> bool {
        self.get(key).is_some()
    }

    /// Adds an entry. If the key had a value, replaces that value and returns it.
    pub(crate) fn insert(&mut self, key: K, value: V) -> Option<V> {
        if let Some(held) = self.get_mut(&key) {
            return Some(std::mem::replace(held, value));
        }
        match self {
            SmallMap::One(one) => match one.take() {
                None => *one = Some((key, value)),
                Some(first) => *self = SmallMap::Few(vec![first, (key, value)]),
            },
            SmallMap::Few(list) => {
                list.push((key, value));
                if list.len() > FEW {
                    let all = std::mem::take(list).into_iter().collect();
                    *self = SmallMap::Many(Box::new(all));
                }
            }
            SmallMap::Many(table) => table.append(key, value),
        }
        None
    }

    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        let (removed, empty) = match self {
            SmallMap::One(one) => (one.take_if(|(k, _)| k == key)?.1, false),
            SmallMap::Few(list) => {
                let at = list.iter().position(|(k, _)| k == key)?;
                (list.remove(at).1, list.is_empty())
            }
            SmallMap::Many(table) => (table.remove(key)?, table.entries().is_empty()),
        };
        if empty {
            *self = SmallMap::default();
        }
        Some(removed)
    }

    /// Returns all entries. They are in order of insertion, unless an entry was removed while there
    /// were more than [`FEW`].
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        let entries = match self {
            SmallMap::One(one) => one.as_slice(),
            SmallMap::Few(list) => list.as_slice(),
            SmallMap::Many(table) => table.entries(),
        };
        entries.iter().map(|(k, v)| (k, v))
    }

    /// Returns all keys, in the order of [`iter`](Self::iter).
    pub(crate) fn keys(&self) -> impl Iterator<Item = &K> {
        self.iter().map(|(k, _)| k)
    }
}

/// A map from keys to sets of values. No set in the map is empty.
impl<K: Eq + Hash, V: Eq + Hash> SmallMap<K, SmallMap<V, ()>> {
    /// Adds a value to the set of this key.
    pub(crate) fn add(&mut self, key: K, value: V) {
        match self.get_mut(&key) {
            Some(set) => drop(set.insert(value, ())),
            None => drop(self.insert(key, SmallMap::One(Some((value, ()))))),
        }
    }

    /// Removes a value from the set of this key. Returns false if the set does not contain the
    /// value.
    pub(crate) fn subtract(&mut self, key: &K, value: &V) -> bool {
        let Some(set) = self.get_mut(key) else { return false };
        let removed = set.remove(value).is_some();
        if set.is_empty() {
            self.remove(key);
        }
        removed
    }
}

impl<K, V> SmallMap<K, V> {
    /// Empties the map, and returns its entries.
    pub(crate) fn take(&mut self) -> Self {
        std::mem::take(self)
    }
}

impl<K, V> IntoIterator for SmallMap<K, V> {
    type Item = (K, V);
    type IntoIter = IntoIter<K, V>;

    /// Yields the entries in the order of [`iter`](Self::iter).
    fn into_iter(self) -> IntoIter<K, V> {
        match self {
            SmallMap::One(one) => IntoIter::One(one.into_iter()),
            SmallMap::Few(list) => IntoIter::Several(list.into_iter()),
            SmallMap::Many(table) => IntoIter::Several(table.into_entries().into_iter()),
        }
    }
}

/// All entries of a [`SmallMap`].
pub(crate) enum IntoIter<K, V> {
    One(std::option::IntoIter<(K, V)>),
    Several(std::vec::IntoIter<(K, V)>),
}

impl<K, V> Iterator for IntoIter<K, V> {
    type Item = (K, V);

    fn next(&mut self) -> Option<(K, V)> {
        match self {
            IntoIter::One(one) => one.next(),
            IntoIter::Several(list) => list.next(),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match self {
            IntoIter::One(one) => one.size_hint(),
            IntoIter::Several(list) => list.size_hint(),
        }
    }
}

impl<K, V> ExactSizeIterator for IntoIter<K, V> {}

#[cfg(test)]
mod tests {
    use super::SmallMap;

    #[test]
    fn a_list_and_a_hash_table_behave_alike() {
        let mut map = SmallMap::default();
        for n in 0..100 {
            assert_eq!(map.insert(n, n * 2), None);
            assert_eq!(map.len(), n + 1);
        }
        assert_eq!(map.insert(7, 1), Some(14));
        assert_eq!(map.get(&7), Some(&1));
        assert!(map.keys().copied().eq(0..100), "in order of insertion");
        for n in 0..100 {
            assert!(map.remove(&n).is_some());
            assert!(!map.contains(&n));
        }
        assert!(map.is_empty());
        assert!(map.take().is_empty());
    }

    #[test]
    fn one_becomes_two_in_order_and_is_taken_whole() {
        let mut map = SmallMap::default();
        assert_eq!((map.insert('a', 1), map.insert('a', 2), map.len()), (None, Some(1), 1));
        assert_eq!((map.remove(&'b'), map.iter().collect::<Vec<_>>()), (None, vec![(&'a', &2)]));
        map.insert('b', 3);
        assert_eq!(map.take().into_iter().collect::<Vec<_>>(), [('a', 2), ('b', 3)]);
        assert!(map.is_empty());
    }
}
