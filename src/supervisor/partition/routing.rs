//! The choice of a partition for a request that has no key.

use std::sync::atomic::Ordering;

use crate::process::AnyProcess;
use crate::server::{GenServer, ServerRef};
use crate::supervisor::PartitionSupervisorRef;

impl<S: GenServer> PartitionSupervisorRef<S> {
    /// Returns a handle to the next partition in turn, or to the one after it if that is being
    /// restarted. All clones of this handle share the turn. Use this for requests of about the same
    /// length that any partition can answer. ractor, kameo: a pool with round-robin routing.
    ///
    /// ```
    /// # use regrow::doc_counter::{Call, Cast, Counter};
    /// # use regrow::Runtime;
    /// use regrow::PartitionSupervisor;
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let counters = PartitionSupervisor::<Counter>::new("counters", |_| 0).partitions(3);
    /// let counters = counters.start(&rt).await?;
    /// for _ in 0..6 {
    ///     counters.round_robin().cast(Cast::Add(1));
    /// }
    /// for counter in counters.all() {
    ///     assert_eq!(counter.call(Call::Get).await?, 2);
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub fn round_robin(&self) -> ServerRef<S> {
        let (count, turn) = (self.partitions(), self.turn.fetch_add(1, Ordering::Relaxed));
        let in_turn = |step: usize| self.at(turn.wrapping_add(step) % count);
        let running = (0..count).map(in_turn).find(|server| server.resolve().is_ok());
        running.unwrap_or_else(|| in_turn(0))
    }

    /// Returns a handle to the partition with the least to do: the requests in its mailbox, and the one
    /// that it handles. Of partitions with equally much to do, it is the next in turn. Use this for
    /// requests of different lengths. The choice looks at each partition once, so with many partitions
    /// it costs more than [`round_robin`](Self::round_robin).
    ///
    /// The requests in a mailbox are counted if the mailbox is
    /// [bounded](crate::PartitionSupervisor::partition_spec), or in a
    /// [runtime that counts them](crate::Runtime::with_mailbox_depth). Otherwise the choice only
    /// distinguishes partitions that wait from those that work.
    ///
    /// ```
    /// # use regrow::doc_counter::{Cast, Counter};
    /// # use regrow::Runtime;
    /// use regrow::PartitionSupervisor;
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::with_mailbox_depth();
    /// let counters = PartitionSupervisor::<Counter>::new("counters", |_| 0).partitions(2);
    /// let counters = counters.start(&rt).await?;
    /// counters.at(0).cast(Cast::Add(1)); // not handled yet
    /// assert_eq!(counters.least_loaded().pid(), counters.at(1).pid());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub fn least_loaded(&self) -> ServerRef<S> {
        let (count, turn) = (self.partitions(), self.turn.fetch_add(1, Ordering::Relaxed));
        let in_turn = |step: usize| self.at(turn.wrapping_add(step) % count);
        let load = |server: &ServerRef<S>| {
            server.resolve().map_or(usize::MAX, |process| {
                let process: &dyn AnyProcess = &**process;
                process.load()
            })
        };
        let least = (0..count).map(in_turn).min_by_key(load);
        least.unwrap_or_else(|| in_turn(0))
    }
}
