//! The report of a server that goes on after a failed handler: a line at ERROR, the event
//! [`Resumed`](LifecycleEvent::Resumed), a counter, and a crash report.

use crate::exit::reason::ExitReason;
use crate::kernel::Kernel;
use crate::kernel::closing::EndDetails;
use crate::observe::crash_report::{CrashCause, CrashHandling};
use crate::observe::event::LifecycleEvent;
use crate::observe::lifecycle_log;
use crate::observe::log_flood::LineKind;
use crate::process::{AnyProcess, Relations};

/// A failure after which the server goes on.
pub(crate) struct Resumed<'a> {
    pub(crate) reason: &'a ExitReason,
    /// The callback that has failed.
    pub(crate) handling: CrashHandling,
    /// How many more failures the budget allows now.
    pub(crate) left: u32,
}

impl Kernel {
    /// Reports the failure. The process is live, so the facts are copied out of its record.
    #[cold]
    pub(crate) fn report_resumed(&self, process: &dyn AnyProcess, resumed: &Resumed<'_>) {
        let Resumed { reason, handling, left } = *resumed;
        self.counters.count_resume();
        let pid = process.pid();
        let (relations, name) = process.with(|locked| {
            let core = locked.core();
            let names = core.registrations().map(|own| own.names.keys().next().cloned());
            (core.relations().map(|of| facts_of(of)).unwrap_or_default(), names.flatten())
        });
        let label = relations.label.as_deref();
        self.line(LineKind::Resumed, || {
            let callback = handling.callback;
            lifecycle_log::resumed(pid, label, name.as_deref(), (reason, &callback, left));
        });
        if let (Some(parent), Some(child)) = (relations.parent, &relations.child) {
            self.events.publish(|| LifecycleEvent::Resumed {
                supervisor: parent.pid,
                child: child.id.clone(),
                pid,
                reason: reason.clone(),
                callback: handling.callback,
                resumes_left: left,
            });
        }
        let details = EndDetails { reason: reason.clone(), failed: true, was_dropped: false, name };
        let cause = || Some(CrashCause::Resumed);
        self.report_if_wanted(cause, Some(handling), (pid, &relations, &details), &|_| 0);
    }
}

/// Copies what a crash report needs.
fn facts_of(live: &Relations) -> Relations {
    let (label, parent, child) = (live.label.clone(), live.parent, live.child.clone());
    let mut facts = Relations { label, parent, child, ..Relations::default() };
    for (pid, link) in live.links.iter() {
        facts.links.insert(*pid, *link);
    }
    facts
}
