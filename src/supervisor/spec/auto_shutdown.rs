//! When the end of children ends their supervisor.

/// When a supervisor stops because of children that ended for good: what its
/// [significant](crate::ChildSpec::significant) children decide. It then stops the others in
/// reverse and ends with [`Shutdown`](crate::ExitReason::Shutdown). OTP: `auto_shutdown`.
///
/// A child ends for good when it is not started again: a temporary one always, a transient
/// one when it ends cleanly. Being stopped by
/// [`terminate_child`](crate::SupervisorRef::terminate_child) or with its group is no end
/// of its own, and decides nothing.
///
/// A child that waits for its restart has not ended for good, nor has one that was stopped with
/// its group and comes back with it. So a restart with a [`Backoff`](crate::Backoff) has the same
/// consequences as one without. If [`terminate_child`](crate::SupervisorRef::terminate_child) calls
/// that restart off, the children that waited stay stopped by hand.
///
/// For a unit of work that is done when its main part is. The supervisor of such a unit
/// wants to be transient or temporary itself: a permanent one would be started again.
///
/// # Examples
///
/// ```
/// use regrow::{AutoShutdown, ChildSpec, ExitReason, Restart, Runtime, Supervisor};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time()
/// # .build().unwrap().block_on(async {
/// let rt = Runtime::new();
/// let progress = ChildSpec::task("progress bar", |_| std::future::pending());
/// let import = ChildSpec::task("import", |_| async { Ok(()) })
///     .restart(Restart::Transient) // started again when it crashes
///     .significant(true);
/// let unit = Supervisor::one_for_all()
///     .auto_shutdown(AutoShutdown::AnySignificant)
///     .child(progress)
///     .child(import)
///     .start(&rt)
///     .await?;
/// assert_eq!(unit.ended().await, ExitReason::Shutdown);
/// assert_eq!(rt.process_count(), 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum AutoShutdown {
    /// Never. No child can be significant then.
    #[default]
    Never,
    /// When any significant child ended for good.
    AnySignificant,
    /// When the last significant child that was left ended for good: no other runs, or is to be
    /// started again.
    AllSignificant,
}

impl AutoShutdown {
    /// Whether to stop, now that a child ended for good.
    pub(crate) fn is_due(self, significant: bool, others_left: impl FnOnce() -> bool) -> bool {
        match self {
            AutoShutdown::Never => false,
            AutoShutdown::AnySignificant => significant,
            AutoShutdown::AllSignificant => significant && !others_left(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::AutoShutdown::{AllSignificant, AnySignificant, Never};

    #[test]
    fn only_significant_children_decide() {
        let due = |auto: super::AutoShutdown, significant, left| auto.is_due(significant, || left);
        for left in [false, true] {
            assert!(!due(Never, true, left) && !due(AnySignificant, false, left));
            assert!(!due(AllSignificant, false, left));
            assert!(due(AnySignificant, true, left));
            assert_eq!(due(AllSignificant, true, left), !left);
        }
    }
}
