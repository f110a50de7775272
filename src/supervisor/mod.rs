//! Supervisors: processes that start others, in order, and start them again.

pub(crate) mod intensity;
pub(crate) mod spec;
pub(crate) mod info;
pub(crate) mod children;
pub(crate) mod tree;
mod admin;
pub(crate) mod supervisor_ref;

pub use info::{ChildCounts, ChildError, ChildInfo, ChildState};
pub use intensity::RestartLimitReached;
pub use spec::{Supervisor, SupervisorSpec};
pub use supervisor_ref::SupervisorRef;
