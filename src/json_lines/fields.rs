//! Fields that several events have.

use serde::ser::SerializeMap;

use crate::base::Pid;
use crate::exit::{CrashKind, ExitReason};
use crate::snapshot::json::reason as text_of;

/// Writes the fields that identify a process.
pub(super) fn process<M: SerializeMap>(
    map: &mut M,
    pid: Pid,
    label: Option<&str>,
    name: Option<&str>,
) -> Result<(), M::Error> {
    map.serialize_entry("pid", &pid.raw())?;
    map.serialize_entry("label", &label)?;
    map.serialize_entry("name", &name)
}

/// Writes a reason with its kind.
pub(super) fn ended<M: SerializeMap>(map: &mut M, reason: &ExitReason) -> Result<(), M::Error> {
    map.serialize_entry("reason", &text_of(reason))?;
    map.serialize_entry("reason_kind", kind(reason))
}

fn kind(reason: &ExitReason) -> &'static str {
    match reason {
        ExitReason::Normal => "normal",
        ExitReason::Shutdown | ExitReason::ShutdownWith(_) => "shutdown",
        ExitReason::Killed => "killed",
        ExitReason::NoProc => "no_process",
        ExitReason::NoConnection => "no_connection",
        ExitReason::Crashed(crash) => match crash.kind() {
            CrashKind::Panic => "panic",
            CrashKind::Error => "error",
            CrashKind::Explicit => "explicit",
        },
    }
}
