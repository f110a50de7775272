//! Finding the holder of a name, or starting one: one winner, for whom all others wait.

use std::sync::Arc;

use futures_util::future::{Either, select};

use crate::base::pid::Pid;
use crate::base::shared_str::SharedStr;
use crate::base::sync::atomic::Ordering;
use crate::child::Spec;
use crate::exit::reason::Result;
use crate::kernel::{Kernel, NameEntry};
use crate::process::{AnyProcess, flag};
use crate::runtime::Runtime;
use crate::runtime::ended::Ended;
use crate::runtime::errors::start_error::StartError;
use crate::server::ServerContext;
use crate::supervisor::dynamic::server::{Done, DynamicServer, For, PidReply};

/// How it is with a name.
pub(crate) enum Holding {
    Free,
    Held(Pid),
    /// Its holder is still in its init.
    Starting(Arc<dyn AnyProcess>),
    /// Its holder is on its way out.
    Ending(Arc<dyn AnyProcess>),
    /// Its holder is about to be started again by its supervisor.
    Restarting,
}

pub(crate) fn holding(kernel: &Kernel, name: &str) -> Holding {
    loop {
        match kernel.names.get(name) {
            None => return Holding::Free,
            Some(NameEntry::Vacant(_)) => return Holding::Restarting,
            Some(NameEntry::Held(pid)) => match kernel.find(pid) {
                // The name has moved on meanwhile.
                None => continue,
                Some(holder) if is_ending(&*holder) => return Holding::Ending(holder),
                Some(holder) if is_starting(&*holder) => return Holding::Starting(holder),
                Some(_) => return Holding::Held(pid),
            },
        }
    }
}

fn is_ending(holder: &dyn AnyProcess) -> bool {
    holder.flags().load(Ordering::Acquire) & flag::EXIT_PENDING != 0
}

fn is_starting(holder: &dyn AnyProcess) -> bool {
    holder.with(|locked| {
        locked.core().registrations().is_some_and(|registrations| registrations.starting)
    })
}

impl DynamicServer {
    pub(super) fn find(
        &mut self,
        name: SharedStr,
        spec: Arc<Spec>,
        reply: PidReply,
        ctx: &mut ServerContext<Self>,
    ) -> Result {
        if let Some(waiting) = self.finds.get_mut(&name) {
            waiting.push(reply);
            return Ok(());
        }
        self.finds.insert(name.clone(), vec![reply]);
        self.look_again(name, spec, ctx)
    }

    /// Somebody waits for this name: is it held by now?
    pub(super) fn look_again(
        &mut self,
        name: SharedStr,
        spec: Arc<Spec>,
        ctx: &mut ServerContext<Self>,
    ) -> Result {
        let runtime = self.report.runtime.clone();
        match holding(&runtime.kernel, &name) {
            Holding::Held(pid) => self.found(&name, &Ok(pid)),
            Holding::Free => match self.make_way(&name).and_then(|()| self.admits(&spec)) {
                Ok(()) => {
                    let mut child = spec.clone();
                    Arc::make_mut(&mut child).name = Some(name.clone());
                    return self.begin_start(child, For::Name(name, spec), ctx);
                }
                Err(error) => self.found(&name, &Err(error)),
            },
            Holding::Starting(holder) => self.aside(async move {
                started(&runtime, holder).await;
                Done::Waited { name, spec }
            }),
            Holding::Ending(holder) => self.aside(async move {
                Ended::of(&runtime, Some(holder)).await;
                Done::Waited { name, spec }
            }),
            Holding::Restarting => self.aside(async move {
                filled(&runtime.kernel, &name).await;
                Done::Waited { name, spec }
            }),
        }
        Ok(())
    }

    /// Gives the callers of a start what it came to.
    pub(super) fn answer(&mut self, whom: For, result: Result<Pid, StartError>) {
        match whom {
            For::One(reply) => reply.send(result),
            For::Name(name, _) => self.found(&name, &result),
        }
    }

    fn found(&mut self, name: &SharedStr, result: &Result<Pid, StartError>) {
        for reply in self.finds.remove(name).unwrap_or_default() {
            reply.send(result.clone());
        }
    }
}

/// Waits until the init of a holder is over, or the holder is.
async fn started(runtime: &Runtime, holder: Arc<dyn AnyProcess>) {
    let mut ended = Ended::of(runtime, Some(holder.clone()));
    loop {
        let ready = runtime.kernel.name_changes.notified();
        let mut ready = std::pin::pin!(ready);
        // From here on no change is missed.
        ready.as_mut().enable();
        if !is_starting(&*holder) {
            return;
        }
        if let Either::Right(_) = select(ready, &mut ended).await {
            return;
        }
    }
}

/// Waits until a vacant name is held or free.
async fn filled(kernel: &Kernel, name: &str) {
    loop {
        let changed = kernel.name_changes.notified();
        let mut changed = std::pin::pin!(changed);
        // From here on no change is missed.
        changed.as_mut().enable();
        if !matches!(kernel.names.get(name), Some(NameEntry::Vacant(_))) {
            return;
        }
        changed.await;
    }
}
