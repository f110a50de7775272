//! Trees run as programs, seen from the operating system.

#[path = "../support/mod.rs"]
mod support;

mod run;
mod run_starting;
mod run_kinds;
mod run_doing;
mod run_report;
mod phases;
#[cfg(unix)]
mod run_signals;
#[cfg(unix)]
mod run_hangup;
#[cfg(all(unix, feature = "systemd"))]
mod systemd;
#[cfg(unix)]
mod run_ends;
#[cfg(all(unix, feature = "process"))]
mod command_signals;
mod broken_stderr;
#[cfg(all(unix, feature = "process"))]
mod programs;
#[cfg(target_os = "linux")]
mod resource_exhaustion;
#[cfg(all(unix, feature = "observer", feature = "top"))]
mod top;
