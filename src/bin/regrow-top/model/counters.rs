//! The counters of the runtime.

use crate::model::fields::Fields;

/// How often a child was restarted, and how often its limit was reached.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Restarts {
    pub(crate) path: String,
    pub(crate) restarts: u64,
    pub(crate) give_ups: u64,
}

/// The counters of the last picture or sample.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Counters {
    time_ms: u64,
    pub(crate) spawned: u64,
    /// Processes that were spawned in each second since the counters before.
    pub(crate) spawned_per_second: Option<f64>,
    pub(crate) crashed: u64,
    pub(crate) killed: u64,
    pub(crate) refused: u64,
    pub(crate) dropped: u64,
    pub(crate) unhandled: u64,
    pub(crate) timed_out: u64,
    /// The children that were restarted most often, at most twenty.
    pub(crate) worst: Vec<Restarts>,
}

impl Counters {
    pub(crate) fn read(fields: Fields, time_ms: u64, last: Option<&Counters>) -> Self {
        let number = |name| fields.number(name).unwrap_or(0);
        let ended = |class| fields.get("ended").and_then(|all| all.number(class)).unwrap_or(0);
        let mut worst: Vec<_> = fields
            .list("children")
            .map(|child| Restarts {
                path: child.text("path"),
                restarts: child.number("restarts").unwrap_or(0),
                give_ups: child.number("give_ups").unwrap_or(0),
            })
            .filter(|child| child.restarts > 0 || child.give_ups > 0)
            .collect();
        worst.sort_by_key(|child| std::cmp::Reverse(child.restarts));
        worst.truncate(20);
        let spawned = number("spawned");
        let rate = |last: &Counters| {
            let ms = time_ms.checked_sub(last.time_ms).filter(|ms| *ms > 0)?;
            let more = spawned.saturating_sub(last.spawned);
            Some(more as f64 * 1000.0 / ms as f64)
        };
        Counters {
            time_ms,
            spawned,
            spawned_per_second: last.and_then(rate),
            crashed: ended("error") + ended("panic"),
            killed: ended("killed"),
            refused: number("refused"),
            dropped: number("dropped"),
            unhandled: number("unhandled"),
            timed_out: number("timed_out"),
            worst,
        }
    }
}
