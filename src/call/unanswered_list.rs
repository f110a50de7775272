//! The list of unanswered callers in the record of a server. Step 4 of a
//! [slot](crate::call::reply_slot) adds to it.

use std::sync::Arc;

use crate::base::ignore_panic;
use crate::base::sync::atomic::Ordering;
use crate::exit::ExitReason;
use crate::process::core::Unanswered;
use crate::process::{AnyProcess, flag};

/// Adds callers to the server's list of unanswered callers. If the server has ended, returns the
/// callers and the reason.
pub(crate) fn add_unanswered(
    server: &dyn AnyProcess,
    callers: Vec<Arc<dyn Unanswered>>,
) -> Result<(), (Vec<Arc<dyn Unanswered>>, ExitReason)> {
    // Invariant 2 of `reply_slot`.
    server.with(|locked| {
        let core = locked.core();
        if core.has_ended()
            && let Some(reason) = &core.reason
        {
            return Err((callers, reason.clone()));
        }
        core.registrations_mut().unanswered.extend(callers);
        server.raise(flag::UNANSWERED);
        core.notify();
        // The notification wakes only a reader that waits. The server may also be running a
        // handler, or be a process that stands in for a server in a test.
        core.wake_task();
        Ok(())
    })
}

/// Resolves the server's list of unanswered callers with `NoReply`. Called while the server lives.
pub(crate) fn resolve_handed_over(server: &dyn AnyProcess) {
    server.flags().fetch_and(!flag::UNANSWERED, Ordering::AcqRel);
    let callers = server.with(|locked| {
        let registrations = locked.core().registrations();
        registrations
            .map(|registrations| std::mem::take(&mut registrations.unanswered))
            .unwrap_or_default()
    });
    resolve_all(callers, None);
}

/// Resolves all these callers, even if the waker of one of them panics.
pub(crate) fn resolve_all(callers: Vec<Arc<dyn Unanswered>>, ended: Option<&ExitReason>) {
    for caller in callers {
        ignore_panic(|| caller.resolve(ended));
    }
}
