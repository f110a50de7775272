//! The settings of a child specification that decide, by the reason, what follows a failure.

use std::sync::Arc;
use std::time::Duration;

use crate::child::ChildSpec;
use crate::exit::ExitReason;
use crate::restart::{FailurePolicy, Intensity, OnFailure, OwnRules};

/// What follows a failure, by its reason.
impl ChildSpec {
    /// Sets a closure that decides by the reason what follows a failure of the child: a restart as its
    /// [restart type](crate::Restart) says, no restart, the end of the supervisor, or, for a server,
    /// that it goes on. By default every failure is followed by what the restart type says, as in OTP.
    ///
    /// A failure is an end with a reason that is not clean, and that the supervisor has not asked for.
    /// Also a restart that fails is a failure, and so is a first start that is
    /// [tried again](Self::retry_first_start). The closure is not asked about a clean end, about the end of
    /// a child that the supervisor stops (for the restart of its group, too), or about a child that has
    /// [decided itself](crate::NoRestart). It is not asked about a start on request either, nor about a first
    /// start that is not tried again: their errors are returned to the caller.
    ///
    /// * [`Restart`](FailurePolicy::Restart) uses the backoff, the group and the budget of the child.
    ///   The other policies use none of them, and count against no restart budget.
    /// * After [`Stop`](FailurePolicy::Stop) the child has ended for good: a
    ///   [significant](Self::significant) child may end its supervisor.
    /// * [`Escalate`](FailurePolicy::Escalate) is one failure of the supervisor. As a child of
    ///   another supervisor it has a closure of its own, or is restarted within the budget above.
    /// * [`CrashedChild::policy`](crate::CrashedChild::policy) says in the report of a crash what
    ///   the closure has decided.
    ///
    /// The closure must depend on the reason alone, and return at once: it may be called several
    /// times for one failure, in the process of the child and in that of the supervisor. If it panics,
    /// the policy is [`Restart`](FailurePolicy::Restart), and the supervisor logs a line at WARN.
    /// [`ExitReason::find_error`] finds a typed error in the reason. OTP has no counterpart.
    ///
    /// ```
    /// use regrow::{ChildSpec, ChildState, FailurePolicy, Runtime, Supervisor};
    ///
    /// #[derive(Debug, thiserror::Error)]
    /// #[error("the licence has expired")]
    /// struct Expired;
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let search = ChildSpec::task("search", |_| async { Err(Expired)? });
    /// let search = search.on_failure(|reason| match reason.find_error::<Expired>() {
    ///     Some(_) => FailurePolicy::Stop, // a restart would not help
    ///     None => FailurePolicy::Restart,
    /// });
    /// let tree = Supervisor::one_for_one().child(search).start(&rt).await?;
    /// tokio::task::yield_now().await;
    /// assert_eq!(tree.which_child("search").await?.state, ChildState::GivenUp);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub fn on_failure(
        mut self,
        decide: impl Fn(&ExitReason) -> FailurePolicy + Send + Sync + 'static,
    ) -> Self {
        let on_failure = Some(OnFailure::new(decide));
        self.edit_own_rules(|own| OwnRules { on_failure, ..own });
        self
    }

    /// Sets how often one incarnation of the child, a server, may [go on](FailurePolicy::Resume) after
    /// a failed handler: at most `resumes` times within any window of `period`. By default 3 times
    /// within 5 s. Beyond that, the server ends with the reason of the failure, and `Resume` is
    /// [`Restart`](FailurePolicy::Restart): a state that makes every handler fail is replaced by that
    /// of a new `init`. Each incarnation begins with a full budget. OTP has no counterpart.
    ///
    /// The start of a child with a period of zero is refused with
    /// [`StartError::Invalid`](crate::StartError::Invalid).
    ///
    /// ```
    /// # use regrow::doc_counter::{Call, Cast, Counter};
    /// # use regrow::{GenServer, Runtime};
    /// use std::time::Duration;
    /// use regrow::{FailurePolicy, Supervisor};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let counter = Counter::child(40)
    ///     .on_failure(|_| FailurePolicy::Resume)
    ///     .resume_budget(10, Duration::from_secs(1));
    /// let tree = Supervisor::one_for_one().child(counter.named("counter")).start(&rt).await?;
    /// let counter = rt.server::<Counter>("counter");
    /// counter.cast(Cast::Add(2));
    /// counter.cast(Cast::Crash);
    /// assert_eq!(counter.call(Call::Get).await?, 42); // the same process, with its state
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub fn resume_budget(mut self, resumes: u32, period: Duration) -> Self {
        let resumes = Intensity::Limited { restarts: resumes, period };
        self.edit_own_rules(|own| OwnRules { resumes, ..own });
        self
    }

    /// Returns how often one incarnation of the child may go on after a failed handler: the number
    /// and the length of the window. `None` unless [`on_failure`](Self::on_failure) is set.
    ///
    /// ```
    /// use std::time::Duration;
    /// use regrow::{ChildSpec, FailurePolicy};
    ///
    /// let job = ChildSpec::task("job", |_| async { Ok(()) });
    /// assert_eq!(job.get_resume_budget(), None);
    /// let job = job.on_failure(|_| FailurePolicy::Resume);
    /// assert_eq!(job.get_resume_budget(), Some((3, Duration::from_secs(5))));
    /// ```
    pub fn get_resume_budget(&self) -> Option<(u32, Duration)> {
        let own = self.spec.own_rules.as_ref().filter(|own| own.on_failure.is_some())?;
        match own.resumes {
            Intensity::Limited { restarts, period } => Some((restarts, period)),
            Intensity::Unlimited => None,
        }
    }

    /// Replaces the rules that are stored for the records of the child's processes.
    pub(crate) fn edit_own_rules(&mut self, edit: impl FnOnce(OwnRules) -> OwnRules) {
        let spec = self.edit();
        let own = spec.own_rules.as_deref().cloned().unwrap_or_default();
        spec.own_rules = Some(Arc::new(edit(own)));
    }
}
