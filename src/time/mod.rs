//! Time: the queue of a runtime's timers, and the pool of call deadlines, which are too many and
//! too short-lived to be timers.
//!
//! **Uses** `base`, `exit`, `message`.
//! **Knows nothing of** processes. A timer is aimed at a pid or a name, a deadline wakes a waker;
//! `kernel` decides what a timer that is due does.

pub(crate) mod deadline_pool;
pub(crate) mod timer_queue;
