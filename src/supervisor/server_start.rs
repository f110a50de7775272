//! Begins the start of a server as a child, without a wait for its `init`.
//!
//! A dynamic supervisor serves requests while children start. It gets the acknowledgement of an
//! `init` as a message. So such a start needs neither a task nor a stored future.

use std::sync::Arc;

use crate::child::ChildType;
use crate::child::Spec;
use crate::child::start::Start;
use crate::runtime::{AckReceiver, Runtime, StartGuard, Starter};
use crate::supervisor::incarnation::{context, outcome_of};
use crate::supervisor::{NewIncarnation, Report, StartOutcome};

/// A start that has begun.
pub(crate) enum Begun {
    /// The process runs its `init`, and is killed when the guard is dropped.
    Init(StartGuard<Runtime>),
    /// No process was admitted.
    Refused(StartOutcome),
}

/// Begins the start of a server. The server acknowledges its `init` to `receiver`. Returns `None`
/// if the child is no server, or if its start has a time limit or a step after its `init`.
pub(crate) fn begin_server(
    report: &Report,
    incarnation: &NewIncarnation,
    spec: &Arc<Spec>,
    receiver: impl FnOnce() -> Arc<dyn AckReceiver>,
) -> Option<Begun> {
    let Start::Server(start) = &*spec.start else { return None };
    let has_limit = spec.init_timeout.is_some() || spec.ready_within.is_some();
    if spec.kind == ChildType::Supervisor || has_limit {
        return None;
    }
    let mut ctx = context(report, incarnation.clone(), spec);
    let begun = match start.begin(&mut ctx, Starter::Process(receiver())) {
        Ok(process) => {
            let (runtime, parent) = (report.runtime.clone(), Some(report.supervisor));
            Begun::Init(StartGuard::new(runtime, parent, process))
        }
        Err(error) => {
            let is_of_child = (ctx.name_taken, ctx.last_admitted);
            Begun::Refused(outcome_of(report, spec, Err(error), is_of_child))
        }
    };
    ctx.finish();
    Some(begun)
}
