//! Finds the backtrace of a process that has crashed.
//!
//! **Guarantee.** The backtrace of a crash is found if the crash is among the last [`KEPT`] ones,
//! and other code still keeps the crash, such as the history of a supervisor. This table owns no
//! crash: a crash contains an error of a user, and an owner would prolong the life of that error.
//!
//! **Cost.** None unless a crash has a backtrace. A crash has one only if `RUST_BACKTRACE` is set.

use std::collections::VecDeque;

use crate::base::pid::Pid;
use crate::base::sync::PlainMutex;
use crate::exit::crash::{Crash, WeakCrash};
use crate::exit::reason::ExitReason;
use crate::kernel::Kernel;

/// The number of crashes that are found.
const KEPT: usize = 1024;

/// The last crashes that have a backtrace, oldest first.
#[derive(Default)]
pub(crate) struct Backtraces(PlainMutex<VecDeque<(Pid, WeakCrash)>>);

impl Kernel {
    /// Notes the crash with which this process ends, if the crash has a backtrace.
    pub(super) fn note_backtrace(&self, pid: Pid, reason: &ExitReason) {
        let Some(crash) = reason.crash().filter(|crash| crash.backtrace().is_some()) else {
            return;
        };
        let mut kept = self.backtraces.0.lock();
        if kept.len() == KEPT {
            kept.pop_front();
        }
        kept.push_back((pid, crash.downgrade()));
    }

    /// Returns the crash of this process, if the crash has a backtrace and is kept.
    pub(crate) fn crash_with_backtrace(&self, pid: Pid) -> Option<Crash> {
        let kept = self.backtraces.0.lock();
        kept.iter().rev().find(|(of, _)| *of == pid)?.1.upgrade()
    }
}
