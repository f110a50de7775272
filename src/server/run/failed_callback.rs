//! The callback in which a server failed, for its [crash report](crate::CrashReport).
//!
//! The guards of [`crash_site`] note the callback. This file adds the type of the message, which
//! only the server knows, and how long the callback ran, if the server is
//! [watched](crate::server::run::tracked). `terminate` may run over many polls after the failure, so
//! the body keeps the note meanwhile.

use std::any::type_name;
use std::time::Duration;

use tokio::time::Instant;

use crate::message::MessageKind;
use crate::observe::{Callback, CrashHandling, crash_site};
use crate::process::AnyProcess;
use crate::server::{GenServer, ServerContext};

impl<S: GenServer> ServerContext<S> {
    /// Takes the callback that has failed in this poll, before `terminate` runs.
    pub(crate) fn take_failed(&mut self) -> Option<Box<CrashHandling>> {
        let failed = crash_site::take_of_current()?;
        let types = (type_name::<S::Call>(), type_name::<S::Cast>());
        let process = self.inner().is_watched().then_some(&*self.process as &dyn AnyProcess);
        Some(completed(failed, types, process))
    }
}

/// Adds the type of the message, and how long the callback of a watched process ran.
fn completed(
    mut failed: CrashHandling,
    (call, cast): (&'static str, &'static str),
    watched: Option<&dyn AnyProcess>,
) -> Box<CrashHandling> {
    (failed.kind, failed.message_type) = match failed.callback {
        Callback::HandleCall => (Some(MessageKind::Call), Some(call)),
        Callback::HandleCast => (Some(MessageKind::Cast), Some(cast)),
        _ => (None, None),
    };
    let now = Instant::now();
    failed.elapsed = watched.and_then(|process| running_time(process, now));
    Box::new(failed)
}

fn running_time(process: &dyn AnyProcess, now: Instant) -> Option<Duration> {
    process.with(|locked| {
        let activity = locked.core().registrations()?.activity.as_ref()?;
        Some(activity.running?.handling(now).elapsed)
    })
}

/// Stores the callback that has failed, in the last poll of the body. A panic of `terminate`
/// replaces an earlier failure, since it is the exit reason.
pub(crate) fn keep(failed: Option<Box<CrashHandling>>) {
    if let Some(failed) = crash_site::take_of_current().or(failed.map(|failed| *failed)) {
        crash_site::store(failed);
    }
}
