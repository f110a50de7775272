//! The supervisors above a supervisor.

use std::sync::Arc;

use crate::base::pid::Pid;
use crate::base::sync::Mutex;
use crate::process::child_role::Seat;

/// The supervisor that starts this one again, and in which seat; and those above it.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) supervisor: Pid,
    pub(crate) seat: Seat,
    /// The line of the supervisor above, or of one further up if all in between have ended.
    above: Mutex<Option<Arc<Line>>>,
}

impl Line {
    pub(crate) fn new(supervisor: Pid, seat: Seat, above: Option<Arc<Line>>) -> Arc<Self> {
        Arc::new(Line { supervisor, seat, above: Mutex::new(above) })
    }

    pub(crate) fn above(&self) -> Option<Arc<Line>> {
        self.above.lock().clone()
    }

    /// Remembers that all supervisors up to this one have ended, so that later searches begin here.
    /// Without that the ends of many nested supervisors would take time with the square of their
    /// number.
    pub(crate) fn skip_to(&self, above: Option<Arc<Line>>) {
        let before = std::mem::replace(&mut *self.above.lock(), above);
        drop(before);
    }
}

/// Drops the lines above in a loop, as long as nothing else holds them, and not by recursion:
/// supervisors may be nested deeper than a stack.
impl Drop for Line {
    fn drop(&mut self) {
        let mut next = self.above.lock().take();
        while let Some(line) = next.and_then(Arc::into_inner) {
            next = line.above.lock().take();
        }
    }
}
