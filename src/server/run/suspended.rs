//! The server's side of [`sys`](crate::server::sys): answering system messages, and resting
//! while suspended.
//!
//! While it rests it takes from its mailbox only what a suspended process of OTP takes:
//! system messages, the request to stop, its parent's exit. All else stays queued where it
//! is. A fatal signal condemns the process, and then nothing is taken at all. What was to be
//! continued with is handled before any system message is taken, so none waits meanwhile.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::base::catch::ignore_panic;
use crate::exit::reason::ExitReason;
use crate::server::dispatch::Dispatch;
use crate::server::system_message::{ServerStatus, System};
use crate::server::{GenServer, ServerContext};

/// Answers, and rests for as long as it is suspended. Gives the reason if it is told to stop
/// meanwhile.
pub(crate) async fn serve<S: GenServer>(
    request: System,
    state: &mut S,
    ctx: &mut ServerContext<S>,
) -> Option<ExitReason> {
    if !answer(request, state, ctx, false) {
        return None;
    }
    ctx.pause_idle_timeout();
    let (mut suspended, mut cursor) = (true, 0);
    while suspended {
        poll_fn(|cx| ctx.poll_suspended(cx, &mut cursor)).await;
        suspended = match ctx.take_suspended(cursor) {
            Dispatch::Stop(reason) => return Some(reason),
            Dispatch::System(request) => answer(*request, state, ctx, true),
            _ => true,
        };
    }
    ctx.resume_reading();
    None
}

/// Whether the server is suspended after it.
fn answer<S: GenServer>(
    request: System,
    state: &mut S,
    ctx: &ServerContext<S>,
    suspended: bool,
) -> bool {
    match request {
        System::Suspend(reply) => reply.send(()),
        System::Resume(reply) => {
            reply.send(());
            return false;
        }
        System::Status(reply) => {
            // Looking at a server must not end it: a panic in there drops the reply.
            let line = catch_unwind(AssertUnwindSafe(|| state.format_status()));
            match line {
                Ok(line) => reply.send(ServerStatus { suspended, line }),
                Err(payload) => {
                    let pid = ctx.pid();
                    ignore_panic(
                        || tracing::warn!(target: "regrow::server", %pid, "format_status panicked"),
                    );
                    ignore_panic(|| drop(payload));
                }
            }
            return suspended;
        }
    }
    true
}
