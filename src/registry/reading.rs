//! What a registry knows.

use std::hash::Hash;

use crate::base::pid::Pid;
use crate::registry::Registry;
use crate::server::{GenServer, ServerRef};

impl<K, V> Registry<K, V>
where
    K: Eq + Hash + Clone + Send + Sync + 'static,
    V: Send + 'static,
{
    /// Who is registered under this key, and with what, in the order of registration. Elixir:
    /// `Registry.lookup/2`. [`Registry`] has an example.
    pub fn lookup(&self, key: &K) -> Vec<(Pid, V)>
    where
        V: Clone,
    {
        self.shared.lock().entries.lookup(key)
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
        self.shared.lock().entries.holder(key)
    }

    /// A direct handle to the holder of this key, if it is a server of this type: of this
    /// incarnation, so to be looked up anew after a restart. OTP: `{via, Module, Name}`, where the
    /// key is a name itself.
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

    /// Calls `each` with every holder of this key and its value, as they were at one moment.
    /// No lock is held meanwhile. Elixir: `Registry.dispatch/3`. [`Registry`] has an example.
    pub fn dispatch(&self, key: &K, mut each: impl FnMut(Pid, V))
    where
        V: Clone,
    {
        self.lookup(key).into_iter().for_each(|(pid, value)| each(pid, value));
    }

    /// The keys a process is registered under, in the order of registration; one that it is
    /// under many times as often. Elixir: `Registry.keys/2`. [`unregister`](Self::unregister)
    /// has an example.
    pub fn keys(&self, pid: Pid) -> Vec<K> {
        self.shared.lock().entries.keys(pid)
    }

    /// How many entries there are. [`unregister`](Self::unregister) has an example.
    pub fn count(&self) -> usize {
        self.shared.lock().entries.len()
    }

    /// All keys that have a holder, in no order.
    pub fn all_keys(&self) -> Vec<K> {
        self.shared.lock().entries.all_keys()
    }

    /// Everything in it as it is at one moment, in no order: to be filtered and counted as any
    /// iterator. Elixir: `Registry.select/2`.
    ///
    /// ```
    /// use regrow::{Registry, Runtime};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let rt = Runtime::new();
    /// let scores: Registry<&str, u32> = Registry::unique(&rt);
    /// for (name, score) in [("ann", 3), ("bob", 0), ("eve", 7)] {
    ///     scores.register(rt.spawn(|_| std::future::pending()).pid(), name, score).unwrap();
    /// }
    /// let winners = scores.entries().into_iter().filter(|(_, _, score)| *score > 2);
    /// assert_eq!(winners.count(), 2);
    /// # });
    /// ```
    pub fn entries(&self) -> Vec<(K, Pid, V)>
    where
        V: Clone,
    {
        self.shared.lock().entries.all()
    }
}
