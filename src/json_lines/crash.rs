//! Crash reports as JSON.

use std::time::Duration;

use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::base::PidValue;
use crate::base::error_chain::causes;
use crate::exit::{CrashLocation, Shutdown};
use crate::json_lines::fields::{ended, process};
use crate::message::MessageKind;
use crate::observe::{Ancestor, CrashCause, CrashHandling, CrashReport, CrashedChild};
use crate::restart::policy::Restart;
use crate::restart::{FailurePolicy, Incarnation};
use crate::snapshot::json::millis;

/// Writes the fields of a report.
pub(super) fn entries<M: SerializeMap>(map: &mut M, report: &CrashReport) -> Result<(), M::Error> {
    map.serialize_entry("path", report.path.as_str())?;
    process(map, report.pid, report.label.as_deref(), report.name.as_deref())?;
    let cause = match report.cause {
        CrashCause::Own => "own",
        CrashCause::Outside => "outside",
        CrashCause::Resumed => "resumed",
    };
    map.serialize_entry("cause", cause)?;
    ended(map, &report.reason)?;
    let crash = report.reason.crash();
    map.serialize_entry("message", &crash.map(|crash| crash.message()))?;
    let causes = crash.and_then(|crash| crash.error()).map(|error| causes(error));
    map.serialize_entry("causes", &causes.unwrap_or_default())?;
    map.serialize_entry("location", &crash.and_then(|crash| crash.location()).map(Location))?;
    let backtrace = crash.and_then(|crash| crash.backtrace());
    map.serialize_entry("backtrace", &backtrace.map(ToString::to_string))?;
    map.serialize_entry("handling", &report.handling.map(Handling))?;
    map.serialize_entry("mailbox_depth", &report.mailbox_depth)?;
    let links: Vec<PidValue> = report.links.iter().copied().map(PidValue).collect();
    map.serialize_entry("links", &links)?;
    map.serialize_entry("more_links", &report.more_links)?;
    let ancestors: Vec<Above<'_>> = report.ancestors.iter().map(Above).collect();
    map.serialize_entry("ancestors", &ancestors)?;
    map.serialize_entry("child", &report.child.as_ref().map(Child))?;
    map.serialize_entry("left_out", &report.left_out)
}

struct Location<'a>(&'a CrashLocation);

impl Serialize for Location<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(3))?;
        map.serialize_entry("file", self.0.file())?;
        map.serialize_entry("line", &self.0.line())?;
        map.serialize_entry("column", &self.0.column())?;
        map.end()
    }
}

struct Handling(CrashHandling);

impl Serialize for Handling {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let kind = self.0.kind.map(|kind| match kind {
            MessageKind::Call => "call",
            MessageKind::Cast => "cast",
            MessageKind::Message => "message",
            MessageKind::Stream => "stream",
            MessageKind::Event => "event",
        });
        let mut map = serializer.serialize_map(Some(4))?;
        map.serialize_entry("callback", &self.0.callback.to_string())?;
        map.serialize_entry("kind", &kind)?;
        map.serialize_entry("message_type", &self.0.message_type)?;
        map.serialize_entry("elapsed_ms", &self.0.elapsed.map(millis))?;
        map.end()
    }
}

struct Above<'a>(&'a Ancestor);

impl Serialize for Above<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("pid", &self.0.pid.raw())?;
        map.serialize_entry("label", &self.0.label.as_deref())?;
        map.end()
    }
}

struct Child<'a>(&'a CrashedChild);

impl Serialize for Child<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let child = self.0;
        let restart = match child.restart {
            Restart::Permanent => "permanent",
            Restart::Transient => "transient",
            Restart::Temporary => "temporary",
        };
        let shutdown = match child.shutdown {
            Shutdown::BrutalKill => Some(Duration::ZERO),
            Shutdown::Timeout(grace) => Some(grace),
            Shutdown::Infinity => None,
        };
        let history: Vec<Past<'_>> = child.history.iter().map(Past).collect();
        let mut map = serializer.serialize_map(Some(9))?;
        map.serialize_entry("supervisor", &child.supervisor.raw())?;
        map.serialize_entry("incarnation", &child.incarnation)?;
        map.serialize_entry("uptime_ms", &millis(child.uptime))?;
        map.serialize_entry("restart", restart)?;
        map.serialize_entry("policy", &child.policy.map(FailurePolicy::name))?;
        map.serialize_entry("shutdown_ms", &shutdown.map(millis))?;
        map.serialize_entry("backoff", &child.backoff.map(|backoff| backoff.range_text()))?;
        map.serialize_entry("budget", &child.budget.map(Budget))?;
        map.serialize_entry("history", &history)?;
        map.end()
    }
}

struct Budget((u32, Duration));

impl Serialize for Budget {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (restarts, period) = self.0;
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("restarts", &restarts)?;
        map.serialize_entry("period_ms", &millis(period))?;
        map.end()
    }
}

struct Past<'a>(&'a Incarnation);

impl Serialize for Past<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let past = self.0;
        let ran = past.ended.saturating_duration_since(past.started);
        let mut map = serializer.serialize_map(Some(5))?;
        map.serialize_entry("pid", &past.pid.map(|pid| pid.raw()))?;
        map.serialize_entry("incarnation", &(u64::from(past.attempt) + 1))?;
        map.serialize_entry("ran_ms", &millis(ran))?;
        ended(&mut map, &past.reason)?;
        map.end()
    }
}
