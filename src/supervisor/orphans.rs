//! Waiting for the orphans of a killed supervisor before it is started again.
//!
//! A supervisor that is killed ends before its children do. The children that still run then are
//! its *orphans*: their links end them, each in its own time.
//!
//! **Guarantee.** An incarnation of a supervisor starts only after all orphans of its earlier
//! incarnations have ended. So no two incarnations of a child overlap, and no name is still held
//! by an orphan when its successor registers it.
//!
//! The wait may take as long as the slowest orphan. Therefore the supervisor above waits beside
//! its loop, and shows the child as restarting: it serves requests, restarts other children and
//! can be stopped meanwhile.

use crate::base::shared_str::SharedStr;
use crate::child::ChildType;
use crate::process::ChildSlot;
use crate::runtime::deadline::within;
use crate::supervisor::report::Report;
use crate::supervisor::stop::NOT_YIELDING;

/// The orphans of one child's incarnations, up to the one of this start.
#[derive(Debug)]
pub(crate) struct Orphans {
    child: SharedStr,
    last_start: ChildSlot,
}

impl Orphans {
    /// The orphans of a child of this kind that doesn't run; `None` if there are none. Only a
    /// supervisor leaves orphans.
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

    /// Waits until all of them have ended. Logs every [`NOT_YIELDING`] which one it waits for.
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
