//! A concurrent map in shards, each behind a fair lock.

use std::borrow::Borrow;
use std::hash::{BuildHasher, Hash};
use std::num::NonZero;
use std::sync::OnceLock;

use crate::base::random::is_thread_seeded;
use crate::base::sync::RwLock;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

#[cfg(any(regrow_loom, regrow_shuttle))]
type Hasher = foldhash::fast::FixedState;
#[cfg(not(any(regrow_loom, regrow_shuttle)))]
type Hasher = crate::base::random::MapHasher;

/// Returns a hasher with a random seed. Under a model checker the seed is fixed, because a checker
/// needs the same hashes in each run. With the fixed seed, the first and the third process are in
/// the same shard, and the second process is in the other shard.
fn hasher() -> Hasher {
    #[cfg(any(regrow_loom, regrow_shuttle))]
    return Hasher::with_seed(1);
    #[cfg(not(any(regrow_loom, regrow_shuttle)))]
    Hasher::default()
}

type Entries<K, V> = HashTable<(K, Option<V>)>;

/// One shard, aligned to 128 bytes: processors fetch cache lines in pairs.
#[repr(align(128))]
struct Shard<K, V>(RwLock<Entries<K, V>>);

/// Up to this number of keys are looked up one by one, without a list of them by shard.
const FEW: usize = 8;

/// A concurrent map. No reference to a value outlives the lock of its shard: reads return clones,
/// or run a closure under the lock.
///
/// Each key belongs to one shard. The lock of a shard is fair: a waiting writer gets the lock
/// before readers that arrive later, so reads that begin later do not delay the writer.
pub(crate) struct Table<K, V> {
    hasher: Hasher,
    /// The number of bits by which a hash is shifted right to get the index of its shard.
    shift: u32,
    shards: Box<[Shard<K, V>]>,
}

/// Returns the number of shards: at least four for each processor, so that two threads rarely use
/// the same shard. Under a model checker there are two shards, so that the checker explores both
/// operations on the same shard and operations on different shards. On a seeded thread the number
/// does not depend on the machine, so that the order of the entries does not either.
fn shard_count() -> usize {
    if cfg!(any(regrow_loom, regrow_shuttle)) {
        return 2;
    }
    if is_thread_seeded() {
        return 4;
    }
    static COUNT: OnceLock<usize> = OnceLock::new();
    *COUNT.get_or_init(|| {
        let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
        (processors * 4).next_power_of_two()
    })
}

impl<K, V> Default for Table<K, V> {
    fn default() -> Self {
        let count = shard_count();
        let shard = |_| Shard(RwLock::new(HashTable::new()));
        let shards = (0..count).map(shard).collect();
        Table { hasher: hasher(), shift: u64::BITS - count.trailing_zeros(), shards }
    }
}

impl<K: Eq + Hash, V> Table<K, V> {
    /// Returns the shard of this hash. The index of the shard is taken from the bits directly below
    /// the highest seven. The hash table inside the shard uses the lowest bits to select a bucket,
    /// and the highest seven to distinguish the entries of a bucket.
    #[inline]
    fn shard(&self, hash: u64) -> &RwLock<Entries<K, V>> {
        &self.shards[self.shard_index(hash)].0
    }

    #[inline]
    fn shard_index(&self, hash: u64) -> usize {
        ((hash << 7) >> self.shift) as usize
    }

    /// Inserts the entry, and runs `also` under the same lock, so [`len`](Self::len) counts the
    /// shard before both or after both.
    pub(crate) fn insert_and(&self, key: K, value: V, also: impl FnOnce()) {
        let before = self.with_entry(key, |entry| {
            also();
            entry.replace(value)
        });
        drop(before);
    }

    #[inline]
    pub(crate) fn get<Q>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
        V: Clone,
    {
        self.read(key, V::clone)
    }

    /// Returns the values of many keys, in their order. A shard is locked once for all its keys, and
    /// a shard without a key is not locked. The keys of one shard are looked up before the first value
    /// is cloned, and `touch`, which is to read the value, runs on each value before that: so the
    /// processor waits for the memory of many entries at the same time. A clone of an `Arc` would let
    /// it wait for one after the other.
    pub(crate) fn get_all(&self, keys: &[K], touch: impl Fn(&V) -> bool) -> Vec<Option<V>>
    where
        V: Clone,
    {
        if keys.len() <= FEW {
            return keys.iter().map(|key| self.get(key)).collect();
        }
        let hashes: Vec<u64> = keys.iter().map(|key| self.hasher.hash_one(key)).collect();
        // The keys, sorted by their shards.
        let mut order: Vec<(usize, usize)> =
            hashes.iter().enumerate().map(|(at, hash)| (self.shard_index(*hash), at)).collect();
        order.sort_unstable();
        let mut values: Vec<Option<V>> = vec![None; keys.len()];
        for here in order.chunk_by(|(one, _), (other, _)| one == other) {
            let shard = self.shards[here[0].0].0.read();
            let found = here.iter().filter_map(|(_, at)| {
                let (_, value) = shard.find(hashes[*at], |(held, _)| *held == keys[*at])?;
                Some((*at, value.as_ref()?))
            });
            let found: Vec<(usize, &V)> = found.collect();
            std::hint::black_box(found.iter().filter(|(_, value)| touch(value)).count());
            found.into_iter().for_each(|(at, value)| values[at] = Some(value.clone()));
        }
        values
    }

    /// Applies `look` to the value, if there is one. Other reads of the shard may run at the same
    /// time.
    #[inline]
    pub(crate) fn read<Q, R>(&self, key: &Q, look: impl FnOnce(&V) -> R) -> Option<R>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let hash = self.hasher.hash_one(key);
        let shard = self.shard(hash).read();
        let (_, value) = shard.find(hash, |(held, _)| held.borrow() == key)?;
        value.as_ref().map(look)
    }

    pub(crate) fn contains(&self, key: &K) -> bool {
        self.read(key, |_| ()).is_some()
    }

    /// If the key has an entry, removes the entry and runs `also` under the same lock, so
    /// [`len`](Self::len) counts the shard before both or after both.
    pub(crate) fn remove_and(&self, key: &K, also: impl FnOnce()) -> Option<V> {
        let hash = self.hasher.hash_one(key);
        let mut shard = self.shard(hash).write();
        let found = shard.find_entry(hash, |(held, _)| held == key);
        let removed = found.ok().map(|entry| {
            also();
            entry.remove().0
        });
        // The shard is unlocked before the key and the value are dropped.
        drop(shard);
        removed.and_then(|(_, value)| value)
    }

    /// Runs `act` on the value of this key, which is `None` if the key has no entry. Afterwards the
    /// table has the value that `act` leaves, or no entry if `act` leaves `None`.
    pub(crate) fn with_entry<R>(&self, key: K, act: impl FnOnce(&mut Option<V>) -> R) -> R {
        let hash = self.hasher.hash_one(&key);
        let mut shard = self.shard(hash).write();
        let rehash = |(held, _): &(K, Option<V>)| self.hasher.hash_one(held);
        let mut spare = None;
        let outcome = match shard.entry(hash, |(held, _)| *held == key, rehash) {
            Entry::Occupied(mut held) => {
                let outcome = act(&mut held.get_mut().1);
                if held.get().1.is_none() {
                    spare = Some(held.remove().0);
                }
                outcome
            }
            Entry::Vacant(free) => {
                let mut slot = None;
                let outcome = act(&mut slot);
                if slot.is_some() {
                    free.insert((key, slot));
                }
                outcome
            }
        };
        drop(shard);
        drop(spare);
        outcome
    }

    /// Applies `pick` to each entry, and collects the results that are `Some`. Locks one shard at a
    /// time. `pick` must not use the table.
    pub(crate) fn collect<R>(&self, mut pick: impl FnMut(&K, &V) -> Option<R>) -> Vec<R> {
        let mut picked = Vec::new();
        for Shard(shard) in &self.shards {
            let shard = shard.read();
            picked.extend(shard.iter().filter_map(|(key, value)| pick(key, value.as_ref()?)));
        }
        picked
    }

    pub(crate) fn len(&self) -> usize {
        self.shards.iter().map(|Shard(shard)| shard.read().len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::Table;
    use std::hash::BuildHasher;

    #[test]
    fn many_keys_are_found_in_their_order() {
        let table = Table::default();
        (0..100).for_each(|key| table.insert_and(key, key + 1, || ()));
        let keys: Vec<i32> = (0..200).rev().collect();
        let found: Vec<_> = keys.iter().map(|key| table.get(key)).collect();
        assert_eq!(table.get_all(&keys, |value| *value > 0), found);
        assert_eq!(table.get_all(&[], |value| *value > 0), []);
        let few = [7, 300, 5, 7];
        assert_eq!(table.get_all(&few, |value| *value > 0), [Some(8), None, Some(6), Some(8)]);
    }

    /// A writer holds one shard. A look-up of keys that are elsewhere does not wait for it.
    #[test]
    fn many_keys_lock_only_the_shards_that_have_one() {
        let table = Table::default();
        let shard_of = |key: &i32| table.shard_index(table.hasher.hash_one(key));
        let (held, keys): (Vec<i32>, Vec<i32>) = (0..1000).partition(|key| shard_of(key) == 0);
        keys.iter().for_each(|key| table.insert_and(*key, *key, || ()));
        table.with_entry(held[0], |_| {
            let found = table.get_all(&keys, |value| *value > 0);
            assert!(found.into_iter().eq(keys.iter().copied().map(Some)));
        });
    }
}
