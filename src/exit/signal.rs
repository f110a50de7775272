//! The effect of an arriving exit signal: OTP's table as one pure function.

use crate::exit::reason::ExitReason;

/// The origin of an exit signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ExitKind {
    /// A kill, for example by [`Runtime::kill`](crate::Runtime::kill).
    Kill,
    /// [`Runtime::exit`](crate::Runtime::exit), called by another process or outside of processes;
    /// a timer of [`Runtime::exit_after`](crate::Runtime::exit_after); or a supervisor that asks
    /// its child to stop.
    Exit,
    /// The request of [`Task::shutdown`](crate::Task::shutdown) to stop a task.
    Stop,
    /// [`Runtime::exit`](crate::Runtime::exit), called by the process for itself.
    ExitSelf,
    /// A linked process ended.
    Link,
    /// The connection to the node of a linked process is lost. Only a link whose number is at most
    /// this one is concerned: a later one belongs to the next connection.
    #[cfg(feature = "cluster")]
    LostLink(u64),
}

impl ExitKind {
    /// Whether the signal is that of a link.
    pub(crate) fn is_of_link(self) -> bool {
        match self {
            ExitKind::Link => true,
            #[cfg(feature = "cluster")]
            ExitKind::LostLink(_) => true,
            ExitKind::Kill | ExitKind::Exit | ExitKind::Stop | ExitKind::ExitSelf => false,
        }
    }
}

/// The effect of an exit signal on its receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Ignore,
    Deliver,
    Die,
}

/// Decides the effect of a signal on a process, which may trap exits. A [`Stop`](ExitKind::Stop)
/// has the effect of an exit by another process.
///
/// | signal | reason | traps | does not trap |
/// |---|---|---|---|
/// | kill | any | dies | dies |
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
        _ if reason.is_abnormal() => Verdict::Die,
        _ => Verdict::Ignore,
    }
}

#[cfg(test)]
mod tests {
    use super::{ExitKind, Verdict, verdict};
    use crate::exit::reason::ExitReason;

    #[test]
    fn a_process_that_traps_exits_dies_only_of_a_kill() {
        for reason in [ExitReason::Normal, ExitReason::Killed, ExitReason::crashed("x")] {
            assert_eq!(verdict(ExitKind::Kill, true, &reason), Verdict::Die);
            for kind in [ExitKind::Exit, ExitKind::ExitSelf, ExitKind::Link] {
                assert_eq!(verdict(kind, true, &reason), Verdict::Deliver);
            }
        }
    }

    #[test]
    fn an_exit_with_normal_ends_only_the_process_that_sent_it_to_itself() {
        let normal = ExitReason::Normal;
        assert_eq!(verdict(ExitKind::Exit, false, &normal), Verdict::Ignore);
        assert_eq!(verdict(ExitKind::Link, false, &normal), Verdict::Ignore);
        assert_eq!(verdict(ExitKind::ExitSelf, false, &normal), Verdict::Die);
        assert_eq!(verdict(ExitKind::Link, false, &ExitReason::Shutdown), Verdict::Die);
    }
}
