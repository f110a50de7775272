//! Supervisors: processes that start children in order and restart those that crash. `spec` holds
//! the description of a supervisor, `fixed` the supervisor of a declared list of children,
//! `dynamic` the supervisor of children that are started and stopped at run time, `partition`
//! several processes of one kind under one supervisor. The files beside these folders serve both
//! kinds of supervisor.
//!
//! **Uses** `base`, `exit`, `message`, `time`, `restart`, `observe`, `process`, `kernel`, `call`,
//! `runtime`, `child`, `server`.
//! **Knows nothing of** programs, snapshots and tasks.

pub(crate) mod limit_reached;
pub(crate) mod history;
pub(crate) mod end_record;
mod context;
pub(crate) mod spec;
pub(crate) mod info;
pub(crate) mod published_state;
pub(crate) mod report;
pub(crate) mod stop;
mod start_attempt;
pub(crate) mod orphans;
pub(crate) mod incarnation;
pub(crate) mod fixed;
pub(crate) mod dynamic;
mod partition;

pub use crate::restart::budget_left::RestartBudget;
pub use context::SupervisorContext;
pub use dynamic::{DynamicSupervisor, DynamicSupervisorRef, Exhausted};
pub use fixed::supervisor_ref::SupervisorRef;
pub use history::{History, Incarnation};
pub use info::{ChildCounts, ChildError, ChildInfo, ChildState};
pub use limit_reached::{Limit, RestartCount, RestartLimitReached};
pub use partition::key::PartitionKey;
pub use partition::partitioned::Partitioned;
pub use partition::{PartitionSupervisor, PartitionSupervisorRef};
pub use spec::SupervisorSpec;
pub use spec::auto_shutdown::AutoShutdown;
pub use spec::builder::Supervisor;
pub use spec::finding::{Finding, LintError};
pub use spec::lint::Lint;
