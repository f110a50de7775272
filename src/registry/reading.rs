//! Queries of a registry.

use std::hash::Hash;
use std::sync::Arc;

use crate::base::Pid;
use crate::process::AnyProcess;
use crate::registry::Registry;
use crate::server::{GenServer, ServerRef};

/// The status of a key.
pub(crate) enum KeyStatus {
    /// This process holds the key. It may be in its `init`, or ending.
    Held(Arc<dyn AnyProcess>),
    /// The key is reserved for a child that its supervisor is about to restart.
    Reserved,
    Free,
}

impl<K, V> Registry<K, V>
where
    K: Eq + Hash + Clone + Send + Sync + 'static,
    V: Send + 'static,
{
    /// Returns the processes that are registered under this key, and their values, in the order of
    /// registration. Elixir: `Registry.lookup/2`. [`Registry`] has an example.
    pub fn lookup(&self, key: &K) -> Vec<(Pid, V)>
    where
        V: Clone,
    {
        self.shared.state.lock().entries.lookup(key)
    }

    /// Returns the holder of this key; in a duplicate registry the one that was registered first.
    ///
    /// ```
    /// use regrow::{Registry, Runtime};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let rooms: Registry<String> = Registry::unique(&rt);
    /// let pid = rt.spawn(|_| std::future::pending()).pid();
    /// rooms.register(pid, "lobby".into(), ()).unwrap();
    /// assert_eq!(rooms.whereis(&"lobby".into()), Some(pid));
    /// assert_eq!(rooms.whereis(&"cellar".into()), None);
    /// # }));
    /// ```
    pub fn whereis(&self, key: &K) -> Option<Pid> {
        self.shared.state.lock().entries.holder(key)
    }

    /// Returns a direct handle to the holder of this key, if the holder is a server of this type.
    /// The handle reaches one incarnation: after a restart look the key up again. The OTP
    /// counterpart is `{via, Module, Name}`, where the key itself is a name.
    ///
    /// ```
    /// # use regrow::doc_counter::{Call, Counter};
    /// # use regrow::{GenServer, Runtime};
    /// use regrow::Registry;
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let counters: Registry<(u8, u8)> = Registry::unique(&rt);
    /// let counter = Counter::start(&rt, 40).await?;
    /// counters.register(counter.pid().unwrap(), (1, 2), ()).unwrap();
    /// let found = counters.server::<Counter>(&(1, 2)).unwrap();
    /// assert_eq!(found.call(Call::Get).await?, 40);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub fn server<S: GenServer>(&self, key: &K) -> Option<ServerRef<S>> {
        self.shared.runtime.server_at(self.whereis(key)?).ok()
    }

    /// Returns the status of a key.
    pub(crate) fn status(&self, key: &K) -> KeyStatus {
        loop {
            let state = self.shared.state.lock();
            let Some(pid) = state.entries.holder(key) else {
                let is_reserved = state.reservations.get(key).is_some();
                return if is_reserved { KeyStatus::Reserved } else { KeyStatus::Free };
            };
            drop(state);
            // If the holder is not in the table, its entry was removed since the lookup.
            if let Some(holder) = self.shared.runtime.kernel.find(pid) {
                return KeyStatus::Held(holder);
            }
        }
    }

    /// Calls `each` with every holder of this key and its value, as they were at one moment. No
    /// lock is held while `each` runs. Elixir: `Registry.dispatch/3`. [`Registry`] has an example.
    pub fn dispatch(&self, key: &K, mut each: impl FnMut(Pid, V))
    where
        V: Clone,
    {
        self.lookup(key).into_iter().for_each(|(pid, value)| each(pid, value));
    }

    /// Returns the keys that a process is registered under, in the order of registration, each as
    /// many times as the process has entries under it. Elixir: `Registry.keys/2`.
    /// [`unregister`](Self::unregister) has an example.
    pub fn keys(&self, pid: Pid) -> Vec<K> {
        self.shared.state.lock().entries.keys(pid)
    }

    /// Returns the number of entries. [`unregister`](Self::unregister) has an example.
    pub fn count(&self) -> usize {
        self.shared.state.lock().entries.len()
    }

    /// Returns all keys that have a holder, in no particular order.
    pub fn all_keys(&self) -> Vec<K> {
        self.shared.state.lock().entries.all_keys()
    }

    /// Returns all entries as they are at one moment, in no particular order. Elixir:
    /// `Registry.select/2`, which filters as well; here the caller filters the result.
    ///
    /// ```
    /// use regrow::{Registry, Runtime};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let scores: Registry<&str, u32> = Registry::unique(&rt);
    /// for (name, score) in [("ann", 3), ("bob", 0), ("eve", 7)] {
    ///     scores.register(rt.spawn(|_| std::future::pending()).pid(), name, score).unwrap();
    /// }
    /// let winners = scores.entries().into_iter().filter(|(_, _, score)| *score > 2);
    /// assert_eq!(winners.count(), 2);
    /// # }));
    /// ```
    pub fn entries(&self) -> Vec<(K, Pid, V)>
    where
        V: Clone,
    {
        self.shared.state.lock().entries.all()
    }
}
