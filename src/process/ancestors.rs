//! The supervisors above a supervisor.

use std::sync::Arc;

use crate::base::pid::Pid;
use crate::base::sync::Mutex;
use crate::process::child_role::ChildSlot;

/// The supervisor that starts this one again, and in which seat; and those above it.
#[derive(Debug)]
pub(crate) struct Ancestors {
    pub(crate) supervisor: Pid,
    pub(crate) slot: ChildSlot,
    /// The line of the supervisor above, or of one further up if all in between have ended.
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

    /// Remembers that all supervisors up to this one have ended, so that later searches begin here.
    /// Without that the ends of many nested supervisors would take time with the square of their
    /// number.
    pub(crate) fn skip_to(&self, above: Option<Arc<Ancestors>>) {
        let before = std::mem::replace(&mut *self.above.lock(), above);
        drop(before);
    }
}

/// Drops the lines above in a loop, as long as nothing else holds them, and not by recursion:
/// supervisors may be nested deeper than a stack.
impl Drop for Ancestors {
    fn drop(&mut self) {
        let mut next = self.above.lock().take();
        while let Some(ancestors) = next.and_then(Arc::into_inner) {
            next = ancestors.above.lock().take();
        }
    }
}
