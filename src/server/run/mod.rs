//! The body of a server's process: `init`, the loop, `terminate`.
//!
//! **Guarantees.** Callbacks run one at a time. Casts that were given to `continue_with` are
//! handled first, then the items of the mailbox, in order. No callback is dropped so that another
//! item can be handled. Once `init` has succeeded, `terminate` runs, unless the process is killed
//! or an exit signal that it does not trap ends it. In these two cases the body is dropped at its
//! await.
//!
//! **Steps**
//!
//! ```text
//! 1 init ──Err, panic──▶ the start has failed: no `terminate`
//!   │ Ok
//! 2 acknowledge: the link to the parent, the name, the caller of the start
//!   │
//! 3 loop: wait for an item, take it, run its callback ◀──Ok─┐
//!   │                                 └─────────────────────┘
//!   │ a callback's Err or panic, a request to stop, the parent's exit
//! 4 casts are refused; terminate(reason)
//!   │
//! 5 the state is dropped, the process ends
//! ```
//!
//! **Invariants**
//! 1. The state is stored outside the loop's future. So it survives a panic in a handler, and
//!    `terminate` can use it.
//! 2. The link is acknowledged before the caller of the start is notified. So once a start has
//!    returned, the end of the server reaches its parent over the link.
//! 3. The loop matches a plain call or cast as it was queued, so the item is moved once, from the
//!    mailbox to its handler. Every other item is turned into a [`Dispatch`] first.

use std::any::Any;
use std::ops::ControlFlow;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::FutureExt;
use futures_util::future::Either;

use crate::exit::{Crash, ExitReason, Result};
use crate::kernel::End;
use crate::observe::crash_site::{self, InCall, InCast, InInfo, InInit, InTimeout};
use crate::observe::{Callback, lifecycle_log};
use crate::runtime::{Ack, AckSender};
use crate::server::context::deadline::HandledCall;
use crate::server::item::LimitedCall;
use crate::server::run::phases::{Phases, ServerBody};
use crate::server::{Dispatch, GenServer, ServerContext, ServerItem, WaitOutcome};

pub(crate) mod phases;
mod metered;
mod tracked;
mod traced;
mod next_item;
mod carried;
mod suspended;
mod drain;
mod failed;

/// Runs the server: all steps. `is_starting` says whether the record of the process is marked as
/// starting.
pub(crate) fn body<S: GenServer>(
    args: S::Args,
    ctx: ServerContext<S>,
    ack: AckSender,
    is_starting: bool,
) -> impl ServerBody {
    Phases::new(init(args, ctx, ack, is_starting))
}

/// Runs steps 1 and 2. Returns the future of the other steps.
#[expect(clippy::manual_async_fn, reason = "an `async fn` would hold its arguments twice")]
fn init<S: GenServer>(
    args: S::Args,
    mut ctx: ServerContext<S>,
    ack: AckSender,
    is_starting: bool,
) -> impl Future<Output = Result<impl Future<Output = End> + Send, End>> + Send {
    async move {
        ctx.note_init();
        let callback = InInit::begin();
        let state = match callback.end(S::init(args, &mut ctx).await) {
            Ok(state) => state,
            Err(reason) => {
                if let Some(error) = ctx.refusal(&reason) {
                    ack.send(Ack::Refused(error));
                }
                return Err(End::Returned(reason));
            }
        };
        // Invariant 2.
        let kernel = &ctx.process.kernel;
        if let Some(parent) = ctx.parent() {
            kernel.acknowledge(parent, ctx.pid());
        }
        kernel.mark_started(&*ctx.process, is_starting);
        ack.send(Ack::Started);
        Ok(run(state, ctx))
    }
}

/// Runs steps 3 to 5.
#[expect(clippy::manual_async_fn, reason = "an `async fn` would hold its arguments twice")]
fn run<S: GenServer>(mut state: S, mut ctx: ServerContext<S>) -> impl Future<Output = End> + Send {
    async move {
        // Invariant 1.
        let served = AssertUnwindSafe(serve(&mut state, &mut ctx)).catch_unwind().await;
        // From now on casts are refused: the loop will not take them.
        if ctx.process.kernel.note_loop_ended(&*ctx.process) {
            ctx.runtime().note_health_change();
        }
        let failed = ctx.take_failed();
        ctx.note_terminate();
        let end = terminate(&mut state, served.unwrap_or_else(panicked)).await;
        failed::keep(failed);
        ctx.note_traced_end();
        lifecycle_log::catch_destructor(ctx.pid(), || drop(state));
        end
    }
}

fn panicked(payload: Box<dyn Any + Send>) -> End {
    End::Panicked(ExitReason::Crashed(Crash::from_panic(payload)))
}

/// Waits for something to handle. A `poll_fn` would not be inlined into the loop, which polls it twice
/// for each item of an idle server.
struct ItemWait<'a, S: GenServer>(&'a mut ServerContext<S>);

impl<S: GenServer> Future for ItemWait<'_, S> {
    type Output = WaitOutcome;

    #[inline(always)]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<WaitOutcome> {
        self.0.poll_some(cx)
    }
}

/// Runs the loop, step 3, and returns its end.
#[expect(clippy::manual_async_fn, reason = "an `async fn` would hold its arguments twice")]
fn serve<S: GenServer>(
    state: &mut S,
    ctx: &mut ServerContext<S>,
) -> impl Future<Output = End> + Send {
    async move {
        loop {
            let waited = ItemWait(ctx).await;
            // Invariant 3.
            let handled = match ctx.next_item(waited) {
                Some(ServerItem::Call(call)) => {
                    let callback = InCall::begin();
                    callback.end(state.handle_call(call, ctx).await)
                }
                Some(ServerItem::Cast(cast)) => {
                    let callback = InCast::begin();
                    callback.end(state.handle_cast(cast, ctx).await)
                }
                other => match run_dispatch(ctx.dispatch(other), state, ctx).await {
                    ControlFlow::Continue(handled) => handled,
                    ControlFlow::Break(reason) => return End::Stopped(reason),
                },
            };
            if let Err(reason) = handled {
                return End::Returned(reason);
            }
        }
    }
}

/// Runs the callback of an item that is no plain call or cast.
pub(crate) fn run_dispatch<S: GenServer>(
    dispatch: Dispatch<S>,
    state: &mut S,
    ctx: &mut ServerContext<S>,
) -> impl Future<Output = ControlFlow<ExitReason, Result>> + Send {
    match dispatch {
        Dispatch::Carried(carried) => Either::Left(Box::pin(carried::run(*carried, state, ctx))),
        plain => Either::Right(run_plain(plain, state, ctx)),
    }
}

/// Runs the callback of an item that carries no metadata.
#[expect(clippy::manual_async_fn, reason = "an `async fn` would hold its arguments twice")]
fn run_plain<S: GenServer>(
    dispatch: Dispatch<S>,
    state: &mut S,
    ctx: &mut ServerContext<S>,
) -> impl Future<Output = ControlFlow<ExitReason, Result>> + Send {
    async move {
        ControlFlow::Continue(match dispatch {
            Dispatch::Call(call) => {
                let callback = InCall::begin();
                callback.end(state.handle_call(call, ctx).await)
            }
            Dispatch::LimitedCall(limited) => {
                let LimitedCall { call, limit } = *limited;
                let _handled = HandledCall::begin(&ctx.process, limit);
                let callback = InCall::begin();
                callback.end(state.handle_call(call, ctx).await)
            }
            Dispatch::Cast(cast) => {
                let callback = InCast::begin();
                callback.end(state.handle_cast(cast, ctx).await)
            }
            Dispatch::Info(envelope) => {
                let callback = InInfo::begin();
                callback.end(state.handle_info(envelope.into_received(), ctx).await)
            }
            Dispatch::Timeout => {
                let callback = InTimeout::begin();
                callback.end(state.handle_timeout(ctx).await)
            }
            Dispatch::System(request) => {
                match Box::pin(suspended::serve(*request, state, ctx)).await {
                    Some(reason) => return ControlFlow::Break(reason),
                    None => Ok(()),
                }
            }
            Dispatch::Carried(_) | Dispatch::Stale => Ok(()),
            Dispatch::Stop(reason) => return ControlFlow::Break(reason),
        })
    }
}

/// Runs `terminate`. If `terminate` panics, the server ends with that crash.
async fn terminate<S: GenServer>(state: &mut S, end: End) -> End {
    let reason = match &end {
        End::Returned(reason)
        | End::Stopped(reason)
        | End::NotRestarted(reason)
        | End::Panicked(reason) => reason.clone(),
        End::Dropped => ExitReason::Killed,
    };
    let terminated = AssertUnwindSafe(state.terminate(&reason)).catch_unwind().await;
    match terminated {
        Ok(()) => end,
        Err(payload) => {
            crash_site::note_failure(Callback::Terminate);
            panicked(payload)
        }
    }
}
