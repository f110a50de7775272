//! Types and functions that every part of the crate may use: pids, small collections, locks and
//! atomics, the text of names and errors, catching panics of user code.
//!
//! **Uses** no other folder.
//! **Knows nothing of** processes, mailboxes and the runtime: functions here take an address or a
//! pid instead.

pub(crate) mod failpoint;
pub(crate) mod random;
mod time_of_day;
pub(crate) mod padded;
pub(crate) mod pid;
#[cfg(feature = "serde")]
mod json_pid;
pub(crate) mod sync;
pub(crate) mod pid_source;
mod insertion_map;
pub(crate) mod small_map;
pub(crate) mod shared_str;
pub(crate) mod one_line;
pub(crate) mod tree_path;
pub(crate) mod path_text;
pub(crate) mod node_path;
pub(crate) mod user_panics;
pub(crate) mod error_chain;
pub(crate) mod os_refusal;
pub(crate) mod coop;
pub(crate) mod current_process;
pub(crate) mod eviction;

pub(crate) use coop::{after_budget, budget_then_waker, consume_budget, own_waker, poll_budget};
pub(crate) use error_chain::ErrorChain;
#[cfg(feature = "serde")]
pub(crate) use json_pid::PidValue;
pub(crate) use node_path::NodePath;
pub(crate) use one_line::{PAGE, SENTENCE, excerpt, name, one_line, path_excerpt};
pub use pid::{MonitorRef, Pid};
pub use shared_str::SharedStr;
pub(crate) use sync::PlainMutex;
pub use time_of_day::TimeOfDay;
pub(crate) use user_panics::{CaughtDrop, CaughtWakers, ignore_panic, wake, with_caught_wakers};
