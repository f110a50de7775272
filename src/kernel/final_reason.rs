//! Which reason a process ends with, if it has several: as one pure function.
//!
//! | | an exit signal was accepted, or the start was refused | otherwise |
//! |---|---|---|
//! | the body panicked | the panic | the panic |
//! | the body returned | the reason of the signal or the refusal | the returned reason |
//! | the body was dropped | the reason of the signal or the refusal | `Killed`: tokio dropped the task |

use crate::exit::reason::ExitReason;

/// How a body ended.
#[derive(Debug)]
pub(crate) enum End {
    Returned(ExitReason),
    /// The body was asked to stop, and returned this reason. Such an end is no failure, even if the
    /// reason is a crash.
    Stopped(ExitReason),
    /// The body returned this reason, in which the process [decides](crate::exit::NoRestart) that
    /// it has no successor.
    NotRestarted(ExitReason),
    Panicked(ExitReason),
    /// The body did not return: tokio dropped the task, an exit signal ended the body, or the start
    /// of the process was refused before the body ran.
    Dropped,
}

/// The reason of an end.
#[derive(Debug)]
pub(super) struct FinalReason {
    pub(super) reason: ExitReason,
    /// Whether the end is a failure: a panic of the body, or an end of kind
    /// [`Returned`](End::Returned) with a crash and without an accepted exit signal.
    pub(super) failed: bool,
    /// The reason that was not selected. The caller drops it after unlock.
    pub(super) spare: Option<ExitReason>,
}

/// Returns the reason of an end. `accepted` is the reason of the accepted exit signal, or of the
/// refusal of the start.
#[inline]
pub(super) fn final_reason(end: End, accepted: Option<ExitReason>) -> FinalReason {
    let (reason, failed, spare) = match (end, accepted) {
        (End::Panicked(own), accepted) => (own, true, accepted),
        (End::Returned(own) | End::Stopped(own) | End::NotRestarted(own), Some(accepted)) => {
            (accepted, false, Some(own))
        }
        (End::Returned(own) | End::NotRestarted(own), None) => {
            let failed = own.crash().is_some();
            (own, failed, None)
        }
        (End::Stopped(own), None) => (own, false, None),
        (End::Dropped, accepted) => (accepted.unwrap_or(ExitReason::Killed), false, None),
    };
    FinalReason { reason, failed, spare }
}
