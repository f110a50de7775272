//! The error of a process that was ended because it holds too much memory.

use std::error::Error;
use std::fmt;

/// The error in the exit reason of a child that was ended because it held more memory than its
/// specification allows: [`ChildSpec::max_memory`](crate::ChildSpec::max_memory) has an example. OTP:
/// the exit reason of a process beyond its `max_heap_size` is `killed`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemoryLimitReached {
    /// The limit, in bytes.
    pub limit: u64,
    /// The bytes that the process had reported, or that were measured.
    pub used: u64,
}

impl fmt::Display for MemoryLimitReached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let MemoryLimitReached { limit, used } = self;
        write!(
            f,
            "the process holds {used} bytes, and its limit is {limit}: find out what it keeps, or \
             give `max_memory` a higher limit"
        )
    }
}

impl Error for MemoryLimitReached {}
