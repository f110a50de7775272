//! The limits of a pool: how many workers there are, and for how long.

use std::time::Duration;

use crate::limits::RateLimit;

/// The settings that decide on workers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) size: usize,
    pub(super) overflow: usize,
    /// How long a surplus worker stays idle before it is stopped.
    pub(super) overflow_idle: Duration,
    pub(super) lazy: bool,
    pub(super) fifo: bool,
    pub(super) max_lifetime: Option<Duration>,
    pub(super) max_idle: Option<Duration>,
    /// How many checkouts there may be in a time.
    pub(super) rate: Option<RateLimit>,
}

impl Limits {
    /// How often the pool looks for workers whose time is up, if it has a time limit.
    pub(super) fn sweep_period(&self) -> Option<Duration> {
        let overflow_idle = Some(self.overflow_idle).filter(|limit| !limit.is_zero());
        let limits = [self.max_lifetime, self.max_idle, overflow_idle];
        let shortest = limits.into_iter().flatten().min()?;
        Some((shortest / 4).max(Duration::from_millis(1)))
    }

    /// Whether a time limit of idle workers is set.
    pub(super) fn has_idle_limit(&self) -> bool {
        self.max_idle.is_some() || !self.overflow_idle.is_zero()
    }

    /// Returns why a pool can't have these limits.
    pub(super) fn check(&self) -> Result<(), String> {
        for (name, limit) in [("max_lifetime", self.max_lifetime), ("max_idle", self.max_idle)] {
            if limit.is_some_and(|limit| limit.is_zero()) {
                return Err(format!(
                    "workers that live for no time: give `{name}` a time above zero"
                ));
            }
        }
        match self.size.checked_add(self.overflow) {
            Some(0) => Err("a pool without workers: give `size` a number above zero".to_owned()),
            Some(_) => Ok(()),
            None => Err("more workers than a number can count: give `overflow` less".to_owned()),
        }
    }
}
