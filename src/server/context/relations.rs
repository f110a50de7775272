//! The relations of a server to other processes: trapping, links, monitors, linked servers.

use crate::base::{MonitorRef, Pid};
use crate::runtime::{StartError, Starting};
use crate::server::{GenServer, ServerContext, ServerRef};

impl<S: GenServer> ServerContext<S> {
    /// Turns the trapping of exit signals on or off, and returns the old value. While trapping is
    /// on, exit signals arrive in `handle_info`. The exceptions are a kill, and the parent's exit
    /// signal, which ends the server after `terminate` has run. OTP:
    /// `process_flag(trap_exit, Flag)`.
    ///
    /// ```
    /// use regrow::{GenServer, Pid, Received, Reply, Result, Runtime, ServerContext};
    ///
    /// /// Survives the crashes of the processes that it is linked to, and counts them.
    /// struct Survivor(u32);
    ///
    /// impl GenServer for Survivor {
    /// #     type Args = ();
    /// #     type Call = Reply<u32>;
    /// #     type Cast = Pid;
    ///     async fn init((): (), ctx: &mut ServerContext<Self>) -> Result<Self> {
    ///         assert!(!ctx.trap_exit(true)); // trapping was off
    ///         Ok(Survivor(0))
    ///     }
    /// #     async fn handle_call(&mut self, reply: Reply<u32>, _: &mut ServerContext<Self>) -> Result {
    /// #         reply.send(self.0);
    /// #         Ok(())
    /// #     }
    ///     async fn handle_cast(&mut self, other: Pid, ctx: &mut ServerContext<Self>) -> Result {
    ///         ctx.link(other);
    ///         Ok(())
    ///     }
    ///     async fn handle_info(&mut self, info: Received, _: &mut ServerContext<Self>) -> Result {
    ///         self.0 += u32::from(matches!(info, Received::Exit { .. }));
    ///         Ok(())
    ///     }
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let survivor = Survivor::start(&rt, ()).await?;
    /// let other = rt.spawn(|mut ctx| async move { panic!("got {:?}", ctx.recv().await) });
    /// survivor.cast(other.pid());
    /// assert_eq!(survivor.call(|reply| reply).await?, 0);
    /// rt.send(other.pid(), b"crash".to_vec());
    /// other.join().await;
    /// assert_eq!(survivor.call(|reply| reply).await?, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub fn trap_exit(&mut self, trap: bool) -> bool {
        self.runtime().set_trap_exit(self.pid(), trap).unwrap_or(false)
    }

    /// Links this server to a process, as [`Runtime::link`](crate::Runtime::link) does. Returns
    /// false if that process is dead. [`trap_exit`](Self::trap_exit) has an example.
    pub fn link(&mut self, other: Pid) -> bool {
        self.runtime().link(self.pid(), other)
    }

    /// Removes a link, as [`Runtime::unlink`](crate::Runtime::unlink) does, which has an example.
    pub fn unlink(&mut self, other: Pid) {
        self.runtime().unlink(self.pid(), other);
    }

    /// Monitors a process, as [`Runtime::monitor`](crate::Runtime::monitor) does; its `Down`
    /// arrives in `handle_info`. [`ServerContext`] has an example.
    pub fn monitor(&mut self, target: Pid) -> MonitorRef {
        self.runtime().monitor(self.pid(), target)
    }

    /// Removes a monitor, and its `Down` if one is queued already, as
    /// [`Runtime::demonitor_flush`](crate::Runtime::demonitor_flush) does, which has an example.
    /// Returns true if the monitor was still active, which means that no `Down` was sent.
    pub fn demonitor(&mut self, reference: MonitorRef) -> bool {
        self.runtime().demonitor_flush(reference)
    }

    /// Starts another server, linked to this one. The link exists before the `init` of the new
    /// server runs. A start that fails returns the error and sends no exit signal over the link.
    /// After the start, the end of one server with any reason but `Normal` reaches the other server
    /// over the link. If the new server may crash without ending this server, make it a child of a
    /// supervisor instead. OTP: `gen_server:start_link/3`.
    ///
    /// # Errors
    ///
    /// As [`GenServer::start`].
    ///
    /// # Cancel safety
    ///
    /// As [`GenServer::start`].
    ///
    /// ```
    /// # use regrow::doc_counter::{Cast, Counter};
    /// # use regrow::{GenServer, Reply, Result, Runtime, ServerContext};
    /// use regrow::ServerRef;
    ///
    /// /// Has a counter of its own; the two end together.
    /// struct Meter(ServerRef<Counter>);
    ///
    /// impl GenServer for Meter {
    ///     type Args = ();
    ///     type Call = Reply<ServerRef<Counter>>;
    ///     type Cast = ();
    ///
    ///     async fn init((): (), ctx: &mut ServerContext<Self>) -> Result<Self> {
    ///         Ok(Meter(ctx.start_link(0).await?))
    ///     }
    /// #     async fn handle_call(&mut self, reply: Self::Call, _: &mut ServerContext<Self>) -> Result {
    /// #         reply.send(self.0.clone());
    /// #         Ok(())
    /// #     }
    /// #     async fn handle_cast(&mut self, (): (), _: &mut ServerContext<Self>) -> Result {
    /// #         Ok(())
    /// #     }
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let meter = Meter::start(&rt, ()).await?;
    /// let counter = meter.call(|reply| reply).await?;
    /// counter.cast(Cast::Crash);
    /// assert_eq!(meter.ended().await, counter.ended().await);
    /// assert_eq!(rt.process_count(), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub async fn start_link<T: GenServer>(
        &mut self,
        args: T::Args,
    ) -> Result<ServerRef<T>, StartError> {
        Starting::new(&self.runtime()).linked(self.pid()).run(args).await
    }
}
