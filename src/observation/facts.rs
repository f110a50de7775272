//! The facts that a picture and a sample read from the record of a process.

use tokio::time::Instant;

use crate::kernel::Kernel;
use crate::observation::MailboxFacts;
use crate::observe::Health;
use crate::process::{AnyProcess, Locked};

/// The facts about one live process.
pub(super) struct Facts {
    pub(super) health: Health,
    pub(super) mailbox: MailboxFacts,
    /// The number of the last change that these facts include.
    pub(super) last_change: u64,
}

impl Facts {
    /// Reads the record of a process; `None` if it is not alive.
    pub(super) fn read(kernel: &Kernel, process: &dyn AnyProcess) -> Option<Self> {
        process.with(|locked| {
            if !locked.core().is_open() {
                return None;
            }
            let mailbox = mailbox(locked);
            let health = locked.core().reported_health().unwrap_or_default();
            Some(Facts { health, mailbox, last_change: kernel.changes.last() })
        })
    }
}

/// Reads the mailbox of a process, and what it handles.
pub(crate) fn mailbox(locked: &mut Locked) -> MailboxFacts {
    let queued = Some(locked.queued_items());
    let lost = locked.core().counts().map_or(0, |counts| counts.dropped);
    if !locked.core().tracked {
        return MailboxFacts { queued, lost, ..MailboxFacts::default() };
    }
    let (now, in_inbox) = (Instant::now(), locked.mail.oldest_queued());
    let activity =
        locked.core().registrations().and_then(|registrations| registrations.activity.as_ref());
    let oldest = activity.and_then(|activity| activity.next_queued).or(in_inbox);
    let running = activity.and_then(|activity| activity.running);
    MailboxFacts {
        queued,
        lost,
        oldest: oldest.map(|at| now.saturating_duration_since(at)),
        handling: running.map(|running| running.handling(now)),
    }
}
