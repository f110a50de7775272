//! The handler of a message that carries metadata.
//!
//! The handler is polled in a scope of the metadata, and in a span of its own if messages have spans.
//! What the handler sends then carries the same values, and its span.

use std::any::type_name;

use crate::message::Received;
use crate::process::AnyProcess;
use crate::server::context::metadata::handled_metadata;
use crate::server::dispatch::CarriedDispatch;
use crate::server::run::{Handling, run_dispatch};
use crate::server::{Dispatch, GenServer, ServerContext};

/// Runs the handler.
pub(super) fn run<'a, S: GenServer>(
    carried: CarriedDispatch<S>,
    state: &'a mut S,
    ctx: &'a mut ServerContext<S>,
) -> Handling<'a> {
    let CarriedDispatch { metadata, dispatch } = carried;
    let server = (&*ctx.process as &dyn AnyProcess, type_name::<S>());
    let metadata = handled_metadata(&ctx.process.kernel, server, &metadata, kind(&dispatch));
    let handling = run_dispatch(dispatch, state, ctx);
    Box::pin(metadata.hand_on(handling))
}

fn kind<S: GenServer>(dispatch: &Dispatch<S>) -> &'static str {
    match dispatch {
        Dispatch::Call(_) | Dispatch::LimitedCall(_) => "call",
        Dispatch::Cast(_) => "cast",
        Dispatch::Info(info) if matches!(info.received, Received::Stream(_)) => "stream",
        _ => "message",
    }
}
