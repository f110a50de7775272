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
pub(super) type Hasher = foldhash::fast::FixedState;
#[cfg(not(any(regrow_loom, regrow_shuttle)))]
pub(super) type Hasher = crate::base::random::MapHasher;

/// Returns a hasher with a random seed. Under a model checker the seed is fixed, because a checker
/// needs the same hashes in each run.
pub(super) fn hasher() -> Hasher {
    #[cfg(any(regrow_loom, regrow_shuttle))]
    return Hasher::with_seed(1);
    #[cfg(not(any(regrow_loom, regrow_shuttle)))]
    Hasher::default()
}

type Entries<K, V> = HashTable<(K, Option<V>)>;

/// One shard, aligned to 128 bytes: processors fetch cache lines in pairs.
#[repr(align(128))]
struct Shard<K, V>(RwLock<Entries<K, V>>);

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
pub(super) fn shard_count() -> usize {
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

    #[inline]
    pub(crate) fn get<Q>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
        V: Clone,
    {
        self.read(key, V::clone)
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
