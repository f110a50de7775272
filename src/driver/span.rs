//! The tracing span of a process.
//!
//! A span is created when it is first needed, and stored in the record. The record holds the span
//! in an `Arc`, because the clone of a span runs the user's subscriber, and no user code may run
//! under the lock. A span that is created while the label changes is used once and not stored.

use std::sync::Arc;

use tracing::{Level, Span, info_span, span_enabled};

use crate::base::name;
use crate::kernel::Kernel;
use crate::process::AnyProcess;

const TARGET: &str = "regrow::process";

/// Runs a closure inside the span of the process, if spans are switched on. A test that captures the
/// log of the runtime receives the lines of the closure.
#[inline]
pub(crate) fn inside<R>(kernel: &Kernel, process: &dyn AnyProcess, run: impl FnOnce() -> R) -> R {
    if !kernel.switches.surrounds_polls() {
        return run();
    }
    surrounded(kernel, process, run)
}

#[cold]
#[inline(never)]
fn surrounded<R>(kernel: &Kernel, process: &dyn AnyProcess, run: impl FnOnce() -> R) -> R {
    let switches = &kernel.switches;
    switches.captured(|| match switches.gives_spans().then(|| span(process)).flatten() {
        Some(span) => span.in_scope(run),
        None => run(),
    })
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
