//! Observations as JSON, version 1. The page "The observation format" of the book documents each
//! field, and a test compares that page with the output.
//!
//! Each item is one object on one line. Times are milliseconds since 1970. The JSON never contains
//! a message, and the text of a panic only within an exit reason.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};

use crate::base::{SharedStr, TimeOfDay};
use crate::observation::json_changes::fields;
use crate::observation::json_nodes::{Nodes, budget, health, mailbox, wait};
use crate::observation::json_values::{millis, object, pid, pids, span, with};
use crate::observation::{
    ChildEvent, Observed, Picture, ProcessDetail, ProcessSample, Sample, StatusLine,
    SupervisorSample,
};
use crate::observe::{Change, ChildCounters, Counters};
use crate::snapshot::escape_controls;

/// The version of the format. It changes with an incompatible change.
const VERSION: u32 = 1;

/// Implements the text for types that serialize, and the serialization of types with a private
/// `value`. A picture may have very many nodes, so it is written without a [`Value`] of all of them.
macro_rules! json_of {
    (text of $($type:ty)*) => {
        $(
            impl $type {
                /// Returns the JSON of this value on one line, as the page *The observation format*
                /// of the book documents it. Control characters and `<` are escaped.
                ///
                /// With the feature `serde`.
                #[cfg_attr(docsrs, doc(cfg(feature = "serde")))]
                pub fn to_json(&self) -> String {
                    // The values of this crate have no part that fails to serialize.
                    escape_controls(&serde_json::to_string(self).unwrap_or_default())
                }
            }
        )*
    };
    (values of $($type:ty)*) => {
        $(
            #[cfg_attr(docsrs, doc(cfg(feature = "serde")))]
            impl Serialize for $type {
                fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                    self.value().serialize(serializer)
                }
            }
        )*
    };
}

json_of!(text of Observed Picture Change Sample Counters ProcessDetail ChildEvent);
json_of!(values of Change Sample Counters ProcessDetail ChildEvent);

/// Returns the fields that each item has.
fn head(kind: &str, seq: u64, time: TimeOfDay) -> Map<String, Value> {
    object(json!({ "version": VERSION, "type": kind, "seq": seq, "time_ms": millis(time) }))
}

#[cfg_attr(docsrs, doc(cfg(feature = "serde")))]
impl Serialize for Observed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Observed::Picture(picture) => picture.serialize(serializer),
            Observed::Change(change) => change.serialize(serializer),
            Observed::Sample(sample) => sample.serialize(serializer),
            Observed::Missed(missed) => {
                let rest = json!({ "changes": missed.changes });
                with(head("missed", missed.seq, missed.time), rest).serialize(serializer)
            }
        }
    }
}

#[cfg_attr(docsrs, doc(cfg(feature = "serde")))]
impl Serialize for Picture {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (field, value) in &self.head() {
            map.serialize_entry(field, value)?;
        }
        map.serialize_entry("nodes", &Nodes(&self.nodes))?;
        map.serialize_entry("counters", &self.counters)?;
        map.end()
    }
}

impl Picture {
    /// Returns the fields that are no lists.
    pub(super) fn head(&self) -> Map<String, Value> {
        let rest = json!({ "program": self.program, "log_level": self.log_level.name() });
        object(with(head("picture", self.seq, self.time), rest))
    }
}

impl Change {
    fn value(&self) -> Value {
        let rest = json!({
            "path": self.path.as_str(),
            "pid": pid(self.pid),
            "supervisor": pid(self.supervisor),
            "change": self.kind.name(),
        });
        let mut all = object(with(head("change", self.seq, self.time), rest));
        all.extend(fields(&self.kind));
        Value::Object(all)
    }
}

impl Sample {
    /// Returns the fields that are no lists of the processes of the program.
    pub(super) fn head(&self) -> Map<String, Value> {
        let rest = json!({
            "log_level": self.log_level.name(),
            "waits": self.waits.waits.iter().map(wait).collect::<Vec<_>>(),
            "waits_left_out": self.waits.left_out,
            "waits_known": self.waits.is_known,
        });
        object(with(head("sample", self.seq, self.time), rest))
    }

    fn value(&self) -> Value {
        let rest = json!({
            "processes": self.processes.iter().map(process_sample).collect::<Vec<_>>(),
            "supervisors": self.supervisors.iter().map(supervisor_sample).collect::<Vec<_>>(),
            "counters": self.counters.value(),
        });
        with(self.head(), rest)
    }
}

pub(super) fn process_sample(sample: &ProcessSample) -> Value {
    let path = json!({ "path": sample.path.as_str(), "pid": sample.pid.raw() });
    with(object(path), mailbox(&sample.mailbox))
}

pub(super) fn supervisor_sample(sample: &SupervisorSample) -> Value {
    json!({
        "path": sample.path.as_str(),
        "pid": sample.pid.raw(),
        "children": sample.children,
        "budget": sample.budget.map(budget),
    })
}

impl Counters {
    /// Returns the fields that are no lists.
    pub(super) fn head(&self) -> Map<String, Value> {
        let ended = &self.ended;
        object(json!({
            "spawned": self.spawned,
            "ended": {
                "normal": ended.normal,
                "shutdown": ended.shutdown,
                "error": ended.error,
                "panic": ended.panic,
                "killed": ended.killed,
                "no_process": ended.no_process,
            },
            "refused": self.refused,
            "dropped": self.dropped,
            "unhandled": self.unhandled,
            "timed_out": self.timed_out,
            "resumed": self.resumed,
        }))
    }

    fn value(&self) -> Value {
        let children = self.children.iter().map(child_counters).collect::<Vec<_>>();
        with(self.head(), json!({ "children": children }))
    }
}

pub(super) fn child_counters(child: &ChildCounters) -> Value {
    let ChildCounters { path, restarts, give_ups } = child;
    json!({ "path": path.as_str(), "restarts": restarts, "give_ups": give_ups })
}

impl ChildEvent {
    fn value(&self) -> Value {
        let head = json!({
            "time_ms": millis(self.time),
            "pid": pid(self.pid),
            "change": self.kind.name(),
        });
        let mut all = object(head);
        all.extend(fields(&self.kind));
        Value::Object(all)
    }
}

fn status(status: &StatusLine) -> Value {
    let (line, busy) = match status {
        StatusLine::Line(line) => (Some(line.as_str()), None),
        StatusLine::Busy(time) => (None, Some(span(*time))),
        StatusLine::Panicked => (None, None),
    };
    let panicked = *status == StatusLine::Panicked;
    json!({ "line": line, "busy_ms": busy, "panicked": panicked })
}

impl ProcessDetail {
    fn value(&self) -> Value {
        let texts =
            |all: &[SharedStr]| -> Vec<String> { all.iter().map(ToString::to_string).collect() };
        let head = json!({
            "version": VERSION,
            "type": "process",
            "time_ms": millis(self.time),
            "pid": self.pid.raw(),
            "path": self.path.as_deref(),
            "label": self.label.as_deref(),
            "names": texts(&self.names),
            "groups": texts(&self.groups),
            "handled": self.handled,
            "doing": self.doing.to_string(),
            "links": pids(&self.links),
            "monitored_by": pids(&self.monitored_by),
            "monitors": pids(&self.monitors),
            "parent": pid(self.parent),
            "ancestors": pids(&self.ancestors),
            "trap_exit": self.trap_exit,
            "stop_requested": self.stop_requested,
            "suspended": self.suspended,
            "status": self.status.as_ref().map(status),
            "events": self.events.iter().map(ChildEvent::value).collect::<Vec<_>>(),
        });
        let with_health = with(object(head), health(&self.health));
        with(object(with_health), mailbox(&self.mailbox))
    }
}
