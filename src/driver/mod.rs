//! The future that tokio polls for each process: it runs the body, catches its panics, and tears
//! the process down when it is dropped, however that comes about.
//!
//! **Uses** `base`, `exit`, `observe`, `process`, `kernel`, `mailbox`, `call`.
//! **Knows nothing of** what the body does.

mod span;
pub(crate) mod body;
pub(crate) mod process_future;
