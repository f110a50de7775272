//! What the kernel tells the event trace of a proof run.

use crate::base::pid::{MonitorRef, Pid};
use crate::exit::reason::ExitReason;
use crate::exit::signal::ExitKind;
use crate::kernel::Kernel;
use crate::kernel::admission::Birth;
use crate::kernel::exits::{ExitSignal, Outcome};
use crate::kernel::trace::Event;

impl Kernel {
    pub(crate) fn trace_birth(&self, pid: Pid, birth: &Birth) {
        self.trace.record(Event::Spawned { pid, parent: birth.link.map(|(parent, _)| parent) });
    }

    pub(crate) fn trace_signal(&self, to: Pid, signal: ExitSignal<'_>, outcome: Outcome) {
        let fatal = match outcome {
            Outcome::Accepted => true,
            Outcome::Delivered | Outcome::Orphaned(_) => false,
            _ => return,
        };
        self.trace.record(Event::Signal {
            from: signal.from,
            to,
            by_link: signal.kind == ExitKind::Link,
            fatal,
            reason: signal.reason.clone(),
        });
    }

    pub(crate) fn trace_down(&self, reference: MonitorRef, target: Pid, reason: &ExitReason) {
        let (watcher, reason) = (reference.watcher(), reason.clone());
        self.trace.record(Event::Down { reference, target, watcher, reason });
    }
}
