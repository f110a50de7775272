//! The observation of a runtime: log lines, lifecycle events, crash reports, dead letters, health, the activity of
//! processes, and the switches that turn parts of it on.
//!
//! **Uses** `base`, `exit`, `message`, `time`, `restart`.
//! **Knows nothing of** the code that reports the facts. That code calls the functions of this
//! folder.

pub(crate) mod log_level;
pub(crate) mod lifecycle_log;
pub(crate) mod log_limit;
pub(crate) mod log_flood;
pub(crate) mod hub;
pub(crate) mod activity;
pub(crate) mod state_record;
pub(crate) mod crash_report;
pub(crate) mod crash_site;
pub(crate) mod control;
pub(crate) mod event;
pub(crate) mod dead_letter;
pub(crate) mod health;
pub(crate) mod exit_class;
pub(crate) mod counters;
pub(crate) mod change;
pub(crate) mod change_log;
pub(crate) mod past_events;
pub(crate) mod message_spans;
pub(crate) mod stop_records;
pub(crate) mod poll_slots;
pub(crate) mod poll_watch;
pub(crate) mod handler_meter;
pub(crate) mod switches;
pub(crate) mod census_wake;
#[cfg(feature = "log")]
#[cfg_attr(docsrs, doc(cfg(feature = "log")))]
pub mod console;

pub use activity::{Callback, Doing, Handling};
pub use change::{Change, ChangeKind};
pub use control::{ControlAction, ControlOutcome};
pub use counters::{ChildCounters, Counters, EndedCounts};
pub use crash_report::{Ancestor, CrashCause, CrashHandling, CrashReport, CrashedChild};
pub use dead_letter::{DeadLetter, DeadLetterCause};
pub use event::LifecycleEvent;
pub use exit_class::ExitClass;
pub use health::Health;
pub use log_level::LogLevel;
pub use message_spans::MessageSpans;
pub(crate) use state_record::StateRecord;
pub use state_record::{MachineStatus, StateChange};
