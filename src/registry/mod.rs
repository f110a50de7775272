//! Registries: processes that are found by keys of any type, with a value beside each key.
//!
//! **Uses** `base`, `exit`, `process`, `runtime`, `child`, `server`.
//! **Knows nothing of** supervisors, except that a key may be reserved for the child of one: an entry
//! belongs to a process, and is removed when that process ends.
//!
//! **Guarantee.** A process that has been notified of the end of another process finds no entry of
//! the ended process.
//!
//! **Steps** of a registration, under the registry's lock:
//! 1. In a unique registry, the key is found free.
//! 2. Under the lock of the process too, the process is found open, and the registry is added to
//!    the registries in its record.
//! 3. The change is published to the listeners, and the entry is added.
//!
//! **Invariants**
//! 1. If the process ends before step 2, the registration is refused. If the process ends after
//!    step 2, its teardown finds the registry in the record, and removes the entry before it
//!    announces the end.
//! 2. The registry's lock is taken first, then the lock of one process or of one listener. A
//!    teardown holds no lock when it takes the registry's lock.
//! 3. Under the registry's lock keys are hashed, compared and cloned, and values are cloned. All
//!    other user code (destructors, closures, wakers) runs after the lock has been released.

use std::fmt;
use std::hash::Hash;
use std::iter::once;
use std::sync::{Arc, Weak};

use thiserror::Error;

use crate::base::{Pid, PlainMutex, ignore_panic};
use crate::exit::Result;
use crate::process::{AnyProcess, Registrar};
use crate::runtime::Runtime;

mod entries;
mod reservations;
mod changes;
mod reading;
mod start_key;

use changes::{ListenedRegistry, Listeners, Wakers, registered, unregistered};
use entries::Entries;
use reservations::Reservations;

pub use changes::{RegistryChange, RegistryChanges};
pub(crate) use reading::KeyStatus;

/// Finds processes by keys of type `K`, and keeps a value of type `V` with each entry. A registry
/// is cheap to clone, and all clones share the entries.
///
/// In a [unique](Self::unique) registry a key has at most one holder; in a
/// [duplicate](Self::duplicate) registry a key may have many, like the subscribers of a topic. An
/// entry is removed when its process ends, before any process is notified of that end. The drop of
/// the last handle removes all entries. For keys that are plain names, [`Runtime::register`] is
/// simpler, and a supervisor reserves such a name during a restart. For groups without values use
/// [`Runtime::register_tag`].
///
/// `Hash`, `Eq` and `Clone` of a key, and `Clone` of a value, are called under the registry's lock:
/// they must not use the registry. Destructors and closures may use it.
///
/// Elixir: `Registry`. There a process registers itself; here any code may register it.
///
/// # Examples
///
/// ```
/// use regrow::{Registry, RegistryError, Runtime};
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
/// let rt = Runtime::new();
/// let sessions: Registry<u64, &str> = Registry::unique(&rt);
/// let ann = rt.spawn(|_| std::future::pending());
/// sessions.register(ann.pid(), 7, "ann").unwrap();
/// assert_eq!(sessions.lookup(&7), [(ann.pid(), "ann")]);
///
/// let other = rt.spawn(|_| std::future::pending()).pid();
/// let taken = RegistryError::AlreadyRegistered { pid: ann.pid() };
/// assert_eq!(sessions.register(other, 7, "bob"), Err(taken));
///
/// ann.kill();
/// ann.join().await;
/// assert!(sessions.lookup(&7).is_empty());
///
/// // A topic and its subscribers.
/// let topics: Registry<&str, ()> = Registry::duplicate(&rt);
/// for _ in 0..3 {
///     topics.register(rt.spawn(|_| std::future::pending()).pid(), "news", ()).unwrap();
/// }
/// topics.dispatch(&"news", |pid, ()| {
///     rt.send(pid, b"extra!".to_vec());
/// });
/// assert_eq!(topics.lookup(&"news").len(), 3);
/// # }));
/// ```
pub struct Registry<K, V = ()> {
    shared: Arc<Shared<K, V>>,
}

struct Shared<K, V> {
    runtime: Runtime,
    /// The number of this registry in the records of its members.
    number: u64,
    unique: bool,
    state: PlainMutex<State<K, V>>,
}

struct State<K, V> {
    entries: Entries<K, V>,
    reservations: Reservations<K>,
    listeners: Listeners<K, V>,
}

/// The reason why a process was not registered. [`Registry`] has an example.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// The registry is unique, and a process holds the key. The holder may be the process that was
    /// to be registered.
    #[error("the key is held by {pid}")]
    AlreadyRegistered {
        /// The process that holds the key.
        pid: Pid,
    },
    /// The key is reserved for a child that its supervisor is restarting: [`ChildSpec::via`] gives
    /// this key.
    ///
    /// [`ChildSpec::via`]: crate::ChildSpec::via
    #[error("the key is reserved for child {child:?} of {supervisor}, which is being restarted")]
    Reserved {
        /// The id of the child.
        child: String,
        /// The supervisor of the child.
        supervisor: Pid,
    },
    /// The process is not alive.
    #[error("{0} is not alive")]
    NoProc(Pid),
}

impl<K, V> Registry<K, V>
where
    K: Eq + Hash + Clone + Send + Sync + 'static,
    V: Send + 'static,
{
    /// Makes a registry in which a key has at most one holder. [`Registry`] has an example.
    pub fn unique(runtime: &Runtime) -> Self {
        Registry::new(runtime, true)
    }

    /// Makes a registry in which a key may have many holders, and a process may have many entries
    /// under one key. [`Registry`] has an example.
    pub fn duplicate(runtime: &Runtime) -> Self {
        Registry::new(runtime, false)
    }

    fn new(runtime: &Runtime, unique: bool) -> Self {
        let (entries, reservations) = (Entries::new(), Reservations::new());
        let state = State { entries, reservations, listeners: Listeners::new() };
        let number = runtime.kernel.fresh_id();
        let (runtime, state) = (runtime.clone(), PlainMutex::new(state));
        Registry { shared: Arc::new(Shared { runtime, number, unique, state }) }
    }

    /// Registers a process under this key, with this value. Elixir: `Registry.register/3`.
    /// [`Registry`] has an example.
    ///
    /// # Errors
    ///
    /// [`AlreadyRegistered`](RegistryError::AlreadyRegistered) if the registry is unique and the
    /// key is held; [`NoProc`](RegistryError::NoProc) if the process is not alive. After an error
    /// the registry is unchanged.
    pub fn register(&self, pid: Pid, key: K, value: V) -> Result<(), RegistryError> {
        let shared = &self.shared;
        let process = shared.runtime.kernel.find(pid).ok_or(RegistryError::NoProc(pid))?;
        let parent = process.parent();
        let incarnation = parent.and_then(|parent| Some((parent.pid, parent.role?.slot)));
        let mut entry = Some(([key.clone(), key], value));
        let mut spare = None;
        let published = shared.change(|state| {
            let Some(([_, key], value)) = &entry else { return Ok(Wakers::default()) };
            if shared.unique
                && let Some(pid) = state.entries.holder(key)
            {
                return Err(RegistryError::AlreadyRegistered { pid });
            }
            if let Some(reserved) = state.reservations.refusing(key, incarnation) {
                let child = reserved.child.to_string();
                return Err(RegistryError::Reserved { child, supervisor: reserved.supervisor });
            }
            if !self.add_to_process(&*process) {
                return Err(RegistryError::NoProc(pid));
            }
            let published = state.listeners.publish(registered, pid, &once((key, value)));
            if let Some((keys, value)) = entry.take() {
                spare = state.entries.add(pid, keys, value);
            }
            Ok(published)
        })?;
        drop(spare);
        published.wake();
        Ok(())
    }

    /// Adds this registry to the record of the process, whose teardown then removes its entries.
    /// Returns false if the process is ending or has ended.
    fn add_to_process(&self, process: &dyn AnyProcess) -> bool {
        let shared: Weak<dyn Registrar> = Arc::<Shared<K, V>>::downgrade(&self.shared);
        let (open, _) = process.with_deferred(|locked| {
            let core = locked.core();
            let open = core.is_open();
            if open {
                core.registrations_mut().registries.insert(self.shared.number, shared);
            }
            open
        });
        open
    }

    /// Removes the entries of a process under this key. Returns false if there was none. Elixir:
    /// `Registry.unregister/2`.
    ///
    /// ```
    /// use regrow::{Registry, Runtime};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let registry: Registry<&str> = Registry::duplicate(&rt);
    /// let pid = rt.spawn(|_| std::future::pending()).pid();
    /// registry.register(pid, "news", ()).unwrap();
    /// assert_eq!((registry.keys(pid), registry.count()), (vec!["news"], 1));
    /// assert!(registry.unregister(pid, &"news"));
    /// assert!(!registry.unregister(pid, &"news"));
    /// assert_eq!(registry.count(), 0);
    /// # }));
    /// ```
    pub fn unregister(&self, pid: Pid, key: &K) -> bool {
        let shared = &self.shared;
        let process = shared.runtime.kernel.find(pid);
        let (removed, published) = shared.change(|state| {
            let removed = state.entries.remove(pid, key);
            let gone = removed.iter().map(|entry| (key, &entry.value));
            let published = state.listeners.publish(unregistered, pid, &gone);
            // The registry leaves the record of the process last, because the teardown of a process
            // does not wait for a registry that is not in its record.
            if let Some(process) = &process
                && !state.entries.contains(pid)
            {
                process.with_deferred(|locked| {
                    let registrations = locked.core().registrations();
                    registrations
                        .and_then(|registrations| registrations.registries.remove(&shared.number))
                });
            }
            (removed, published)
        });
        published.wake();
        !removed.is_empty()
    }

    /// Changes the value of the oldest entry of a process under this key. Returns false if there is
    /// none. `change` gets a clone, which then replaces the value. If the value was changed while
    /// `change` ran, `change` runs again with a new clone. Elixir: `Registry.update_value/3`.
    ///
    /// ```
    /// use regrow::{Registry, Runtime};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let scores: Registry<&str, u32> = Registry::unique(&rt);
    /// let pid = rt.spawn(|_| std::future::pending()).pid();
    /// scores.register(pid, "ann", 1).unwrap();
    /// assert!(scores.update(pid, &"ann", |score| *score += 1));
    /// assert_eq!(scores.lookup(&"ann"), [(pid, 2)]);
    /// # }));
    /// ```
    pub fn update(&self, pid: Pid, key: &K, mut change: impl FnMut(&mut V)) -> bool
    where
        V: Clone,
    {
        loop {
            let Some((version, mut value)) = self.shared.change(|s| s.entries.copy(pid, key))
            else {
                return false;
            };
            change(&mut value);
            // The old value, or the clone if it was refused, is dropped after the lock is released.
            if self.shared.change(|s| s.entries.replace(key, version, value)).is_ok() {
                return true;
            }
        }
    }

    /// Returns a stream of the registrations and removals from now on. [`RegistryChanges`] has an
    /// example. Elixir: the listeners of a registry.
    pub fn changes(&self) -> RegistryChanges<K, V>
    where
        V: Clone,
    {
        let registry: Weak<dyn ListenedRegistry> = Arc::<Shared<K, V>>::downgrade(&self.shared);
        self.shared.change(|state| state.listeners.add(registry))
    }
}

impl<K, V> Shared<K, V> {
    /// Runs `act` under the lock, and returns its result after the lock is released.
    fn change<R>(&self, act: impl FnOnce(&mut State<K, V>) -> R) -> R {
        act(&mut self.state.lock())
    }
}

impl<K, V> Registrar for Shared<K, V>
where
    K: Eq + Hash + Clone + Send + Sync + 'static,
    V: Send + 'static,
{
    fn forget(&self, pid: Pid) {
        let (removed, published) = self.change(|state| {
            let removed = state.entries.remove_all(pid);
            let gone = removed.iter().map(|(key, entry)| (key, &entry.value));
            let published = state.listeners.publish(unregistered, pid, &gone);
            (removed, published)
        });
        ignore_panic(|| published.wake());
        for entry in removed {
            ignore_panic(|| drop(entry));
        }
    }
}

impl<K: Send, V: Send> ListenedRegistry for Shared<K, V> {
    fn remove_listener(&self, number: u64) {
        self.change(|state| state.listeners.remove(number));
    }
}

impl<K, V> Drop for Shared<K, V> {
    fn drop(&mut self) {
        let (published, members) =
            self.change(|state| (state.listeners.close(), state.entries.members()));
        published.wake();
        // Without this loop the members would keep this registry in their records until they end.
        for process in members.into_iter().filter_map(|pid| self.runtime.kernel.find(pid)) {
            drop(process.with(|locked| {
                locked.core().registrations().and_then(|own| own.registries.remove(&self.number))
            }));
        }
    }
}

impl<K, V> Clone for Registry<K, V> {
    fn clone(&self) -> Self {
        Registry { shared: self.shared.clone() }
    }
}

impl<K, V> fmt::Debug for Registry<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.shared.unique { "unique" } else { "duplicate" };
        write!(f, "Registry({kind}, {} entries)", self.shared.state.lock().entries.len())
    }
}
