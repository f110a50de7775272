//! What can be seen of a runtime: log lines, lifecycle events, health, what a process is doing;
//! and the switches that turn each of them on.
//!
//! **Uses** `base`, `exit`.
//! **Knows nothing of** where the facts come from. The code that makes a fact reports it here.

pub(crate) mod log_level;
pub(crate) mod lifecycle_log;
pub(crate) mod event;
pub(crate) mod health;
pub(crate) mod activity;
pub(crate) mod doing;
pub(crate) mod stop_records;
pub(crate) mod switches;
pub(crate) mod census_wake;
#[cfg(feature = "log")]
#[cfg_attr(docsrs, doc(cfg(feature = "log")))]
pub mod console;
