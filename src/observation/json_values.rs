//! Numbers, times and objects in JSON.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::base::{Pid, PidValue, TimeOfDay};

pub(super) fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// Returns an object with the fields of `head` and of `rest`.
pub(super) fn with(mut head: Map<String, Value>, rest: Value) -> Value {
    head.extend(object(rest));
    Value::Object(head)
}

pub(super) fn pid(pid: Option<Pid>) -> Option<u64> {
    pid.map(|pid| pid.raw())
}

/// Returns pids of which some may belong to other nodes.
pub(super) fn pids(pids: &[Pid]) -> Vec<PidValue> {
    pids.iter().copied().map(PidValue).collect()
}

/// Returns the milliseconds since 1970.
pub(super) fn millis(time: TimeOfDay) -> u64 {
    time.unix_millis()
}

pub(super) fn span(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
