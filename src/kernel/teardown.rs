//! The end of a process: the same steps on every path, in this order.
//!
//! 1. The body and its values have been dropped by the caller.
//! 2. Under the lock: *closing*, with its reason. From here on nothing is accepted.
//! 3. Streams that still lie in the mailbox are closed: their writers fail from now on.
//! 4. Names are freed or left to a successor, groups and registries are left, the table forgets the
//!    pid.
//! 5. Under the lock: *ended*. A process that monitors or links from now on is notified at once.
//! 6. The log line, then `Down`s, link exits, callers without a reply.
//! 7. Under the lock: *settled*. Those that wait for the end are woken.
//! 8. What else lay in the mailbox is dropped: destructors of the user's may take their time.
//!
//! A link or monitor made between 2 and 5 is served in 6, with the true reason.

use std::sync::Arc;

use crate::base::catch::ignore_panic;
use crate::base::pid::{MonitorRef, Pid};
use crate::base::shared_str::SharedStr;
use crate::base::small_map::SmallMap;
use crate::base::sync::atomic::Ordering;
use crate::exit::reason::ExitReason;
use crate::exit::signal::ExitKind;
use crate::kernel::Kernel;
use crate::kernel::closing::{End, EndFacts, OwnedNames, close};
use crate::kernel::exits::ExitSignal;
use crate::observe::event::LifecycleEvent;
use crate::observe::lifecycle_log;
use crate::process::{AnyProcess, Registrations, Relations, Stage, Watcher, flag};

impl Kernel {
    /// Steps 2 to 8.
    pub(crate) fn tear_down(self: &Arc<Self>, process: &dyn AnyProcess, end: End) {
        let pid = process.pid();
        crate::base::failpoint::point!("death before closing");
        let mut closing = process.with(|locked| {
            process.raise(flag::EXIT_PENDING);
            close(locked, end)
        });
        closing.leftover.close_streams();
        let death = closing.death;
        crate::base::failpoint::point!("death before names");
        if let Some(owned) = closing.owned {
            self.give_up(process, owned);
        }
        self.table.remove_and(&pid, || {
            self.finished.fetch_add(1, Ordering::Relaxed);
        });
        let flags = process.flags().fetch_or(flag::ENDED, Ordering::SeqCst);
        if flags & flag::TIMED != 0 {
            self.timers.drop_target(pid);
        }
        crate::base::failpoint::point!("death before ended");
        let relations = process.with(|locked| {
            let core = locked.core();
            core.stage = Stage::Ended;
            let relations = core.relations.take();
            core.end_announced =
                !death.failed && relations.as_ref().is_none_or(|relations| relations.tell_nobody());
            #[cfg(regrow_proof)]
            self.trace
                .record(crate::kernel::trace::Event::Exited { pid, reason: death.reason.clone() });
            (!core.end_announced).then_some(relations)
        });
        if let Some(relations) = relations {
            self.announce(process, relations, &death);
        }
        closing.leftover.drop_quietly();
    }

    /// Step 4, but for the table.
    #[inline(never)]
    fn give_up(&self, process: &dyn AnyProcess, owned: OwnedNames) {
        let pid = process.pid();
        let restarted_by = owned.restarted_by;
        let mut given = owned.given;
        for (name, ()) in owned.names {
            let child = given.take_if(|given| given.name == name).map(|given| given.child);
            self.free_name(name, pid, restarted_by, child);
        }
        // It has unregistered that one, and its successor registers it again.
        if let Some(given) = given.filter(|_| restarted_by.is_some()) {
            self.free_name(given.name, pid, restarted_by, Some(given.child));
        }
        // Of a supervisor: it starts no successor any more.
        self.release_names(owned.vacant, pid);
        crate::base::failpoint::point!("death before groups");
        for (tag, ()) in owned.tags {
            self.leave_group(tag, pid);
        }
        for (_, registry) in owned.registries {
            // Keys and values are a user's, and may go with the registry's last handle.
            ignore_panic(|| {
                registry.upgrade().into_iter().for_each(|registry| registry.forget(pid))
            });
        }
        owned.ancestors.iter().for_each(|ancestors| self.pass_on(process, ancestors));
    }

    /// Steps 6 and 7.
    fn announce(
        self: &Arc<Self>,
        process: &dyn AnyProcess,
        relations: Option<Box<Relations>>,
        death: &EndFacts,
    ) {
        let (pid, reason) = (process.pid(), &death.reason);
        let mut relations = relations.unwrap_or_default();
        self.log_end(pid, &relations, death);
        if let Some(watchers) = relations.watchers.take() {
            self.tell_watchers(pid, *watchers, reason);
        }
        crate::base::failpoint::point!("death between monitors and links");
        self.tell_links(pid, &mut relations, reason);
        if !relations.monitors.is_empty() {
            self.release(pid, relations.monitors.take());
        }
        if let Some(registrations) = &mut relations.registrations {
            Self::settle_standing(registrations, reason);
        }
        crate::base::failpoint::point!("death before settled");
        let mut late_waiters = Vec::new();
        while let Some(mut late) = resolve(process) {
            late_waiters.extend(late.waiters.take());
            if late.links.is_empty() {
                break;
            }
            self.tell_links(pid, &mut late, reason);
        }
        for (_, waiter) in relations.waiters.take().into_iter().chain(late_waiters) {
            ignore_panic(|| waiter.wake());
        }
        ignore_panic(|| drop(relations));
    }

    /// What a process answered for, and does no more.
    #[inline(never)]
    fn settle_standing(registrations: &mut Registrations, reason: &ExitReason) {
        if let Some(stop) = registrations.stop.take() {
            ignore_panic(|| stop.cancel());
        }
        for caller in std::mem::take(&mut registrations.unanswered) {
            ignore_panic(|| caller.resolve(Some(reason)));
        }
    }

    #[inline(never)]
    fn tell_watchers(&self, pid: Pid, watchers: SmallMap<u64, Watcher>, reason: &ExitReason) {
        for (id, watcher) in watchers {
            self.tell_down(MonitorRef::new(id, watcher.pid), Some(pid), &watcher, reason);
        }
    }

    fn tell_links(self: &Arc<Self>, pid: Pid, relations: &mut Relations, reason: &ExitReason) {
        for (peer, _) in relations.links.take() {
            if let Some(peer) = self.find(peer) {
                let signal = ExitSignal { from: pid, reason, kind: ExitKind::Link };
                self.signal_exit(&*peer, signal);
            }
        }
    }

    fn log_end(&self, pid: Pid, relations: &Relations, death: &EndFacts) {
        let label = relations.label.as_deref();
        if label.is_some() {
            self.mark_census();
        }
        let level = crate::observe::log_level::LogLevel::for_exit(&death.reason);
        if death.failed || (label.is_some() && self.wants_log(level)) {
            lifecycle_log::exit(pid, label, death.name.as_deref(), &death.reason);
        }
        if death.failed || label.is_some() {
            self.events.publish(|| LifecycleEvent::Exited {
                pid,
                label: label.map(SharedStr::from),
                name: death.name.clone(),
                reason: death.reason.clone(),
            });
        }
    }
}

/// Step 7: it is settled if nobody linked itself meanwhile. Gives who did, or began to wait.
fn resolve(process: &dyn AnyProcess) -> Option<Box<Relations>> {
    process.with(|locked| {
        let core = locked.core();
        let late = core.relations.take();
        core.end_announced = late.as_ref().is_none_or(|late| late.links.is_empty());
        late
    })
}
