//! A map for the few: links, monitors and names are mostly none or a handful, and
//! now and then thousands.

use std::collections::HashMap;
use std::hash::Hash;

/// Up to this many entries lie in a list, more of them in a hash table.
const FEW: usize = 8;

type Many<K, V> = HashMap<K, V, foldhash::fast::RandomState>;

/// A list of pairs that turns into a hash table when it grows past eight.
#[derive(Debug)]
pub(crate) enum SmallMap<K, V> {
    Few(Vec<(K, V)>),
    Many(Box<Many<K, V>>),
}

impl<K, V> Default for SmallMap<K, V> {
    fn default() -> Self {
        SmallMap::Few(Vec::new())
    }
}

impl<K: Eq + Hash, V> SmallMap<K, V> {
    pub(crate) fn len(&self) -> usize {
        match self {
            SmallMap::Few(list) => list.len(),
            SmallMap::Many(table) => table.len(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        match self {
            SmallMap::Few(list) => list.iter().find(|(k, _)| k == key).map(|(_, v)| v),
            SmallMap::Many(table) => table.get(key),
        }
    }

    pub(crate) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        match self {
            SmallMap::Few(list) => list.iter_mut().find(|(k, _)| k == key).map(|(_, v)| v),
            SmallMap::Many(table) => table.get_mut(key),
        }
    }

    pub(crate) fn contains(&self, key: &K) -> bool {
        self.get(key).is_some()
    }

    /// Adds the entry, or replaces the value it had and returns that.
    pub(crate) fn insert(&mut self, key: K, value: V) -> Option<V> {
        match self {
            SmallMap::Few(list) => {
                if let Some(at) = list.iter().position(|(k, _)| *k == key) {
                    return Some(std::mem::replace(&mut list[at].1, value));
                }
                if list.capacity() == 0 {
                    list.reserve_exact(1); // most have one
                }
                list.push((key, value));
                if list.len() > FEW {
                    let all = std::mem::take(list).into_iter().collect();
                    *self = SmallMap::Many(Box::new(all));
                }
                None
            }
            SmallMap::Many(table) => table.insert(key, value),
        }
    }

    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        match self {
            SmallMap::Few(list) => {
                let at = list.iter().position(|(k, _)| k == key)?;
                Some(list.remove(at).1)
            }
            SmallMap::Many(table) => {
                let removed = table.remove(key);
                if table.is_empty() {
                    *self = SmallMap::default();
                }
                removed
            }
        }
    }

    /// All entries; in order of insertion while they are few.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        let (few, many) = match self {
            SmallMap::Few(list) => (Some(list.iter().map(|(k, v)| (k, v))), None),
            SmallMap::Many(table) => (None, Some(table.iter())),
        };
        few.into_iter().flatten().chain(many.into_iter().flatten())
    }

    /// Empties the map into a list.
    pub(crate) fn take(&mut self) -> Vec<(K, V)> {
        match std::mem::take(self) {
            SmallMap::Few(list) => list,
            SmallMap::Many(table) => table.into_iter().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::SmallMap;

    #[test]
    fn few_and_many_behave_alike() {
        let mut map = SmallMap::default();
        for n in 0..100 {
            assert_eq!(map.insert(n, n * 2), None);
            assert_eq!(map.len(), n + 1);
        }
        assert_eq!(map.insert(7, 1), Some(14));
        assert_eq!(map.get(&7), Some(&1));
        assert_eq!(map.iter().count(), 100);
        for n in 0..100 {
            assert!(map.remove(&n).is_some());
            assert!(!map.contains(&n));
        }
        assert!(map.is_empty());
        assert!(map.take().is_empty());
    }
}
