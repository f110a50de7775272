//! The first step of an end: under the lock, the process refuses what comes, and what has to
//! go is taken out of its record. Nothing of it is dropped there.

use std::sync::{Arc, Weak};
use std::task::Waker;

use crate::base::catch::ignore_panic;
use crate::base::shared_str::SharedStr;
use crate::base::small_map::SmallMap;
use crate::exit::reason::ExitReason;
use crate::process::{
    Ancestors, AnyProcess, GivenName, Locked, Parent, Registrar, Stage, Unread, VacatedNames,
};

/// How a body came to its end.
#[derive(Debug)]
pub(crate) enum End {
    Returned(ExitReason),
    /// It ended because it was told to, with this reason: a server that is stopped.
    Told(ExitReason),
    Panicked(ExitReason),
    /// The task was dropped, or a signal ended it.
    Dropped,
}

/// What step 2 takes out of the record.
pub(super) struct Closing {
    pub(super) death: EndFacts,
    pub(super) owned: Option<OwnedNames>,
    pub(super) leftover: LeftoverItems,
}

/// What a process that had a standing is found by, and is to be no more.
pub(super) struct OwnedNames {
    /// The supervisor that is to start a successor; the names are left to it.
    pub(super) restarted_by: Option<Parent>,
    /// Of a supervisor that has one above it.
    pub(super) ancestors: Option<Arc<Ancestors>>,
    pub(super) names: SmallMap<SharedStr, ()>,
    /// The name that its specification gives, held or not.
    pub(super) given: Option<Box<GivenName>>,
    /// Names that its own children have left to it.
    pub(super) vacant: Option<Box<VacatedNames>>,
    pub(super) tags: SmallMap<SharedStr, ()>,
    pub(super) registries: SmallMap<u64, Weak<dyn Registrar>>,
}

/// What there is to tell of an end.
pub(super) struct EndFacts {
    pub(super) reason: ExitReason,
    /// The process failed by itself, as opposed to being told to.
    pub(super) failed: bool,
    /// One of the names that it held.
    pub(super) name: Option<SharedStr>,
}

/// What is dropped last, unlocked.
pub(super) struct LeftoverItems {
    queue: Option<Box<dyn Unread>>,
    task: Option<Waker>,
    reader: Option<Waker>,
    /// The reason that another came before.
    spare: Option<ExitReason>,
}

impl LeftoverItems {
    /// Closes the streams that were never received: their writers fail from now on.
    pub(super) fn close_streams(&mut self) {
        if let Some(queue) = &mut self.queue {
            queue.close_streams();
        }
    }

    pub(super) fn drop_quietly(self) {
        let LeftoverItems { queue, task, reader, spare } = self;
        ignore_panic(|| drop((task, reader)));
        ignore_panic(|| drop(spare));
        ignore_panic(|| drop(queue));
    }
}

/// Step 2. Nothing is dropped here: what goes is handed out.
pub(super) fn close(process: &dyn AnyProcess, locked: &mut Locked, end: End) -> Closing {
    let queue = locked.take_queue();
    let core = locked.core();
    process.advance(core, Stage::Closing);
    let accepted = core.reason.take();
    let (reason, failed, spare) = match (end, accepted) {
        (End::Panicked(own), accepted) => (own, true, accepted),
        (End::Returned(own) | End::Told(own), Some(accepted)) => (accepted, false, Some(own)),
        (End::Returned(own), None) => {
            let failed = own.crash().is_some();
            (own, failed, None)
        }
        (End::Told(own), None) => (own, false, None),
        (End::Dropped, accepted) => (accepted.unwrap_or(ExitReason::Killed), false, None),
    };
    core.reason = Some(reason.clone());
    let task = core.task.take();
    let restarted_by = core.restarted_by();
    let registrations = core.registrations();
    let reader = registrations.and_then(|registrations| registrations.reader.take());
    let owned = core.registrations().map(|registrations| OwnedNames {
        restarted_by,
        ancestors: registrations
            .supervisor_record
            .as_ref()
            .and_then(|supervisor_record| supervisor_record.ancestors.clone()),
        names: registrations.names.take(),
        given: registrations.given.take(),
        vacant: registrations.vacant.take(),
        tags: registrations.tags.take(),
        registries: registrations.registries.take(),
    });
    let first = owned.as_ref().and_then(|owned| owned.names.iter().next());
    let name = first.map(|(name, ())| name.clone());
    let death = EndFacts { reason, failed, name };
    Closing { death, owned, leftover: LeftoverItems { queue, task, reader, spare } }
}
