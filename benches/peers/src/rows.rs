//! The rows of the table. A row is named by what is done.

/// The systems, in the order of the columns.
pub(crate) const SYSTEMS: [&str; 6] = ["raw", "regrow", "beam", "ractor", "kameo", "tokio-actors"];

pub(crate) struct Row {
    /// What the row is called on the command line.
    pub(crate) key: &'static str,
    pub(crate) text: &'static str,
    pub(crate) unit: &'static str,
    full: usize,
    /// What is added to the text for each figure of a measurement.
    pub(crate) details: &'static [&'static str],
}

impl Row {
    /// The number of operations, or of processes.
    pub(crate) fn size(&self, scale: f64) -> usize {
        ((self.full as f64 * scale) as usize).max(10)
    }
}

const ONE: &[&str] = &[""];

const fn row(key: &'static str, text: &'static str, unit: &'static str, full: usize) -> Row {
    Row { key, text, unit, full, details: ONE }
}

pub(crate) const ROWS: &[Row] = &[
    row("spawn", "spawned at once, ended, reaped", "ns", 200_000),
    row("idle", "idle process, resident", "bytes", 100_000),
    row("server", "idle server (actor), resident", "bytes", 100_000),
    row("send", "message of 8 bytes, one to one", "ns", 1_000_000),
    row("call", "call, one caller", "ns", 200_000),
    Row {
        details: &[", p50", ", p99", ", p99.9"],
        ..row("calls", "call, 64 callers on one", "ns", 256_000)
    },
    row("start", "supervised child, started", "ns", 50_000),
    row("terminate", "supervised child, terminated", "ns", 50_000),
    row("stop", "supervisor with children, stopped", "ns/child", 50_000),
    row("restart", "restart after a panic", "ns", 20_000),
    row("group", "one_for_all of 100, after a panic", "ns", 500),
    row("links", "end of one, linked to all", "ns/link", 10_000),
    row("monitors", "end of one, monitored by all", "ns/watcher", 10_000),
    row("timers", "timers created, then cancelled", "ns", 200_000),
];
