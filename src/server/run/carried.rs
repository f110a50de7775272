//! The handler of a message that carries metadata.
//!
//! The handler is polled in a scope of the metadata, and in a span of its own if messages have spans.
//! What the handler sends then carries the same values, and its span.

use std::ops::ControlFlow;

use crate::exit::{ExitReason, Result};
use crate::message::Received;
use crate::server::dispatch::CarriedDispatch;
use crate::server::run::run_plain;
use crate::server::{Dispatch, GenServer, ServerContext};

/// Runs the handler.
pub(super) async fn run<S: GenServer>(
    carried: CarriedDispatch<S>,
    state: &mut S,
    ctx: &mut ServerContext<S>,
) -> ControlFlow<ExitReason, Result> {
    let CarriedDispatch { metadata, dispatch } = carried;
    let metadata = ctx.handled_metadata(&metadata, kind(&dispatch));
    metadata.hand_on(run_plain(dispatch, state, ctx)).await
}

fn kind<S: GenServer>(dispatch: &Dispatch<S>) -> &'static str {
    match dispatch {
        Dispatch::Call(_) | Dispatch::LimitedCall(_) => "call",
        Dispatch::Cast(_) => "cast",
        Dispatch::Info(info) if matches!(info.received, Received::Stream(_)) => "stream",
        _ => "message",
    }
}
