//! Looking at a live server, and holding it: OTP's module `sys`.
//!
//! A request that its server ends without having answered is told so, with the reason, as
//! any call is. One whose asker has stopped waiting is carried out all the same.

use std::time::Duration;

use tokio::time::Instant;

use crate::base::coop::budget_then_waker;
use crate::call::reply::Reply;
use crate::exit::reason::Result;
use crate::runtime::await_reply::AwaitReply;
use crate::runtime::errors::call_error::CallError;
use crate::server::handle::request::{refuse_self, wait_edge};
use crate::server::item::ServerItem;
use crate::server::system_message::{ServerStatus, System};
use crate::server::{GenServer, ServerRef};

/// How long a request waits, as in OTP.
const TIMEOUT: Duration = Duration::from_secs(5);

impl<S: GenServer> ServerRef<S> {
    /// Holds the server: from the answer on it handles nothing, until
    /// [`resume`](Self::resume). What comes meanwhile is queued and handled then, in order; a
    /// call whose time is up before gets its [`Timeout`](CallError::Timeout). Suspending twice
    /// is suspending once. OTP: `sys:suspend/1`.
    ///
    /// Only its handlers rest. It still answers [`get_status`](Self::get_status), and still
    /// ends when it is told to: by [`stop`](Self::stop), by its parent's exit, by an exit
    /// signal that it doesn't trap, by a kill. Its timers go on, and what they tell it is
    /// queued; the clock of its [idle time-out](crate::ServerContext::idle_timeout) stands
    /// still.
    ///
    /// It takes its turn like a call, after what was queued before it and what was to be
    /// continued with. No bound on the mailbox refuses it. Meant for looking at a live
    /// system: nothing resumes a server by itself, not even the end of who suspended it.
    ///
    /// # Errors
    ///
    /// [`Timeout`](CallError::Timeout) after five seconds, and else as [`call`](Self::call),
    /// but for `NoReply` and `Overloaded`.
    ///
    /// # Cancel safety
    ///
    /// A request that is dropped, or that timed out, stays queued and is carried out.
    ///
    /// ```
    /// # mod counter { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/doc_counter.rs")); }
    /// # use counter::{Call, Cast, Counter};
    /// # use regrow::{GenServer, Runtime};
    /// use regrow::CallError;
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true)
    /// # .build().unwrap().block_on(async {
    /// let rt = Runtime::new();
    /// let counter = Counter::start(&rt, 40).await?;
    /// counter.suspend().await?;
    /// assert_eq!(counter.call(Call::Get).await, Err(CallError::Timeout));
    /// counter.cast(Cast::Add(2));
    ///
    /// counter.resume().await?;
    /// assert_eq!(counter.call(Call::Get).await?, 42);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub async fn suspend(&self) -> Result<(), CallError> {
        self.ask_system(System::Suspend).await
    }

    /// Lets a suspended server go on, with what was queued meanwhile. Of a server that is not
    /// suspended it changes nothing. OTP: `sys:resume/1`. [`suspend`](Self::suspend) has an
    /// example.
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

    /// Whether the server is suspended, and the line that it publishes of itself, if it does.
    /// It is answered in its turn: between two handlers, not while one runs. OTP:
    /// `sys:get_status/1`, which shows the whole state; here a server shows what it chose to.
    ///
    /// # Errors
    ///
    /// `NoReply` if [`format_status`](GenServer::format_status) panicked, and else as
    /// [`suspend`](Self::suspend).
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
    ///         Some(format!("{} jobs", self.jobs.len())) // how many, not which
    ///     }
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(async {
    /// let rt = Runtime::new();
    /// let queue = Queue::start(&rt, ()).await?;
    /// queue.cast("a secret".to_owned());
    /// let status = queue.get_status().await?;
    /// assert_eq!(status.line.as_deref(), Some("1 jobs"));
    /// assert_eq!(status.to_string(), "running: 1 jobs");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub async fn get_status(&self) -> Result<ServerStatus, CallError> {
        self.ask_system(System::Status).await
    }

    async fn ask_system<T: Send + 'static>(
        &self,
        make: impl FnOnce(Reply<T>) -> System,
    ) -> Result<T, CallError> {
        let waker = budget_then_waker().await;
        let process = self.resolve()?;
        let caller = refuse_self(&process)?;
        let mut waits = wait_edge(&process, caller)?;
        let (reply, answer) = Reply::new(&process, waker);
        if let Some(edge) = &mut waits {
            edge.end_with(answer.is_due());
        }
        let due = Instant::now() + TIMEOUT;
        if let Err((refused, _)) = process.send(ServerItem::System(Box::new(make(reply)))) {
            // Nobody listens when the refused request's reply is dropped.
            drop(answer);
            drop(refused);
            return Err(self.refusal(&process));
        }
        AwaitReply::until(answer, Some(due), &process).await
    }
}
