//! Supervision trees for tokio that grow back: the fault-tolerance of Erlang/OTP as a
//! Rust crate. Cheap processes with mailboxes, links, monitors and exit signals; a
//! [`GenServer`] with typed calls and casts; a [`Supervisor`] that starts again what
//! crashes.
//!
//! ```
//! use regrow::{ChildSpec, Runtime, Supervisor};
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let rt = Runtime::new();
//!     let flush = ChildSpec::task("flush", |_| async {
//!         // … a loop that may panic, and then is started again …
//!         std::future::pending().await
//!     });
//!     let tree = Supervisor::one_for_one().child(flush).start(&rt).await?;
//!     assert_eq!(tree.count_children().await?.active, 1);
//!     tree.stop().await?;
//!     assert_eq!(rt.process_count(), 0);
//!     Ok(())
//! }
//! ```
//!
//! # Three steps on one ladder
//!
//! 1. **Supervise a plain async function.** [`ChildSpec::task`] and [`Supervisor`]: no
//!    trait, no message type, and no panic is lost.
//! 2. **Processes.** [`Runtime::spawn`] gives a body a [`Context`]: a mailbox of bytes,
//!    streams and signals; [links](Runtime::link), [monitors](Runtime::monitor),
//!    [names](Runtime::register), [groups](Runtime::register_tag),
//!    [timers](Runtime::send_after).
//! 3. **Behaviours.** [`GenServer`] for a state that handles one message at a time,
//!    [`Supervisor`] for trees of them, [`Task`] for work whose result is waited for.
//!
//! # The types to know
//!
//! | type | what it is |
//! |---|---|
//! | [`Runtime`] | all processes of one program; cheap to clone |
//! | [`Pid`] | one incarnation of a process; a stale one is harmless |
//! | [`ExitReason`] | why a process ended: panic text, error with its sources, place |
//! | [`GenServer`], [`ServerRef`], [`Name`] | a server, a handle to it, a typed name |
//! | [`ChildSpec`], [`Supervisor`] | what is kept alive, and what keeps it so |
//! | [`DynamicSupervisor`], [`PartitionSupervisor`] | children by the dozen, and several of one |
//! | [`Registry`] | processes by keys of any type |
//! | [`Task`], [`TaskSupervisor`] | work with a result |
//! | [`Run`], [`StopReport`] | a tree as a program, and how its stop went |
//! | [`TreeSnapshot`], [`LifecycleEvent`], [`ProcessInfo`] | what is there, what happens, how one is |
//!
//! # Cookbook
//!
//! | how do I … | |
//! |---|---|
//! | keep a loop alive | [`ChildSpec::task`], and [`Restart`] for when |
//! | supervise code that blocks | [`ChildSpec::blocking`] |
//! | supervise axum, tonic, hyper | [`ChildSpec::serve`] |
//! | make a program of a tree | [`main`](main()), or [`Program`] and [`Run`] for settings |
//! | find a server after its restart | [`Name`] and [`Runtime::server`] |
//! | ask through a restart | [`ServerRef::call_waiting`] |
//! | answer later | keep the [`Reply`] |
//! | do slow work beside a server | [`ServerContext::spawn_task`] |
//! | do something later, or never | [`ServerContext::cast_after_as`] |
//! | start one for each key, once | [`DynamicSupervisorRef::get_or_start`] |
//! | hear of an end | [`Runtime::monitor`], [`Runtime::ended`] |
//! | share an end | [`Runtime::link`], [`TaskContext::spawn_link`] |
//! | wait longer between restarts | [`ChildSpec::backoff`] and [`Backoff`] |
//! | keep a port open through a crash | [`Keep`] |
//! | limit a flood | [`ChildSpec::mailbox_capacity`] and [`Overflow`] |
//! | do many things at once, with a bound | [`Task`]'s streams: [`TaskStream`] |
//! | see what is going on | [`SupervisorRef::tree`], [`Runtime::events`], [`Runtime::info`] |
//! | find two servers that wait for each other | [`Runtime::detect_deadlocks`] |
//! | test all that | [`testing`] |
//!
//! # What it is not
//!
//! No durable workflows, no other nodes, no other async runtime than tokio, and nothing for
//! programs built with `panic = "abort"`: there no crash can be caught. A body that never
//! awaits can't be stopped; nothing cooperative can.
//!
//! # Features
//!
//! * `log` (default): [`log::init`], ready-made console output. All events go through
//!   `tracing` in any case.
//! * `process`: [`ChildSpec::command`](https://docs.rs/regrow/latest/regrow/struct.ChildSpec.html#method.command),
//!   programs of the operating system as children.
//! * `serde`: snapshots of trees as JSON.
//! * `axum`: probes and the tree as routes,
//!   [`tree_routes`](https://docs.rs/regrow/latest/regrow/fn.tree_routes.html).
#![cfg_attr(docsrs, feature(doc_cfg))]
// What the documentation shows warns in nobody's crate; only what it leaves unused may be there.
#![doc(test(attr(deny(warnings), allow(dead_code, unused_variables))))]
#![deny(missing_docs)]
#![forbid(unsafe_code)]
#![warn(clippy::unwrap_used)]

#[cfg(doctest)]
mod pages;

mod base;
mod exit;
mod message;
mod time;
mod restart;
mod observe;
mod process;
mod kernel;
mod mailbox;
mod call;
mod driver;
mod runtime;
mod child;
mod server;
mod supervisor;
mod registry;
mod task;
mod snapshot;
mod program;
pub mod testing;
#[cfg(all(test, any(regrow_loom, regrow_shuttle)))]
mod interleavings;

pub use base::pid::{MonitorRef, Pid};
pub use base::shared_str::SharedStr;
pub use call::reply::Reply;
#[cfg(feature = "process")]
#[cfg_attr(docsrs, doc(cfg(feature = "process")))]
pub use child::CommandFailed;
pub use child::{
    BlockingContext, ChildSpec, ChildType, Keep, KeepGuard, Restart, ShutdownSignal, StartChild,
    StartContext, Started, TaskContext,
};
pub use exit::crash::{Crash, CrashKind, Detail};
pub use exit::location::CrashLocation;
pub use exit::panic_hook::install_panic_hook;
pub use exit::reason::{ExitError, ExitReason, Result};
pub use exit::shutdown::Shutdown;
pub use message::dest::Dest;
pub use message::received::{GroupChange, Message, Received};
pub use message::stream::{StreamHandle, StreamWriter, stream, stream_with_capacity};
pub use observe::activity::{Callback, Handling};
#[cfg(feature = "log")]
#[cfg_attr(docsrs, doc(cfg(feature = "log")))]
#[doc(inline)]
pub use observe::console as log;
pub use observe::doing::Doing;
pub use observe::event::LifecycleEvent;
pub use observe::health::Health;
pub use observe::log_level::LogLevel;
pub use process::overflow::Overflow;
pub use program::{CutShort, Program, main};
pub use program::{Run, RunError, StopCause, StopOutcome, StopReport, StoppedChild, run};
pub use registry::{Registry, RegistryChange, RegistryChanges, RegistryError};
pub use restart::backoff::Backoff;
pub use runtime::Runtime;
pub use runtime::census::Census;
pub use runtime::context::Context;
pub use runtime::ended::{Ended, ProcessHandle};
pub use runtime::errors::call_error::{CallError, StartError};
pub use runtime::errors::cast_error::CastError;
pub use runtime::events::Events;
pub use runtime::info::{Leftovers, ProcessInfo};
pub use runtime::inside::Inside;
pub use runtime::names::RegisterError;
pub use runtime::starting::StartCause;
pub use runtime::timers::TimerRef;
pub use runtime::typed_name::Name;
pub use server::{
    Caller, CastTimer, GenServer, Sender, ServerContext, ServerName, ServerRef, ServerSpec,
    ServerStatus,
};
#[cfg(feature = "axum")]
#[cfg_attr(docsrs, doc(cfg(feature = "axum")))]
pub use snapshot::routes::{tree_routes, tree_routes_within};
pub use snapshot::{Busy, NodeKind, NodeState, TreeHealth, TreeNode, TreeNodes, TreeSnapshot};
pub use supervisor::{
    AutoShutdown, ChildCounts, ChildError, ChildInfo, ChildState, DynamicSupervisor,
    DynamicSupervisorRef, Exhausted, Finding, History, Incarnation, Limit, Lint, LintError,
    PartitionKey, PartitionSupervisor, PartitionSupervisorRef, Partitioned, RestartBudget,
    RestartCount, RestartLimitReached, Supervisor, SupervisorContext, SupervisorRef,
    SupervisorSpec,
};
pub use task::{Task, TaskError, TaskStream, TaskSupervisor, TaskSupervisorRef};

/// What a proof run sees and does; exists only under `--cfg regrow_proof`.
#[cfg(regrow_proof)]
pub mod proof {
    pub use crate::base::failpoint::{FailPlan, arm_failpoints, at_each_step, disarm_failpoints};
    pub use crate::kernel::trace::{Event, Traced};
}
