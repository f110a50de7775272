//! Calls for special occasions: through a restart, to many at once, from a thread.

use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{Instant, timeout_at};

use crate::base::catch::with_caught_wakers;
use crate::base::coop::{after_budget, budget_then_waker, consume_budget, own_waker};
use crate::call::reply::Reply;
use crate::kernel::Kernel;
use crate::kernel::timers::NO_TOKIO;
use crate::kernel::wait_graph::WaitEdge;
use crate::mailbox::record::Process;
use crate::mailbox::record::Sent;
use crate::runtime::Runtime;
use crate::runtime::await_reply::AwaitReply;
use crate::runtime::ended::Ended;
use crate::runtime::errors::call_error::CallError;
use crate::server::handle::request::{
    ask, ask_with_edge, refuse_self, wait_edge, wait_until_queued,
};
use crate::server::handle::server_ref::Target;
use crate::server::item::ServerItem;
use crate::server::{GenServer, ServerRef};
use crate::time::deadline_pool::blocking_wait::wait;

impl<S: GenServer> ServerRef<S> {
    /// Asks by name, and, where the holder has ended and is about to be restarted, waits
    /// for its successor: all within `limit`. `make` may be called more than once. A call
    /// that was queued when its server ended is not repeated: it may have been handled. OTP
    /// has no counterpart: there a caller fails in the gap. Unlike a loop of calls it is idle
    /// meanwhile, so under a paused clock the time to the restart passes.
    ///
    /// # Errors
    ///
    /// As [`call`](Self::call); [`CallError::Restarting`] only when the time is up and no
    /// successor has come.
    ///
    /// # Cancel safety
    ///
    /// As [`call`](Self::call).
    ///
    /// ```
    /// use std::time::Duration;
    /// # mod counter { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/doc_counter.rs")); }
    /// # use counter::{Call, Counter};
    /// # use regrow::{GenServer, Runtime};
    /// use regrow::{Name, Supervisor};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(async {
    /// let rt = Runtime::new();
    /// let tree = Supervisor::one_for_one().child(Counter::child(0).named("counter"));
    /// let tree = tree.start(&rt).await?;
    /// let counter = rt.server(Name::<Counter>::new("counter"));
    /// rt.kill(counter.pid().unwrap());
    /// assert!(counter.call(Call::Get).await.is_err()); // wrong: it is dying, or not yet there
    /// assert_eq!(counter.call_waiting(Call::Get, Duration::from_secs(5)).await?, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub async fn call_waiting<T: Send + 'static>(
        &self,
        make: impl Fn(Reply<T>) -> S::Call,
        limit: Duration,
    ) -> Result<T, CallError> {
        let Target::Named { kernel, .. } = &self.target else {
            return self.call_timeout(make, limit).await;
        };
        let now = Instant::now();
        let due = now.checked_add(limit).unwrap_or(now + Duration::from_secs(1 << 32));
        loop {
            consume_budget().await;
            let changed = kernel.name_changes.notified();
            tokio::pin!(changed);
            // From here on no change is missed.
            changed.as_mut().enable();
            let restarting = match self.resolve() {
                Err(restarting @ CallError::Restarting { .. }) => restarting,
                Err(error) => return Err(error),
                Ok(process) => match call_process(&process, &make, due).await {
                    Err(CallError::NoProc) => {
                        // It is ending; its name falls vacant, or free, when it has.
                        let refusal = self.refusal(&process);
                        let runtime = Runtime { kernel: kernel.clone() };
                        let ended = Ended::of(&runtime, Some(process.into_owned()));
                        timeout_at(due, ended).await.map_err(|_| refusal)?;
                        continue;
                    }
                    done => return done,
                },
            };
            timeout_at(due, with_caught_wakers(changed)).await.map_err(|_| restarting)?;
        }
    }

    /// Asks many servers at once, under one time limit, and returns what each said, in
    /// their order. OTP: `gen_server:multi_call`, which leaves out those that failed.
    ///
    /// # Errors
    ///
    /// Of each server its own, as [`call`](Self::call).
    ///
    /// # Cancel safety
    ///
    /// As [`call`](Self::call).
    ///
    /// ```
    /// use std::time::Duration;
    /// # mod counter { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/doc_counter.rs")); }
    /// # use counter::{Call, Counter};
    /// # use regrow::{GenServer, Runtime};
    /// use regrow::{CallError, ExitReason, ServerRef};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(async {
    /// let rt = Runtime::new();
    /// let counters = [Counter::start(&rt, 1).await?, Counter::start(&rt, 2).await?];
    /// counters[1].stop(ExitReason::Normal).await?;
    /// let counts = ServerRef::call_many(&counters, Call::Get, Duration::from_secs(1)).await;
    /// assert_eq!(counts, [Ok(1), Err(CallError::NoProc)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub async fn call_many<T: Send + 'static>(
        servers: &[ServerRef<S>],
        make: impl Fn(Reply<T>) -> S::Call,
        limit: Duration,
    ) -> Vec<Result<T, CallError>> {
        consume_budget().await;
        join_all(servers.iter().map(|server| server.call_timeout(&make, limit))).await
    }

    /// Asks from a thread that may block, and waits up to `limit` for the answer.
    ///
    /// The limit goes by the clock of the runtime's tokio, so a paused clock holds. If that
    /// tokio is blocked, or driven by nobody, it ends by the system's clock: at the limit, and
    /// under a paused clock a second after it. While a paused clock stands still, because its
    /// tokio is busy or `spawn_blocking` holds it, the call waits.
    ///
    /// # Errors
    ///
    /// As [`call`](Self::call).
    ///
    /// # Panics
    ///
    /// Inside of async code: there, [`call`](Self::call). If there is no tokio runtime: neither
    /// now nor at any earlier use.
    ///
    /// ```
    /// use std::time::Duration;
    /// # mod counter { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/doc_counter.rs")); }
    /// # use counter::{Call, Counter};
    /// # use regrow::{GenServer, Runtime};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(async {
    /// let rt = Runtime::new();
    /// let counter = Counter::start(&rt, 42).await?;
    /// let thread = move || counter.call_blocking(Call::Get, Duration::from_secs(1));
    /// assert_eq!(tokio::task::spawn_blocking(thread).await??, 42);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub fn call_blocking<T: Send + 'static>(
        &self,
        make: impl FnOnce(Reply<T>) -> S::Call,
        limit: Duration,
    ) -> Result<T, CallError> {
        let tokio = self.kernel().tokio().expect(NO_TOKIO);
        // It panics inside of async code, where the thread must not block.
        tokio.block_on(ready(()));
        let _inside = tokio.enter();
        wait(self.call_timeout(make, limit))
    }

    pub(crate) fn kernel(&self) -> &Arc<Kernel> {
        match &self.target {
            Target::Direct(process) => &process.kernel,
            Target::Named { kernel, .. } => kernel,
        }
    }
}

impl<S: GenServer> ServerRef<S> {
    /// A call where deadlocks are looked for: apart, so that no other call has an edge to keep.
    pub(crate) async fn call_with_edge<T: Send + 'static>(
        &self,
        process: Arc<Process<ServerItem<S>>>,
        mut edge: WaitEdge,
        make: impl FnOnce(Reply<T>) -> S::Call,
        due: Option<Instant>,
    ) -> Result<T, CallError> {
        let refine = |error| self.refine_error(error, &process);
        let waker = own_waker().await;
        let (mut answer, sent) = match ask_with_edge(&process, make, waker, &mut edge) {
            Ok(asked) => asked,
            Err(error) => return after_budget(Err(refine(error))).await,
        };
        if let Sent::InLine(number) = sent {
            answer = wait_until_queued(&process, number, answer, due).await.map_err(refine)?;
        }
        AwaitReply::until(answer, due, &process).await
    }
}

/// Asks this one. `NoProc` if the question never was in its mailbox.
async fn call_process<S: GenServer, T: Send + 'static>(
    process: &Arc<Process<ServerItem<S>>>,
    make: impl FnOnce(Reply<T>) -> S::Call,
    due: Instant,
) -> Result<T, CallError> {
    let waker = budget_then_waker().await;
    let caller = refuse_self(process)?;
    let mut waits = wait_edge(process, caller)?;
    let (mut answer, sent) = match &mut waits {
        None => ask(process, make, waker)?,
        Some(edge) => ask_with_edge(process, make, waker, edge)?,
    };
    if let Sent::InLine(number) = sent {
        answer = Box::pin(wait_until_queued(process, number, answer, Some(due))).await?;
    }
    AwaitReply::until(answer, Some(due), process).await
}
