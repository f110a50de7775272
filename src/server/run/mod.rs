//! The life of a server: init, the loop, terminate.

use std::future::poll_fn;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};

use futures_util::FutureExt;
use tokio::sync::oneshot;

use crate::base::catch::ignore_panic;
use crate::exit::crash::Crash;
use crate::exit::reason::{ExitReason, Result};
use crate::kernel::closing::End;
use crate::observe::activity::Callback;
use crate::observe::lifecycle_log;
use crate::runtime::errors::call_error::StartError;
use crate::server::dispatch::Dispatch;
use crate::server::item::ServerItem;
use crate::server::{GenServer, ServerContext};

mod tracked;
mod next_item;
pub(crate) mod suspended;

/// What init came to, for the caller of the start. A start that failed for any other reason
/// sends nothing: the end of the process tells it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ack {
    Started,
    /// The server itself refused to start, with this error.
    Refused(Box<StartError>),
}

/// Tells the caller of a start what init came to. That may be polled by hand: its waker is a user's,
/// and a panic of it none of the server's, whose init may be unwinding as this is dropped.
pub(crate) struct AckSender(Option<oneshot::Sender<Ack>>);

impl AckSender {
    pub(crate) fn new(sender: oneshot::Sender<Ack>) -> Self {
        AckSender(Some(sender))
    }

    fn send(mut self, ack: Ack) {
        let sender = self.0.take();
        // The caller may be gone.
        ignore_panic(|| drop(sender.map(|sender| sender.send(ack))));
    }
}

impl Drop for AckSender {
    fn drop(&mut self) {
        let sender = self.0.take();
        ignore_panic(|| drop(sender));
    }
}

/// The body of a server's process. The state lies outside of the loop, so that a panic
/// in a handler leaves it to `terminate`.
pub(crate) async fn body<S: GenServer>(
    args: S::Args,
    mut ctx: ServerContext<S>,
    ack: AckSender,
) -> End {
    ctx.note_init();
    let mut state = match S::init(args, &mut ctx).await {
        Ok(state) => state,
        Err(reason) => {
            if let Some(error) = ctx.refusal(&reason) {
                ack.send(Ack::Refused(error));
            }
            return End::Returned(reason);
        }
    };
    if let Some(parent) = ctx.parent() {
        ctx.runtime().kernel.acknowledge(parent, ctx.pid());
    }
    ctx.runtime().kernel.ready(&*ctx.process);
    ack.send(Ack::Started);
    let served = AssertUnwindSafe(serve(&mut state, &mut ctx)).catch_unwind().await;
    let end = match served {
        Ok(end) => end,
        Err(payload) => End::Panicked(ExitReason::Crashed(Crash::from_panic(payload))),
    };
    ctx.note_begin(Callback::Terminate);
    let end = terminate(&mut state, end).await;
    if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(state))) {
        let crash = Crash::from_panic(payload);
        lifecycle_log::destructor_panicked(ctx.pid(), crash.message());
    }
    end
}

/// Handles one thing after the other, until something ends it.
async fn serve<S: GenServer>(state: &mut S, ctx: &mut ServerContext<S>) -> End {
    loop {
        let waited = poll_fn(|cx| ctx.poll_some(cx)).await;
        let handled = match ctx.next_item(waited) {
            Some(ServerItem::Call(call)) => state.handle_call(call, ctx).await,
            Some(ServerItem::Cast(cast)) => state.handle_cast(cast, ctx).await,
            other => match run_dispatch(ctx.event(other), state, ctx).await {
                ControlFlow::Continue(handled) => handled,
                ControlFlow::Break(end) => return end,
            },
        };
        if let Err(reason) = handled {
            return End::Returned(reason);
        }
    }
}

/// What is neither a call nor a cast by itself.
async fn run_dispatch<S: GenServer>(
    event: Dispatch<S>,
    state: &mut S,
    ctx: &mut ServerContext<S>,
) -> ControlFlow<End, Result> {
    ControlFlow::Continue(match event {
        Dispatch::Call(call) => state.handle_call(call, ctx).await,
        Dispatch::Cast(cast) => state.handle_cast(cast, ctx).await,
        Dispatch::Info(info) => state.handle_info(info, ctx).await,
        Dispatch::Timeout => state.handle_timeout(ctx).await,
        Dispatch::System(request) => match Box::pin(suspended::serve(*request, state, ctx)).await {
            Some(reason) => return ControlFlow::Break(End::Told(reason)),
            None => Ok(()),
        },
        Dispatch::Stale => Ok(()),
        Dispatch::Stop(reason) => return ControlFlow::Break(End::Told(reason)),
    })
}

/// Runs `terminate`; its panic becomes the reason.
async fn terminate<S: GenServer>(state: &mut S, end: End) -> End {
    let reason = match &end {
        End::Returned(reason) | End::Told(reason) | End::Panicked(reason) => reason.clone(),
        End::Dropped => ExitReason::Killed,
    };
    match AssertUnwindSafe(state.terminate(&reason)).catch_unwind().await {
        Ok(()) => end,
        Err(payload) => End::Panicked(ExitReason::Crashed(Crash::from_panic(payload))),
    }
}
