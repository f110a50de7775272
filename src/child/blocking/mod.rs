//! Blocking functions as children: each incarnation runs on a thread of its own.
//!
//! # Guarantee
//!
//! A process represents the thread. The process [defers its exit](StopRequests::hold), so the
//! process ends only after the function has returned. The exception is a shutdown of tokio, after
//! which no incarnation starts. So the next incarnation never overlaps with the thread of the one
//! before.
//!
//! # The life of an incarnation
//!
//! 1. The process is admitted, and starts the thread. If the thread can't be started, the process
//!    ends with that error.
//! 2. The function runs. The process waits for its result and for signals:
//!    * *a stop, or the parent's end*: the stop token is cancelled, which ends a wait of the
//!      function in its [`BlockingContext`];
//!    * *a kill, or another accepted exit signal*: the token is cancelled too, because only the
//!      function itself can end its thread;
//!    * *tokio drops the process' task*: the process ends at once, the token is cancelled, and the
//!      thread continues until the function returns.
//! 3. The function returns, or its panic is caught on its thread, where the panic hook has recorded
//!    the location. The process ends with this result. If an exit signal was accepted before, its
//!    reason replaces the result, but not a panic.
//!
//! Tokio's blocking threads are not suitable: their number is limited, so functions that never
//! return would use them up; also, tokio waits for these threads when it shuts down.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::base::current_process::CurrentGuard;
use crate::base::os_refusal::start_thread;
use crate::base::{SharedStr, consume_budget};
use crate::child::{
    BlockingContext, ChildSpec, StartChild, StartContext, Started, StopRequests, end_of,
};
use crate::driver::host;
use crate::exit::{Crash, ExitReason, Result};
use crate::kernel::{End, NO_TOKIO};
use crate::mailbox::Process;
use crate::message::Envelope;
use crate::runtime::{Context, StartError};

pub(crate) mod context;

/// The result of a function on its thread, or its panic.
type Outcome = std::result::Result<Result, Crash>;

impl ChildSpec {
    /// Specifies a child that runs a blocking function. Each incarnation runs on a thread of its
    /// own, named after the child, and a process represents the thread. Each start clones the
    /// closure and calls the clone.
    ///
    /// The child ends when the function has returned: `Ok(())` is a normal end, and an `Err` is the
    /// exit reason. An error that `?` converts is a crash, and so is a panic. The function has to
    /// check whether it should stop, by [`is_stopping`](BlockingContext::is_stopping), or by
    /// waiting in one of the context's methods. If it returns `Ok(())` after a stop request, the
    /// exit reason is [`Shutdown`](crate::ExitReason::Shutdown).
    ///
    /// **A thread can't be killed.** While a thread exceeds its [`shutdown`](Self::shutdown) time,
    /// the child is logged by name, every five seconds. The supervisor waits until the thread has
    /// ended before it restarts the child and, unless the supervisor is killed, before it ends. So
    /// two incarnations never run at the same time, and the child's name stays registered until the
    /// thread has ended. Give blocking operations a time limit, and check regularly whether to
    /// stop.
    ///
    /// **When not to use it.** For a short blocking operation inside an async child,
    /// [`tokio::task::spawn_blocking`] is enough. With a paused clock tokio does not know that a
    /// thread is busy, and may skip the whole shutdown time.
    ///
    /// OTP: a dirty NIF, or a port to an external program.
    ///
    /// ```
    /// use std::time::Duration;
    /// use regrow::{ChildSpec, Runtime, Supervisor};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
    /// let sync = ChildSpec::blocking("sync", move |ctx| {
    ///     while !ctx.wait_stop(Duration::from_secs(3600)) {
    ///         // … each hour: copy the files …
    ///     }
    ///     sender.send(std::thread::current().name().map(str::to_owned))?;
    ///     Ok(())
    /// });
    /// let tree = Supervisor::one_for_one().child(sync).start(&rt).await?;
    /// tree.stop().await?; // at once: the stop ends the wait
    /// assert_eq!(receiver.recv().await, Some(Some("sync".to_owned())));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub fn blocking<F>(id: impl Into<String>, body: F) -> Self
    where
        F: FnOnce(BlockingContext) -> Result + Clone + Send + Sync + 'static,
    {
        ChildSpec::new(id, BlockingStart(body))
    }
}

impl StartContext {
    /// Starts a blocking function as the child. [`ChildSpec::blocking`] describes it and has an
    /// example. If the thread can't be started, the child crashes.
    ///
    /// # Errors
    ///
    /// As [`task`](Self::task).
    ///
    /// # Cancel safety
    /// Cancel safe: the future waits only for tokio's cooperative budget, before it starts the
    /// child.
    pub async fn blocking<F>(&mut self, body: F) -> Result<Started, StartError>
    where
        F: FnOnce(BlockingContext) -> Result + Send + 'static,
    {
        consume_budget().await;
        let stop = CancellationToken::new();
        let starting = self.starting().without_init().stopped_by(stop.clone());
        let process = self.admit::<Envelope>(&starting)?;
        let mut requests = StopRequests::hold(process.clone(), stop.clone());
        let (name, cause) = (self.spec.id.clone(), self.cause.clone());
        Ok(self.run(process.clone(), |ctx: Context| {
            host(ctx.process().clone(), async move {
                let ctx = BlockingContext::new(ctx, stop.clone(), cause);
                let (done, mut result) = oneshot::channel();
                if let Err(error) = run_on_thread(&name, process, move || body(ctx), done) {
                    return End::Returned(ExitReason::from_library(error));
                }
                loop {
                    match requests.or_request(&mut result).await {
                        Ok(outcome) => return end_of_thread(outcome, requests.is_stop_requested()),
                        Err(_) => stop.cancel(),
                    }
                }
            })
        }))
    }
}

/// Runs a function on a new thread, on which this process is the current process.
fn run_on_thread(
    name: &SharedStr,
    process: Arc<Process<Envelope>>,
    body: impl FnOnce() -> Result + Send + 'static,
    done: oneshot::Sender<Outcome>,
) -> std::io::Result<()> {
    let purpose = format!("child {name:?}");
    let run = move || {
        let kernel = &process.kernel;
        let _inside_tokio = kernel.tokio().expect(NO_TOKIO).enter();
        let current_pid = CurrentGuard::enter(kernel.number(), process.pid());
        let outcome = catch_unwind(AssertUnwindSafe(body)).map_err(Crash::from_panic);
        drop(current_pid);
        // The send fails if tokio has dropped the process' task.
        drop(done.send(outcome));
    };
    // The name of a thread can't contain a zero byte.
    start_thread(name.replace('\0', ""), &purpose, run)
}

fn end_of_thread(
    outcome: std::result::Result<Outcome, oneshot::error::RecvError>,
    stop_requested: bool,
) -> End {
    match outcome {
        Ok(Ok(result)) => end_of(result, stop_requested),
        Ok(Err(crash)) => End::Panicked(ExitReason::Crashed(crash)),
        Err(closed) => End::Returned(ExitReason::from_library(closed)),
    }
}

/// A start function that starts a clone of a blocking function.
struct BlockingStart<F>(F);

#[async_trait]
impl<F> StartChild for BlockingStart<F>
where
    F: FnOnce(BlockingContext) -> Result + Clone + Send + Sync + 'static,
{
    async fn start(&self, ctx: &mut StartContext) -> Result<Started, StartError> {
        ctx.blocking(self.0.clone()).await
    }
}
