//! The errors of calls, casts, starts and stashes.

pub(crate) mod call_chain;
pub(crate) mod call_error;
pub(crate) mod cast_error;
pub(crate) mod start_error;
pub(crate) mod stash_full;

pub use call_chain::CallChain;
pub use call_error::CallError;
pub use cast_error::CastError;
pub use start_error::StartError;
pub use stash_full::StashFull;
