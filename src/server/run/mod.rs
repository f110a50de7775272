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
//!   │ (after a failed callback the loop may [begin again](resume), with the same state)
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

use std::ops::ControlFlow;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::exit::{ExitReason, Result};
use crate::kernel::End;
use crate::observe::crash_site::{self, InCall, InCast, InEvent, InInfo, InTimeout};
use crate::observe::{Callback, CrashHandling};
use crate::server::context::deadline::HandledCall;
use crate::server::item::LimitedCall;
use crate::server::run::callback_panics::{caught, panicked};
use crate::server::{Dispatch, GenServer, ServerContext, ServerItem, WaitOutcome};

mod callback_panics;
mod phases;
mod tracked;
mod metered;
mod traced;
mod drain;
mod wait;
mod next_item;
mod carried;
mod suspended;
mod failed_callback;
mod resume;
mod init;

pub(crate) use init::{Begin, body};

/// A server whose `init` has succeeded. The loop borrows it with one pointer, and not with two.
struct Running<S: GenServer> {
    state: S,
    ctx: ServerContext<S>,
}

/// Runs steps 3 to 5.
#[expect(clippy::manual_async_fn, reason = "an `async fn` would hold its arguments twice")]
fn run<S: GenServer>(mut server: Running<S>) -> impl Future<Output = End> + Send {
    async move {
        let mut end = loop {
            // Invariant 1.
            let end = caught(serve(&mut server)).await.unwrap_or_else(panicked);
            if !resume::goes_on(&mut server.ctx, &end) {
                break end;
            }
            server.state.after_resume(&mut server.ctx);
        };
        let failed = leave_loop(&mut server.ctx);
        let reason = reason_of(&end);
        if let Err(panic) = caught(server.state.terminate(&reason)).await {
            // The server ends with the crash of `terminate`.
            crash_site::note_failure(Callback::Terminate);
            end = panicked(panic);
        }
        failed_callback::keep(failed);
        if server.ctx.inner().is_watched() {
            server.ctx.observed().note_traced_end();
        }
        let (kernel, pid) = (server.ctx.process.kernel.clone(), server.ctx.pid());
        kernel.catch_destructor(pid, || drop(server.state));
        end
    }
}

/// Refuses casts from now on, since the loop will not take them. Notes that `terminate` begins. Returns
/// the callback that has failed.
fn leave_loop<S: GenServer>(ctx: &mut ServerContext<S>) -> Option<Box<CrashHandling>> {
    if ctx.process.kernel.note_loop_ended(&*ctx.process) {
        ctx.runtime().note_health_change();
    }
    let failed = ctx.take_failed();
    if ctx.inner().is_watched() {
        ctx.observed().note_terminate();
    }
    failed
}

/// The reason that `terminate` receives.
fn reason_of(end: &End) -> ExitReason {
    match end {
        End::Returned(reason)
        | End::Stopped(reason)
        | End::NotRestarted(reason)
        | End::Panicked(reason) => reason.clone(),
        End::Dropped => ExitReason::Killed,
    }
}

/// Waits for something to handle. A `poll_fn` would not be inlined into the loop, which polls it twice
/// for each item of an idle server.
struct ItemWait<'a, S: GenServer>(&'a mut Running<S>);

impl<S: GenServer> Future for ItemWait<'_, S> {
    type Output = WaitOutcome;

    #[inline(always)]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<WaitOutcome> {
        let polled = self.0.ctx.poll_some(cx);
        if polled.is_pending() {
            self.0.state.before_wait();
        }
        polled
    }
}

/// Runs the loop, step 3, and returns its end.
#[expect(clippy::manual_async_fn, reason = "an `async fn` would hold its arguments twice")]
fn serve<S: GenServer>(server: &mut Running<S>) -> impl Future<Output = End> + Send {
    async move {
        loop {
            let waited = ItemWait(server).await;
            // Invariant 3.
            let handled = match server.ctx.next_item(waited) {
                Some(ServerItem::Call(call)) => {
                    InCall::begin().end(server.state.handle_call(call, &mut server.ctx).await)
                }
                Some(ServerItem::Cast(cast)) => {
                    InCast::begin().end(server.state.handle_cast(cast, &mut server.ctx).await)
                }
                other => match server.ctx.dispatch(other) {
                    Dispatch::Call(call) => {
                        InCall::begin().end(server.state.handle_call(call, &mut server.ctx).await)
                    }
                    Dispatch::Cast(cast) => {
                        InCast::begin().end(server.state.handle_cast(cast, &mut server.ctx).await)
                    }
                    Dispatch::Info(envelope) => InInfo::begin().end(
                        server.state.handle_info(envelope.into_received(), &mut server.ctx).await,
                    ),
                    Dispatch::Stop(reason) => return End::Stopped(reason),
                    Dispatch::Stale => Ok(()),
                    other => {
                        server.state.before_wait();
                        match run_dispatch(other, &mut server.state, &mut server.ctx).await {
                            ControlFlow::Continue(handled) => handled,
                            ControlFlow::Break(reason) => return End::Stopped(reason),
                        }
                    }
                },
            };
            if let Err(reason) = handled {
                return End::Returned(reason);
            }
        }
    }
}

/// The handling of an item.
pub(crate) type Handling<'a> =
    Pin<Box<dyn Future<Output = ControlFlow<ExitReason, Result>> + Send + 'a>>;

/// Runs the callback of an item that is no plain call or cast.
pub(crate) fn run_dispatch<'a, S: GenServer>(
    dispatch: Dispatch<S>,
    state: &'a mut S,
    ctx: &'a mut ServerContext<S>,
) -> Handling<'a> {
    match dispatch {
        Dispatch::Carried(carried) => carried::run(*carried, state, ctx),
        plain => Box::pin(run_plain(plain, state, ctx)),
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
            Dispatch::Own(timer) => {
                let callback = InEvent::begin();
                callback.end(state.handle_own(timer, ctx).await)
            }
            Dispatch::System(request) => match suspended::serve(*request, state, ctx).await {
                Some(reason) => return ControlFlow::Break(reason),
                None => Ok(()),
            },
            Dispatch::Carried(_) | Dispatch::Stale => Ok(()),
            Dispatch::Stop(reason) => return ControlFlow::Break(reason),
        })
    }
}
