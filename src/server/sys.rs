//! Suspending, resuming and inspecting a live server: OTP's module `sys`.
//!
//! If the server ends before it has answered a request, the request fails with the reason, as a
//! call does. A request is carried out even if its caller has stopped waiting.

use tokio::time::Instant;

use crate::base::budget_then_waker;
use crate::call::Reply;
use crate::exit::Result;
use crate::runtime::{AwaitReply, CallError};
use crate::server::{
    CALL_TIMEOUT, GenServer, ServerItem, ServerRef, ServerStatus, System, wait_edge,
};
use crate::time::deadline_pool::Due;

impl<S: GenServer> ServerRef<S> {
    /// Suspends the server: after the answer it runs no handler until [`resume`](Self::resume).
    /// Messages that are sent to a suspended server are queued, and handled in order after
    /// `resume`. A call whose time limit passes before that fails with
    /// [`Timeout`](CallError::Timeout). Suspending a suspended server changes nothing. OTP:
    /// `sys:suspend/1`.
    ///
    /// A suspended server still answers [`get_status`](Self::get_status). The server still ends by
    /// [`stop`](Self::stop), by its parent's exit, by an exit signal that it doesn't trap, and by a
    /// kill. The server's timers continue to run, and their casts are queued. The clock of its
    /// [idle time-out](crate::ServerContext::idle_timeout) stands still.
    ///
    /// The request is handled in order, like a call: after the items that were queued before it,
    /// and after the casts that were given to `continue_with`. No bound on the mailbox refuses the
    /// request. Use this to inspect a live system. Only `resume` resumes a server; the end of the
    /// process that suspended the server does not.
    ///
    /// # Errors
    ///
    /// [`Timeout`](CallError::Timeout) after five seconds. Otherwise as [`call`](Self::call),
    /// except for `NoReply` and `Overloaded`.
    ///
    /// # Cancel safety
    ///
    /// A request that was queued is carried out, even if this future is dropped or times out.
    ///
    /// ```
    /// # use regrow::doc_counter::{Call, Cast, Counter};
    /// # use regrow::{GenServer, Runtime};
    /// use regrow::CallError;
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true)
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let counter = Counter::start(&rt, 40).await?;
    /// counter.suspend().await?;
    /// assert_eq!(counter.call(Call::Get).await, Err(CallError::Timeout));
    /// counter.cast(Cast::Add(2));
    ///
    /// counter.resume().await?;
    /// assert_eq!(counter.call(Call::Get).await?, 42);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub async fn suspend(&self) -> Result<(), CallError> {
        self.ask_system(System::Suspend).await
    }

    /// Resumes a suspended server, which then handles the items that were queued while it was
    /// suspended. Changes nothing if the server is not suspended. OTP: `sys:resume/1`.
    /// [`suspend`](Self::suspend) has an example.
    ///
    /// # Errors
    ///
    /// As [`suspend`](Self::suspend).
    ///
    /// # Cancel safety
    ///
    /// As [`suspend`](Self::suspend).
    pub async fn resume(&self) -> Result<(), CallError> {
        self.ask_system(System::Resume).await
    }

    /// Returns whether the server is suspended, and the line that it publishes by
    /// [`format_status`](GenServer::format_status). The request is handled in order, between two
    /// handlers. OTP: `sys:get_status/1`, which shows the whole state; here the server chooses the
    /// content of the line.
    ///
    /// # Errors
    ///
    /// `NoReply` if `format_status` panicked. Otherwise as [`suspend`](Self::suspend).
    ///
    /// # Cancel safety
    ///
    /// As [`suspend`](Self::suspend).
    ///
    /// ```
    /// use regrow::{GenServer, Reply, Result, Runtime, ServerContext};
    ///
    /// struct Queue {
    ///     jobs: Vec<String>,
    /// }
    ///
    /// impl GenServer for Queue {
    /// #     type Args = ();
    /// #     type Call = Reply<()>;
    /// #     type Cast = String;
    /// #     async fn init((): (), _: &mut ServerContext<Self>) -> Result<Self> {
    /// #         Ok(Queue { jobs: Vec::new() })
    /// #     }
    /// #     async fn handle_call(&mut self, _: Reply<()>, _: &mut ServerContext<Self>) -> Result {
    /// #         Ok(())
    /// #     }
    /// #     async fn handle_cast(&mut self, job: String, _: &mut ServerContext<Self>) -> Result {
    /// #         self.jobs.push(job);
    /// #         Ok(())
    /// #     }
    ///     fn format_status(&self) -> Option<String> {
    ///         Some(format!("{} jobs", self.jobs.len())) // the number, not the jobs
    ///     }
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let queue = Queue::start(&rt, ()).await?;
    /// queue.cast("a secret".to_owned());
    /// let status = queue.get_status().await?;
    /// assert_eq!(status.line.as_deref(), Some("1 jobs"));
    /// assert_eq!(status.to_string(), "running: 1 jobs");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub async fn get_status(&self) -> Result<ServerStatus, CallError> {
        self.ask_system(System::Status).await
    }

    pub(super) async fn ask_system<T: Send + 'static>(
        &self,
        make: impl FnOnce(Reply<T>) -> System,
    ) -> Result<T, CallError> {
        let waker = budget_then_waker().await;
        let process = self.resolve()?;
        let mut waits = wait_edge(&process)?;
        let (reply, answer) = Reply::new(&process, waker);
        if let Some(edge) = &mut waits {
            edge.end_with(answer.is_due());
        }
        let due = Instant::now() + CALL_TIMEOUT;
        if let Err((refused, _)) = process.send(ServerItem::System(Box::new(make(reply)))) {
            // The answer is dropped first, so that the reply in the refused request has no caller
            // when the request is dropped.
            drop(answer);
            drop(refused);
            return Err(self.refusal(&process));
        }
        AwaitReply::until(answer, Some(Due::At(due)), &process).await
    }
}
