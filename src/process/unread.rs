//! Items that were taken out of an inbox unread: those that a process leaves at its end, and those
//! of them that are kept for its successor.

use std::any::Any;
use std::fmt;

use crate::base::pid::Pid;
use crate::base::shared_str::SharedStr;
use crate::exit::reason::ExitReason;
use crate::message::MessageKind;
use crate::process::child_role::ChildSlot;

/// Items that were taken out of an inbox unread. The items are dropped one by one, so that a
/// destructor that panics does not affect other items.
pub(crate) trait Unread: Send {
    /// Closes the streams among the items, so that their writers fail. This runs wakers.
    fn close_streams(&mut self);

    /// Calls `each` with the kind and the type of each message among the items.
    fn describe(&self, each: &mut dyn FnMut(MessageKind, &'static str));

    /// Takes out the items that a successor may handle: calls, casts, messages and streams, in
    /// order. `None` if there are none.
    fn take_kept(&mut self) -> Option<Box<dyn Unread>>;

    /// Puts back what [`take_kept`](Self::take_kept) has taken out.
    fn put_back(&mut self, kept: Box<dyn Unread>);

    /// Returns the items for a check of their type.
    fn as_any(&self) -> &dyn Any;

    /// Returns the items for a downcast to their type.
    fn into_any(self: Box<Self>) -> Box<dyn Any + Send>;
}

/// The queue that an incarnation of a child has left to its supervisor, for its successor.
pub(crate) struct KeptQueue {
    /// The incarnation.
    pub(crate) slot: ChildSlot,
    pub(crate) pid: Pid,
    pub(crate) label: Option<SharedStr>,
    /// One of the names that the incarnation held.
    pub(crate) name: Option<SharedStr>,
    /// Why the incarnation ended.
    pub(crate) reason: ExitReason,
    /// Whether that end was a failure.
    pub(crate) failed: bool,
    pub(crate) items: Box<dyn Unread>,
}

impl fmt::Debug for KeptQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeptQueue")
            .field("slot", &self.slot)
            .field("pid", &self.pid)
            .finish_non_exhaustive()
    }
}
