//! Supervisors: processes that start others, in order, and start them again.
//!
//! What is to be done is decided by pure functions over values ([`strategy`],
//! [`intensity`], [`restarts`], [`auto_shutdown`], [`decide`](incarnation::decide)); what was
//! decided is done in [`one_child`], [`restart`] and [`admin`], by one server, the [`tree`].

pub(crate) mod strategy;
pub(crate) mod intensity;
pub(crate) mod limit_reached;
pub(crate) mod auto_shutdown;
pub(crate) mod restarts;
pub(crate) mod history;
mod context;
pub(crate) mod spec;
mod begin;
pub(crate) mod info;
pub(crate) mod describe;
pub(crate) mod picture;
pub(crate) mod report;
pub(crate) mod stop;
mod attempt;
pub(crate) mod incarnation;
pub(crate) mod child_state;
pub(crate) mod child_record;
pub(crate) mod children;
pub(crate) mod tree;
mod alone;
mod one_child;
mod restart;
mod admin;
pub(crate) mod supervisor_ref;
pub(crate) mod dynamic;
mod start;
mod partition_key;
mod partitioned;
mod partition;
mod finding;
mod most_starts;
mod lint;

pub use auto_shutdown::AutoShutdown;
pub use begin::Supervisor;
pub use context::SupervisorContext;
pub use describe::RestartBudget;
pub use dynamic::{DynamicSupervisor, DynamicSupervisorRef, Exhausted};
pub use finding::{Finding, LintError};
pub use history::{History, Incarnation};
pub use info::{ChildCounts, ChildError, ChildInfo, ChildState};
pub use limit_reached::{Limit, RestartCount, RestartLimitReached};
pub use lint::Lint;
pub use partition::{PartitionSupervisor, PartitionSupervisorRef};
pub use partition_key::PartitionKey;
pub use partitioned::Partitioned;
pub use spec::SupervisorSpec;
pub use supervisor_ref::SupervisorRef;
