//! The ends of processes: exit reasons, crashes with their location in the source code, the table
//! of the effects of exit signals, and how a child is stopped.
//!
//! **Uses** `base`.
//! **Knows nothing of** the process that ends. Except for the panic hook, this folder has only
//! values and pure functions of values.

pub(crate) mod location;
pub(crate) mod panic_hook;
mod backtrace_text;
pub(crate) mod crash;
pub(crate) mod reason;
mod find_error;
pub(crate) mod memory_limit;
pub(crate) mod no_restart;
pub(crate) mod signal;
pub(crate) mod shutdown;

pub use crash::{Crash, CrashKind, Detail};
pub use location::CrashLocation;
pub use memory_limit::MemoryLimitReached;
pub use no_restart::NoRestart;
pub(crate) use no_restart::Scope;
pub use panic_hook::{PanicText, install_panic_hook, install_panic_hook_with};
pub(crate) use reason::{Causeless, WithCauses, reason_of};
pub use reason::{ExitError, ExitReason, Result};
pub use shutdown::Shutdown;
pub(crate) use signal::ExitKind;
