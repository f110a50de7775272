//! The span of a process.
//!
//! It is made when it is first needed, kept in the record, and handed out shared: a span is
//! cloned, entered and dropped by the user's subscriber, which must not happen under the
//! lock. One that was made while the label was changed is used once and not kept.

use std::sync::Arc;

use tracing::{Level, Span, info_span, span_enabled};

use crate::base::one_line::name;
use crate::kernel::Kernel;
use crate::process::AnyProcess;

const TARGET: &str = "regrow::process";

/// Does a part of what a process does, inside its span where it has one.
pub(crate) fn inside<R>(kernel: &Kernel, process: &dyn AnyProcess, act: impl FnOnce() -> R) -> R {
    if !kernel.switches.gives_spans() {
        return act();
    }
    match span(process) {
        Some(span) => span.in_scope(act),
        None => act(),
    }
}

#[cold]
fn span(process: &dyn AnyProcess) -> Option<Arc<Span>> {
    if !span_enabled!(target: TARGET, Level::INFO) {
        return None;
    }
    let (kept, label) = process.with(|locked| {
        let core = locked.core();
        let kept = core.registrations().and_then(|registrations| registrations.span.clone());
        (kept, core.relations().and_then(|relations| relations.label.clone()))
    });
    if kept.is_some() {
        return kept;
    }
    let (pid, text) = (process.pid(), label.as_deref().map(|label| name(label).to_string()));
    let span = info_span!(target: TARGET, parent: None, "process", %pid, label = text);
    let span = Arc::new(span);
    let old = process.with(|locked| {
        let core = locked.core();
        let same = core.relations_mut().label == label;
        same.then(|| core.registrations_mut().span.replace(span.clone()))
    });
    drop(old);
    Some(span)
}
