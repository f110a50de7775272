//! The limit of the memory of a child.

use crate::child::{ChildSpec, TaskContext};
use crate::restart::OwnRules;

impl ChildSpec {
    /// Limits the memory of the child, in bytes: a child that holds more is killed, and its exit reason
    /// is a crash with a [`MemoryLimitReached`](crate::MemoryLimitReached). What follows is as for
    /// every failure: a restart within the budget, or what [`on_failure`](Self::on_failure) says. By
    /// default there is no limit.
    ///
    /// The memory is what the child [reports](crate::ServerContext::set_memory) itself or, if it
    /// reports nothing, what is [measured](crate::Runtime::measure_memory) by the allocator. Without
    /// both the limit has no effect. A child beyond its limit ends at its next await: the destructors of
    /// its values run, `terminate` does not. The messages in its mailbox are not part of the number:
    /// [`mailbox_capacity`](Self::mailbox_capacity) bounds them.
    ///
    /// The start of a supervisor as a child with this limit fails with
    /// [`Invalid`](crate::StartError::Invalid): limit its children. OTP: `max_heap_size`.
    ///
    /// ```
    /// use regrow::{ChildSpec, MemoryLimitReached, Restart, Runtime, Supervisor};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let cache = ChildSpec::task("cache", |ctx| async move {
    ///     let mut pages: Vec<Vec<u8>> = Vec::new();
    ///     loop {
    ///         pages.push(vec![0; 4_096]);
    ///         ctx.set_memory(4_096 * pages.len() as u64);
    ///         tokio::task::yield_now().await;
    ///     }
    /// });
    /// let cache = cache.max_memory(1 << 20).restart(Restart::Temporary).named("cache");
    /// let tree = Supervisor::one_for_one().child(cache).start(&rt).await?;
    /// let reason = rt.ended(rt.whereis("cache").unwrap()).await;
    /// assert_eq!(reason.find_error::<MemoryLimitReached>().unwrap().limit, 1 << 20);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub fn max_memory(mut self, bytes: u64) -> Self {
        self.edit_own_rules(|own| OwnRules { max_memory: Some(bytes), ..own });
        self
    }
}

impl TaskContext {
    /// Reports how much memory this child holds, in bytes, as the child itself counts it, for
    /// [`ChildSpec::max_memory`], which has an example. The number replaces what is
    /// [measured](crate::Runtime::measure_memory).
    pub fn set_memory(&self, bytes: u64) {
        self.runtime().set_memory(self.pid(), bytes);
    }
}
