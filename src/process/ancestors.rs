//! The supervisors above a supervisor.

use std::sync::Arc;

use crate::pid::Pid;
use crate::process::child_role::Seat;
use crate::sync::Mutex;

/// Who starts a supervisor anew, and in which seat; and who starts that one.
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

    /// All up to this one have ended, and are left out from here on: without that, the end of
    /// many that are nested would look at each of them once for each other.
    pub(crate) fn skip_to(&self, above: Option<Arc<Line>>) {
        let before = std::mem::replace(&mut *self.above.lock(), above);
        drop(before);
    }
}

/// A line that nobody else holds goes with this one, and not inside of its drop: supervisors may
/// be nested deeper than a stack.
impl Drop for Line {
    fn drop(&mut self) {
        let mut next = self.above.lock().take();
        while let Some(line) = next.and_then(Arc::into_inner) {
            next = line.above.lock().take();
        }
    }
}
