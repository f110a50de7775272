//! The reports of the control requests that are refused before it is known which action they ask for.
//!
//! **Why there is a limit.** Any page that is open in a browser can send requests that the guard refuses,
//! and any client others that are no control requests, as fast as it likes. Without a limit it could fill
//! the log, and push the events of others out of their queues.
//!
//! **Guarantees**
//! 1. In a second at most [`EACH`] refusals are reported one by one. The others of this second are one
//!    report at its end, which says how many they are, so none is left out of the count.
//! 2. This holds also if tokio shuts down meanwhile: the report is written when its task is dropped.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::base::PlainMutex;
use crate::control::AuditEntry;

/// How many refusals of a second are reported one by one.
const EACH: u32 = 10;

/// Why a request is refused that was dropped before it was complete.
const LEFT: &str = "the requester left before its request was complete";

const SECOND: Duration = Duration::from_secs(1);

/// Reports refusals at a limited rate. Clones share the limit.
#[derive(Clone, Default)]
pub(super) struct Refusals(Arc<PlainMutex<Count>>);

/// The refusals of a second.
#[derive(Default)]
struct Count {
    /// The end of the second; `None` before the first refusal.
    until: Option<Instant>,
    reported: u32,
    unreported: u64,
}

/// What is done with a refusal.
enum Step {
    Report,
    /// It is the first that is not reported: the rest of the second is reported at this time.
    Collect(Instant),
    Count,
}

impl Refusals {
    /// Reports this refusal, alone or with others of this second.
    pub(super) fn report(&self, entry: AuditEntry, why: &'static str) {
        let step = self.0.lock().next(Instant::now());
        match step {
            Step::Report => entry.refused(why),
            Step::Count => entry.hand_over(),
            Step::Collect(until) => {
                let tokio = entry.runtime().kernel.tokio().cloned();
                let rest = Rest { entry: Some(entry), why, refusals: self.clone() };
                let Some(tokio) = tokio else { return };
                tokio.spawn(async move {
                    sleep_until(until).await;
                    drop(rest);
                });
            }
        }
    }

    /// Watches a request that is being read.
    pub(super) fn watch(&self, entry: AuditEntry) -> UnreadRequest {
        UnreadRequest { entry: Some(entry), refusals: self.clone() }
    }
}

/// A request that is being read. If it is dropped, its requester has left.
pub(super) struct UnreadRequest {
    entry: Option<AuditEntry>,
    refusals: Refusals,
}

impl UnreadRequest {
    /// Reports that the request was refused.
    pub(super) fn refuse(mut self, why: &'static str) {
        if let Some(entry) = self.entry.take() {
            self.refusals.report(entry, why);
        }
    }

    /// Leaves the report of the request to the code that carries it out.
    pub(super) fn hand_over(mut self) {
        if let Some(entry) = self.entry.take() {
            entry.hand_over();
        }
    }
}

impl Drop for UnreadRequest {
    fn drop(&mut self) {
        if let Some(entry) = self.entry.take() {
            self.refusals.report(entry, LEFT);
        }
    }
}

impl Count {
    fn next(&mut self, now: Instant) -> Step {
        // While refusals are collected, their report begins the next second.
        if self.unreported == 0 && self.until.is_none_or(|until| until <= now) {
            *self = Count { until: Some(now + SECOND), ..Count::default() };
        }
        if self.reported < EACH {
            self.reported += 1;
            return Step::Report;
        }
        self.unreported = self.unreported.saturating_add(1);
        match self.until {
            Some(until) if self.unreported == 1 => Step::Collect(until),
            _ => Step::Count,
        }
    }
}

/// The refusals of a second that are not reported one by one. They are reported when this value is
/// dropped.
struct Rest {
    /// The first of them.
    entry: Option<AuditEntry>,
    why: &'static str,
    refusals: Refusals,
}

impl Drop for Rest {
    fn drop(&mut self) {
        let count = std::mem::take(&mut *self.refusals.0.lock()).unreported;
        let Some(entry) = self.entry.take() else { return };
        match count {
            0 | 1 => entry.refused(self.why),
            count => {
                entry
                    .refused(&format!("{count} requests within a second; the first: {}", self.why));
            }
        }
    }
}
