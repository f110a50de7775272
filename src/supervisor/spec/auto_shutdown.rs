//! The setting by which the end of significant children ends their supervisor.

/// The rule that says when a supervisor stops because [significant](crate::ChildSpec::significant)
/// children ended for good. The supervisor then stops the other children in reverse order and ends
/// with [`Shutdown`](crate::ExitReason::Shutdown). OTP: `auto_shutdown`.
///
/// A child ends for good when it ends and is not started again: a temporary child at any end, a
/// transient child at a clean end. A stop by
/// [`terminate_child`](crate::SupervisorRef::terminate_child) or with the group of another child is
/// not such an end, and does not stop the supervisor.
///
/// A child that waits for its restart has not ended for good. The same holds for a child that was
/// stopped with its group and will be started with its group. So a restart with a
/// [`Backoff`](crate::Backoff) has the same consequences as a restart without a backoff. If
/// [`terminate_child`](crate::SupervisorRef::terminate_child) cancels a restart, the children that
/// waited for the restart count as stopped by request.
///
/// Use this for a unit of work that is done when its main part is done. Make the supervisor of such
/// a unit transient or temporary: a permanent one would be started again.
///
/// # Examples
///
/// ```
/// use regrow::{AutoShutdown, ChildSpec, ExitReason, Restart, Runtime, Supervisor};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time()
/// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
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
/// # })).unwrap();
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum AutoShutdown {
    /// The supervisor never stops for this reason, and no child may be significant.
    #[default]
    Never,
    /// The supervisor stops when any significant child has ended for good.
    AnySignificant,
    /// The supervisor stops when a significant child has ended for good and no other significant
    /// child runs or is to be started again.
    AllSignificant,
}

impl AutoShutdown {
    /// Returns whether the supervisor stops after a child has ended for good. `significant` is a
    /// property of that child; `others_left` returns whether another significant child runs or is
    /// to be started again.
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
    fn only_the_end_of_a_significant_child_stops_the_supervisor() {
        let due = |auto: super::AutoShutdown, significant, left| auto.is_due(significant, || left);
        for left in [false, true] {
            assert!(!due(Never, true, left) && !due(AnySignificant, false, left));
            assert!(!due(AllSignificant, false, left));
            assert!(due(AnySignificant, true, left));
            assert_eq!(due(AllSignificant, true, left), !left);
        }
    }
}
