//! What programs wrote before this crate had a method for it, and what they write now.
//!
//! `book/src/lines-saved.md` has the numbers of lines, and `tests/house/lines_saved.rs` counts them
//! again. Each piece begins at a line `// BEFORE name` or `// NOW name`, and ends at the next such
//! line or at `// END`. The code is compiled and not run: both sides need sockets, signals or time.
#![allow(dead_code)]

use std::time::Duration;

mod children;
mod programs;
mod servers;
#[cfg(feature = "chaos")]
mod tests;

// The counter of the examples in the documentation.
pub(crate) use regrow::doc_counter as counter;

pub(crate) const LIMIT: Duration = Duration::from_secs(5);
pub(crate) const SECOND: Duration = Duration::from_secs(1);
