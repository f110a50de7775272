//! Supervisors: processes that start, restart and stop other processes, their children. `spec`
//! holds the description of a supervisor, `fixed` the supervisor of a declared list of children,
//! `dynamic` the supervisor of children that are started and stopped at run time, `partition`
//! several processes of one kind under one supervisor. The files beside these folders serve both
//! kinds of supervisor.
//!
//! **Uses** `base`, `exit`, `message`, `time`, `restart`, `observe`, `process`, `kernel`, `call`,
//! `runtime`, `child`, `server`.
//! **Knows nothing of** programs, snapshots and tasks.

pub(crate) mod give_up_error;
pub(crate) mod end_record;
pub(crate) mod change_source;
mod context;
pub(crate) mod spec;
pub(crate) mod info;
pub(crate) mod ended_children;
pub(crate) mod published_state;
mod published_children;
mod published_read;
pub(crate) mod report;
mod report_limits;
pub(crate) mod stop;
mod child_exit;
mod restart_override;
mod exact_child;
mod wait_until;
mod start_attempt;
pub(crate) mod orphans;
mod heartbeat_watch;
pub(crate) mod incarnation;
mod failed_restart;
mod server_start;
pub(crate) mod fixed;
pub(crate) mod dynamic;
mod partition;

pub use crate::restart::{Exhausted, History, Incarnation, RestartBudget};
pub use context::SupervisorContext;
pub use dynamic::fold::FoldedCounts;
pub use dynamic::{DynamicSupervisor, DynamicSupervisorRef};
pub(crate) use end_record::EndRecord;
pub(crate) use exact_child::ExactChild;
pub(crate) use failed_restart::decision_after;
pub use fixed::SupervisorRef;
pub use give_up_error::{Limit, RestartCount, RestartLimitReached};
pub(crate) use incarnation::{
    NewIncarnation, NotStarted, StartOutcome, outcome_of, start, start_at_once,
};
pub use info::{ChildCounts, ChildError, ChildInfo, ChildState};
pub(crate) use orphans::Orphans;
pub use partition::{PartitionKey, PartitionSupervisor, PartitionSupervisorRef, Partitioned};
pub(crate) use published_state::{
    ListedChildren, PublishPermit, PublishedCell, PublishedChild, PublishedChildState,
    PublishedState, ReadyShare, Step,
};
pub(crate) use report::{Report, RestartNotice};
pub(crate) use restart_override::{Decision, decision, own_decision};
pub(crate) use server_start::{Begun, begin_server};
pub use spec::{AutoShutdown, Finding, Lint, LintError, Supervisor, SupervisorSpec};
pub(crate) use spec::{Partitions, Position, Strategy, check_child, check_single_name, invalid};
pub(crate) use stop::{NOT_YIELDING, StopRequest, await_killed, has_ended, stop};
pub(crate) use wait_until::wait_until;
