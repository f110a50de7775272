//! Dynamic supervisors: children are started and stopped at any time and are known by their pids.
//!
//! [`server`] describes the states of a child and the invariants.

pub(crate) mod spec;
mod child;
mod pending_stops;
pub(crate) mod fold;
pub(crate) mod completion;
mod notices;
pub(crate) mod server;
mod children;
mod given_up_children;
mod give_up;
mod get_or_start;
mod orphans;
mod start_child;
mod restart_child;
mod half_started;
mod child_ended;
mod exact_child;
mod stop_child;
mod stop_all;
mod cancelled_restart;
mod queries;
mod dynamic_ref;
mod start;

use child::{
    AfterStop, Cancelled, Child, GivenUp, RestartReply, State, StopReplies, StopReply, Stopping,
};
use completion::{Completion, PidReply, Requester, Retry};
pub use dynamic_ref::DynamicSupervisorRef;
use notices::{Completions, HalfStarted, Notice};
use server::Cast;
pub(crate) use server::{Call, DynamicServer};
pub use spec::DynamicSupervisor;
