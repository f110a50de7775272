//! Registries: processes found by keys of any type, with a value beside each.
//!
//! What happens when a process ends between any two steps of a registration: the entry is
//! made first, then the process is told, under its lock, which registries it is in. If it is
//! ending by then, the entry is taken back; if not, its teardown leaves the registry, after
//! its names and before anybody is told. So whoever sees the `Down` finds no entry.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use thiserror::Error;
use tokio::sync::broadcast;

use crate::exit::Result;
use crate::pid::Pid;
use crate::process::Registrar;
use crate::runtime::Runtime;
use crate::server::{GenServer, ServerRef};

mod changes;

pub use changes::{RegistryChange, RegistryChanges};

/// How many changes a listener may lie behind before it misses the oldest.
const KEPT: usize = 1024;

/// Finds processes by keys of type `K`, and keeps a value of type `V` beside each. Cheap to
/// clone; clones share everything.
///
/// In a [unique](Self::unique) registry a key has one holder; in a
/// [duplicate](Self::duplicate) one it may have many, as the subscribers of a topic. An entry
/// vanishes when its process ends, before anybody is told of that end. For keys that are
/// plain names, [`Runtime::register`] is simpler, and what a supervisor keeps through a
/// restart; groups without values are [`Runtime::register_tag`].
///
/// Elixir: `Registry`. There a process registers itself; here anybody may register it.
///
/// # Examples
///
/// ```
/// use regrow::{Registry, RegistryError, Runtime};
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
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
/// topics.dispatch(&"news", |pid, ()| drop(rt.send(pid, b"extra!".to_vec())));
/// assert_eq!(topics.lookup(&"news").len(), 3);
/// # });
/// ```
pub struct Registry<K, V = ()> {
    shared: Arc<Shared<K, V>>,
}

struct Shared<K, V> {
    runtime: Runtime,
    /// The number it is known by to its members.
    number: u64,
    unique: bool,
    entries: Mutex<Entries<K, V>>,
    changes: broadcast::Sender<RegistryChange<K>>,
}

struct Entries<K, V> {
    by_key: HashMap<K, Vec<(Pid, V)>>,
    by_pid: HashMap<Pid, Vec<K>, foldhash::fast::RandomState>,
}

/// Why a process was not registered. [`Registry`] has an example.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// The key is held: in a unique registry by anybody, in a duplicate one by the same
    /// process.
    #[error("the key is held by {pid}")]
    AlreadyRegistered {
        /// Who holds it.
        pid: Pid,
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
    /// A registry in which a key has one holder. [`Registry`] has an example.
    pub fn unique(runtime: &Runtime) -> Self {
        Registry::new(runtime, true)
    }

    /// A registry in which a key may have many holders, each once. [`Registry`] has an
    /// example.
    pub fn duplicate(runtime: &Runtime) -> Self {
        Registry::new(runtime, false)
    }

    fn new(runtime: &Runtime, unique: bool) -> Self {
        let entries = Entries { by_key: HashMap::new(), by_pid: HashMap::default() };
        Registry {
            shared: Arc::new(Shared {
                runtime: runtime.clone(),
                number: runtime.kernel.fresh_id(),
                unique,
                entries: Mutex::new(entries),
                changes: broadcast::channel(KEPT).0,
            }),
        }
    }

    /// Registers a process under this key, with this value. Elixir: `Registry.register/3`.
    /// [`Registry`] has an example.
    ///
    /// # Errors
    ///
    /// [`AlreadyRegistered`](RegistryError::AlreadyRegistered) if the key is held,
    /// [`NoProc`](RegistryError::NoProc) if the process is not alive. Nothing changes then.
    #[allow(clippy::needless_pass_by_value)] // a key is a value; its users write it in place
    pub fn register(&self, pid: Pid, key: K, value: V) -> Result<(), RegistryError> {
        let shared = &self.shared;
        let process = shared.runtime.kernel.find(pid).ok_or(RegistryError::NoProc(pid))?;
        shared.change(RegistryChange::Registered { key: key.clone(), pid }, |entries| {
            entries.add(pid, &key, value, shared.unique)
        })?;
        let mut registrar: Option<Arc<dyn Registrar>> = Some(shared.clone());
        let open = process.with(|locked| {
            let core = locked.core();
            if core.is_open()
                && let Some(registrar) = registrar.take()
            {
                core.standing_mut().registries.insert(shared.number, registrar);
                return true;
            }
            false
        });
        if !open {
            shared.take_out(pid, &key);
            return Err(RegistryError::NoProc(pid));
        }
        Ok(())
    }

    /// Takes the process' entry of this key out. False if there was none. Elixir:
    /// `Registry.unregister/2`.
    ///
    /// ```
    /// use regrow::{Registry, Runtime};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let rt = Runtime::new();
    /// let registry: Registry<&str> = Registry::duplicate(&rt);
    /// let pid = rt.spawn(|_| std::future::pending()).pid();
    /// registry.register(pid, "news", ()).unwrap();
    /// assert_eq!((registry.keys(pid), registry.count()), (vec!["news"], 1));
    /// assert!(registry.unregister(pid, &"news"));
    /// assert!(!registry.unregister(pid, &"news"));
    /// assert_eq!(registry.count(), 0);
    /// # });
    /// ```
    pub fn unregister(&self, pid: Pid, key: &K) -> bool {
        self.shared.take_out(pid, key)
    }

    /// Who is registered under this key, and with what. Elixir: `Registry.lookup/2`.
    /// [`Registry`] has an example.
    pub fn lookup(&self, key: &K) -> Vec<(Pid, V)>
    where
        V: Clone,
    {
        self.shared.lock().by_key.get(key).cloned().unwrap_or_default()
    }

    /// The holder of this key; in a duplicate registry the one that has been longest.
    ///
    /// ```
    /// use regrow::{Registry, Runtime};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let rt = Runtime::new();
    /// let rooms: Registry<String> = Registry::unique(&rt);
    /// let pid = rt.spawn(|_| std::future::pending()).pid();
    /// rooms.register(pid, "lobby".into(), ()).unwrap();
    /// assert_eq!(rooms.whereis(&"lobby".into()), Some(pid));
    /// assert_eq!(rooms.whereis(&"cellar".into()), None);
    /// # });
    /// ```
    pub fn whereis(&self, key: &K) -> Option<Pid> {
        self.shared.lock().by_key.get(key).and_then(|held| Some(held.first()?.0))
    }

    /// A direct handle to the holder of this key, if it is a server of this type: of this
    /// incarnation, so to be looked up anew after a restart.
    ///
    /// ```
    /// # use regrow::{GenServer, Reply, Result, Runtime, ServerContext};
    /// # struct Counter(u64);
    /// # impl GenServer for Counter {
    /// #     type Args = u64;
    /// #     type Call = Reply<u64>;
    /// #     type Cast = ();
    /// #     async fn init(start: u64, _: &mut ServerContext<Self>) -> Result<Self> {
    /// #         Ok(Counter(start))
    /// #     }
    /// #     async fn handle_call(&mut self, reply: Reply<u64>, _: &mut ServerContext<Self>) -> Result {
    /// #         reply.send(self.0);
    /// #         Ok(())
    /// #     }
    /// #     async fn handle_cast(&mut self, (): (), _: &mut ServerContext<Self>) -> Result {
    /// #         Ok(())
    /// #     }
    /// # }
    /// use regrow::Registry;
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(async {
    /// let rt = Runtime::new();
    /// let counters: Registry<(u8, u8)> = Registry::unique(&rt);
    /// let counter = Counter::start(&rt, 40).await?;
    /// counters.register(counter.pid().unwrap(), (1, 2), ()).unwrap();
    /// let found = counters.server::<Counter>(&(1, 2)).unwrap();
    /// assert_eq!(found.call(|reply| reply).await?, 40);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub fn server<S: GenServer>(&self, key: &K) -> Option<ServerRef<S>> {
        self.shared.runtime.server_at(self.whereis(key)?).ok()
    }

    /// Changes the value beside a process' entry; false if there is none. `change` runs under
    /// the registry's lock: it must not use the registry. Elixir: `Registry.update_value/3`.
    ///
    /// ```
    /// use regrow::{Registry, Runtime};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let rt = Runtime::new();
    /// let scores: Registry<&str, u32> = Registry::unique(&rt);
    /// let pid = rt.spawn(|_| std::future::pending()).pid();
    /// scores.register(pid, "ann", 1).unwrap();
    /// assert!(scores.update(pid, &"ann", |score| *score += 1));
    /// assert_eq!(scores.lookup(&"ann"), [(pid, 2)]);
    /// # });
    /// ```
    pub fn update(&self, pid: Pid, key: &K, change: impl FnOnce(&mut V)) -> bool {
        let mut entries = self.shared.lock();
        let held =
            entries.by_key.get_mut(key).and_then(|held| held.iter_mut().find(|e| e.0 == pid));
        held.map(|(_, value)| change(value)).is_some()
    }

    /// Calls `each` with every holder of this key and its value, as they were at one moment.
    /// No lock is held meanwhile. Elixir: `Registry.dispatch/3`. [`Registry`] has an example.
    pub fn dispatch(&self, key: &K, mut each: impl FnMut(Pid, V))
    where
        V: Clone,
    {
        self.lookup(key).into_iter().for_each(|(pid, value)| each(pid, value));
    }

    /// The keys a process is registered under, in the order of their registration. Elixir:
    /// `Registry.keys/2`. [`unregister`](Self::unregister) has an example.
    pub fn keys(&self, pid: Pid) -> Vec<K> {
        self.shared.lock().by_pid.get(&pid).cloned().unwrap_or_default()
    }

    /// How many entries there are. [`unregister`](Self::unregister) has an example.
    pub fn count(&self) -> usize {
        self.shared.lock().by_key.values().map(Vec::len).sum()
    }

    /// All keys that have a holder, in no order.
    pub fn all_keys(&self) -> Vec<K> {
        self.shared.lock().by_key.keys().cloned().collect()
    }

    /// Registrations and their ends from now on. [`RegistryChanges`] has an example. Elixir:
    /// the listeners of a registry.
    pub fn changes(&self) -> RegistryChanges<K> {
        RegistryChanges::new(self.shared.changes.subscribe())
    }
}

impl<K, V> Shared<K, V> {
    fn lock(&self) -> MutexGuard<'_, Entries<K, V>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a change, and tells it under the same lock, so that changes are told in order.
    fn change<T, E>(
        &self,
        change: RegistryChange<K>,
        act: impl FnOnce(&mut Entries<K, V>) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut entries = self.lock();
        let done = act(&mut entries)?;
        // Nobody need listen.
        let _ = self.changes.send(change);
        Ok(done)
    }
}

impl<K: Eq + Hash + Clone, V> Shared<K, V> {
    /// What is taken out is dropped unlocked.
    fn take_out(&self, pid: Pid, key: &K) -> bool {
        let change = RegistryChange::Unregistered { key: key.clone(), pid };
        let removed = self.change(change, |entries| entries.remove(pid, key).ok_or(()));
        removed.is_ok()
    }
}

impl<K: Eq + Hash + Clone, V> Entries<K, V> {
    fn add(&mut self, pid: Pid, key: &K, value: V, unique: bool) -> Result<(), RegistryError> {
        let held = self.by_key.entry(key.clone()).or_default();
        if let Some((holder, _)) = held.iter().find(|(holder, _)| unique || *holder == pid) {
            return Err(RegistryError::AlreadyRegistered { pid: *holder });
        }
        held.push((pid, value));
        self.by_pid.entry(pid).or_default().push(key.clone());
        Ok(())
    }

    fn remove(&mut self, pid: Pid, key: &K) -> Option<V> {
        let held = self.by_key.get_mut(key)?;
        let at = held.iter().position(|(holder, _)| *holder == pid)?;
        let (_, value) = held.remove(at);
        if held.is_empty() {
            self.by_key.remove(key);
        }
        if let Some(keys) = self.by_pid.get_mut(&pid) {
            keys.retain(|other| other != key);
            if keys.is_empty() {
                self.by_pid.remove(&pid);
            }
        }
        Some(value)
    }
}

impl<K, V> Registrar for Shared<K, V>
where
    K: Eq + Hash + Clone + Send + Sync + 'static,
    V: Send + 'static,
{
    fn forget(&self, pid: Pid) {
        let keys = self.lock().by_pid.get(&pid).cloned().unwrap_or_default();
        for key in keys {
            self.take_out(pid, &key);
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
        write!(f, "Registry({kind}, {} keys)", self.shared.lock().by_key.len())
    }
}
