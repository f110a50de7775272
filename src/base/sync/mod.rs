//! The locks, atomics and concurrent maps of the kernel, in a normal and a model-checked version.
//!
//! In a normal build the mutexes and atomics are `std`'s, and the `RwLock` is `parking_lot`'s, in
//! which no new reader overtakes a waiting writer. Under `--cfg regrow_loom` and
//! `--cfg regrow_shuttle` the same names refer to types of the model checker, so the checkers
//! explore the code of the normal build. The map is the same in all builds.
//!
//! **Invariants**
//! 1. A lock guard of a map never leaves the module of the map: [`Table`] returns clones, or runs a
//!    short closure of the kernel under the guard. The closure must not use the same table. Even a
//!    second read of the same shard could deadlock: the second read waits for a waiting writer, and
//!    the writer waits for the first read.
//! 2. Locks are taken in this order: an entry of names or groups, the process table, one process.
//!    No thread holds two process locks at the same time.
//! 3. No lock is held across an await, or while user code runs. The exception is the lock of a
//!    registry, under which keys are hashed, compared and cloned, and values are cloned.

mod table;
mod page;
mod pages;
mod pid_table;
#[cfg(all(test, not(any(regrow_loom, regrow_shuttle))))]
mod pid_table_tests;
#[cfg(test)]
mod overlapping_readers;

mod plain {
    use std::sync::{MutexGuard, PoisonError};

    /// A mutex without poisoning: the crate's own code does not panic while it holds one.
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

        /// Reads the poison flag, which never changes here, so that the processor loads the memory
        /// of the mutex before a lock needs it.
        pub(crate) fn touch(&self) -> bool {
            self.0.is_poisoned()
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

    use std::ops::{Deref, DerefMut};
    use std::sync::PoisonError;

    use crate::base::sync::PlainMutex;

    /// A mutex of the checker that can hold an unsized value.
    ///
    /// The checkers' mutexes cannot hold an unsized value. So a mutex of the checker, the gate,
    /// guards a plain mutex that holds the value. The inner mutex is therefore never contended.
    #[derive(Debug, Default)]
    pub(crate) struct Mutex<T: ?Sized> {
        gate: checker::Mutex<()>,
        value: PlainMutex<T>,
    }

    /// The guard of a [`Mutex`]. The fields are dropped in order: the value is unlocked before the
    /// gate.
    pub(crate) struct MutexGuard<'a, T: ?Sized> {
        value: std::sync::MutexGuard<'a, T>,
        _gate: checker::MutexGuard<'a, ()>,
    }

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Mutex { gate: checker::Mutex::new(()), value: PlainMutex::new(value) }
        }

        pub(crate) fn into_inner(self) -> T {
            self.value.into_inner()
        }
    }

    impl<T: ?Sized> Mutex<T> {
        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            let gate = self.gate.lock().unwrap_or_else(PoisonError::into_inner);
            MutexGuard { value: self.value.lock(), _gate: gate }
        }

        pub(crate) fn touch(&self) -> bool {
            self.value.touch()
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

    /// A lock that a checker explores as a mutex: two reads exclude each other.
    pub(crate) struct RwLock<T>(Mutex<T>);

    impl<T> RwLock<T> {
        pub(crate) fn new(value: T) -> Self {
            RwLock(Mutex::new(value))
        }

        pub(crate) fn read(&self) -> MutexGuard<'_, T> {
            self.0.lock()
        }

        pub(crate) fn write(&self) -> MutexGuard<'_, T> {
            self.0.lock()
        }
    }
}

pub(crate) use pid_table::PidTable;
/// A mutex that is unknown to the checkers, for state that no checked protocol depends on.
pub(crate) use plain::Mutex as PlainMutex;
pub(crate) use table::Table;

#[cfg(any(regrow_loom, regrow_shuttle))]
pub(crate) use checked::{Mutex, MutexGuard, RwLock, atomic};
#[cfg(not(any(regrow_loom, regrow_shuttle)))]
pub(crate) use {parking_lot::RwLock, plain::Mutex, std::sync::MutexGuard, std::sync::atomic};
