//! Supervision trees for tokio that grow back: the fault tolerance of Erlang/OTP as a Rust crate.
//! The crate has cheap processes with mailboxes, links, monitors and exit signals, a [`GenServer`]
//! with typed calls and casts, and a [`Supervisor`] that restarts crashed children.
//!
//! ```
//! use regrow::{ChildSpec, Runtime, Supervisor};
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let rt = Runtime::new();
//!     let flush = ChildSpec::task("flush", |_| async {
//!         // … a loop that may panic: the supervisor restarts it …
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
//! # Three levels
//!
//! 1. **Supervised async functions.** [`ChildSpec::task`] and [`Supervisor`]: no trait and no
//!    message type, and every panic is caught and logged.
//! 2. **Processes.** [`Runtime::spawn`] passes a [`Context`] to an async function: a mailbox for
//!    bytes, streams and signals, with [links](Runtime::link), [monitors](Runtime::monitor),
//!    [names](Runtime::register), [groups](Runtime::register_tag) and
//!    [timers](Runtime::send_after).
//! 3. **Behaviours.** [`GenServer`] for a state with handlers that run one at a time,
//!    [`StateMachine`] for a server whose handler depends on its state, [`Supervisor`] for trees of
//!    servers, [`Task`] for work with a result.
//!
//! # The types to know
//!
//! | type | what it is |
//! |---|---|
//! | [`Runtime`] | a table of processes; cheap to clone |
//! | [`Pid`] | the id of one incarnation of a process; never reused |
//! | [`ExitReason`] | why a process ended: the panic message or the error with its sources, and the location |
//! | [`GenServer`], [`ServerRef`], [`Name`] | a server, a handle to a server, a typed name |
//! | [`Agent`], [`AgentRef`] | a server for a value that closures read and change; its handle |
//! | [`StateMachine`], [`Event`], [`Next`] | a server whose reaction depends on its state; what it handles; its next state |
//! | [`ChildSpec`], [`Supervisor`] | how to start, stop and restart a child; the process doing so |
//! | [`FailurePolicy`] | what follows a failure of a child, by its reason |
//! | [`DynamicSupervisor`], [`PartitionSupervisor`] | a supervisor of children that are started on demand; one that runs several instances of a child |
//! | [`Registry`] | processes under keys of any type |
//! | [`PubSub`], [`EventManager`] | topics whose subscribers are processes; a server with handlers that are added at run time |
//! | [`Pool`], [`Checkout`] | servers that clients check out, one client at a time; a server that is checked out |
//! | [`Task`], [`TaskSupervisor`] | work with a result; a supervisor of such work |
//! | [`Pipeline`] | items that flow by demand from a producer through stages to a consumer |
//! | [`CircuitBreaker`], [`TokenBucket`] | limits on what a program asks of others |
//! | [`Scope`] | tasks that end before the code that started them continues |
//! | [`Run`], [`Phases`], [`StopReport`] | a tree as a program; several trees as one; the report of its stop |
//! | [`TreeSnapshot`], [`LifecycleEvent`], [`ProcessInfo`] | the state of a tree; an event in the life of a process; the state of a process |
//!
#![doc = include_str!("cookbook.md")]
//!
//! # Limits
//!
//! The crate has no durable workflows, and supports no async runtime other than tokio. In a program
//! built with `panic = "abort"`, no crash can be caught and no child restarted. A body that never
//! awaits can't be stopped, as with all cooperative scheduling.
//!
//! # Features
//!
//! * `log` (default): [`log::init`], ready-made console output. Without it, all events still go
//!   through `tracing`.
//! * `net`: [`ChildSpec::tcp_listener`](https://docs.rs/regrow/latest/regrow/struct.ChildSpec.html#method.tcp_listener),
//!   listeners and connections as children.
//! * `cluster`: nodes of an Erlang cluster,
//!   [`cluster`](https://docs.rs/regrow/latest/regrow/cluster/index.html).
//! * `cluster-tls`: connections of nodes over TLS, by rustls,
//!   [`cluster::Tls`](https://docs.rs/regrow/latest/regrow/cluster/struct.Tls.html). It takes a C
//!   compiler.
//! * `chaos`: trees under faults that are drawn from a seed, for tests:
//!   [`testing::chaos`](https://docs.rs/regrow/latest/regrow/testing/fn.chaos.html). It enables the
//!   feature `test-util` of tokio.
//! * `process`: [`ChildSpec::command`](https://docs.rs/regrow/latest/regrow/struct.ChildSpec.html#method.command),
//!   operating system processes as children.
//! * `serde`: snapshots of trees as JSON, and
//!   [`json_lines`](https://docs.rs/regrow/latest/regrow/fn.json_lines.html), all events as lines of
//!   JSON.
//! * `metrics`: counters, gauges and histograms of a runtime for the crate `metrics`, and so for
//!   Prometheus and others, [`metrics`](https://docs.rs/regrow/latest/regrow/metrics/index.html).
//! * `systemd`: reports to systemd that the program is ready, reloads, stops and works,
//!   [`Run::systemd`](https://docs.rs/regrow/latest/regrow/struct.Run.html#method.systemd).
//! * `axum`: HTTP routes for probes and the tree,
//!   [`tree_routes`](https://docs.rs/regrow/latest/regrow/fn.tree_routes.html).
//! * `observer`: a page that shows the running trees in a browser,
//!   [`observer`](https://docs.rs/regrow/latest/regrow/observer/index.html). It enables `axum` and
//!   `serde`.
//! * `tower`: servers as services of tower and services of tower as children,
//!   [`ServerRef::service`](https://docs.rs/regrow/latest/regrow/struct.ServerRef.html#method.service);
//!   together with `axum` also handles of servers in routes,
//!   [`Live`](https://docs.rs/regrow/latest/regrow/struct.Live.html).
//! * `top`: the program `regrow-top`, which shows the pages of an observer in a terminal. It adds
//!   nothing to the library.
#![cfg_attr(docsrs, feature(doc_cfg))]
// Examples of the documentation must compile without warnings in a user's crate. Unused items are
// allowed, since an example may only show a part of a program.
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
mod agent;
mod machine;
mod supervisor;
mod registry;
mod keyed;
mod limits;
mod pool;
mod task;
mod events;
mod pipeline;
#[cfg(feature = "tower")]
mod tower;
#[cfg(feature = "net")]
mod net;
mod snapshot;
mod observation;
mod control;
#[cfg(feature = "serde")]
mod json_lines;
#[cfg(feature = "observer")]
#[cfg_attr(docsrs, doc(cfg(feature = "observer")))]
pub mod observer;
#[cfg(feature = "metrics")]
#[cfg_attr(docsrs, doc(cfg(feature = "metrics")))]
pub mod metrics;
#[cfg(feature = "cluster")]
#[cfg_attr(docsrs, doc(cfg(feature = "cluster")))]
pub mod cluster;
mod program;
pub mod testing;
#[doc(hidden)]
pub mod doc_counter;
#[cfg(all(test, any(regrow_loom, regrow_shuttle)))]
mod interleavings;

// Basics.
pub use base::{MonitorRef, Pid, SharedStr, TimeOfDay};

// Exit reasons, crashes and shutdown times.
pub use exit::{
    Crash, CrashKind, CrashLocation, Detail, ExitError, ExitReason, MemoryLimitReached, NoRestart,
    PanicText, Result, Shutdown, install_panic_hook, install_panic_hook_with,
};

// Received messages, signals and streams.
pub use message::{
    Dest, GroupChange, Message, MessageKind, Metadata, Received, StreamHandle, StreamWriter,
    stream, stream_with_capacity,
};

#[cfg(feature = "cluster")]
#[cfg_attr(docsrs, doc(cfg(feature = "cluster")))]
pub use message::NodeChange;

// Delays of restarts, and what follows a failure.
pub use restart::{Backoff, FailurePolicy};

// The log, events and health.
#[cfg(feature = "log")]
#[cfg_attr(docsrs, doc(cfg(feature = "log")))]
#[doc(inline)]
pub use observe::console as log;
pub use observe::{
    Ancestor, Callback, Change, ChangeKind, ChildCounters, ControlAction, ControlOutcome, Counters,
    CrashCause, CrashHandling, CrashReport, CrashedChild, DeadLetter, DeadLetterCause, Doing,
    EndedCounts, ExitClass, Handling, Health, LifecycleEvent, LogLevel, MachineStatus,
    MessageSpans, StateChange,
};

// Bounds of mailboxes.
pub use process::overflow::Overflow;

// Replies.
pub use call::{CallDeadline, Reply};

// The runtime and its processes.
pub use runtime::{
    CallChain, CallError, CastError, Census, Context, DeadLetters, Ended, Events, Inside,
    Leftovers, Name, ProcessBuilder, ProcessHandle, ProcessInfo, RegisterError, Runtime,
    StartCause, StartError, StashFull, TimerRef,
};

// Child specifications, and each kind of child.
#[cfg(feature = "process")]
#[cfg_attr(docsrs, doc(cfg(feature = "process")))]
pub use child::CommandFailed;
pub use child::{
    BlockingContext, ChildSpec, ChildType, Heartbeat, HeartbeatMissed, Keep, KeepGuard, OnceChild,
    Readiness, Restart, ShutdownSignal, StartChild, StartContext, StartOnceError, Started,
    TaskContext,
};

// Servers.
pub use server::{
    Caller, CastTimer, GenServer, Sender, ServerContext, ServerName, ServerRef, ServerSpec,
    ServerStatus, Trace, TraceContent, TraceEvent, TraceItem,
};

// Agents.
pub use agent::{Agent, AgentCall, AgentCast, AgentInit, AgentRef};
// State machines.
pub use machine::{
    EnterContext, Event, Machine, MachineContext, MachineRef, Next, StateMachine, Transition,
    UnhandledEvent,
};

// Supervisors.
pub use supervisor::{
    AutoShutdown, ChildCounts, ChildError, ChildInfo, ChildState, DynamicSupervisor,
    DynamicSupervisorRef, Exhausted, Finding, History, Incarnation, Limit, Lint, LintError,
    PartitionKey, PartitionSupervisor, PartitionSupervisorRef, Partitioned, RestartBudget,
    RestartCount, RestartLimitReached, Supervisor, SupervisorContext, SupervisorRef,
    SupervisorSpec,
};

// Registries.
pub use registry::{Registry, RegistryChange, RegistryChanges, RegistryError};

// Servers by keys.
pub use keyed::{KeyedCastError, KeyedError, KeyedServers};

// Pools of servers.
pub use pool::{Checkout, Pool, PoolError, PoolRef, PoolStatus};

// Tasks.
pub use task::{
    Scope, ScopeError, ScopeOwner, ScopeTask, Task, TaskError, TaskStream, TaskSupervisor,
    TaskSupervisorRef, scope,
};

// Events: event managers and topics.
pub use events::{
    EventHandler, EventHandlers, EventManager, HandlerContext, HandlerEnd, HandlerEnded,
    HandlerError, HandlerExits, HandlerId, HandlerInfo, HandlerOwner, HandlerRef, ManagerCall,
    Notify, PubSub, Removal, StreamOverflow, Subscriber, Subscription, TopicEvent, TopicStream,
};

// Pipelines.
pub use pipeline::{Pipeline, PipelineCounts, PipelineSpec, StageCounts};

// Circuit breakers and token buckets.
pub use limits::{
    BreakerError, BreakerOpen, BreakerPermit, BreakerRules, BreakerState, CircuitBreaker,
    RateLimit, RateLimited, TokenBucket,
};

// Services of tower.
#[cfg(all(feature = "axum", feature = "tower"))]
#[cfg_attr(docsrs, doc(cfg(all(feature = "axum", feature = "tower"))))]
pub use tower::{CallFailed, Live};
#[cfg(feature = "tower")]
#[cfg_attr(docsrs, doc(cfg(feature = "tower")))]
pub use tower::{MakeService, ServerService, ServiceError, ServiceServer};

// Listeners and connections.
#[cfg(all(unix, feature = "net"))]
#[cfg_attr(docsrs, doc(cfg(all(unix, feature = "net"))))]
pub use net::UnixPort;
#[cfg(feature = "net")]
#[cfg_attr(docsrs, doc(cfg(feature = "net")))]
pub use net::{
    AcceptError, BindError, ConnectError, ConnectSpec, ListenerAddress, ListenerSpec, TcpPort,
};

// Snapshots of trees.
#[cfg(feature = "axum")]
#[cfg_attr(docsrs, doc(cfg(feature = "axum")))]
pub use snapshot::routes::{tree_routes, tree_routes_within};
pub use snapshot::{Busy, NodeKind, NodeState, TreeHealth, TreeNode, TreeNodes, TreeSnapshot};

// Observations of trees.
pub use observation::{
    ChildEvent, MailboxFacts, Missed, Observation, Observed, PastRun, Picture, PictureNode,
    PicturePath, PictureState, PictureStep, ProcessDetail, ProcessSample, Sample, StatusLine,
    Supervision, SupervisorSample, Wait, WaitGraph,
};

// Actions on trees, requested from outside.
pub use control::{ControlError, ControlRequest};
pub use supervisor::FoldedCounts;

// Events as lines of JSON.
#[cfg(feature = "serde")]
#[cfg_attr(docsrs, doc(cfg(feature = "serde")))]
pub use json_lines::{JsonLinesError, json_lines};

// Trees as programs.
#[cfg(feature = "systemd")]
#[cfg_attr(docsrs, doc(cfg(feature = "systemd")))]
pub use program::WatchdogPing;
pub use program::{
    CutShort, Phase, Phases, Program, Run, RunError, StopCause, StopOutcome, StopReport,
    StoppedChild, main, run,
};

/// Traces and failpoints for the models and race tests. Only `--cfg regrow_proof` includes this
/// module.
#[cfg(regrow_proof)]
pub mod proof {
    pub use crate::base::failpoint::{
        FailPlan, announce_ends_at_once, arm_failpoints, at_each_step, disarm_failpoints,
    };
    pub use crate::kernel::trace::{Event, Traced};
}
