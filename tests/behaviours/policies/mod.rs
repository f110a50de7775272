//! What follows a failure of a child, decided by the reason of the failure.

mod decisions;
mod resumed;
mod resumed_callbacks;
mod reported;
mod log_flood;
mod memory;

use std::fmt;
use std::time::Duration;

use regrow::{ExitReason, FailurePolicy, GenServer, Reply, Result, Runtime, ServerContext};

/// An error for each policy.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Ask(pub(crate) FailurePolicy);

impl fmt::Display for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "asks for {}", self.0)
    }
}

impl std::error::Error for Ask {}

/// The policy that the error in the reason asks for.
pub(crate) fn as_asked(reason: &ExitReason) -> FailurePolicy {
    reason.find_error::<Ask>().map_or(FailurePolicy::Restart, |ask| ask.0)
}

/// A server with a number, which fails on request.
pub(crate) struct Number(u64);

#[derive(Debug, Clone, Copy)]
pub(crate) enum Do {
    Add(u64),
    Fail(FailurePolicy),
    Panic,
    GiveUp,
    End,
}

pub(crate) enum Request {
    Get(Reply<u64>),
    Fail(FailurePolicy, Reply<u64>),
    Panic(Reply<u64>),
}

impl GenServer for Number {
    type Args = u64;
    type Call = Request;
    type Cast = Do;

    async fn init(start: u64, _: &mut ServerContext<Self>) -> Result<Self> {
        Ok(Number(start))
    }

    async fn handle_call(&mut self, call: Request, _: &mut ServerContext<Self>) -> Result {
        match call {
            Request::Get(reply) => reply.send(self.0),
            Request::Fail(policy, _reply) => return Err(Ask(policy).into()),
            Request::Panic(_reply) => panic!("as asked"),
        }
        Ok(())
    }

    async fn handle_cast(&mut self, cast: Do, ctx: &mut ServerContext<Self>) -> Result {
        match cast {
            Do::Add(more) => self.0 += more,
            Do::Fail(policy) => {
                self.0 += 1;
                Err(Ask(policy))?;
            }
            Do::Panic => panic!("as asked"),
            Do::GiveUp => return Err(ctx.give_up(Ask(FailurePolicy::Resume))),
            Do::End => return Err(ExitReason::Shutdown),
        }
        Ok(())
    }
}

/// Waits until the processes of this runtime are idle.
pub(crate) async fn idle() {
    crate::support::settled().await;
}

pub(crate) const SECOND: Duration = Duration::from_secs(1);

pub(crate) async fn get(rt: &Runtime, name: &'static str) -> u64 {
    rt.server::<Number>(name).call(Request::Get).await.unwrap()
}
