//! What is remembered of one process, under its one lock.
//!
//! **Invariants**
//! 1. Everything in [`Core`] and the inbox is guarded by one mutex, and no two
//!    processes are locked at once.
//! 2. A stage only ever grows: live, condemned, closing, ended.
//! 3. Under the lock nothing of the user's is dropped, run or woken; only the task's
//!    own waker is.

pub(crate) mod counts;
mod child_role;
mod vacant;
mod ancestors;
pub(crate) mod core;
pub(crate) mod state;
mod tickets;
mod taken_back;
mod succession;
mod shown;
pub(crate) mod any;

pub(crate) use ancestors::Line;
pub(crate) use any::AnyProcess;
pub(crate) use child_role::{ChildRole, ChildStop, GivenName, Seat};
pub(crate) use core::{
    Core, Estate, Held, Link, LinkKind, Parent, Parked, Registrar, Stage, Standing, Ties, Watcher,
};
pub(crate) use counts::{Counts, Entry, IfFull};
pub(crate) use state::{AnyMail, Locked, State, Unread};
pub(crate) use vacant::{Vacant, Vacated};

/// Bits that are read without the lock.
pub(crate) mod flag {
    /// An exit was accepted, or the process has ended: nothing more is handled.
    pub(crate) const CONDEMNED: u8 = 1;
    /// The task's waker is known.
    pub(crate) const STARTED: u8 = 2;
    /// Replies were dropped unsent; the server owes their callers the truth.
    pub(crate) const UNANSWERED: u8 = 4;
    /// Timers are aimed at it.
    pub(crate) const TIMED: u8 = 8;
    /// It is out of the table; a timer aimed at it now is taken back.
    pub(crate) const ENDED: u8 = 16;
    /// Its mailbox is counted, for all its life.
    pub(crate) const COUNTED: u8 = 32;
    /// It is asked to end when it is condemned, and not dropped.
    pub(crate) const HELD: u8 = 64;
    /// Somebody may want to know what it handles: it is to look at the runtime's switches.
    pub(crate) const WATCHED: u8 = 128;
}
