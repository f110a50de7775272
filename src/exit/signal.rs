//! What an arriving exit signal does: OTP's table, as one pure function.

use crate::exit::reason::ExitReason;

/// How an exit signal came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ExitKind {
    /// [`Runtime::kill`](crate::Runtime::kill).
    Kill,
    /// [`Runtime::exit`](crate::Runtime::exit) by another, or from outside.
    Exit,
    /// A task is asked to stop by whoever waits for it.
    Stop,
    /// The same as `Exit`, by the process on itself.
    ExitSelf,
    /// A linked process ended.
    Link,
}

/// What the receiver of an exit signal does with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Ignore,
    Deliver,
    Die,
}

/// | signal | reason | traps | does not trap |
/// |---|---|---|---|
/// | kill | `Killed` | dies | dies |
/// | exit by another | `Normal` | message | nothing |
/// | exit by itself | `Normal` | message | dies |
/// | exit | any other | message | dies |
/// | link | `Normal` | message | nothing |
/// | link | any other | message | dies |
pub(crate) fn verdict(kind: ExitKind, traps: bool, reason: &ExitReason) -> Verdict {
    match kind {
        ExitKind::Kill => Verdict::Die,
        _ if traps => Verdict::Deliver,
        ExitKind::ExitSelf => Verdict::Die,
        ExitKind::Exit | ExitKind::Stop | ExitKind::Link if reason.is_abnormal() => Verdict::Die,
        ExitKind::Exit | ExitKind::Stop | ExitKind::Link => Verdict::Ignore,
    }
}

#[cfg(test)]
mod tests {
    use super::{ExitKind, Verdict, verdict};
    use crate::exit::reason::ExitReason;

    #[test]
    fn only_kill_gets_past_a_trap() {
        for reason in [ExitReason::Normal, ExitReason::Killed, ExitReason::crashed("x")] {
            assert_eq!(verdict(ExitKind::Kill, true, &reason), Verdict::Die);
            for kind in [ExitKind::Exit, ExitKind::ExitSelf, ExitKind::Link] {
                assert_eq!(verdict(kind, true, &reason), Verdict::Deliver);
            }
        }
    }

    #[test]
    fn normal_kills_nobody_but_its_own_sender() {
        let normal = ExitReason::Normal;
        assert_eq!(verdict(ExitKind::Exit, false, &normal), Verdict::Ignore);
        assert_eq!(verdict(ExitKind::Link, false, &normal), Verdict::Ignore);
        assert_eq!(verdict(ExitKind::ExitSelf, false, &normal), Verdict::Die);
        assert_eq!(verdict(ExitKind::Link, false, &ExitReason::Shutdown), Verdict::Die);
    }
}
