//! The locks, atomics and concurrent maps of the kernel, in a normal and a model-checked version.
//!
//! In a normal build these are `std`'s mutex and atomics, and a map in shards. The lock of a shard
//! lets no reader overtake a waiting writer. Under `--cfg regrow_loom` and `--cfg regrow_shuttle`
//! the same names refer to types of the model checker, so the checkers explore the code of the
//! normal build.
//!
//! **Invariants**
//! 1. A lock guard of a map never leaves the module of the map: [`Table`] returns clones, or runs a
//!    short closure of the kernel under the guard. The closure must not use the same table. Even a
//!    second read of the same shard could deadlock: it waits for a waiting writer, which waits for
//!    the first read.
//! 2. Locks are taken in this order: an entry of names or groups, the process table, one process.
//!    No thread holds two process locks at the same time.
//! 3. No lock is held while user code runs, or across an await.

#[cfg(not(any(regrow_loom, regrow_shuttle)))]
mod table;

/// Locks a mutex of `std`, one that the model checkers do not control. No code panics while it holds
/// such a lock, so a mutex is never poisoned.
pub(crate) fn lock<T: ?Sized>(mutex: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[cfg(not(any(regrow_loom, regrow_shuttle)))]
mod plain {
    pub(crate) use std::sync::{MutexGuard, atomic};

    use std::sync::PoisonError;

    pub(crate) use super::table::Table;

    /// A mutex without poisoning: no code of this crate panics while it holds one.
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
            crate::base::failpoint::point!("lock");
            self.0.lock().unwrap_or_else(PoisonError::into_inner)
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

    /// A mutex of the checker that can hold an unsized value.
    ///
    /// The checkers' mutexes cannot hold an unsized value. So a mutex of the checker, the gate,
    /// guards a mutex of `std` that holds the value. The inner mutex is therefore never contended.
    #[derive(Debug)]
    pub(crate) struct Mutex<T: ?Sized> {
        gate: checker::Mutex<()>,
        value: std::sync::Mutex<T>,
    }

    /// The guard of a [`Mutex`]. The fields are dropped in order: the value is unlocked before the
    /// gate.
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

    /// A map with two shards, so that the checkers explore operations on the same shard and on
    /// different shards.
    pub(crate) struct Table<K, V>([Shard<K, V>; 2]);

    impl<K: Eq + Hash, V> Table<K, V> {
        pub(crate) fn new() -> Self {
            let shard = || Mutex::new(HashMap::with_hasher(Hasher::default()));
            Table([shard(), shard()])
        }

        fn shard<Q: Hash + ?Sized>(&self, key: &Q) -> &Shard<K, V> {
            &self.0[(Hasher::default().hash_one(key) & 1) as usize]
        }

        pub(crate) fn insert_and(&self, key: K, value: V, also: impl FnOnce()) {
            let mut shard = self.shard(&key).lock();
            also();
            shard.insert(key, value);
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

        pub(crate) fn remove_and(&self, key: &K, also: impl FnOnce()) -> Option<V> {
            let mut shard = self.shard(key).lock();
            let removed = shard.remove(key)?;
            also();
            Some(removed)
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
