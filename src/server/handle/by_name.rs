//! Handles of running servers, by name and by pid, and the detection of deadlocks.

use crate::base::Pid;
use crate::runtime::{CallError, Runtime};
use crate::server::{GenServer, ServerName, ServerRef, Target};

impl Runtime {
    /// Returns a named handle: each call and cast goes to the server that holds the name at that
    /// moment. The name may be free now. A [`Name`](crate::Name), which has an example, determines
    /// the type of the server; for any other string, specify the type.
    ///
    /// If the holder is no server of type `S`, calls fail with [`CallError::WrongType`].
    ///
    /// ```
    /// # use regrow::doc_counter::{Call, Counter};
    /// # use regrow::{GenServer, Runtime};
    /// use regrow::CallError;
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let session = format!("session {}", 42);
    /// let counter = Counter::start(&rt, 7).await?;
    /// rt.register(&*session, counter.pid().unwrap());
    /// assert_eq!(rt.server::<Counter>(session).call(Call::Get).await?, 7);
    ///
    /// rt.whereis_or_spawn("raw", |_| std::future::pending());
    /// let raw = rt.server::<Counter>("raw");
    /// assert_eq!(raw.call(Call::Get).await, Err(CallError::WrongType));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub fn server<S: GenServer>(&self, name: impl Into<ServerName<S>>) -> ServerRef<S> {
        let name = name.into().text;
        ServerRef { target: Target::named(self.kernel.clone(), name) }
    }

    /// Turns the detection of deadlocks on or off; by default it is off. While the detection is on,
    /// a call that would close a cycle of processes that wait for each other fails at once; its
    /// [`CallError::Deadlock`] names the cycle. While the detection is off, such a call waits until
    /// its time limit, if it has one.
    ///
    /// The detection knows these waits:
    ///
    /// * a process waits for a server that it calls or [stops](ServerRef::stop), or that has no
    ///   room for its [cast](ServerRef::cast_wait);
    /// * a process that starts a server waits for the `init` of that server;
    /// * a [`Supervisor`](crate::Supervisor) waits for the child that it starts or stops;
    /// * a [`DynamicSupervisor`](crate::DynamicSupervisor) that stops waits for its children.
    ///
    /// So a call from an `init` to its own supervisor is refused. A call that was made before the
    /// called process began one of the last three waits is not refused, and times out. The
    /// detection does not know waits for a [`Task`](crate::Task), waits for an [end](Self::ended),
    /// waits for the next incarnation of a child that [keeps its queue](crate::ChildSpec::keep_queue),
    /// and waits in [`get_or_start`](crate::DynamicSupervisorRef::get_or_start) for an `init` that
    /// another caller has started.
    ///
    /// Use the detection in tests and development: each call takes a lock that all calls share, and
    /// follows the waits of the called server, each of them once. A call that follows many waits
    /// releases the lock from time to time, so that other calls can proceed. OTP has no
    /// counterpart.
    ///
    /// ```
    /// use regrow::{CallError, GenServer, Name, Reply, Result, Runtime, ServerContext};
    ///
    /// /// Calls another server of its type before it answers.
    /// struct Asker(Name<Asker>);
    ///
    /// impl GenServer for Asker {
    /// #     type Args = Name<Asker>;
    /// #     type Call = Reply<Result<(), CallError>>;
    /// #     type Cast = ();
    /// #     async fn init(next: Self::Args, _: &mut ServerContext<Self>) -> Result<Self> {
    /// #         Ok(Asker(next))
    /// #     }
    ///     async fn handle_call(&mut self, reply: Self::Call, ctx: &mut ServerContext<Self>) -> Result {
    ///         let answer = ctx.runtime().server(self.0).call(|reply| reply).await;
    ///         reply.send(answer.and_then(|answer| answer));
    ///         Ok(())
    ///     }
    /// #     async fn handle_cast(&mut self, (): (), _: &mut ServerContext<Self>) -> Result {
    /// #         Ok(())
    /// #     }
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// rt.detect_deadlocks(true);
    /// let (one, two) = (Name::new("one"), Name::new("two"));
    /// let first = Asker::start_named(&rt, one, two).await?;
    /// let second = Asker::start_named(&rt, two, one).await?;
    /// let cycle = [&second, &first, &second].map(|server| server.pid().unwrap()).to_vec();
    /// assert_eq!(first.call(|reply| reply).await?, Err(CallError::Deadlock { cycle }));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub fn detect_deadlocks(&self, on: bool) {
        self.kernel.waits.detect(on);
    }

    /// Returns a direct handle to the server that has this pid.
    ///
    /// # Errors
    ///
    /// [`CallError::NoProc`] if the process is not alive, [`CallError::WrongType`] if the process
    /// is not a server of type `S`.
    ///
    /// ```
    /// # use regrow::doc_counter::{Call, Counter};
    /// # use regrow::{GenServer, Runtime};
    /// use regrow::CallError;
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let pid = Counter::start(&rt, 7).await?.pid().unwrap();
    /// assert_eq!(rt.server_at::<Counter>(pid)?.call(Call::Get).await?, 7);
    ///
    /// let raw = rt.spawn(|_| std::future::pending()).pid();
    /// assert_eq!(rt.server_at::<Counter>(raw).unwrap_err(), CallError::WrongType);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub fn server_at<S: GenServer>(&self, pid: Pid) -> Result<ServerRef<S>, CallError> {
        let process = self.kernel.find(pid).ok_or_else(|| CallError::no_proc(&self.kernel))?;
        process.into_any().downcast().map(ServerRef::direct).map_err(|_| CallError::WrongType)
    }
}
