//! Keys under which processes are started: [`via`](crate::ServerSpec::via).
//!
//! **Guarantees**
//! 1. A process with such a key is found under the key before its `init` runs. If the key is held,
//!    the start is refused, and of two starts under one key one is refused.
//! 2. From the end of one incarnation of a child until the start of the next, only a process of that
//!    child can take the key.
//!
//! **Steps** of a start, under the registry's lock:
//! 1. The key is found free, or reserved for this child.
//! 2. The process is entered in the process table.
//! 3. The registry is added to the record of the process, and the entry is added.
//!
//! **Steps** of a restart:
//! 1. The teardown of the incarnation that ends finds that its supervisor will start a successor.
//!    Under the registry's lock, the key is listed in the record of the supervisor and is reserved,
//!    while the ending process still holds it.
//! 2. The teardown removes the entry of the process.
//! 3. The successor takes the key; or the supervisor gives the child up, stops or ends, and releases
//!    the keys that its record lists.
//!
//! **Invariants**
//! 1. A process that is found by its key is in the process table, or has removed its entry since: a
//!    process enters the table first, and leaves it after its registries.
//! 2. A reserved key is listed in the record of a supervisor that still restarts children. List and
//!    reservation change under the registry's lock, except that an ending supervisor first takes
//!    its list and then releases each key.

use std::fmt;
use std::hash::Hash;
use std::iter::once;
use std::sync::{Arc, Weak};

use crate::base::{CaughtDrop, Pid};
use crate::child::{ChildSpec, OnceChild};
use crate::process::{ChildSlot, KeyRefused, Registrar, Reservation, StartKey};
use crate::registry::changes::registered;
use crate::registry::{Registry, Shared};
use crate::server::{GenServer, ServerSpec};

/// A key of a registry, with the value of its entry.
struct RegistryKey<K, V> {
    registry: Registry<K, V>,
    key: K,
    value: V,
    text: fn(&K) -> String,
}

impl<K, V> Registry<K, V>
where
    K: Eq + Hash + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// Makes a key under which a process is started. `text` makes the text of the key in an error.
    pub(crate) fn start_key(&self, key: K, value: V, text: fn(&K) -> String) -> Arc<dyn StartKey> {
        Arc::new(RegistryKey { registry: self.clone(), key, value, text })
    }
}

impl<K, V> StartKey for RegistryKey<K, V>
where
    K: Eq + Hash + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    fn admit(
        &self,
        pid: Pid,
        incarnation: Option<(Pid, ChildSlot)>,
        enter: &mut dyn FnMut(u64, Weak<dyn Registrar>),
    ) -> Result<(), KeyRefused> {
        let shared = &self.registry.shared;
        let mut entry = Some(([self.key.clone(), self.key.clone()], self.value.clone()));
        let (mut spare, mut reserved) = (None, None);
        let published = shared.change(|state| {
            if shared.unique
                && let Some(pid) = state.entries.holder(&self.key)
            {
                return Err(KeyRefused::Taken(pid));
            }
            if let Some(reservation) = state.reservations.refusing(&self.key, incarnation) {
                let (child, supervisor) = (reservation.child.clone(), reservation.supervisor);
                return Err(KeyRefused::Reserved { child, supervisor });
            }
            let registrar: Weak<dyn Registrar> = Arc::<Shared<K, V>>::downgrade(shared);
            enter(shared.number, registrar);
            reserved = state.reservations.remove(&self.key);
            let published =
                state.listeners.publish(registered, pid, &once((&self.key, &self.value)));
            if let Some((keys, value)) = entry.take() {
                spare = state.entries.add(pid, keys, value);
            }
            Ok(published)
        })?;
        drop((spare, reserved));
        published.wake();
        Ok(())
    }

    fn reserve(
        self: Arc<Self>,
        holder: Option<Pid>,
        reserved: Reservation,
        list: &mut dyn FnMut(Arc<dyn StartKey>) -> bool,
    ) {
        if !self.registry.shared.unique {
            return;
        }
        let mut own = Some((self.key.clone(), reserved));
        let spare = self.registry.shared.change(|state| {
            let held = state.entries.holder(&self.key);
            let is_free = held.is_none() && state.reservations.get(&self.key).is_none();
            let is_own = held.is_some() && held == holder;
            // Invariant 2.
            if !(is_free || is_own) || !list(self.clone()) {
                return None;
            }
            let (key, reserved) = own.take()?;
            state.reservations.insert(key, reserved)
        });
        drop(spare);
    }

    fn release(&self, supervisor: Pid, slot: ChildSlot) {
        let removed = self.registry.shared.change(|state| {
            let reservation = state.reservations.get(&self.key)?;
            let is_own = reservation.supervisor == supervisor && reservation.slot.is_up_to(slot);
            if is_own { state.reservations.remove(&self.key) } else { None }
        });
        drop(removed);
    }

    fn text(&self) -> String {
        (self.text)(&self.key)
    }
}

fn debug_text<K: fmt::Debug>(key: &K) -> String {
    format!("{key:?}")
}

impl<S: GenServer> ServerSpec<S> {
    /// Registers the server under a key of a registry, with this value. The server has the key before
    /// its `init` runs, and until it ends. If this method is called twice, the second key counts. OTP:
    /// `{via, Registry, {Registry, Key}}`.
    ///
    /// If another process holds the key of a unique registry, the start fails with
    /// [`AlreadyStarted`](crate::StartError::AlreadyStarted), which shows the key by its `Debug`; if the
    /// key is reserved for a child that is being restarted, with
    /// [`NameReserved`](crate::StartError::NameReserved). A start that is refused runs no `init`.
    ///
    /// ```
    /// # use regrow::doc_counter::{Call, Counter};
    /// # use regrow::{GenServer, Runtime};
    /// use regrow::{Registry, StartError};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let counters: Registry<(u8, u8)> = Registry::unique(&rt);
    /// let counter = Counter::spec(40).via(&counters, (1, 2), ()).start(&rt).await?;
    /// assert_eq!(counters.server::<Counter>(&(1, 2)).unwrap().call(Call::Get).await?, 40);
    ///
    /// let second = Counter::spec(0).via(&counters, (1, 2), ()).start(&rt).await.unwrap_err();
    /// let (name, pid) = ("(1, 2)".to_owned(), counter.pid().unwrap());
    /// assert_eq!(second, StartError::AlreadyStarted { name, pid });
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub fn via<K, V>(mut self, registry: &Registry<K, V>, key: K, value: V) -> Self
    where
        K: Eq + Hash + Clone + fmt::Debug + Send + Sync + 'static,
        V: Clone + Send + Sync + 'static,
    {
        self.key = Some(registry.start_key(key, value, debug_text));
        self
    }
}

impl ChildSpec {
    /// Registers each incarnation of the child under a key of a registry, with a clone of this value, as
    /// [`ServerSpec::via`] does for one server.
    ///
    /// As the [name](Self::named) of a child, the key of a unique registry is reserved from the end of
    /// one incarnation until the start of the next: [`register`](Registry::register) and the start of
    /// another process under the key fail. The key is free when the supervisor stops or ends, and when
    /// it does not restart the child. The specification keeps the registry alive.
    ///
    /// ```
    /// # use regrow::doc_counter::Counter;
    /// # use regrow::{GenServer, Runtime};
    /// use regrow::{Registry, Supervisor};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let counters: Registry<u8, &str> = Registry::unique(&rt);
    /// let child = Counter::child(40).via(&counters, 7, "seven");
    /// let tree = Supervisor::one_for_one().child(child).start(&rt).await?;
    /// let first = counters.whereis(&7).unwrap();
    /// let ended = rt.ended(first);
    /// rt.kill(first);
    /// ended.await;
    /// let other = rt.spawn(|_| std::future::pending()).pid();
    /// assert!(counters.register(other, 7, "other").is_err()); // the key is reserved, or held again
    /// tree.count_children().await?; // returns after the restart
    /// assert_eq!(counters.lookup(&7), [(counters.whereis(&7).unwrap(), "seven")]);
    /// tree.stop().await?;
    /// assert!(counters.register(other, 7, "other").is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub fn via<K, V>(mut self, registry: &Registry<K, V>, key: K, value: V) -> Self
    where
        K: Eq + Hash + Clone + fmt::Debug + Send + Sync + 'static,
        V: Clone + Send + Sync + 'static,
    {
        self.set_key(registry.start_key(key, value, debug_text));
        self
    }

    pub(crate) fn set_key(&mut self, key: Arc<dyn StartKey>) {
        self.edit().key = Some(CaughtDrop::new(key));
    }
}

impl<T> OnceChild<T> {
    /// Registers the child under a key of a registry: [`ChildSpec::via`].
    pub fn via<K, V>(mut self, registry: &Registry<K, V>, key: K, value: V) -> Self
    where
        K: Eq + Hash + Clone + fmt::Debug + Send + Sync + 'static,
        V: Clone + Send + Sync + 'static,
    {
        self.spec.set_key(registry.start_key(key, value, debug_text));
        self
    }
}
