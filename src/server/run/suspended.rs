//! The loop of a suspended server, and the answers to system messages: the server's side of
//! [`sys`](crate::server::sys).
//!
//! A suspended server takes from its mailbox the same items as a suspended process of OTP: system
//! messages, a request to stop, and its parent's exit. Every other item stays queued, in order.
//! Once an exit of the process is pending, the server takes nothing. Casts that were given to
//! `continue_with` are handled before a system message is taken, so none of them waits while the
//! server is suspended.

use std::any::Any;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::{Context, Poll};

use crate::base::{Pid, ignore_panic};
use crate::exit::ExitReason;
use crate::process::{StatusAnswer, SystemRequest};
use crate::server::run::tracked::Observed;
use crate::server::trace::trace;
use crate::server::{Dispatch, GenServer, ServerContext, ServerStatus, System};

/// A server between two handlers, as this file needs it. So the loop is compiled once, and not for each
/// server.
trait BetweenHandlers: Send {
    fn observed(&mut self) -> Observed<'_>;

    fn state(&mut self) -> &mut dyn Any;

    fn format_status(&self) -> Option<String>;

    /// Stops the clock of the idle time-out.
    fn pause_idle_timeout(&mut self);

    /// Waits for an item that a suspended server takes. All other items stay queued.
    fn poll(&mut self, cx: &mut Context<'_>, cursor: &mut usize) -> Poll<()>;

    /// Takes the item that `poll` has found.
    fn take(&mut self, cursor: usize) -> Urgent;

    /// Lets a later search begin at the first item again.
    fn read_on(&mut self);
}

/// An item that a suspended server takes.
enum Urgent {
    Stop(ExitReason),
    System(Box<System>),
    /// A signal that was revoked.
    Nothing,
}

struct Server<'a, S: GenServer> {
    state: &'a mut S,
    ctx: &'a mut ServerContext<S>,
}

impl<S: GenServer> BetweenHandlers for Server<'_, S> {
    fn observed(&mut self) -> Observed<'_> {
        self.ctx.observed()
    }

    fn state(&mut self) -> &mut dyn Any {
        self.state
    }

    fn format_status(&self) -> Option<String> {
        self.state.format_status()
    }

    fn pause_idle_timeout(&mut self) {
        if let Some(extras) = &mut self.ctx.inner().extras {
            extras.idle.pause();
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>, cursor: &mut usize) -> Poll<()> {
        self.ctx.poll_suspended(cx, cursor)
    }

    fn take(&mut self, cursor: usize) -> Urgent {
        match self.ctx.take_suspended(cursor) {
            Dispatch::Stop(reason) => Urgent::Stop(reason),
            Dispatch::System(request) => Urgent::System(request),
            _ => Urgent::Nothing,
        }
    }

    fn read_on(&mut self) {
        self.ctx.inner().mailbox.read_on();
    }
}

/// Answers the request and, while the server is suspended, the requests that follow. Returns the
/// reason if the server has to stop while it is suspended.
pub(super) fn serve<'a, S: GenServer>(
    request: System,
    state: &'a mut S,
    ctx: &'a mut ServerContext<S>,
) -> impl Future<Output = Option<ExitReason>> + Send + use<'a, S> {
    serve_any(request, Box::new(Server { state, ctx }))
}

async fn serve_any(
    request: System,
    mut server: Box<dyn BetweenHandlers + '_>,
) -> Option<ExitReason> {
    if !answer(request, &mut *server, false) {
        return None;
    }
    server.pause_idle_timeout();
    note_suspended(&server.observed(), true);
    let (mut suspended, mut cursor) = (true, 0);
    while suspended {
        poll_fn(|cx| server.poll(cx, &mut cursor)).await;
        suspended = match server.take(cursor) {
            Urgent::Stop(reason) => return Some(reason),
            Urgent::System(request) => answer(*request, &mut *server, true),
            Urgent::Nothing => true,
        };
    }
    server.read_on();
    note_suspended(&server.observed(), false);
    None
}

/// Notes in the record that the server runs no handlers that could report a heartbeat, or runs them
/// again.
fn note_suspended(server: &Observed<'_>, is_suspended: bool) {
    if server.process.with(|locked| locked.core().suspend_heartbeats(is_suspended)) {
        server.runtime().note_health_change();
    }
}

/// Returns the line that the server publishes. A request for it must not end the server, so a panic is
/// caught.
fn line(server: &dyn BetweenHandlers, pid: Pid) -> StatusAnswer {
    catch_unwind(AssertUnwindSafe(|| server.format_status())).map_err(|payload| {
        ignore_panic(|| tracing::warn!(target: "regrow::server", %pid, "format_status panicked"));
        ignore_panic(|| drop(payload));
    })
}

/// Answers one request. Returns whether the server is suspended afterwards.
fn answer(request: System, server: &mut dyn BetweenHandlers, suspended: bool) -> bool {
    let pid = server.observed().process.pid();
    match request {
        System::Suspend(reply) => reply.send(()),
        System::Resume(reply) => {
            reply.send(());
            return false;
        }
        System::Untyped(SystemRequest::Suspend(request)) => return request.carry_out(suspended),
        System::Untyped(SystemRequest::Status(request)) => {
            request.answer(line(server, pid));
            return suspended;
        }
        System::Status(reply) => {
            // Without a line because of a panic, the reply is dropped.
            if let Ok(line) = line(server, pid) {
                reply.send(ServerStatus { suspended, line });
            }
            return suspended;
        }
        System::Trace(reply, format) => {
            let (tracer, listener) = trace(format);
            server.observed().add_tracer(tracer);
            reply.send(listener);
            return suspended;
        }
        System::Run(between) => {
            between(server.state(), pid);
            return suspended;
        }
    }
    true
}
