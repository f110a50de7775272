//! The restart decisions of all kinds of supervisors: whether a restart follows an end, after which
//! delay and within which limit. Also the restart state and the history of one child.
//!
//! **Uses** `base`, `exit`, `time`.
//! **Knows nothing of** processes and supervisors. Nothing here waits, starts or stops anything:
//! the current time and random numbers are arguments.

pub(crate) mod policy;
pub(crate) mod backoff;
pub(crate) mod restart_limit;
pub(crate) mod own_budget;
pub(crate) mod restart_state;
pub(crate) mod failure_policy;
mod own_rules;
mod history;

pub use backoff::Backoff;
pub use failure_policy::FailurePolicy;
pub(crate) use failure_policy::OnFailure;
pub(crate) use history::KeptEvents;
pub use history::{History, Incarnation};
pub use own_budget::Exhausted;
pub(crate) use own_budget::OwnBudget;
pub(crate) use own_rules::OwnRules;
pub use restart_limit::RestartBudget;
pub(crate) use restart_limit::{Counted, Exceeded, Intensity, Window};
pub(crate) use restart_state::{Next, RestartState, Rules, Run};
