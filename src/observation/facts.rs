//! The facts that a picture and a sample read from the record of a process.

use tokio::time::Instant;

use crate::kernel::Kernel;
use crate::observation::MailboxFacts;
use crate::observe::Health;
use crate::process::{AnyProcess, Locked};

/// Reads the record of a process, and passes its health and its mailbox to `take`. Returns the number
/// of the last change that they include; `None` if the process is not alive.
pub(super) fn read(
    kernel: &Kernel,
    process: &dyn AnyProcess,
    take: impl FnOnce(Health, MailboxFacts),
) -> Option<u64> {
    process.with(|locked| {
        if !locked.core().is_open() {
            return None;
        }
        take(locked.core().reported_health().unwrap_or_default(), mailbox(locked));
        Some(kernel.changes.last())
    })
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
