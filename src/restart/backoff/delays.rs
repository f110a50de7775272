//! The values that a supervisor computes from a [`Backoff`]: delays, healthy runs and limits.

use std::time::Duration;

use crate::restart::Backoff;
use crate::restart::backoff::{GiveUp, PATIENCE};

impl Backoff {
    /// Returns the delay before restart number `attempt`, counted from 0. `random` is a number from
    /// 0 to 1.
    ///
    /// A supervisor computes its delays with this function, which is pure.
    ///
    /// ```
    /// use std::time::Duration;
    /// use regrow::Backoff;
    ///
    /// let backoff = Backoff::new().max(Duration::from_secs(10));
    /// assert_eq!(backoff.delay(0, 1.0), Duration::from_secs(1));
    /// assert_eq!(backoff.delay(2, 1.0), Duration::from_secs(4));
    /// assert_eq!(backoff.delay(2, 0.0), Duration::from_secs(2)); // the fixed half
    /// assert_eq!(backoff.delay(u32::MAX, 1.0), Duration::from_secs(10));
    /// assert_eq!(backoff.jitter(0.0).delay(2, 0.0), Duration::from_secs(4));
    /// ```
    pub fn delay(&self, attempt: u32, random: f64) -> Duration {
        let attempt = i32::try_from(attempt).unwrap_or(i32::MAX);
        // On overflow the value is infinite, and the next line caps it.
        let grown = self.first.as_secs_f64() * self.factor.powi(attempt);
        let longest = grown.min(self.max.as_secs_f64());
        let seconds = longest * (1.0 - self.jitter * (1.0 - random.clamp(0.0, 1.0)));
        Duration::try_from_secs_f64(seconds).unwrap_or(self.max).min(self.max)
    }

    /// Returns the range of the delays as a text.
    pub(crate) fn range_text(&self) -> String {
        format!("{:?} to {:?}", self.first.min(self.max), self.max)
    }

    /// Returns whether a run of this length was healthy.
    pub(crate) fn is_healthy(&self, run: Duration) -> bool {
        run >= self.healthy_run()
    }

    /// Returns the shortest length of a healthy run.
    pub(super) fn healthy_run(&self) -> Duration {
        self.reset_after.unwrap_or(self.max)
    }

    /// Returns how long a child may go without a healthy run before it is given up; `None` if there
    /// is no limit. `unlimited` says whether its supervisor allows unlimited restarts.
    pub(crate) fn give_up_limit(&self, unlimited: bool) -> Option<Duration> {
        match self.give_up {
            GiveUp::After(limit) => Some(limit),
            GiveUp::Never => None,
            GiveUp::Default if unlimited => None,
            GiveUp::Default => {
                let longer = self.max.saturating_add(self.healthy_run()).saturating_mul(4);
                Some(PATIENCE.max(longer))
            }
        }
    }

    /// Returns how many delayed restarts fit into this time, if each delay is as short as the
    /// jitter allows and each incarnation fails at once. `None` if there is no limit, or if the
    /// number takes too long to compute.
    pub(crate) fn max_delayed_restarts(&self, within: Duration) -> Option<u64> {
        /// The maximum number of different delays that are added up.
        const MOST: u32 = 1 << 20;
        let (mut spent, mut tries) = (Duration::ZERO, 0);
        while spent < within {
            let delay = self.delay(tries, 0.0);
            let rest = (within - spent).as_nanos();
            if delay == self.delay(tries.saturating_add(1), 0.0) {
                // All later delays are equal to this one.
                let more = rest.div_ceil(delay.as_nanos().max(1));
                let more = u64::try_from(more).unwrap_or(u64::MAX);
                return (!delay.is_zero()).then(|| u64::from(tries).saturating_add(more));
            }
            if tries == MOST {
                return None;
            }
            spent = spent.saturating_add(delay);
            tries += 1;
        }
        Some(u64::from(tries))
    }
}
