//! The names of all metrics, with their types, units and meanings.

use metrics::{KeyName, Recorder, Unit};

/// The type of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// One metric.
#[derive(Debug)]
pub(super) struct Metric {
    pub(super) name: &'static str,
    kind: Kind,
    unit: Unit,
    text: &'static str,
}

const fn counter(name: &'static str, text: &'static str) -> Metric {
    Metric { name, kind: Kind::Counter, unit: Unit::Count, text }
}

const fn gauge(name: &'static str, unit: Unit, text: &'static str) -> Metric {
    Metric { name, kind: Kind::Gauge, unit, text }
}

const fn seconds(name: &'static str, text: &'static str) -> Metric {
    Metric { name, kind: Kind::Histogram, unit: Unit::Seconds, text }
}

pub(super) const SPAWNED: Metric =
    counter("regrow_processes_spawned_total", "Processes that were spawned");
pub(super) const ENDED: Metric = counter(
    "regrow_processes_ended_total",
    "Processes that have ended, by the class of the reason",
);
pub(super) const RESTARTS: Metric =
    counter("regrow_restarts_total", "Restarts of a child that its supervisor has decided");
pub(super) const GIVE_UPS: Metric =
    counter("regrow_give_ups_total", "Restart limits that the restarts of a child have reached");
pub(super) const REFUSED: Metric =
    counter("regrow_messages_refused_total", "Messages that a full mailbox has refused");
pub(super) const DROPPED: Metric =
    counter("regrow_messages_dropped_total", "Messages that a full mailbox has dropped");
pub(super) const UNHANDLED: Metric =
    counter("regrow_messages_unhandled_total", "Messages that ended processes have left unhandled");
pub(super) const TIMED_OUT: Metric =
    counter("regrow_calls_timed_out_total", "Calls without an answer within their time limit");
pub(super) const RESUMED: Metric = counter(
    "regrow_resumed_failures_total",
    "Failed handlers after which their servers have gone on",
);
pub(super) const FOLDED: Metric =
    counter("regrow_paths_folded_total", "Paths beyond the bound, which share the path /other");

pub(super) const PROCESSES: Metric =
    gauge("regrow_processes", Unit::Count, "Processes that are alive");
pub(super) const CHILDREN: Metric =
    gauge("regrow_children", Unit::Count, "Children of a supervisor, running or not");
pub(super) const BUDGET: Metric =
    gauge("regrow_restart_budget", Unit::Count, "Restarts that a supervisor allows in its period");
pub(super) const BUDGET_USED: Metric =
    gauge("regrow_restart_budget_used", Unit::Count, "Restarts of the budget that are used up");
pub(super) const QUEUED: Metric =
    gauge("regrow_mailbox_items", Unit::Count, "Items in the mailboxes of a path");
pub(super) const OLDEST: Metric =
    gauge("regrow_mailbox_oldest_seconds", Unit::Seconds, "Age of the oldest item in a mailbox");

pub(super) const WAITING: Metric =
    seconds("regrow_waiting_seconds", "Time that items have waited in the mailbox of a server");
pub(super) const HANDLING: Metric =
    seconds("regrow_handling_seconds", "Time that handlers of a server ran");

/// All metrics.
const ALL: [Metric; 18] = [
    SPAWNED,
    ENDED,
    RESTARTS,
    GIVE_UPS,
    REFUSED,
    DROPPED,
    UNHANDLED,
    TIMED_OUT,
    RESUMED,
    FOLDED,
    PROCESSES,
    CHILDREN,
    BUDGET,
    BUDGET_USED,
    QUEUED,
    OLDEST,
    WAITING,
    HANDLING,
];

/// Describes all metrics to a recorder.
pub(super) fn describe(recorder: &dyn Recorder) {
    for Metric { name, kind, unit, text } in ALL {
        let (name, unit, text) = (KeyName::from_const_str(name), Some(unit), text.into());
        match kind {
            Kind::Counter => recorder.describe_counter(name, unit, text),
            Kind::Gauge => recorder.describe_gauge(name, unit, text),
            Kind::Histogram => recorder.describe_histogram(name, unit, text),
        }
    }
}
