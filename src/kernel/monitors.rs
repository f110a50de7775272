//! Monitors. A monitor is one-way, and has a number of its own.
//!
//! **Guarantee.** When the target ends, the watcher gets exactly one `Down` for each monitor that
//! it has not removed by then. The steps of [`Kernel::monitor`]:
//!
//! 1. Under the lock of the watcher: add its entry, [`MonitorEntry::Process`].
//! 2. Under the lock of the target: add a [`Watcher`]. If the target has ended, queue a `Down` with
//!    `NoProc` instead.
//! 3. Under the lock of the watcher: recheck. If the watcher has ended or has removed the monitor
//!    since step 1, remove the [`Watcher`] from the record of the target.
//!
//! Invariants:
//! 1. A `Down` is queued only if the entry in the watcher's record is [`MonitorEntry::Process`],
//!    and that entry then becomes [`MonitorEntry::Fired`]. So no monitor fires twice, even if both
//!    the target and step 2 report the end.
//! 2. The number of the monitor is the ticket of its `Down`: the reader delivers the `Down` only
//!    while the watcher's entry exists. So a flush only has to remove that entry.

use std::sync::Arc;

use crate::base::pid::{MonitorRef, Pid};
use crate::base::shared_str::SharedStr;
use crate::exit::reason::ExitReason;
use crate::kernel::Kernel;
use crate::message::received::{Envelope, Received};
use crate::process::{AnyProcess, MonitorEntry, Relations, Stage, Watcher};

impl Kernel {
    pub(crate) fn monitor(&self, watcher: Pid, target: Pid) -> MonitorRef {
        self.watch(watcher, target, None)
    }

    /// Monitors the process that holds the name now. A name without a holder yields a `NoProc`
    /// `Down`.
    pub(crate) fn monitor_name(&self, watcher: Pid, name: SharedStr) -> MonitorRef {
        let target = self.whereis(&name).unwrap_or(Pid::OUTSIDE);
        self.watch(watcher, target, Some(name))
    }

    fn watch(&self, watcher: Pid, target: Pid, name: Option<SharedStr>) -> MonitorRef {
        let reference = MonitorRef::new(self.fresh_id(), watcher);
        let Some(own) = self.find(watcher) else { return reference };
        // Step 1.
        if !add_monitor(&*own, reference, MonitorEntry::Process(target)) {
            return reference;
        }
        crate::base::failpoint::point!("monitor between sides");
        // Step 2.
        let entry = Watcher::Local { process: Arc::clone(&own), name };
        let Some(there) =
            self.find(target).filter(|there| add_watcher(&**there, reference, &entry))
        else {
            #[cfg(feature = "cluster")]
            if target.is_foreign() {
                self.watch_foreign_pid(reference, target, &entry);
                return reference;
            }
            let target = Some(target).filter(|&pid| pid != Pid::OUTSIDE);
            self.queue_down(reference, target, &entry, &ExitReason::NoProc);
            return reference;
        };
        crate::base::failpoint::point!("monitor before recheck");
        // Step 3.
        if !is_held(&*own, reference) {
            remove_watcher(&*there, reference);
        }
        reference
    }

    /// Queues the `Down` of this monitor, if the monitor has neither been removed nor fired.
    pub(crate) fn queue_down(
        &self,
        reference: MonitorRef,
        target: Option<Pid>,
        entry: &Watcher,
        reason: &ExitReason,
    ) {
        let (process, name) = match entry {
            Watcher::Local { process, name } => (process, name.clone()),
            #[cfg(feature = "cluster")]
            Watcher::Foreign(watcher) => return watcher.target_ended(reason),
        };
        let pid = target.unwrap_or(Pid::OUTSIDE);
        let down_reason = reason.clone();
        let received = match name {
            Some(name) => Received::DownName { reference, name, reason: down_reason },
            None => Received::Down { reference, pid, reason: down_reason },
        };
        let mut envelope = Some(Envelope::ticketed(reference.raw(), received));
        process.with(|locked| {
            let core = locked.core();
            let Some(relations) = core.relations() else { return };
            // Invariant 1.
            let held = relations.monitors.get_mut(&reference.raw());
            let Some(held) = held.filter(|held| held.waits_for_end()) else { return };
            *held = MonitorEntry::Fired;
            if core.stage != Stage::Live {
                return;
            }
            if let Some(envelope) = envelope.take() {
                locked.push(envelope);
            }
            #[cfg(regrow_proof)]
            self.trace_down(reference, pid, reason);
        });
    }

    /// Removes a monitor that has not fired. With `flush`, removes one that has fired as well, and
    /// revokes its queued `Down`. Returns true if the monitor had not fired, so that no `Down` will
    /// be received.
    pub(crate) fn demonitor(&self, reference: MonitorRef, flush: bool) -> bool {
        let Some(own) = self.find(reference.watcher()) else { return false };
        let id = reference.raw();
        let released = own.with(|locked| {
            let relations = locked.core().relations()?;
            let revoked = match relations.monitors.get(&id)? {
                MonitorEntry::Process(_) => 0,
                #[cfg(feature = "cluster")]
                MonitorEntry::AtNode(_) => 0,
                MonitorEntry::Fired if !flush => return None,
                MonitorEntry::Fired => 1,
                MonitorEntry::Group { queued, .. } => *queued,
            };
            let held = relations.monitors.remove(&id)?;
            Some((held, locked.revoke_signals(revoked)))
        });
        let Some((held, queued)) = released else { return false };
        drop(queued);
        crate::base::failpoint::point!("demonitor between sides");
        let active = !matches!(held, MonitorEntry::Fired);
        self.release_monitor(reference, held);
        active
    }

    /// Completes the removal of a monitor whose watcher has already removed its entry `held`:
    /// removes the monitor from the record of its target, or from its group.
    pub(crate) fn release_monitor(&self, reference: MonitorRef, held: MonitorEntry) {
        match held {
            MonitorEntry::Fired => {}
            MonitorEntry::Group { group, .. } => self.unwatch_group(group, reference.raw()),
            MonitorEntry::Process(target) => match self.find(target) {
                Some(target) => remove_watcher(&*target, reference),
                #[cfg(feature = "cluster")]
                None if target.is_foreign() => self.unwatch_foreign(reference, &held),
                None => {}
            },
            #[cfg(feature = "cluster")]
            MonitorEntry::AtNode(_) => self.unwatch_foreign(reference, &held),
        }
    }
}

/// Adds an entry to the record of the watcher; false if the watcher is ending.
pub(crate) fn add_monitor(
    watcher: &dyn AnyProcess,
    reference: MonitorRef,
    held: MonitorEntry,
) -> bool {
    watcher.with(|locked| {
        let core = locked.core();
        let is_open = core.is_open();
        if is_open {
            core.relations_mut().monitors.insert(reference.raw(), held);
        }
        is_open
    })
}

/// Whether the watcher is alive and still has this monitor.
pub(super) fn is_held(watcher: &dyn AnyProcess, reference: MonitorRef) -> bool {
    watcher.with(|locked| {
        let core = locked.core();
        let is_listed = |own: &mut Relations| own.monitors.contains(&reference.raw());
        !core.has_ended() && core.relations().is_some_and(is_listed)
    })
}

/// Adds an entry to the record of the target; false if the target has ended.
pub(super) fn add_watcher(target: &dyn AnyProcess, reference: MonitorRef, entry: &Watcher) -> bool {
    let entry = entry.clone();
    target.with(|locked| {
        let core = locked.core();
        let has_ended = core.has_ended();
        if !has_ended {
            core.relations_mut().watchers.get_or_insert_default().insert(reference.raw(), entry);
        }
        !has_ended
    })
}

pub(super) fn remove_watcher(target: &dyn AnyProcess, reference: MonitorRef) {
    let removed = target
        .with(|locked| locked.core().relations()?.watchers.as_mut()?.remove(&reference.raw()));
    drop(removed);
}
