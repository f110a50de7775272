//! Reading and changing the state of a live server: OTP's `sys:get_state/1` and
//! `sys:replace_state/2`.
//!
//! **What happens if one side ends, or a closure panics**
//!
//! | | the asker | the server |
//! |---|---|---|
//! | the server ends before the request | `Exited`, `NoProc` | the closure is dropped, not called |
//! | the asker stops waiting | | calls the closure, and drops its result |
//! | `peek`'s closure panics | `Panicked` | runs on: the closure could only read the state |
//! | `update`'s closure panics | `Panicked` | ends with that crash: half of the state may be changed |
//! | the result's destructor panics, as no asker waits for it | | runs on: the closure has returned |

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use crate::base::Pid;
use crate::call::Reply;
use crate::exit::crash::CaughtPanic;
use crate::exit::{Crash, Result};
use crate::observe::lifecycle_log;
use crate::runtime::CallError;
use crate::server::{GenServer, ServerRef, System};

impl<S: GenServer> ServerRef<S> {
    /// Calls a closure with the state of the server, and returns the closure's result. Use this to
    /// inspect a live system, and in tests; a client asks by a [`call`](Self::call). OTP:
    /// `sys:get_state/1`, which copies the whole state; here the closure chooses what leaves the
    /// server. The closure sees those fields of the state that are visible where it is written.
    ///
    /// The request is handled in order, like a call, and also while the server is
    /// [suspended](Self::suspend). The closure runs in the server's process, between two handlers:
    /// it should be quick, and cannot await. No bound on the mailbox refuses the request. The
    /// request is no activity for an [idle time-out](crate::ServerContext::idle_after).
    ///
    /// # Errors
    ///
    /// [`Panicked`](CallError::Panicked) if the closure panicked; the server runs on.
    /// [`Timeout`](CallError::Timeout) after five seconds, for example if a handler hangs.
    /// Otherwise as [`call`](Self::call), except for `NoReply` and `Overloaded`.
    ///
    /// # Cancel safety
    ///
    /// A request that was queued is carried out, even if this future is dropped or times out. Its
    /// result is then dropped in the server's process; a panic of the result's destructor is
    /// logged, and the server runs on.
    ///
    /// ```
    /// # use regrow::doc_counter::{Call, Counter};
    /// # use regrow::{GenServer, Runtime};
    /// use regrow::CallError;
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let counter = Counter::start(&rt, 40).await?;
    /// assert_eq!(counter.peek(|state| state.0).await?, 40);
    ///
    /// let error = counter.peek(|state| assert_eq!(state.0, 41)).await.unwrap_err();
    /// let CallError::Panicked { crash, .. } = error else { panic!() };
    /// assert!(crash.message().contains("left: 40"));
    /// assert_eq!(counter.call(Call::Get).await?, 40); // the server runs on
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub async fn peek<T: Send + 'static>(
        &self,
        look: impl FnOnce(&S) -> T + Send + 'static,
    ) -> Result<T, CallError> {
        let answered = self.ask_system(|reply: Reply<Result<T, Crash>>| {
            System::Run(Box::new(move |state, server| {
                let Some(state) = state.downcast_ref::<S>() else { return };
                let looked = catch_unwind(AssertUnwindSafe(|| look(state)));
                answer(server, reply, looked.map_err(Crash::from_panic));
            }))
        });
        answered.await?.map_err(|crash| CallError::Panicked { crash, server_ends: false })
    }

    /// Calls a closure that may change the state of the server, and returns the closure's result.
    /// Use this to repair a live system, and in tests. In every other respect as
    /// [`peek`](Self::peek). OTP: `sys:replace_state/2`.
    ///
    /// # Errors
    ///
    /// [`Panicked`](CallError::Panicked) if the closure panicked. It may have changed half of the
    /// state, so the server ends with that crash as its reason, as it does after a panic in a
    /// handler: `terminate` runs, and a supervisor restarts the server from its `init`. In OTP the
    /// server keeps its old state, which a closure cannot have changed in place.
    ///
    /// Otherwise as [`peek`](Self::peek).
    ///
    /// # Cancel safety
    ///
    /// As [`peek`](Self::peek).
    ///
    /// ```
    /// # use regrow::doc_counter::{Call, Counter};
    /// # use regrow::{GenServer, Runtime};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let counter = Counter::start(&rt, 40).await?;
    /// let old = counter.update(|state| std::mem::replace(&mut state.0, 7)).await?;
    /// assert_eq!((old, counter.call(Call::Get).await?), (40, 7));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub async fn update<T: Send + 'static>(
        &self,
        change: impl FnOnce(&mut S) -> T + Send + 'static,
    ) -> Result<T, CallError> {
        let answered = self.ask_system(|reply: Reply<Result<T, Crash>>| {
            System::Run(Box::new(move |state, server| {
                let Some(state) = state.downcast_mut::<S>() else { return };
                let changed = catch_unwind(AssertUnwindSafe(|| change(state)));
                let changed = changed.map_err(Crash::from_panic);
                let crash = changed.as_ref().err().cloned();
                answer(server, reply, changed);
                if let Some(crash) = crash {
                    resume_unwind(Box::new(CaughtPanic(crash)));
                }
            }))
        });
        answered.await?.map_err(|crash| CallError::Panicked { crash, server_ends: true })
    }
}

/// Sends the answer. If its caller has stopped waiting, the answer is dropped here, and its
/// destructor may panic.
fn answer<T: Send + 'static>(
    server: Pid,
    reply: Reply<Result<T, Crash>>,
    result: Result<T, Crash>,
) {
    lifecycle_log::catch_destructor(
        || reply.send(result),
        |panic| lifecycle_log::destructor_panicked(server, &panic),
    );
}
