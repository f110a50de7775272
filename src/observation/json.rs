//! Observations as JSON, version 1. The page "The observation format" of the book documents each
//! field, and a test compares that page with the output.
//!
//! Each item is one object on one line. Times are milliseconds since 1970. The JSON never contains
//! a message, and the text of a panic only within an exit reason.

use std::time::{Duration, SystemTime};

use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};

use crate::base::Pid;
use crate::exit::ExitReason;
use crate::observation::json_changes::fields;
use crate::observation::picture::PastRun;
use crate::observation::{
    MailboxFacts, Observed, Picture, PictureNode, PictureStep, ProcessDetail, Sample, Supervision,
};
use crate::observe::{Change, ChildCounters, Counters, ExitClass, Handling, Health};
use crate::restart::RestartBudget;
use crate::snapshot::escape_controls;

/// The version of the format. It changes with an incompatible change.
const VERSION: u32 = 1;

/// Implements the public side of the JSON for a type with a private `value`.
macro_rules! json_of {
    ($($type:ty)*) => {
        $(
            impl $type {
                /// Returns the JSON of this value on one line, as the page *The observation format*
                /// of the book documents it. Control characters and `<` are escaped.
                ///
                /// With the feature `serde`.
                #[cfg_attr(docsrs, doc(cfg(feature = "serde")))]
                pub fn to_json(&self) -> String {
                    escape_controls(&self.value().to_string())
                }
            }

            #[cfg_attr(docsrs, doc(cfg(feature = "serde")))]
            impl Serialize for $type {
                fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                    self.value().serialize(serializer)
                }
            }
        )*
    };
}

json_of!(Observed Picture Change Sample Counters ProcessDetail);

/// Returns the fields that each item has.
fn head(kind: &str, seq: u64, time: SystemTime) -> Map<String, Value> {
    object(json!({ "version": VERSION, "type": kind, "seq": seq, "time_ms": millis(time) }))
}

pub(super) fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// Returns an object with the fields of `head` and of `rest`.
fn with(mut head: Map<String, Value>, rest: Value) -> Value {
    head.extend(object(rest));
    Value::Object(head)
}

impl Observed {
    fn value(&self) -> Value {
        match self {
            Observed::Picture(picture) => picture.value(),
            Observed::Change(change) => change.value(),
            Observed::Sample(sample) => sample.value(),
            Observed::Missed(missed) => {
                let rest = json!({ "changes": missed.changes });
                with(head("missed", missed.seq, missed.time), rest)
            }
        }
    }
}

impl Picture {
    fn value(&self) -> Value {
        let nodes: Vec<Value> = self.nodes.iter().map(node).collect();
        let rest = json!({ "nodes": nodes, "counters": self.counters.value() });
        with(head("picture", self.seq, self.time), rest)
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
    fn value(&self) -> Value {
        let processes = self.processes.iter().map(|sample| {
            let path = json!({ "path": sample.path.as_str(), "pid": sample.pid.raw() });
            with(object(path), mailbox(&sample.mailbox))
        });
        let supervisors = self.supervisors.iter().map(|sample| {
            json!({
                "path": sample.path.as_str(),
                "pid": sample.pid.raw(),
                "children": sample.children,
                "budget": sample.budget.map(budget),
            })
        });
        let rest = json!({
            "processes": processes.collect::<Vec<_>>(),
            "supervisors": supervisors.collect::<Vec<_>>(),
            "counters": self.counters.value(),
        });
        with(head("sample", self.seq, self.time), rest)
    }
}

impl Counters {
    fn value(&self) -> Value {
        let ended = &self.ended;
        let child = |child: &ChildCounters| {
            let ChildCounters { path, restarts, give_ups } = child;
            json!({ "path": path.as_str(), "restarts": restarts, "give_ups": give_ups })
        };
        json!({
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
            "children": self.children.iter().map(child).collect::<Vec<_>>(),
        })
    }
}

impl ProcessDetail {
    fn value(&self) -> Value {
        let texts = |all: &[crate::base::SharedStr]| -> Vec<String> {
            all.iter().map(ToString::to_string).collect()
        };
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
        });
        let with_health = with(object(head), health(&self.health));
        with(object(with_health), mailbox(&self.mailbox))
    }
}

fn node(node: &PictureNode) -> Value {
    let kind = if node.supervision.is_some() { "supervisor" } else { "worker" };
    let facts = json!({
        "path": node.path.as_str(),
        "parent": node.parent.as_deref(),
        "id": node.id.as_str(),
        "pid": pid(node.pid),
        "supervisor": pid(node.supervisor),
        "kind": kind,
        "state": node.state.to_string(),
        "started_ms": node.started.map(millis),
        "retry_at_ms": node.retry_at.map(millis),
        "restarts": node.restarts,
        "history": node.history.iter().map(past_run).collect::<Vec<_>>(),
    });
    let mut all = object(with(object(facts), health(&node.health)));
    all.extend(object(mailbox(&node.mailbox)));
    all.extend(node.supervision.iter().flat_map(supervision));
    Value::Object(all)
}

fn supervision(of: &Supervision) -> Map<String, Value> {
    let step = of.step.as_ref().map(|step| {
        let (doing, child, since) = match step {
            PictureStep::Init { since } => ("init", None, since),
            PictureStep::Starting { child, since } => ("starting", Some(child), since),
            PictureStep::Stopping { child, since } => ("stopping", Some(child), since),
        };
        let child = child.map(|child| child.as_str());
        json!({ "doing": doing, "child": child, "since_ms": millis(*since) })
    });
    let folded = of.folded.map(|folded| {
        json!({
            "children": folded.children,
            "running": folded.running,
            "restarting": folded.restarting,
            "stopping": folded.stopping,
            "given_up": folded.given_up,
            "unhealthy": folded.unhealthy,
        })
    });
    object(json!({
        "strategy": of.strategy,
        "budget": of.budget.map(budget),
        "step": step,
        "ending_since_ms": of.ending_since.map(millis),
        "folded": folded,
        "last_known": of.last_known,
    }))
}

fn past_run(run: &PastRun) -> Value {
    let incarnation = &run.incarnation;
    let head = json!({
        "pid": pid(incarnation.pid),
        "started_ms": millis(run.started),
        "ended_ms": millis(run.ended),
        "attempt": incarnation.attempt,
        "delay_ms": span(incarnation.delay),
    });
    with(object(head), reason(&incarnation.reason))
}

/// Returns the fields of an exit reason: its text with all causes, its class, and its place.
pub(super) fn reason(reason: &ExitReason) -> Value {
    let place = reason.crash().and_then(|crash| crash.location());
    json!({
        "reason": reason_text(reason),
        "class": ExitClass::of(reason).to_string(),
        "place": place.map(ToString::to_string),
    })
}

/// Returns the complete text of a reason.
fn reason_text(reason: &ExitReason) -> String {
    match reason {
        ExitReason::ShutdownWith(detail) => format!("shutdown: {}", detail.text()),
        reason => reason.with_causes(),
    }
}

pub(super) fn health(health: &Health) -> Value {
    let (word, text) = match health {
        Health::Ready => ("ready", None),
        Health::Degraded(why) => ("degraded", Some(why.as_str())),
        Health::Starting => ("starting", None),
        Health::Unready(why) => ("unready", Some(why.as_str())),
        Health::Unresponsive => ("unresponsive", None),
        Health::Stopping => ("stopping", None),
    };
    json!({ "health": word, "health_text": text })
}

fn mailbox(mailbox: &MailboxFacts) -> Value {
    let handling = mailbox.handling.map(|Handling { callback, elapsed }| {
        json!({ "callback": callback.to_string(), "elapsed_ms": span(elapsed) })
    });
    json!({
        "queued": mailbox.queued,
        "oldest_ms": mailbox.oldest.map(span),
        "lost": mailbox.lost,
        "handling": handling,
    })
}

fn budget(budget: RestartBudget) -> Value {
    json!({ "left": budget.left, "restarts": budget.restarts, "period_ms": span(budget.period) })
}

pub(super) fn pid(pid: Option<Pid>) -> Option<u64> {
    pid.map(|pid| pid.raw())
}

pub(super) fn pids(pids: &[Pid]) -> Vec<u64> {
    pids.iter().map(|pid| pid.raw()).collect()
}

/// Returns the milliseconds since 1970; 0 for a time before.
fn millis(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, span)
}

pub(super) fn span(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
