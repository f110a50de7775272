//! The supervisors above a supervisor.

use std::sync::Arc;

use crate::base::pid::Pid;
use crate::base::sync::Mutex;
use crate::process::child_role::ChildSlot;

/// The supervisors above a supervisor, as a linked list from the bottom to the root. An entry has
/// the pid of a supervisor, and the incarnation of its child that is the next lower supervisor.
#[derive(Debug)]
pub(crate) struct Ancestors {
    pub(crate) supervisor: Pid,
    pub(crate) slot: ChildSlot,
    /// The rest of the list. Supervisors that are ending or have ended may be left out.
    above: Mutex<Option<Arc<Ancestors>>>,
}

impl Ancestors {
    pub(crate) fn new(
        supervisor: Pid,
        slot: ChildSlot,
        above: Option<Arc<Ancestors>>,
    ) -> Arc<Self> {
        Arc::new(Ancestors { supervisor, slot, above: Mutex::new(above) })
    }

    pub(crate) fn above(&self) -> Option<Arc<Ancestors>> {
        self.above.lock().clone()
    }

    /// Replaces the rest of the list, because all supervisors between this entry and `above` are
    /// ending or have ended. Later searches skip those supervisors. Otherwise the time for the ends
    /// of many nested supervisors would grow with the square of their number.
    pub(crate) fn skip_to(&self, above: Option<Arc<Ancestors>>) {
        let before = std::mem::replace(&mut *self.above.lock(), above);
        drop(before);
    }
}

/// Drops the entries of the list that no other value holds, in a loop. Recursion could overflow the
/// stack, since supervisors may be nested deeply.
impl Drop for Ancestors {
    fn drop(&mut self) {
        let mut next = self.above.lock().take();
        while let Some(ancestors) = next.and_then(Arc::into_inner) {
            next = ancestors.above.lock().take();
        }
    }
}
