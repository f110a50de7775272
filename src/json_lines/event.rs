//! Lifecycle events as JSON. `book/src/json-lines.md` is the schema; a test compares the two.

use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::base::{Pid, TimeOfDay};
use crate::exit::ExitReason;
use crate::json_lines::crash;
use crate::json_lines::fields::{ended, process};
use crate::observe::{ControlAction, LifecycleEvent, LogLevel};
use crate::snapshot::json::{escape_controls, millis};

/// The version of the schema. It grows when a field changes its meaning or is removed, and not when
/// a field or an event is added.
const VERSION: u32 = 1;

/// Returns an event as one line, without the line break.
pub(super) fn line_of(event: &LifecycleEvent) -> String {
    line(&EventJson(event))
}

/// Returns the line that says how many events were missed.
pub(super) fn missed_line(missed: u64) -> String {
    line(&MissedJson(missed))
}

fn line(value: &impl Serialize) -> String {
    // The values are strings and numbers under fixed keys, so the serialization can't fail.
    escape_controls(&serde_json::to_string(value).unwrap_or_default())
}

/// Begins the object of an event with the fields that each line has.
fn begin<S: Serializer>(serializer: S, event: &str) -> Result<S::SerializeMap, S::Error> {
    let mut map = serializer.serialize_map(None)?;
    map.serialize_entry("version", &VERSION)?;
    map.serialize_entry("event", event)?;
    map.serialize_entry("at_ms", &TimeOfDay::now().unix_millis())?;
    Ok(map)
}

struct MissedJson(u64);

impl Serialize for MissedJson {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = begin(serializer, "missed")?;
        map.serialize_entry("missed", &self.0)?;
        map.end()
    }
}

struct EventJson<'a>(&'a LifecycleEvent);

impl Serialize for EventJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = begin(serializer, name(self.0))?;
        match self.0 {
            LifecycleEvent::CrashReport(report) => crash::entries(&mut map, report)?,
            LifecycleEvent::Spawned { pid, label } => {
                map.serialize_entry("pid", &pid.raw())?;
                map.serialize_entry("label", label.as_str())?;
            }
            LifecycleEvent::Exited { pid, label, name, reason } => {
                process(&mut map, *pid, label.as_deref(), name.as_deref())?;
                ended(&mut map, reason)?;
            }
            LifecycleEvent::LeftUnhandled { pid, label, name, reason, calls, casts, messages } => {
                process(&mut map, *pid, label.as_deref(), name.as_deref())?;
                ended(&mut map, reason)?;
                map.serialize_entry("calls", calls)?;
                map.serialize_entry("casts", casts)?;
                map.serialize_entry("messages", messages)?;
            }
            LifecycleEvent::QueueHandedOn { pid, from, label, calls, casts, messages } => {
                map.serialize_entry("pid", &pid.raw())?;
                map.serialize_entry("label", &label.as_deref())?;
                map.serialize_entry("from", &from.raw())?;
                map.serialize_entry("calls", calls)?;
                map.serialize_entry("casts", casts)?;
                map.serialize_entry("messages", messages)?;
            }
            LifecycleEvent::HandlerFailed { manager, handler, reason } => {
                map.serialize_entry("pid", &manager.raw())?;
                map.serialize_entry("handler", handler.as_str())?;
                ended(&mut map, reason)?;
            }
            LifecycleEvent::LongPoll { .. } | LifecycleEvent::LongPollEnded { .. } => {
                poll_entries(&mut map, self.0)?;
            }
            LifecycleEvent::Control { .. } => control_entries(&mut map, self.0)?,
            of_child => child_entries(&mut map, of_child)?,
        }
        map.end()
    }
}

/// Writes the fields of an event about a poll.
fn poll_entries<M: SerializeMap>(map: &mut M, event: &LifecycleEvent) -> Result<(), M::Error> {
    let (pid, label, path, elapsed) = match event {
        LifecycleEvent::LongPoll { pid, label, path, callback, elapsed } => {
            let callback = callback.map(|callback| callback.to_string());
            map.serialize_entry("callback", &callback)?;
            (pid, label, path, elapsed)
        }
        LifecycleEvent::LongPollEnded { pid, label, path, elapsed } => (pid, label, path, elapsed),
        _ => return Ok(()),
    };
    map.serialize_entry("pid", &pid.raw())?;
    map.serialize_entry("label", &label.as_deref())?;
    map.serialize_entry("path", &path.as_deref())?;
    map.serialize_entry("elapsed_ms", &millis(*elapsed))
}

/// Writes the fields of a requested action.
fn control_entries<M: SerializeMap>(map: &mut M, event: &LifecycleEvent) -> Result<(), M::Error> {
    let LifecycleEvent::Control { time, action, path, pid, caller, outcome } = event else {
        return Ok(());
    };
    map.serialize_entry("time_ms", &time.unix_millis())?;
    map.serialize_entry("action", &action.map(ControlAction::name))?;
    map.serialize_entry("level", &action.and_then(ControlAction::level).map(LogLevel::name))?;
    map.serialize_entry("path", &path.as_deref())?;
    map.serialize_entry("pid", &pid.map(|pid| pid.raw()))?;
    map.serialize_entry("caller", caller.as_str())?;
    map.serialize_entry("outcome", outcome.name())?;
    map.serialize_entry("why", &outcome.why())
}

/// Writes the fields of an event of a supervisor.
fn child_entries<M: SerializeMap>(map: &mut M, event: &LifecycleEvent) -> Result<(), M::Error> {
    match event {
        LifecycleEvent::StartFailed { supervisor, child, reason }
        | LifecycleEvent::GaveUp { supervisor, child, reason } => {
            of_child(map, *supervisor, child, reason)
        }
        LifecycleEvent::ChildEnded { supervisor, child, pid, reason } => {
            of_child(map, *supervisor, child, reason)?;
            map.serialize_entry("pid", &pid.raw())
        }
        LifecycleEvent::GivenUp { supervisor, child, pid, reason } => {
            of_child(map, *supervisor, child, reason)?;
            map.serialize_entry("pid", &pid.map(|pid| pid.raw()))
        }
        LifecycleEvent::Resumed { supervisor, child, pid, reason, callback, resumes_left } => {
            of_child(map, *supervisor, child, reason)?;
            map.serialize_entry("pid", &pid.raw())?;
            map.serialize_entry("callback", &callback.to_string())?;
            map.serialize_entry("resumes_left", resumes_left)
        }
        LifecycleEvent::Restarting { supervisor, child, reason, attempt, delay, budget_left } => {
            of_child(map, *supervisor, child, reason)?;
            map.serialize_entry("attempt", attempt)?;
            map.serialize_entry("delay_ms", &millis(*delay))?;
            map.serialize_entry("budget_left", budget_left)
        }
        LifecycleEvent::ShutdownFailed { supervisor, child, pid, reason, overran } => {
            of_child(map, *supervisor, child, reason)?;
            map.serialize_entry("pid", &pid.raw())?;
            map.serialize_entry("overran", overran)
        }
        LifecycleEvent::Unresponsive { supervisor, child, pid } => {
            map.serialize_entry("supervisor", &supervisor.raw())?;
            map.serialize_entry("child", child.as_str())?;
            map.serialize_entry("pid", &pid.raw())
        }
        _ => Ok(()),
    }
}

fn of_child<M: SerializeMap>(
    map: &mut M,
    supervisor: Pid,
    child: &str,
    reason: &ExitReason,
) -> Result<(), M::Error> {
    map.serialize_entry("supervisor", &supervisor.raw())?;
    map.serialize_entry("child", child)?;
    ended(map, reason)
}

fn name(event: &LifecycleEvent) -> &'static str {
    match event {
        LifecycleEvent::Spawned { .. } => "spawned",
        LifecycleEvent::Exited { .. } => "exited",
        LifecycleEvent::CrashReport(_) => "crash_report",
        LifecycleEvent::LeftUnhandled { .. } => "left_unhandled",
        LifecycleEvent::QueueHandedOn { .. } => "queue_handed_on",
        LifecycleEvent::Unresponsive { .. } => "unresponsive",
        LifecycleEvent::HandlerFailed { .. } => "handler_failed",
        LifecycleEvent::LongPoll { .. } => "long_poll",
        LifecycleEvent::LongPollEnded { .. } => "long_poll_ended",
        LifecycleEvent::StartFailed { .. } => "start_failed",
        LifecycleEvent::ChildEnded { .. } => "child_ended",
        LifecycleEvent::Resumed { .. } => "resumed",
        LifecycleEvent::Restarting { .. } => "restarting",
        LifecycleEvent::ShutdownFailed { .. } => "shutdown_failed",
        LifecycleEvent::GivenUp { .. } => "given_up",
        LifecycleEvent::GaveUp { .. } => "gave_up",
        LifecycleEvent::Control { .. } => "control",
    }
}
