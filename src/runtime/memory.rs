//! The measurement of the memory of processes.

use crate::base::Pid;
use crate::runtime::Runtime;

impl Runtime {
    /// Measures how much memory each process allocates. `allocated` returns how many bytes the current
    /// thread has allocated so far, less those that it has freed: the number may be negative. A
    /// counting global allocator knows it, or the statistics that jemalloc keeps for each thread.
    /// Returns false, and changes nothing, if another function was given before.
    ///
    /// The function is called before and after each poll of a process, and the difference counts
    /// for the process: [`ProcessInfo::memory`](crate::ProcessInfo::memory) has the sum, and
    /// [`ChildSpec::max_memory`](crate::ChildSpec::max_memory) limits it. The function must be quick and
    /// must not block. If it panics, the poll is not measured. By default nothing is measured, and it
    /// costs nothing. While memory is measured, each poll that allocates takes the lock of its process
    /// once more.
    ///
    /// # What the number means
    ///
    /// The number is an account of polls, and not the size of the state. A process that allocates a
    /// message counts it, and the process that drops the message subtracts it. So a process that
    /// passes on owned values has a number that grows, and their receiver one that falls below zero,
    /// which is shown as 0. What was allocated before the measurement began, on other threads, by
    /// `tokio::spawn`, or by the start of the process, is not counted. For a process that passes on much,
    /// report the size of its state instead: [`set_memory`](Self::set_memory). OTP: `memory` of
    /// `process_info/2`, which is exact, because each process has a heap of its own.
    ///
    /// ```
    /// use regrow::Runtime;
    ///
    /// thread_local! {
    ///     static ALLOCATED: std::cell::Cell<i64> = const { std::cell::Cell::new(0) };
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// // A program asks its allocator.
    /// assert!(rt.measure_memory(|| ALLOCATED.get()));
    /// let pid = rt
    ///     .spawn(|_| async {
    ///         ALLOCATED.set(ALLOCATED.get() + 4_096); // … builds a table …
    ///         std::future::pending().await
    ///     })
    ///     .pid();
    /// tokio::task::yield_now().await;
    /// assert_eq!(rt.info(pid).unwrap().memory, Some(4_096));
    /// # }));
    /// ```
    pub fn measure_memory(&self, allocated: fn() -> i64) -> bool {
        self.kernel.switches.set_memory_probe(allocated)
    }

    /// Sets the memory that a process holds, in bytes, as the program knows it. Returns false if the
    /// process is not alive. From then on the number replaces what is
    /// [measured](Self::measure_memory). If it exceeds the limit of
    /// [`ChildSpec::max_memory`](crate::ChildSpec::max_memory), the process is ended at its next await.
    /// Servers and tasks report their own memory with
    /// [`ServerContext::set_memory`](crate::ServerContext::set_memory) and
    /// [`TaskContext::set_memory`](crate::TaskContext::set_memory).
    ///
    /// ```
    /// use regrow::Runtime;
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let pid = rt.spawn(|_| std::future::pending()).pid();
    /// assert_eq!(rt.info(pid).unwrap().memory, None);
    /// assert!(rt.set_memory(pid, 1_024));
    /// assert_eq!(rt.info(pid).unwrap().memory, Some(1_024));
    /// # }));
    /// ```
    pub fn set_memory(&self, pid: Pid, bytes: u64) -> bool {
        let Some(process) = self.kernel.find(pid) else { return false };
        self.kernel.report_memory(&*process, bytes);
        true
    }
}
