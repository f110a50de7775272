//! The one place through which the kernel takes its locks, atomics and maps.
//!
//! A normal build gets `std`'s mutex and a map in shards, each behind a lock that lets no
//! reader overtake a waiting writer. Under `--cfg regrow_loom` and `--cfg regrow_shuttle`
//! the same names are model-checked ones, so that the very code that ships is what the
//! checkers explore.
//!
//! **Invariants**
//! 1. A map's guard never leaves this file: [`Table`] hands out clones, or runs a
//!    short closure of the kernel's own under the guard. That closure does not use the same
//!    table: even a second read of one shard waits for a writer that waits for the first.
//! 2. Lock order is an entry of names or groups, then the process table, then one
//!    process. Two process locks are never held at once.
//! 3. No lock is held while a user's code runs, nor across an await.

#[cfg(not(any(regrow_loom, regrow_shuttle)))]
mod plain {
    pub(crate) use std::sync::{MutexGuard, atomic};

    use std::borrow::Borrow;
    use std::hash::{BuildHasher, Hash};
    use std::num::NonZero;
    use std::sync::{OnceLock, PoisonError};

    use hashbrown::HashTable;
    use hashbrown::hash_table::Entry;
    use parking_lot::RwLock;

    /// A mutex that doesn't know poisoning: nothing of ours panics under it.
    #[derive(Debug, Default)]
    pub(crate) struct Mutex<T: ?Sized>(std::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) const fn new(value: T) -> Self {
            Mutex(std::sync::Mutex::new(value))
        }

        pub(crate) fn into_inner(self) -> T {
            self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
        }
    }

    impl<T: ?Sized> Mutex<T> {
        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            crate::failpoint::point!("lock");
            self.0.lock().unwrap_or_else(PoisonError::into_inner)
        }
    }

    type Hasher = foldhash::fast::RandomState;
    type Entries<K, V> = HashTable<(K, Option<V>)>;

    /// On cache lines of its own: two at once, as processors fetch them.
    #[repr(align(128))]
    struct Shard<K, V>(RwLock<Entries<K, V>>);

    /// A concurrent map whose values are present or absent, never borrowed out.
    ///
    /// Each key belongs to one shard. The lock of a shard is fair: a writer that waits goes
    /// before readers that come later, so no number of readers holds it up for longer than
    /// the reads under way.
    pub(crate) struct Table<K, V> {
        hasher: Hasher,
        /// How far a hash is shifted to give the index of its shard.
        shift: u32,
        shards: Box<[Shard<K, V>]>,
    }

    /// Four for each processor, so that two threads seldom meet in one.
    fn shard_count() -> usize {
        static COUNT: OnceLock<usize> = OnceLock::new();
        *COUNT.get_or_init(|| {
            let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
            (processors * 4).next_power_of_two()
        })
    }

    impl<K: Eq + Hash, V> Table<K, V> {
        pub(crate) fn new() -> Self {
            let count = shard_count();
            let shard = |_| Shard(RwLock::new(HashTable::new()));
            let shards = (0..count).map(shard).collect();
            Table { hasher: Hasher::default(), shift: u64::BITS - count.trailing_zeros(), shards }
        }

        /// Above the low bits, which choose the bucket inside of a shard, and below the seven
        /// highest, which tell its entries apart.
        #[inline]
        fn shard(&self, hash: u64) -> &RwLock<Entries<K, V>> {
            &self.shards[((hash << 7) >> self.shift) as usize].0
        }

        pub(crate) fn insert(&self, key: K, value: V) {
            let before = self.with_entry(key, |entry| entry.replace(value));
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

        /// What `look` says of the value, if there is one: it runs beside other readers.
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

        pub(crate) fn remove(&self, key: &K) -> Option<V> {
            let hash = self.hasher.hash_one(key);
            let mut shard = self.shard(hash).write();
            let found = shard.find_entry(hash, |(held, _)| held == key);
            let removed = found.ok().map(|entry| entry.remove().0);
            // The key, too, is dropped unlocked.
            drop(shard);
            removed.and_then(|(_, value)| value)
        }

        /// Runs `act` on the entry, whether it is there or not; what `act` leaves
        /// there is kept, and a `None` is an entry removed.
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

        /// What `pick` says of each entry, without a lock over all of them. `pick` must not
        /// use the table.
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
}

#[cfg(any(regrow_loom, regrow_shuttle))]
mod checked {
    #[cfg(regrow_loom)]
    use loom::sync as checker;
    #[cfg(regrow_shuttle)]
    use shuttle::sync as checker;

    pub(crate) use checker::atomic;

    use std::borrow::Borrow;
    use std::collections::HashMap;
    use std::hash::{BuildHasher, Hash};
    use std::ops::{Deref, DerefMut};
    use std::sync::PoisonError;

    /// A checker's mutex can't hold what has no size, so it guards the way to another, which
    /// is never contended.
    #[derive(Debug)]
    pub(crate) struct Mutex<T: ?Sized> {
        gate: checker::Mutex<()>,
        value: std::sync::Mutex<T>,
    }

    /// The value is let go before the gate.
    pub(crate) struct MutexGuard<'a, T: ?Sized> {
        value: std::sync::MutexGuard<'a, T>,
        _gate: checker::MutexGuard<'a, ()>,
    }

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Mutex { gate: checker::Mutex::new(()), value: std::sync::Mutex::new(value) }
        }

        pub(crate) fn into_inner(self) -> T {
            self.value.into_inner().unwrap_or_else(PoisonError::into_inner)
        }
    }

    impl<T: ?Sized> Mutex<T> {
        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            let gate = self.gate.lock().unwrap_or_else(PoisonError::into_inner);
            let value = self.value.lock().unwrap_or_else(PoisonError::into_inner);
            MutexGuard { value, _gate: gate }
        }
    }

    impl<T: ?Sized> Deref for MutexGuard<'_, T> {
        type Target = T;

        fn deref(&self) -> &T {
            &self.value
        }
    }

    impl<T: ?Sized> DerefMut for MutexGuard<'_, T> {
        fn deref_mut(&mut self) -> &mut T {
            &mut self.value
        }
    }

    type Hasher = foldhash::fast::FixedState;
    type Shard<K, V> = Mutex<HashMap<K, V, Hasher>>;

    /// Two shards, so that both same-shard and cross-shard interleavings occur.
    pub(crate) struct Table<K, V>([Shard<K, V>; 2]);

    impl<K: Eq + Hash, V> Table<K, V> {
        pub(crate) fn new() -> Self {
            let shard = || Mutex::new(HashMap::with_hasher(Hasher::default()));
            Table([shard(), shard()])
        }

        fn shard<Q: Hash + ?Sized>(&self, key: &Q) -> &Shard<K, V> {
            &self.0[(Hasher::default().hash_one(key) & 1) as usize]
        }

        pub(crate) fn insert(&self, key: K, value: V) {
            self.shard(&key).lock().insert(key, value);
        }

        pub(crate) fn get<Q>(&self, key: &Q) -> Option<V>
        where
            K: Borrow<Q>,
            Q: Eq + Hash + ?Sized,
            V: Clone,
        {
            self.read(key, V::clone)
        }

        pub(crate) fn read<Q, R>(&self, key: &Q, look: impl FnOnce(&V) -> R) -> Option<R>
        where
            K: Borrow<Q>,
            Q: Eq + Hash + ?Sized,
        {
            self.shard(key).lock().get(key).map(look)
        }

        pub(crate) fn contains(&self, key: &K) -> bool {
            self.shard(key).lock().contains_key(key)
        }

        pub(crate) fn remove(&self, key: &K) -> Option<V> {
            self.shard(key).lock().remove(key)
        }

        pub(crate) fn with_entry<R>(&self, key: K, act: impl FnOnce(&mut Option<V>) -> R) -> R {
            let mut shard = self.shard(&key).lock();
            let mut slot = shard.remove(&key);
            let outcome = act(&mut slot);
            if let Some(value) = slot {
                shard.insert(key, value);
            }
            outcome
        }

        pub(crate) fn collect<R>(&self, mut pick: impl FnMut(&K, &V) -> Option<R>) -> Vec<R> {
            let mut picked = Vec::new();
            for shard in &self.0 {
                picked.extend(shard.lock().iter().filter_map(|(key, value)| pick(key, value)));
            }
            picked
        }

        pub(crate) fn len(&self) -> usize {
            self.0.iter().map(|shard| shard.lock().len()).sum()
        }
    }
}

#[cfg(any(regrow_loom, regrow_shuttle))]
pub(crate) use checked::{Mutex, MutexGuard, Table, atomic};
#[cfg(not(any(regrow_loom, regrow_shuttle)))]
pub(crate) use plain::{Mutex, MutexGuard, Table, atomic};
