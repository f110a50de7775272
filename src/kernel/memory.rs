//! When a process is killed for its memory: its own reports, the measurements around its polls, and
//! the limit.
//!
//! **Guarantee.** A process whose memory exceeds the limit of its specification is killed once,
//! with the reason [`MemoryLimitReached`]. The kill follows the report, or the poll, that exceeded
//! the limit. A process that reports nothing has no cost while memory is not measured.
//!
//! **Steps**
//! 1. Under the lock of the process, note the new number, and compare it with the limit.
//! 2. After unlock, send the kill. The kill has no process as its sender, because a kill by the
//!    supervisor would count as a stop.
//!
//! If the process ends between the steps, the kill has no effect. If the process reports a smaller
//! number between the steps, it is killed nevertheless, because it has exceeded its limit.

use std::sync::Arc;

use crate::base::pid::Pid;
use crate::base::user_panics::catch_panic;
use crate::exit::memory_limit::MemoryLimitReached;
use crate::exit::reason::ExitReason;
use crate::exit::signal::ExitKind;
use crate::kernel::Kernel;
use crate::kernel::exits::ExitSignal;
use crate::process::{AnyProcess, Memory, Stage};

impl Kernel {
    /// Returns how many bytes this thread has allocated and not freed, while memory is measured. A
    /// panic of the user's function counts as no answer.
    pub(crate) fn allocated_by_thread(&self) -> Option<i64> {
        let probe = self.switches.memory_probe()?;
        catch_panic(probe).ok()
    }

    /// Notes how many bytes a poll of this process has allocated, minus the bytes that it has
    /// freed.
    pub(crate) fn note_allocated(self: &Arc<Self>, process: &dyn AnyProcess, delta: i64) {
        if delta != 0 {
            self.note_memory(process, |memory| {
                memory.allocated = memory.allocated.saturating_add(delta);
            });
        }
    }

    /// Notes the memory that a process reports.
    pub(crate) fn report_memory(self: &Arc<Self>, process: &dyn AnyProcess, bytes: u64) {
        self.note_memory(process, |memory| memory.reported = Some(bytes));
    }

    fn note_memory(self: &Arc<Self>, process: &dyn AnyProcess, note: impl FnOnce(&mut Memory)) {
        let exceeded = process.with(|locked| {
            let core = locked.core();
            if core.stage != Stage::Live {
                return None;
            }
            let limited = core.registrations_mut().limited.get_or_insert_default();
            let memory = limited.memory.get_or_insert_default();
            note(memory);
            let used = memory.bytes();
            let rules = core.relations()?.child.as_ref()?.own_rules.as_ref()?;
            let limit = rules.max_memory.filter(|limit| used > *limit)?;
            Some(MemoryLimitReached { limit, used })
        });
        if let Some(exceeded) = exceeded {
            let reason = ExitReason::from_library(exceeded);
            let signal = ExitSignal { from: Pid::OUTSIDE, reason: &reason, kind: ExitKind::Kill };
            self.signal_exit(process, signal);
        }
    }
}
