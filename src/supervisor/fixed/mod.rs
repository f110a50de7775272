//! The supervisor of a declared list of children: starts them in order, stops them in reverse
//! order, and restarts groups of children as its strategy says.

pub(crate) mod child_record;
pub(crate) mod children;
pub(crate) mod server;
pub(crate) mod orphans;
mod one_child;
mod ended_for_good;
mod give_up;
mod restart;
mod requests;
mod exact_child;
pub(crate) mod supervisor_ref;
mod start;

pub(crate) use child_record::{Child, RetryKind, RunState};
pub(crate) use children::Children;
pub(crate) use server::{Call, FixedServer, Retry};
pub use supervisor_ref::SupervisorRef;
