//! The queue of a runtime's timers, and the pool of call deadlines. There are too many deadlines,
//! and they are too short-lived, for a timer each.
//!
//! **Uses** `base`, `exit`, `message`.
//! **Knows nothing of** processes. A timer has a pid or a name as its destination, a deadline has a
//! waker; `kernel` carries out the action of a timer that is due.

pub(crate) mod deadline_pool;
pub(crate) mod timer_queue;
