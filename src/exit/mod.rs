//! Why a process ends, and what an arriving exit signal does: exit reasons, crashes with their
//! location in the source code, the table of exit signals, and how a child is stopped.
//!
//! **Uses** `base`.
//! **Knows nothing of** the process that ends. Everything here is a value or a pure function of
//! values, except for the panic hook.

pub(crate) mod location;
pub(crate) mod panic_hook;
pub(crate) mod crash;
pub(crate) mod reason;
pub(crate) mod signal;
pub(crate) mod shutdown;
