//! How a process comes into the tables, before its task runs.
//!
//! The record is in the table, linked on both sides, named and watched before the
//! body's first poll: a message sent at once isn't lost, and no end goes unheard.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::exit::ExitReason;
use crate::kernel::names::NameRefused;
use crate::kernel::teardown::End;
use crate::kernel::{Kernel, Mailboxes};
use crate::pid::Pid;
use crate::process::{AnyProcess, Link, LinkKind, Parent, Stage, Standing, Ties};
use crate::shared_str::SharedStr;
use crate::sync::atomic::Ordering;

/// What a process is born with.
#[derive(Debug, Default)]
pub(crate) struct Birth {
    pub(crate) name: Option<SharedStr>,
    pub(crate) label: Option<SharedStr>,
    pub(crate) link: Option<(Pid, Link)>,
    pub(crate) parent: Option<Parent>,
    /// How its mailbox is kept, if not like all others of the runtime.
    pub(crate) mailbox: Option<Mailboxes>,
    /// What the parent's exit cancels.
    pub(crate) stop: Option<CancellationToken>,
}

impl Birth {
    /// The ties of the new record: none for an ordinary process.
    pub(crate) fn ties(&self, kernel: &Kernel) -> Option<Box<Ties>> {
        let counts = self.mailbox.unwrap_or(kernel.mailboxes).counts();
        let ordinary = self.label.is_none() && self.link.is_none() && self.parent.is_none();
        if ordinary && counts.is_none() {
            return None;
        }
        let mut ties = Ties::default();
        if self.label.is_some() || self.parent.is_some() || counts.is_some() {
            let (label, parent, stop) = (self.label.clone(), self.parent, self.stop.clone());
            let standing = Standing { label, parent, counts, stop, ..Standing::default() };
            ties.standing = Some(Box::new(standing));
        }
        if let Some((parent, link)) = self.link {
            let kind = match link.kind {
                LinkKind::Task | LinkKind::Helper => LinkKind::Owner,
                _ => LinkKind::Plain,
            };
            ties.links.insert(parent, Link { kind, ..link });
        }
        Some(Box::new(ties))
    }
}

/// Why a process was not born.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stillborn {
    /// Its name is held by this process. No trace of the newcomer is left.
    NameTaken(Pid),
    /// The runtime is closed, or the parent it was to be linked to is dead. The record
    /// has ended with this reason.
    Ended(ExitReason),
}

impl Kernel {
    /// Brings the record into the tables. The task is spawned after this, by the
    /// caller, if it says `Ok`.
    pub(crate) fn admit(
        self: &Arc<Self>,
        process: &Arc<dyn AnyProcess>,
        birth: &Birth,
    ) -> Result<(), Stillborn> {
        let pid = process.pid();
        let enter = || {
            self.table.insert(pid, Arc::clone(process));
            self.spawned.fetch_add(1, Ordering::Relaxed);
        };
        match birth.name.clone() {
            None => enter(),
            Some(name) => match self.register_then(name, process, enter) {
                Ok(()) => {}
                Err(NameRefused::Taken(holder)) => return Err(Stillborn::NameTaken(holder)),
                Err(NameRefused::Dead) => return Err(Stillborn::Ended(ExitReason::NoProc)),
            },
        }
        #[cfg(regrow_proof)]
        self.trace_birth(pid, birth);
        crate::failpoint::point!("birth between table and task");
        if self.closed.load(Ordering::SeqCst) {
            return Err(self.never_run(&**process, ExitReason::Killed));
        }
        if let Some((parent, link)) = birth.link
            && !self.adopt(parent, pid, link)
        {
            return Err(self.never_run(&**process, ExitReason::NoProc));
        }
        if birth.label.is_some() {
            self.mark_census();
        }
        Ok(())
    }

    /// Ends a record whose body will not be run.
    pub(crate) fn never_run(
        self: &Arc<Self>,
        process: &dyn AnyProcess,
        reason: ExitReason,
    ) -> Stillborn {
        let mut accepted = Some(reason.clone());
        process.with(|locked| {
            let core = locked.core();
            if core.stage == Stage::Live {
                core.stage = Stage::Condemned;
                core.reason = accepted.take();
            }
        });
        self.bury(process, End::Dropped);
        Stillborn::Ended(reason)
    }
}
