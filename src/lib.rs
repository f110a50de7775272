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

mod failpoint;
mod sync;
mod small_map;
mod pid;
mod shared_str;
mod one_line;
mod path;
mod quietly;
mod story;
mod refused;
mod turn;
mod acting;
mod evicting;
mod location;
mod panic_hook;
mod crash;
mod exit;
mod stream;
mod message;
mod signal;
mod dest;
mod log_level;
mod lifecycle;
mod event;
mod shutdown;
mod restart;
mod health;
mod random;
mod backoff;
mod overflow;
mod activity;
mod doing;
mod stops;
mod watching;
mod process;
mod bells;
mod timer_queue;
mod census_bell;
mod waits;
#[cfg(regrow_proof)]
mod trace;
mod kernel;
mod line;
mod inbox;
mod record;
mod place;
mod span;
mod body;
mod slot;
mod owed;
mod life;
mod parking;
mod mailbox;
mod urgent;
mod runtime;
mod exits;
mod counts;
mod context;
mod inside;
mod ended;
mod spawn;
mod ties;
mod names;
mod groups;
mod timers;
mod info;
mod healths;
mod tracking;
mod census;
mod logging;
mod events;
#[cfg(feature = "log")]
#[cfg_attr(docsrs, doc(cfg(feature = "log")))]
pub mod log;
mod name;
mod call_error;
mod cast_error;
mod reply;
mod deadline;
mod call;
mod starting;
mod child;
mod server;
mod supervisor;
mod registry;
mod task;
mod snapshot;
#[cfg(feature = "axum")]
mod http;
mod run;
pub mod testing;
#[cfg(all(test, any(regrow_loom, regrow_shuttle)))]
mod checked;

pub use activity::{Callback, Handling};
pub use backoff::Backoff;
pub use call_error::{CallError, StartError};
pub use cast_error::CastError;
pub use census::Census;
#[cfg(feature = "process")]
#[cfg_attr(docsrs, doc(cfg(feature = "process")))]
pub use child::CommandFailed;
pub use child::{
    BlockingContext, ChildSpec, ChildType, Keep, KeepGuard, Restart, ShutdownSignal, StartChild,
    StartContext, Started, TaskContext,
};
pub use context::Context;
pub use crash::{Crash, CrashKind, Detail};
pub use dest::Dest;
pub use doing::Doing;
pub use ended::{Ended, ProcessHandle};
pub use event::LifecycleEvent;
pub use events::Events;
pub use exit::{ExitError, ExitReason, Result};
pub use health::Health;
#[cfg(feature = "axum")]
#[cfg_attr(docsrs, doc(cfg(feature = "axum")))]
pub use http::{tree_routes, tree_routes_within};
pub use info::{Leftovers, ProcessInfo};
pub use inside::Inside;
pub use location::CrashLocation;
pub use log_level::LogLevel;
pub use message::{GroupChange, Message, Received};
pub use name::Name;
pub use names::RegisterError;
pub use overflow::Overflow;
pub use panic_hook::install_panic_hook;
pub use pid::{MonitorRef, Pid};
pub use registry::{Registry, RegistryChange, RegistryChanges, RegistryError};
pub use reply::Reply;
pub use run::{CutShort, Program, main};
pub use run::{Run, RunError, StopCause, StopOutcome, StopReport, StoppedChild, run};
pub use runtime::Runtime;
pub use server::{
    Caller, CastTimer, GenServer, Sender, ServerContext, ServerRef, ServerSpec, ServerStatus,
};
pub use shared_str::SharedStr;
pub use shutdown::Shutdown;
pub use snapshot::{Busy, NodeKind, NodeState, TreeHealth, TreeNode, TreeNodes, TreeSnapshot};
pub use starting::StartCause;
pub use stream::{StreamHandle, StreamWriter, stream, stream_with_capacity};
pub use supervisor::{
    AutoShutdown, ChildCounts, ChildError, ChildInfo, ChildState, DynamicSupervisor,
    DynamicSupervisorRef, Exhausted, Finding, History, Incarnation, Limit, Lint, LintError,
    PartitionKey, PartitionSupervisor, PartitionSupervisorRef, Partitioned, RestartBudget,
    RestartCount, RestartLimitReached, Supervisor, SupervisorContext, SupervisorRef,
    SupervisorSpec,
};
pub use task::{Task, TaskError, TaskStream, TaskSupervisor, TaskSupervisorRef};
pub use timers::TimerRef;

/// What a proof run sees and does; exists only under `--cfg regrow_proof`.
#[cfg(regrow_proof)]
pub mod proof {
    pub use crate::failpoint::{FailPlan, arm_failpoints, at_each_step, disarm_failpoints};
    pub use crate::trace::{Event, Traced};
}
