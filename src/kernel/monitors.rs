//! Monitors: one-way, each with its own number.
//!
//! The watcher's entry is made first and is what counts: a `Down` is queued only while
//! it is there, and taken from the mailbox only while it is there. So releasing the
//! entry is all that a flush has to do, and a monitor is never told twice.

use crate::base::pid::{MonitorRef, Pid};
use crate::base::shared_str::SharedStr;
use crate::base::small_map::SmallMap;
use crate::exit::reason::ExitReason;
use crate::kernel::Kernel;
use crate::message::received::{Envelope, Received};
use crate::process::{AnyProcess, Monitored, Stage, Watcher};

impl Kernel {
    pub(crate) fn monitor(&self, watcher: Pid, target: Pid) -> MonitorRef {
        self.watch(watcher, target, None)
    }

    /// Watches whoever holds the name now; a name that nobody holds is `NoProc`.
    pub(crate) fn monitor_name(&self, watcher: Pid, name: SharedStr) -> MonitorRef {
        let target = self.whereis(&name).unwrap_or(Pid::OUTSIDE);
        self.watch(watcher, target, Some(name))
    }

    fn watch(&self, watcher: Pid, target: Pid, name: Option<SharedStr>) -> MonitorRef {
        let reference = MonitorRef::new(self.fresh_id(), watcher);
        let Some(own) = self.find(watcher) else { return reference };
        if !hold(&*own, reference, Monitored::Process(target)) {
            return reference;
        }
        crate::base::failpoint::point!("monitor between sides");
        let entry = Watcher { pid: watcher, name };
        let Some(there) = self.find(target).filter(|there| list(&**there, reference, &entry))
        else {
            let target = Some(target).filter(|&pid| pid != Pid::OUTSIDE);
            self.tell_down(reference, target, &entry, &ExitReason::NoProc);
            return reference;
        };
        crate::base::failpoint::point!("monitor before look back");
        // The watcher may have ended, or let go, before the target listed it.
        if !holds(&*own, reference) {
            unlist(&*there, reference);
        }
        reference
    }

    /// Queues the `Down` of this monitor, if its watcher still holds it.
    pub(crate) fn tell_down(
        &self,
        reference: MonitorRef,
        target: Option<Pid>,
        entry: &Watcher,
        reason: &ExitReason,
    ) {
        let Some(watcher) = self.find(entry.pid) else { return };
        let pid = target.unwrap_or(Pid::OUTSIDE);
        let given = reason.clone();
        let received = match entry.name.clone() {
            Some(name) => Received::DownName { reference, name, reason: given },
            None => Received::Down { reference, pid, reason: given },
        };
        let mut envelope = Some(Envelope::ticketed(reference.raw(), received));
        watcher.with(|locked| {
            let core = locked.core();
            let Some(relations) = core.relations.as_mut() else { return };
            let Some(held @ Monitored::Process(_)) = relations.monitors.get_mut(&reference.raw())
            else {
                return;
            };
            *held = Monitored::Fired;
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

    /// Lets go of a monitor. With `flush` a `Down` that lies in the mailbox is taken
    /// back as well. True if it was in time: no `Down` will be seen.
    pub(crate) fn demonitor(&self, reference: MonitorRef, flush: bool) -> bool {
        let Some(own) = self.find(reference.watcher()) else { return false };
        let id = reference.raw();
        let released = own.with(|locked| {
            let relations = locked.core().relations.as_mut()?;
            let taken_back = match relations.monitors.get(&id)? {
                Monitored::Process(_) => 0,
                Monitored::Fired if !flush => return None,
                Monitored::Fired => 1,
                Monitored::Group { queued, .. } => *queued,
            };
            let held = relations.monitors.remove(&id)?;
            Some((held, locked.take_back(taken_back)))
        });
        let held = released.map(|(held, queued)| {
            drop(queued);
            held
        });
        crate::base::failpoint::point!("demonitor between sides");
        match held {
            None => false,
            Some(Monitored::Fired) => false,
            Some(Monitored::Process(target)) => {
                if let Some(target) = self.find(target) {
                    unlist(&*target, reference);
                }
                true
            }
            Some(Monitored::Group { group, .. }) => {
                self.unwatch_group(group, id);
                true
            }
        }
    }

    /// The watcher has ended: its entries at the targets go too.
    pub(crate) fn release(&self, watcher: Pid, held: SmallMap<u64, Monitored>) {
        for (id, held) in held {
            match held {
                Monitored::Fired => {}
                Monitored::Group { group, .. } => self.unwatch_group(group, id),
                Monitored::Process(target) => {
                    if let Some(target) = self.find(target) {
                        unlist(&*target, MonitorRef::new(id, watcher));
                    }
                }
            }
        }
    }
}

/// Makes the watcher's entry; false if it is ending.
pub(crate) fn hold(watcher: &dyn AnyProcess, reference: MonitorRef, held: Monitored) -> bool {
    let mut held = Some(held);
    watcher.with(|locked| {
        let core = locked.core();
        if !core.is_open() {
            return false;
        }
        if let Some(held) = held.take() {
            core.relations_mut().monitors.insert(reference.raw(), held);
        }
        true
    })
}

/// Whether the watcher is alive and still waits for this monitor.
fn holds(watcher: &dyn AnyProcess, reference: MonitorRef) -> bool {
    watcher.with(|locked| {
        let core = locked.core();
        let relations = core.relations.as_ref();
        !core.has_ended()
            && relations.is_some_and(|relations| relations.monitors.contains(&reference.raw()))
    })
}

/// Makes the target's entry; false if it has ended.
fn list(target: &dyn AnyProcess, reference: MonitorRef, entry: &Watcher) -> bool {
    let mut entry = Some(entry.clone());
    target.with(|locked| {
        let core = locked.core();
        if core.has_ended() {
            return false;
        }
        if let Some(entry) = entry.take() {
            core.relations_mut().watchers.get_or_insert_default().insert(reference.raw(), entry);
        }
        true
    })
}

fn unlist(target: &dyn AnyProcess, reference: MonitorRef) {
    target.with(|locked| {
        let relations = locked.core().relations.as_mut();
        relations.and_then(|relations| relations.watchers.as_mut()?.remove(&reference.raw()))
    });
}
