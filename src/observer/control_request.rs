//! The body of a control request.

use serde_json::{Map, Value};

use crate::base::Pid;
use crate::control::ControlRequest;
use crate::observe::{ControlAction, LogLevel};

/// The names of all actions.
pub(super) const ACTIONS: [&str; 6] =
    ["restart", "terminate", "kill", "suspend", "resume", "log_level"];

/// Reads a body. The error says what is wrong with it.
pub(super) fn parse(body: &[u8]) -> Result<ControlRequest, &'static str> {
    let Ok(Value::Object(fields)) = serde_json::from_slice(body) else {
        return Err("the body is not a JSON object\n");
    };
    let action = match text(&fields, "action")? {
        "restart" => ControlAction::Restart,
        "terminate" => ControlAction::Terminate,
        "kill" => ControlAction::Kill,
        "suspend" => ControlAction::Suspend,
        "resume" => ControlAction::Resume,
        "log_level" => {
            let level = level(text(&fields, "level")?)?;
            return Ok(ControlRequest::new(ControlAction::LogLevel(level)));
        }
        _ => return Err("there is no such `action`: `capabilities` lists them\n"),
    };
    let mut request = ControlRequest::new(action).path(text(&fields, "path")?.to_owned());
    if let Some(pid) = pid(&fields, "pid")? {
        request = request.pid(pid);
    }
    if let Some(supervisor) = pid(&fields, "supervisor")? {
        request = request.supervisor(supervisor);
    }
    Ok(request)
}

fn text<'a>(fields: &'a Map<String, Value>, key: &str) -> Result<&'a str, &'static str> {
    let text = fields.get(key).and_then(Value::as_str);
    text.ok_or("`action`, and the `path` or `level` that it needs, have to be texts\n")
}

fn pid(fields: &Map<String, Value>, key: &str) -> Result<Option<Pid>, &'static str> {
    match fields.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(pid) => {
            let pid = pid.as_u64().ok_or("`pid` and `supervisor` have to be numbers or null\n")?;
            Ok(Some(Pid::from_raw(pid)))
        }
    }
}

fn level(name: &str) -> Result<LogLevel, &'static str> {
    let all = [LogLevel::Off, LogLevel::Error, LogLevel::Warn, LogLevel::Info, LogLevel::Debug];
    let level = all.into_iter().find(|level| level.name() == name);
    level.ok_or("`level` is none of off, error, warn, info and debug\n")
}
