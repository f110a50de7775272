//! Functions with which the kernel records events in the trace of a proof run.

use crate::base::pid::{MonitorRef, Pid};
use crate::exit::reason::ExitReason;
use crate::kernel::Kernel;
use crate::kernel::admission::NewProcess;
use crate::kernel::exits::{ExitSignal, SignalOutcome};
use crate::kernel::trace::Event;

impl Kernel {
    pub(crate) fn trace_spawn(&self, pid: Pid, new_process: &NewProcess) {
        self.trace
            .record(Event::Spawned { pid, parent: new_process.link.map(|(parent, _)| parent) });
    }

    pub(crate) fn trace_signal(&self, to: Pid, signal: ExitSignal<'_>, outcome: SignalOutcome) {
        let fatal = match outcome {
            SignalOutcome::Accepted => true,
            SignalOutcome::Delivered | SignalOutcome::Orphaned(_) => false,
            _ => return,
        };
        self.trace.record(Event::Signal {
            from: signal.from,
            to,
            by_link: signal.kind.is_of_link(),
            fatal,
            reason: signal.reason.clone(),
        });
    }

    pub(crate) fn trace_down(&self, reference: MonitorRef, target: Pid, reason: &ExitReason) {
        let (watcher, reason) = (reference.watcher(), reason.clone());
        self.trace.record(Event::Down { reference, target, watcher, reason });
    }
}
