//! Waits for the orphans of a killed supervisor before the supervisor is started again.
//!
//! A supervisor that is killed ends before its children. Children that run after its end are its
//! *orphans*. The exit signals of their links end them, some later than others.
//!
//! **Guarantee.** An incarnation of a supervisor starts only after all orphans of its earlier
//! incarnations have ended. So no two incarnations of a child overlap, and no orphan holds a name
//! that its successor registers.
//!
//! The wait takes as long as the slowest orphan needs to end. So the supervisor of the killed
//! supervisor does not wait in its loop: a task waits, and the child is shown as restarting. During
//! the wait the supervisor serves requests, restarts other children and can be stopped.

use crate::base::SharedStr;
use crate::child::ChildType;
use crate::process::ChildSlot;
use crate::runtime::within;
use crate::supervisor::{NOT_YIELDING, Report};

/// The orphans that one child's incarnations up to `last_start` have left.
#[derive(Debug)]
pub(crate) struct Orphans {
    child: SharedStr,
    last_start: ChildSlot,
}

impl Orphans {
    /// Returns the orphans of a child of this kind that doesn't run. `None` if there are none: only
    /// a supervisor leaves orphans.
    pub(crate) fn of(
        report: &Report,
        kind: ChildType,
        (child, last_start): (&SharedStr, ChildSlot),
    ) -> Option<Self> {
        if kind != ChildType::Supervisor {
            return None;
        }
        let orphans = report.runtime.kernel.orphans(report.supervisor, last_start);
        (!orphans.is_empty()).then(|| Orphans { child: child.clone(), last_start })
    }

    /// Waits until all orphans have ended. Logs the awaited orphan every [`NOT_YIELDING`].
    pub(crate) async fn ended(self, report: &Report) {
        let Report { runtime, supervisor, .. } = report;
        loop {
            let orphans = runtime.kernel.orphans(*supervisor, self.last_start);
            if orphans.is_empty() {
                return;
            }
            for orphan in orphans {
                let mut ended = runtime.ended(orphan);
                while within(&runtime.kernel, NOT_YIELDING, &mut ended).await.is_none() {
                    report.waits_for_orphan(&self.child, orphan);
                }
            }
        }
    }
}
