//! The nodes of a picture in JSON, and the values that several items contain.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};

use crate::exit::ExitReason;
use crate::observation::json_values::{millis, object, pid, span, with};
use crate::observation::picture::PastRun;
use crate::observation::{MailboxFacts, PictureNode, PictureStep, Supervision, Wait};
use crate::observe::{ExitClass, Handling, Health};
use crate::restart::RestartBudget;

/// The nodes of a picture. What every node has is written field by field: a [`Value`] of each node
/// would take ten times as long.
pub(super) struct Nodes<'a>(pub(super) &'a [PictureNode]);

impl Serialize for Nodes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(Node))
    }
}

struct Node<'a>(&'a PictureNode);

impl Serialize for Node<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Node(node) = self;
        let kind = if node.supervision.is_some() { "supervisor" } else { "worker" };
        let (health, health_text) = health_texts(&node.health);
        let MailboxFacts { queued, oldest, lost, handling } = &node.mailbox;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("path", &node.path)?;
        map.serialize_entry("parent", &node.parent.as_deref())?;
        map.serialize_entry("id", node.id.as_str())?;
        map.serialize_entry("pid", &pid(node.pid))?;
        map.serialize_entry("supervisor", &pid(node.supervisor))?;
        map.serialize_entry("kind", kind)?;
        map.serialize_entry("state", node.state.name())?;
        map.serialize_entry("health", health)?;
        map.serialize_entry("health_text", &health_text)?;
        map.serialize_entry("started_ms", &node.started.map(millis))?;
        map.serialize_entry("ended_ms", &node.ended.map(millis))?;
        map.serialize_entry("retry_at_ms", &node.retry_at.map(millis))?;
        map.serialize_entry("deadline_ms", &node.deadline.map(millis))?;
        map.serialize_entry("restarts", &node.restarts)?;
        map.serialize_entry("queued", queued)?;
        map.serialize_entry("oldest_ms", &oldest.map(span))?;
        map.serialize_entry("lost", lost)?;
        map.serialize_entry("handling", &handling.map(of_handling))?;
        map.serialize_entry("history", &node.history.iter().map(past_run).collect::<Vec<_>>())?;
        for (field, value) in node.supervision.as_deref().into_iter().flat_map(supervision) {
            map.serialize_entry(&field, &value)?;
        }
        map.end()
    }
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
    let (word, text) = health_texts(health);
    json!({ "health": word, "health_text": text })
}

/// Returns the word for a health, and the reason that the process gave.
fn health_texts(health: &Health) -> (&'static str, Option<&str>) {
    match health {
        Health::Ready => ("ready", None),
        Health::Degraded(why) => ("degraded", Some(why.as_str())),
        Health::Starting => ("starting", None),
        Health::Unready(why) => ("unready", Some(why.as_str())),
        Health::Unresponsive => ("unresponsive", None),
        Health::Stopping => ("stopping", None),
    }
}

pub(super) fn mailbox(mailbox: &MailboxFacts) -> Value {
    json!({
        "queued": mailbox.queued,
        "oldest_ms": mailbox.oldest.map(span),
        "lost": mailbox.lost,
        "handling": mailbox.handling.map(of_handling),
    })
}

fn of_handling(Handling { callback, elapsed }: Handling) -> Value {
    json!({ "callback": callback.to_string(), "elapsed_ms": span(elapsed) })
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
