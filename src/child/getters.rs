//! Getters of a child specification.

use std::time::Duration;

use crate::child::{ChildSpec, ChildType, Heartbeat, Readiness, Restart};
use crate::exit::Shutdown;
use crate::restart::{Backoff, Exhausted, Intensity, OwnBudget};

/// Getters, for example for a specification that
/// [`SupervisorRef::child_spec`](crate::SupervisorRef::child_spec) returns. If a getter would have
/// the same name as its setter, its name begins with `get_`, as in [`std::process::Command`].
impl ChildSpec {
    /// Returns the child's id.
    ///
    /// ```
    /// use std::time::Duration;
    /// use regrow::{ChildSpec, ChildType, Readiness, Restart, Shutdown, Supervisor};
    ///
    /// // SUP-014: the defaults.
    /// let spec = ChildSpec::task("flush", |_| async { Ok(()) });
    /// assert_eq!((spec.id(), spec.name(), spec.kind()), ("flush", None, ChildType::Worker));
    /// assert_eq!(spec.get_restart(), Restart::Permanent);
    /// assert_eq!(spec.get_shutdown(), Shutdown::Timeout(Duration::from_secs(5)));
    /// assert_eq!((spec.get_init_timeout(), spec.get_backoff()), (None, None));
    /// assert!(!spec.is_significant());
    /// assert_eq!((spec.get_readiness(), spec.retries_first_start()), (Readiness::Required, false));
    /// assert_eq!(spec.get_restart_budget(), None);
    /// assert_eq!((spec.get_warn_after(), spec.get_heartbeat()), (None, None));
    /// assert!(!spec.keeps_queue());
    ///
    /// let tree = ChildSpec::from(Supervisor::one_for_one().named("sessions"));
    /// assert_eq!((tree.id(), tree.name()), ("sessions", Some("sessions")));
    /// assert_eq!((tree.kind(), tree.get_shutdown()), (ChildType::Supervisor, Shutdown::Infinity));
    /// ```
    pub fn id(&self) -> &str {
        &self.spec.id
    }

    /// Returns the name that the child is registered under, if any. [`id`](Self::id) has an
    /// example.
    pub fn name(&self) -> Option<&str> {
        self.spec.name.as_deref()
    }

    /// Returns whether the child is a supervisor. [`id`](Self::id) has an example.
    pub fn kind(&self) -> ChildType {
        self.spec.kind
    }

    /// Returns when the child is restarted. [`id`](Self::id) has an example.
    pub fn get_restart(&self) -> Restart {
        self.spec.restart
    }

    /// Returns how the child is stopped. [`id`](Self::id) has an example.
    pub fn get_shutdown(&self) -> Shutdown {
        self.spec.shutdown
    }

    /// Returns the maximum duration of each start; `None` means no limit. [`id`](Self::id) has an
    /// example.
    pub fn get_init_timeout(&self) -> Option<Duration> {
        self.spec.init_timeout
    }

    /// Returns the delay before restarts; `None` means the delay of the supervisor.
    /// [`id`](Self::id) has an example.
    pub fn get_backoff(&self) -> Option<Backoff> {
        self.spec.backoff
    }

    /// Returns the restart budget that the child has of its own: the number of restarts, the length
    /// of the window, and what follows. [`id`](Self::id) has an example.
    pub fn get_restart_budget(&self) -> Option<(u32, Duration, Exhausted)> {
        match self.spec.budget? {
            OwnBudget { intensity: Intensity::Limited { restarts, period }, exhausted } => {
                Some((restarts, period, exhausted))
            }
            OwnBudget { intensity: Intensity::Unlimited, .. } => None,
        }
    }

    /// Returns whether a failed first start is tried again. [`id`](Self::id) has an example.
    pub fn retries_first_start(&self) -> bool {
        self.spec.retry_first_start
    }

    /// Returns whether the tree can be ready without the child. [`id`](Self::id) has an example.
    pub fn get_readiness(&self) -> Readiness {
        self.spec.readiness
    }

    /// Returns whether the child [keeps its queue](Self::keep_queue). [`id`](Self::id) has an
    /// example.
    pub fn keeps_queue(&self) -> bool {
        self.spec.keeps_queue
    }

    /// Returns how long a handler may run before a warning is logged; `None` means the limit of the
    /// runtime. [`id`](Self::id) has an example.
    pub fn get_warn_after(&self) -> Option<Duration> {
        self.spec.warn_after
    }

    /// Returns the heartbeats that are required of the child; `None` means none.
    /// [`id`](Self::id) has an example.
    pub fn get_heartbeat(&self) -> Option<Heartbeat> {
        self.spec.heartbeat
    }

    /// Returns how long after the end of the program a stop may still decide the exit reason.
    /// [`stop_window`](Self::stop_window) has an example.
    #[cfg(feature = "process")]
    #[cfg_attr(docsrs, doc(cfg(feature = "process")))]
    pub fn get_stop_window(&self) -> Duration {
        self.spec.stop_window
    }

    /// Returns whether the program gets a process group of its own.
    /// [`own_process_group`](Self::own_process_group) has an example.
    #[cfg(feature = "process")]
    #[cfg_attr(docsrs, doc(cfg(feature = "process")))]
    pub fn has_own_process_group(&self) -> bool {
        self.spec.own_group
    }

    /// Returns whether the child's end may end its supervisor. [`id`](Self::id) has an example.
    pub fn is_significant(&self) -> bool {
        self.spec.significant
    }
}
