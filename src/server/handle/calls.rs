//! Calls through a restart, to many servers at once, and from a thread.
//!
//! **Guarantees of [`call_waiting`](ServerRef::call_waiting).** Within its limit, a call that was
//! not queued is repeated, to the successor. A call that was queued is never repeated, because it
//! may have been handled.
//!
//! **Steps**, in a loop:
//! 1. Register for changes of names.
//! 2. Resolve the name. If the name is reserved for a successor, wait for a change and start over.
//!    Return any other error.
//! 3. Call the process, through a direct handle. Return its answer or its error, unless the error is
//!    `NoProc`.
//! 4. `NoProc` means that the process is ending or has ended, and that the call was never in its
//!    mailbox. Wait for the end of the process, which frees or reserves the name, and start over.
//!
//! **Invariants**
//! 1. Step 1 comes before step 2, so a change between them is not missed.
//! 2. One deadline holds for all waits. If the deadline passes in step 2, the error says that the
//!    server is being restarted. If it passes in step 4, the error is the refusal by the process
//!    that was ending.

use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{Instant, timeout_at};

use crate::base::{after_budget, consume_budget, own_waker, with_caught_wakers};
use crate::call::Reply;
use crate::kernel::{Kernel, NO_TOKIO};
use crate::mailbox::{Process, Sent};
use crate::runtime::{AwaitReply, CallError};
use crate::server::handle::propagated::{PropagatedCall, limited};
use crate::server::handle::request::{ObservedCall, ask_observed, wait_until_queued};
use crate::server::{GenServer, ServerItem, ServerRef, Target};
use crate::time::deadline_pool::Due;
use crate::time::deadline_pool::blocking_wait::wait;

impl<S: GenServer> ServerRef<S> {
    /// Calls the server, and waits for its successor if it is being restarted, all within `limit`.
    /// `make` may run more than once. A call that was queued when its server ended is not repeated,
    /// because it may have been handled. A direct handle reaches no successor: with such a handle,
    /// this method does the same as [`call_timeout`](Self::call_timeout).
    ///
    /// OTP has no counterpart: there a call fails while the server is restarted. Unlike a loop of
    /// calls, this call is idle while it waits, so a paused clock advances to the restart.
    ///
    /// # Errors
    ///
    /// As [`call`](Self::call); [`CallError::Restarting`] only if no successor has started within
    /// `limit`.
    ///
    /// # Cancel safety
    ///
    /// As [`call`](Self::call).
    ///
    /// ```
    /// use std::time::Duration;
    /// # use regrow::doc_counter::{Call, Counter};
    /// # use regrow::{GenServer, Runtime};
    /// use regrow::Supervisor;
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let tree = Supervisor::one_for_one().child(Counter::child(0).named("counter"));
    /// let tree = tree.start(&rt).await?;
    /// let counter = rt.server::<Counter>("counter");
    /// rt.kill(counter.pid().unwrap());
    /// assert!(counter.call(Call::Get).await.is_err()); // ending, or not yet restarted
    /// assert_eq!(counter.call_waiting(Call::Get, Duration::from_secs(5)).await?, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
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
        let due = limited(kernel, due);
        loop {
            consume_budget().await;
            let changed = kernel.name_changes.notified();
            tokio::pin!(changed);
            // Invariant 1.
            changed.as_mut().enable();
            let restarting = match self.resolve() {
                Err(restarting @ CallError::Restarting { .. }) => restarting,
                Err(error) => return Err(error),
                Ok(process) => {
                    let process = process.into_owned();
                    let server = ServerRef::direct(process.clone());
                    let left = due.saturating_duration_since(Instant::now());
                    match server.call_timeout(&make, left).await {
                        Err(CallError::NoProc) => {
                            let refusal = self.refusal(&process);
                            timeout_at(due, server.ended()).await.map_err(|_| refusal)?;
                            continue;
                        }
                        done => return done,
                    }
                }
            };
            timeout_at(due, with_caught_wakers(changed)).await.map_err(|_| restarting)?;
        }
    }

    /// Calls many servers at once, under one time limit, and returns the result of each, in the
    /// order of `servers`. OTP: `gen_server:multi_call`, which leaves out the servers that failed.
    ///
    /// # Errors
    ///
    /// Each server has its own result, with the errors of [`call`](Self::call).
    ///
    /// # Cancel safety
    ///
    /// As [`call`](Self::call).
    ///
    /// ```
    /// use std::time::Duration;
    /// # use regrow::doc_counter::{Call, Counter};
    /// # use regrow::{GenServer, Runtime};
    /// use regrow::{CallError, ExitReason, ServerRef};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let counters = [Counter::start(&rt, 1).await?, Counter::start(&rt, 2).await?];
    /// counters[1].stop(ExitReason::Normal).await?;
    /// let counts = ServerRef::call_many(&counters, Call::Get, Duration::from_secs(1)).await;
    /// assert_eq!(counts, [Ok(1), Err(CallError::NoProc)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub async fn call_many<T: Send + 'static>(
        servers: &[ServerRef<S>],
        make: impl Fn(Reply<T>) -> S::Call,
        limit: Duration,
    ) -> Vec<Result<T, CallError>> {
        consume_budget().await;
        join_all(servers.iter().map(|server| server.call_timeout(&make, limit))).await
    }

    /// Calls the server from a thread that may block, and waits up to `limit` for the answer.
    ///
    /// The limit is measured by the clock of the runtime's tokio, which may be paused. If that
    /// tokio is blocked or is not being driven, the system's clock ends the call: at the limit, or,
    /// under a paused clock, one second after the limit. While a paused clock stands still, because
    /// its tokio is busy or runs a `spawn_blocking` closure, the call waits.
    ///
    /// # Errors
    ///
    /// As [`call`](Self::call).
    ///
    /// # Panics
    ///
    /// If this method is called in async code; use [`call`](Self::call) there. If it is called
    /// outside a tokio runtime, and the server's [`Runtime`](crate::Runtime) was never used inside
    /// one.
    ///
    /// ```
    /// use std::time::Duration;
    /// # use regrow::doc_counter::{Call, Counter};
    /// # use regrow::{GenServer, Runtime};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let counter = Counter::start(&rt, 42).await?;
    /// let thread = move || counter.call_blocking(Call::Get, Duration::from_secs(1));
    /// assert_eq!(tokio::task::spawn_blocking(thread).await??, 42);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub fn call_blocking<T: Send + 'static>(
        &self,
        make: impl FnOnce(Reply<T>) -> S::Call,
        limit: Duration,
    ) -> Result<T, CallError> {
        let tokio = self.kernel().tokio().expect(NO_TOKIO);
        // Panics inside async code, where the thread must not block.
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
    /// Makes a call while a switch of calls is on: the detection of deadlocks, or the propagation of
    /// deadlines. This is a separate future, so that the futures of other calls do not hold space
    /// for an edge and a limit.
    pub(crate) async fn call_observed<T: Send + 'static>(
        &self,
        process: Arc<Process<ServerItem<S>>>,
        mut observed: ObservedCall,
        make: impl FnOnce(Reply<T>) -> S::Call,
        due: Option<Due>,
    ) -> Result<T, CallError> {
        let kernel = &process.kernel;
        let due = due.map(Due::instant);
        let Some(mut propagated) = PropagatedCall::begin(kernel, process.pid(), due) else {
            return self.send_observed(&process, observed, make, due).await;
        };
        if let Err(error) = propagated.check(kernel) {
            return after_budget(Err(error)).await;
        }
        let limit = propagated.limit();
        let due = limit.due();
        observed.limit = Some(limit);
        let result = self.send_observed(&process, observed, make, due).await;
        propagated.finish(result, kernel)
    }

    async fn send_observed<T: Send + 'static>(
        &self,
        process: &Arc<Process<ServerItem<S>>>,
        mut observed: ObservedCall,
        make: impl FnOnce(Reply<T>) -> S::Call,
        due: Option<Instant>,
    ) -> Result<T, CallError> {
        let refine = |error| self.refine_error(error, process);
        let waker = own_waker().await;
        let (mut answer, sent) = match ask_observed(process, make, waker, &mut observed) {
            Ok(asked) => asked,
            Err(error) => return after_budget(Err(refine(error))).await,
        };
        if let Sent::InSendQueue(number) = sent {
            answer = wait_until_queued(process, number, answer, due).await.map_err(refine)?;
        }
        AwaitReply::until(answer, due.map(Due::At), process).await
    }
}
