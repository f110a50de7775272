//! The future that tokio polls for each process: it runs the body, catches its panics, and tears
//! the process down, also if tokio drops the future.
//!
//! **Uses** `base`, `exit`, `observe`, `process`, `kernel`, `mailbox`, `call`.
//! **Knows nothing of** the code that runs in the body.

mod span;
pub(crate) mod hosted;
pub(crate) mod body;
#[cfg(feature = "chaos")]
mod faulty_body;
pub(crate) mod process_future;

pub(crate) use body::body;
#[cfg(feature = "chaos")]
pub(crate) use faulty_body::with_faults;
pub(crate) use hosted::{Body, host};
pub(crate) use process_future::ProcessFuture;
