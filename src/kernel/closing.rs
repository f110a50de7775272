//! The step *closing* of a [teardown](crate::kernel::teardown), under the lock. The process begins
//! to refuse all items that are sent to it, and its [reason](crate::kernel::final_reason) is fixed.
//! The unread items, the wakers, and the names, groups and registries are taken out of its record.
//!
//! Invariants:
//! 1. This step drops nothing, since the lock is held. The values that have to be dropped are
//!    returned.
//! 2. The exit reason that this step fixes is final.

use std::sync::{Arc, Weak};
use std::task::Waker;

use crate::base::shared_str::SharedStr;
use crate::base::small_map::SmallMap;
use crate::base::user_panics::ignore_panic;
use crate::exit::reason::ExitReason;
use crate::kernel::final_reason::{End, FinalReason, final_reason};
use crate::message::MessageKind;
use crate::process::{
    Ancestors, AnyProcess, Locked, Parent, Registrar, Registrations, SpecKey, SpecName, Stage,
    Unhandled, Unread, VacatedNames,
};

/// The values that this step takes out of the record.
pub(super) struct Closing {
    pub(super) details: EndDetails,
    /// A box, so that the step of an ordinary process returns few words.
    pub(super) registrations: Option<Box<HeldRegistrations>>,
    /// The messages that the reader had taken out of the inbox, and dropped unhandled.
    pub(super) unhandled: Option<Box<Unhandled>>,
    pub(super) deferred: DeferredDrops,
}

impl Closing {
    /// Whether the unread messages are kept for a successor.
    #[inline]
    pub(super) fn keeps_queue(&self) -> bool {
        self.registrations.as_ref().is_some_and(|held| held.keeps_queue)
    }

    /// The supervisor that will start a successor.
    pub(super) fn restarted_by(&self) -> Option<Parent> {
        self.registrations.as_ref()?.restarted_by
    }
}

/// The names, groups and registries of a process, which have to be released.
pub(super) struct HeldRegistrations {
    /// The supervisor that will start a successor, and to which the names are left.
    pub(super) restarted_by: Option<Parent>,
    /// The supervisors above this process, if it is a supervisor.
    pub(super) ancestors: Option<Arc<Ancestors>>,
    pub(super) names: SmallMap<SharedStr, ()>,
    /// The name that the child specification of this process gives. The process may have
    /// unregistered that name.
    pub(super) spec_name: Option<Box<SpecName>>,
    /// The key under which the process was started.
    pub(super) spec_key: Option<Box<SpecKey>>,
    /// The names that ended children have left to this process, if it is a supervisor.
    pub(super) vacated_names: Option<Box<VacatedNames>>,
    pub(super) tags: SmallMap<SharedStr, ()>,
    pub(super) registries: SmallMap<u64, Weak<dyn Registrar>>,
    /// Whether the unread messages are kept for a successor.
    keeps_queue: bool,
}

impl HeldRegistrations {
    fn take(registrations: &mut Registrations, restarted_by: Option<Parent>) -> Self {
        let record = registrations.supervisor_record.as_ref();
        HeldRegistrations {
            restarted_by,
            ancestors: record.and_then(|record| record.ancestors.clone()),
            names: registrations.names.take(),
            spec_name: registrations.spec_name.take(),
            spec_key: registrations.spec_key.take(),
            vacated_names: registrations.vacated_names.take(),
            tags: registrations.tags.take(),
            registries: registrations.registries.take(),
            keeps_queue: registrations.keeps_queue,
        }
    }
}

/// The facts about an end that logs, events and signals report.
pub(super) struct EndDetails {
    pub(super) reason: ExitReason,
    /// Whether the end is a failure, as [`FinalReason::failed`] says.
    pub(super) failed: bool,
    /// Whether the body was dropped before it returned.
    pub(super) was_dropped: bool,
    /// One of the names that the process held.
    pub(super) name: Option<SharedStr>,
}

/// Values that are dropped at the end of the teardown, without the lock.
pub(super) struct DeferredDrops {
    queue: Option<Box<dyn Unread>>,
    task: Option<Waker>,
    reader: Option<Waker>,
    /// The reason that was not selected ([`FinalReason::spare`]).
    spare: Option<ExitReason>,
}

impl DeferredDrops {
    /// Closes the streams that were never received: their writers fail from now on.
    pub(super) fn close_streams(&mut self) {
        if let Some(queue) = &mut self.queue {
            queue.close_streams();
        }
    }

    /// Takes out the messages that a successor may handle.
    pub(super) fn take_kept(&mut self) -> Option<Box<dyn Unread>> {
        self.queue.as_mut()?.take_kept()
    }

    /// Puts back what [`take_kept`](Self::take_kept) has taken out.
    pub(super) fn put_back(&mut self, kept: Box<dyn Unread>) {
        if let Some(queue) = &mut self.queue {
            queue.put_back(kept);
        }
    }

    pub(super) fn has_unread(&self) -> bool {
        self.queue.is_some()
    }

    /// The number of unread messages. The casts of a supervisor are not counted, because only the
    /// supervisor itself sends them.
    pub(super) fn count_unread(&self, is_supervisor: bool) -> usize {
        let mut count = 0;
        self.describe_unread(&mut |kind, _| {
            count += usize::from(!is_supervisor || kind != MessageKind::Cast);
        });
        count
    }

    /// Calls `each` with the kind and the type of each unread message.
    pub(super) fn describe_unread(&self, each: &mut dyn FnMut(MessageKind, &'static str)) {
        if let Some(queue) = &self.queue {
            queue.describe(each);
        }
    }

    pub(super) fn drop_all(self) {
        let DeferredDrops { queue, task, reader, spare } = self;
        ignore_panic(|| drop((task, reader)));
        ignore_panic(|| drop(spare));
        ignore_panic(|| drop(queue));
    }
}

/// Takes step 2 of the teardown. Call this under the lock.
pub(super) fn close(process: &dyn AnyProcess, locked: &mut Locked, end: End) -> Closing {
    let queue = locked.mail.take_queue();
    let core = locked.core();
    process.advance(core, Stage::Closing);
    let accepted = core.reason.take();
    if accepted.is_none() && matches!(end, End::NotRestarted(_)) {
        core.registrations_mut().not_restarted = true;
    }
    let was_dropped = matches!(end, End::Dropped);
    let FinalReason { reason, failed, spare } = final_reason(end, accepted);
    core.reason = Some(reason.clone());
    let task = core.task.take();
    let restarted_by = core.restarted_by();
    let (reader, unhandled) = core.registrations().map_or((None, None), |registrations| {
        (registrations.reader.take(), registrations.unhandled.take())
    });
    let registrations = core.registrations();
    let registrations = registrations
        .map(|registrations| Box::new(HeldRegistrations::take(registrations, restarted_by)));
    let name = registrations.as_ref().and_then(|held| held.names.keys().next().cloned());
    let details = EndDetails { reason, failed, was_dropped, name };
    let deferred = DeferredDrops { queue, task, reader, spare };
    Closing { details, registrations, unhandled, deferred }
}
