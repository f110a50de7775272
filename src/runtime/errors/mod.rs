//! Why a call, a cast or a start failed.

pub(crate) mod call_error;
pub(crate) mod cast_error;
pub(crate) mod start_error;
