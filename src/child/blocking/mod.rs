//! Blocking functions as children: each incarnation on a thread of its own.
//!
//! A process stands for the thread, and is [held](Orders::hold): it ends when the function
//! has returned, with what that came to, and not before. In between:
//!
//! * *stop, or the parent's end*: the token is cancelled, and whoever waits on the thread
//!   through the context is woken;
//! * *kill*: likewise; a thread can't be ended from outside. The process ends as killed, once
//!   the function has returned;
//! * *tokio drops the process' task*: the process ends at once, the token is cancelled, and
//!   the thread goes on until its function returns;
//! * *the function panics*: it is caught on its thread, where the panic hook noted its place,
//!   and is the process' panic.
//!
//! Tokio's own blocking threads would not do: there is a limited number of them, which children
//! that never return would use up, and tokio waits for them when it shuts down.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::base::coop::consume_budget;
use crate::base::current_process::CurrentGuard;
use crate::base::os_refusal::start_thread;
use crate::base::shared_str::SharedStr;
use crate::child::stop_signals::{StopSignals, end_of};
use crate::child::{BlockingContext, ChildSpec, StartChild, StartContext, Started};
use crate::exit::crash::Crash;
use crate::exit::reason::{ExitReason, Result};
use crate::kernel::closing::End;
use crate::kernel::timers::NO_TOKIO;
use crate::mailbox::record::Process;
use crate::message::received::Envelope;
use crate::process::AnyProcess;
use crate::runtime::context::Context;
use crate::runtime::errors::call_error::StartError;

pub(crate) mod context;

/// What a function came to on its thread.
type Outcome = std::result::Result<Result, Crash>;

impl ChildSpec {
    /// A blocking function as a child: each incarnation runs on a thread of its own, named
    /// after the child, with a process that stands for it. Each start clones the closure and
    /// calls the clone.
    ///
    /// The child ends when the function has returned: `Ok(())` is a normal end, an `Err` or a
    /// panic a crash. To be stopped it has to look: by
    /// [`is_stopping`](BlockingContext::is_stopping), or by waiting in one of the context's
    /// methods. If it returns `Ok(())` then, it ended as told, with
    /// [`Shutdown`](crate::ExitReason::Shutdown).
    ///
    /// **A thread can't be killed.** One that overruns its [`shutdown`](Self::shutdown) time is
    /// told of by name, every five seconds, and its supervisor waits for it, with its restart and
    /// with its own end: the next incarnation never runs beside it, and its name stays held. So
    /// give whatever blocks in there a time limit, and look now and then.
    ///
    /// When not to use it: for a short piece of blocking work inside an async child
    /// [`tokio::task::spawn_blocking`] is enough. Under a paused clock tokio does not know that
    /// a thread is busy, and may well skip the whole shutdown time.
    ///
    /// OTP: a dirty NIF, or a port to a program of its own.
    ///
    /// ```
    /// use std::time::Duration;
    /// use regrow::{ChildSpec, Runtime, Supervisor};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(async {
    /// let rt = Runtime::new();
    /// let (told, mut hear) = tokio::sync::mpsc::unbounded_channel();
    /// let sync = ChildSpec::blocking("sync", move |ctx| {
    ///     while !ctx.wait_stop(Duration::from_secs(3600)) {
    ///         // … an hour has passed: copy the files …
    ///     }
    ///     told.send(std::thread::current().name().map(str::to_owned))?;
    ///     Ok(())
    /// });
    /// let tree = Supervisor::one_for_one().child(sync).start(&rt).await?;
    /// tree.stop().await?; // it doesn't take an hour
    /// assert_eq!(hear.recv().await, Some(Some("sync".to_owned())));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub fn blocking<F>(id: impl Into<String>, body: F) -> Self
    where
        F: FnOnce(BlockingContext) -> Result + Clone + Send + Sync + 'static,
    {
        ChildSpec::new(id, BlockingStart(body))
    }
}

impl StartContext {
    /// Starts a blocking function as the child, as [`ChildSpec::blocking`] does, which has an
    /// example. A thread that can't be had is the child's crash.
    ///
    /// # Errors
    ///
    /// As [`task`](Self::task).
    ///
    /// # Cancel safety
    ///
    /// It never waits: polled once, it is done.
    pub async fn blocking<F>(&mut self, body: F) -> Result<Started, StartError>
    where
        F: FnOnce(BlockingContext) -> Result + Send + 'static,
    {
        consume_budget().await;
        let stop = CancellationToken::new();
        let starting = self.starting().started_at_once().stopped_by(stop.clone());
        let process = self.admit::<Envelope>(&starting)?;
        let mut signals = StopSignals::hold(process.clone(), stop.clone());
        let (name, cause) = (self.spec.id.clone(), self.cause.clone());
        Ok(self.run(process.clone(), |ctx: Context| {
            Box::pin(async move {
                let ctx = BlockingContext::new(ctx, stop.clone(), cause);
                let (done, mut result) = oneshot::channel();
                if let Err(error) = run_on_thread(&name, process, move || body(ctx), done) {
                    return End::Returned(ExitReason::from_library(error));
                }
                loop {
                    match signals.or_signal(&mut result).await {
                        Ok(outcome) => return end_of_thread(outcome, signals.is_stop_requested()),
                        Err(_) => stop.cancel(),
                    }
                }
            })
        }))
    }
}

/// Runs a function on a new thread, as this process.
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
        // Nobody waits for it when tokio has dropped the process' task.
        drop(done.send(outcome));
    };
    // No thread can have such a name.
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

/// Starts a clone of a function.
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
