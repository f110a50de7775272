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
    pub(crate) fn take_failed(&mut self) -> Option<CrashHandling> {
        let mut failed = crash_site::take_of_current()?;
        (failed.kind, failed.message_type) = match failed.callback {
            Callback::HandleCall => (Some(MessageKind::Call), Some(type_name::<S::Call>())),
            Callback::HandleCast => (Some(MessageKind::Cast), Some(type_name::<S::Cast>())),
            _ => (None, None),
        };
        failed.elapsed = self.running_time();
        Some(failed)
    }

    fn running_time(&mut self) -> Option<Duration> {
        self.inner().watch.as_ref()?;
        let process: &dyn AnyProcess = &*self.process;
        let now = Instant::now();
        process.with(|locked| {
            let activity = locked.core().registrations()?.activity.as_ref()?;
            Some(activity.running?.handling(now).elapsed)
        })
    }
}

/// Stores the callback that has failed, in the last poll of the body. A panic of `terminate`
/// replaces an earlier failure, since it is the exit reason.
pub(crate) fn keep(failed: Option<CrashHandling>) {
    if let Some(failed) = crash_site::take_of_current().or(failed) {
        crash_site::store(failed);
    }
}
