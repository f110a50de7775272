//! The memory that a server reports.

use crate::server::{GenServer, ServerContext};

impl<S: GenServer> ServerContext<S> {
    /// Reports how much memory this server holds, in bytes, as the server itself counts it. The number
    /// replaces what is [measured](crate::Runtime::measure_memory), and is shown in
    /// [`ProcessInfo::memory`](crate::ProcessInfo::memory). If it exceeds the limit of
    /// [`ChildSpec::max_memory`](crate::ChildSpec::max_memory), the server is killed, and ends at its
    /// next await. OTP: each process has a heap of its own, which the virtual machine measures.
    ///
    /// ```
    /// use regrow::{GenServer, MemoryLimitReached, Reply, Result, Runtime};
    /// use regrow::{ServerContext, Supervisor};
    ///
    /// #[derive(Default)]
    /// struct Lines(Vec<String>, u64);
    /// # impl GenServer for Lines {
    /// #     type Args = ();
    /// #     type Call = Reply<usize>;
    /// #     type Cast = String;
    /// #     async fn init((): (), _: &mut ServerContext<Self>) -> Result<Self> { Ok(Lines::default()) }
    /// #     async fn handle_call(&mut self, reply: Reply<usize>, _: &mut ServerContext<Self>) -> Result {
    /// #         reply.send(self.0.len());
    /// #         Ok(())
    /// #     }
    ///
    /// // … of its `GenServer`:
    /// async fn handle_cast(&mut self, line: String, ctx: &mut ServerContext<Self>) -> Result {
    ///     self.1 += line.capacity() as u64;
    ///     self.0.push(line);
    ///     ctx.set_memory(self.1);
    ///     Ok(())
    /// }
    /// # }
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true)
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let tree = Supervisor::one_for_one().child(Lines::child(()).max_memory(1_000).named("lines"));
    /// let tree = tree.start(&rt).await?;
    /// let (lines, pid) = (rt.server::<Lines>("lines"), rt.whereis("lines").unwrap());
    /// lines.cast("x".repeat(600));
    /// assert_eq!(lines.call(|reply| reply).await?, 1);
    /// assert_eq!(rt.info(pid).unwrap().memory, Some(600));
    /// lines.cast("x".repeat(600));
    /// let reason = rt.ended(pid).await;
    /// assert_eq!(reason.find_error::<MemoryLimitReached>().unwrap().used, 1_200);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub fn set_memory(&mut self, bytes: u64) {
        self.process.kernel.report_memory(&*self.process, bytes);
    }
}
