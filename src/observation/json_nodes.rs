//! The nodes of a picture in JSON, and the values that several items contain.

use serde_json::{Map, Value, json};

use crate::exit::ExitReason;
use crate::observation::json_values::{millis, object, pid, span, with};
use crate::observation::picture::PastRun;
use crate::observation::{MailboxFacts, PictureNode, PictureStep, Supervision, Wait};
use crate::observe::{ExitClass, Handling, Health};
use crate::restart::RestartBudget;

pub(super) fn node(node: &PictureNode) -> Value {
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
        "ended_ms": node.ended.map(millis),
        "retry_at_ms": node.retry_at.map(millis),
        "deadline_ms": node.deadline.map(millis),
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
        let (doing, child, since, deadline) = match step {
            PictureStep::Init { since } => ("init", None, since, None),
            PictureStep::Starting { child, since } => ("starting", Some(child), since, None),
            PictureStep::Stopping { child, since, deadline } => {
                ("stopping", Some(child), since, *deadline)
            }
        };
        let (child, deadline) = (child.map(|child| child.as_str()), deadline.map(millis));
        let since = millis(*since);
        json!({ "doing": doing, "child": child, "since_ms": since, "deadline_ms": deadline })
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
        "stopped": incarnation.stopped,
        "backtrace": run.has_backtrace(),
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

pub(super) fn mailbox(mailbox: &MailboxFacts) -> Value {
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

pub(super) fn wait(wait: &Wait) -> Value {
    json!({
        "caller": wait.caller.raw(),
        "caller_path": wait.caller_path.as_deref(),
        "server": wait.server.raw(),
        "server_path": wait.server_path.as_deref(),
    })
}

pub(super) fn budget(budget: RestartBudget) -> Value {
    json!({ "left": budget.left, "restarts": budget.restarts, "period_ms": span(budget.period) })
}
