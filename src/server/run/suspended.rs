//! The loop of a suspended server, and the answers to system messages: the server's side of
//! [`sys`](crate::server::sys).
//!
//! A suspended server takes from its mailbox the same items as a suspended process of OTP: system
//! messages, a request to stop, and its parent's exit. Every other item stays queued, in order.
//! Once an exit of the process is pending, the server takes nothing. Casts that were given to
//! `continue_with` are handled before a system message is taken, so none of them waits while the
//! server is suspended.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::base::{Pid, ignore_panic};
use crate::exit::ExitReason;
use crate::process::{AnyProcess, StatusAnswer, SystemRequest};
use crate::server::trace::trace;
use crate::server::{Dispatch, GenServer, ServerContext, ServerStatus, System};

/// Answers the request and, while the server is suspended, the requests that follow. Returns the
/// reason if the server has to stop while it is suspended.
pub(crate) async fn serve<S: GenServer>(
    request: System<S>,
    state: &mut S,
    ctx: &mut ServerContext<S>,
) -> Option<ExitReason> {
    if !answer(request, state, ctx, false) {
        return None;
    }
    ctx.inner().idle.pause();
    ctx.note_suspended(true);
    let (mut suspended, mut cursor) = (true, 0);
    while suspended {
        poll_fn(|cx| ctx.poll_suspended(cx, &mut cursor)).await;
        suspended = match ctx.take_suspended(cursor) {
            Dispatch::Stop(reason) => return Some(reason),
            Dispatch::System(request) => answer(*request, state, ctx, true),
            _ => true,
        };
    }
    ctx.inner().mailbox.read_on();
    ctx.note_suspended(false);
    None
}

impl<S: GenServer> ServerContext<S> {
    /// Notes in the record that the server runs no handlers that could report a heartbeat, or runs
    /// them again.
    fn note_suspended(&self, is_suspended: bool) {
        let process: &dyn AnyProcess = &*self.process;
        if process.with(|locked| locked.core().suspend_heartbeats(is_suspended)) {
            self.runtime().note_health_change();
        }
    }
}

/// Returns the line that the server publishes. A request for it must not end the server, so a panic is
/// caught.
fn line<S: GenServer>(state: &S, pid: Pid) -> StatusAnswer {
    catch_unwind(AssertUnwindSafe(|| state.format_status())).map_err(|payload| {
        ignore_panic(|| tracing::warn!(target: "regrow::server", %pid, "format_status panicked"));
        ignore_panic(|| drop(payload));
    })
}

/// Answers one request. Returns whether the server is suspended afterwards.
fn answer<S: GenServer>(
    request: System<S>,
    state: &mut S,
    ctx: &mut ServerContext<S>,
    suspended: bool,
) -> bool {
    match request {
        System::Suspend(reply) => reply.send(()),
        System::Resume(reply) => {
            reply.send(());
            return false;
        }
        System::Untyped(SystemRequest::Suspend(request)) => return request.carry_out(suspended),
        System::Untyped(SystemRequest::Status(request)) => {
            request.answer(line(state, ctx.pid()));
            return suspended;
        }
        System::Status(reply) => {
            // Without a line because of a panic, the reply is dropped.
            if let Ok(line) = line(state, ctx.pid()) {
                reply.send(ServerStatus { suspended, line });
            }
            return suspended;
        }
        System::Trace(reply, format) => {
            let (tracer, listener) = trace(format);
            ctx.add_tracer(tracer);
            reply.send(listener);
            return suspended;
        }
        System::Run(between) => {
            between(state, ctx.pid());
            return suspended;
        }
    }
    true
}
