//! The fields of each kind of change in JSON.

use serde_json::{Map, Value, json};

use crate::observation::json_nodes::{health, reason};
use crate::observation::json_values::{millis, object, pid, pids, span};
use crate::observe::ChangeKind;

/// Returns the fields of this kind, without its name.
pub(super) fn fields(kind: &ChangeKind) -> Map<String, Value> {
    let more = match kind {
        ChangeKind::Added { is_supervisor } => json!({ "kind": word(*is_supervisor) }),
        ChangeKind::Starting { attempt } => json!({ "attempt": attempt }),
        ChangeKind::Started { is_supervisor, health: of, previous } => {
            let more = json!({ "kind": word(*is_supervisor), "previous": pid(*previous) });
            merged(more, health(of))
        }
        ChangeKind::Waiting { retry_in } => json!({ "retry_in_ms": retry_in.map(span) }),
        ChangeKind::Health { health: of } => health(of),
        ChangeKind::SlowHandler { callback, elapsed } => {
            json!({ "callback": callback.to_string(), "elapsed_ms": span(*elapsed) })
        }
        ChangeKind::Deadlock { cycle } => json!({ "cycle": pids(cycle) }),
        ChangeKind::Stopped | ChangeKind::GivenUp | ChangeKind::Removed | ChangeKind::Ending => {
            json!({})
        }
        ChangeKind::Stopping { deadline } | ChangeKind::HoldsStop { deadline } => {
            json!({ "deadline_ms": deadline.map(millis) })
        }
        with_reason => failure(with_reason),
    };
    object(more)
}

/// Returns the fields of a kind of change that has a reason.
fn failure(kind: &ChangeKind) -> Value {
    match kind {
        ChangeKind::StartFailed { reason: of } | ChangeKind::LimitReached { reason: of } => {
            reason(of)
        }
        ChangeKind::Ended { reason: of, uptime, stopped, for_good } => {
            let uptime = span(*uptime);
            let more = json!({ "uptime_ms": uptime, "stopped": stopped, "for_good": for_good });
            merged(more, reason(of))
        }
        ChangeKind::Restarting { reason: of, attempt, delay, budget_left } => {
            let delay = span(*delay);
            let more = json!({ "attempt": attempt, "delay_ms": delay, "budget_left": budget_left });
            merged(more, reason(of))
        }
        ChangeKind::GaveUp { child, reason: of } => {
            merged(json!({ "child": child.as_str() }), reason(of))
        }
        ChangeKind::ShutdownFailed { reason: of, overran } => {
            let doing = overran.map(|doing| doing.to_string());
            merged(json!({ "overran": overran.is_some(), "doing": doing }), reason(of))
        }
        _ => json!({}),
    }
}

fn word(is_supervisor: bool) -> &'static str {
    if is_supervisor { "supervisor" } else { "worker" }
}

fn merged(one: Value, other: Value) -> Value {
    let mut all = object(one);
    all.extend(object(other));
    Value::Object(all)
}
