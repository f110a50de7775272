//! The counts of a pool.

use std::fmt;

/// The counts of a pool at one moment, from [`PoolRef::status`](crate::PoolRef::status), which has an
/// example.
///
/// Each worker is counted in exactly one of `idle`, `lent`, `starting` and `stopping`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolStatus {
    /// The number of workers that the pool keeps.
    pub size: usize,
    /// The number of further workers that the pool may start while all workers are lent.
    pub overflow: usize,
    /// Workers that clients can check out without a wait for a worker.
    pub idle: usize,
    /// Workers that clients have checked out.
    pub lent: usize,
    /// Workers that are being started or restarted, or wait for their restart.
    pub starting: usize,
    /// Workers that are being stopped.
    pub stopping: usize,
    /// Clients that wait for a worker, or for the [rate limit](crate::Pool::limit_rate) to let them
    /// pass.
    pub waiting: usize,
    /// The number of checkouts that the [rate limit](crate::Pool::limit_rate) allows now. `None` if the
    /// pool has no rate limit.
    pub tokens: Option<usize>,
}

impl PoolStatus {
    /// Returns the number of workers.
    pub fn workers(&self) -> usize {
        self.idle + self.lent + self.starting + self.stopping
    }
}

impl fmt::Display for PoolStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} idle, {} lent, {} waiting", self.idle, self.lent, self.waiting)?;
        if self.starting > 0 {
            write!(f, ", {} starting", self.starting)?;
        }
        if self.stopping > 0 {
            write!(f, ", {} stopping", self.stopping)?;
        }
        if self.tokens == Some(0) {
            f.write_str(", rate limit reached")?;
        }
        Ok(())
    }
}
