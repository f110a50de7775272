//! `get_or_start` finds the process that holds a name, or starts a child under the name. The steps:
//!
//! 1. The first request for a name looks the name up. Until the first request is answered, later
//!    requests for the same name wait in `name_waiters` for the same answer. So concurrent requests
//!    start one child.
//! 2. If the holder has finished its `init` and is not ending, the pid of the holder is the answer.
//!    If the name is free, a child is started, and the result of the start is the answer.
//! 3. Otherwise the holder is in its `init` or is ending, or the name is reserved for a restart. A
//!    background task waits for a change. Then the name is looked up again.
//! 4. If a start fails because another process has registered the name since the lookup, the name
//!    is looked up again.

use std::pin::pin;
use std::sync::Arc;

use futures_util::future::select;

use crate::base::{Pid, SharedStr};
use crate::child::Spec;
use crate::exit::Result;
use crate::kernel::{Kernel, NameEntry};
use crate::process::{AnyProcess, Stage};
use crate::runtime::{Ended, Runtime, StartError};
use crate::server::ServerContext;
use crate::supervisor::dynamic::{Completion, DynamicServer, PidReply, Requester};
use crate::supervisor::wait_until;

/// The status of a name.
pub(crate) enum NameStatus {
    /// No process holds the name.
    Free,
    /// This process holds the name and has finished its `init`.
    Held(Pid),
    /// The holder is in its `init`.
    Starting(Arc<dyn AnyProcess>),
    /// The holder has accepted an exit and is ending.
    Ending(Arc<dyn AnyProcess>),
    /// The name is reserved for a child that its supervisor is about to restart.
    Restarting,
}

pub(crate) fn name_status(kernel: &Kernel, name: &str) -> NameStatus {
    loop {
        match kernel.names.get(name) {
            None => return NameStatus::Free,
            Some(NameEntry::Vacant(_)) => return NameStatus::Restarting,
            Some(NameEntry::Held(pid)) => match kernel.find(pid) {
                // The holder has ended since the lookup, so the name is looked up again.
                None => continue,
                Some(holder) => return holder_status(holder),
            },
        }
    }
}

/// Returns the status of a name with this holder.
///
/// The stage of the holder, and the mark that the holder is in its `init`, are read under one lock,
/// because a teardown removes the mark. If the lock were released between the two reads, a process
/// that is killed in its `init` could look like a process that has finished its `init`.
fn holder_status(holder: Arc<dyn AnyProcess>) -> NameStatus {
    let (live, starting) = holder.with(|locked| {
        let core = locked.core();
        let live = core.stage == Stage::Live;
        (live, core.registrations().is_some_and(|registrations| registrations.starting))
    });
    match (live, starting) {
        (false, _) => NameStatus::Ending(holder),
        (true, true) => NameStatus::Starting(holder),
        (true, false) => NameStatus::Held(holder.pid()),
    }
}

fn is_starting(holder: &dyn AnyProcess) -> bool {
    holder.with(|locked| {
        locked.core().registrations().is_some_and(|registrations| registrations.starting)
    })
}

impl DynamicServer {
    pub(super) fn get_or_start(
        &mut self,
        name: SharedStr,
        spec: Arc<Spec>,
        reply: PidReply,
        ctx: &mut ServerContext<Self>,
    ) -> Result {
        if let Some(waiting) = self.name_waiters.get_mut(&name) {
            waiting.push(reply);
            return Ok(());
        }
        self.name_waiters.insert(name.clone(), vec![reply]);
        self.resolve_name(name, spec, ctx)
    }

    /// Steps 2 and 3: looks up a name for the callers in `name_waiters`.
    pub(super) fn resolve_name(
        &mut self,
        name: SharedStr,
        spec: Arc<Spec>,
        ctx: &mut ServerContext<Self>,
    ) -> Result {
        let runtime = self.report.runtime.clone();
        match name_status(&runtime.kernel, &name) {
            NameStatus::Held(pid) => self.answer_name_waiters(&name, &Ok(pid)),
            NameStatus::Free => {
                match self.check_given_up(&name).and_then(|()| self.admits(&spec)) {
                    Ok(()) => {
                        let mut child = spec.clone();
                        Arc::make_mut(&mut child).name = Some(name.clone());
                        return self.begin_start(child, Requester::NameWaiters(name, spec), ctx);
                    }
                    Err(error) => self.answer_name_waiters(&name, &Err(error)),
                }
            }
            status => self.run_in_background(async move {
                wait_for_change(&runtime, &name, status).await;
                Completion::NameChanged { name, spec }
            }),
        }
        Ok(())
    }

    /// Sends the result of a start to the callers that requested it.
    pub(super) fn answer_start(&mut self, requester: Requester, result: Result<Pid, StartError>) {
        match requester {
            Requester::Caller(reply) => reply.send(result),
            Requester::NameWaiters(name, _) => self.answer_name_waiters(&name, &result),
        }
    }

    fn answer_name_waiters(&mut self, name: &SharedStr, result: &Result<Pid, StartError>) {
        for reply in self.name_waiters.remove(name).unwrap_or_default() {
            reply.send(result.clone());
        }
    }
}

/// Step 3: waits until the status of a name changes.
///
/// - `Starting`: waits until the holder has finished its `init` or has ended.
/// - `Ending`: waits until the holder has ended.
/// - `Restarting`: waits until the name is held or free.
async fn wait_for_change(runtime: &Runtime, name: &str, status: NameStatus) {
    let Kernel { names, name_changes, .. } = &*runtime.kernel;
    match status {
        NameStatus::Starting(holder) => {
            let started = pin!(wait_until(name_changes, || !is_starting(&*holder)));
            select(started, Ended::of(&runtime.kernel, Some(holder.clone()))).await;
        }
        NameStatus::Ending(holder) => drop(Ended::of(&runtime.kernel, Some(holder)).await),
        NameStatus::Restarting => {
            let is_reserved = || matches!(names.get(name), Some(NameEntry::Vacant(_)));
            wait_until(name_changes, || !is_reserved()).await;
        }
        NameStatus::Free | NameStatus::Held(_) => {}
    }
}
