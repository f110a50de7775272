//! The record of one process: everything that is guarded by its one lock, and the flags that are
//! read without it.
//!
//! **Uses** `base`, `exit`, `message`, `restart`, `observe`.
//! **Knows nothing of** other processes, and not of the message type: the mailbox is behind
//! [`AnyMail`].
//!
//! Invariants:
//! 1. Everything in [`Core`] and the inbox is guarded by one mutex, and no thread holds the locks
//!    of two processes at once.
//! 2. A stage only ever grows: live, exit pending, closing, ended.
//! 3. While the lock is held no user code runs, no value of a user is dropped, and no waker is
//!    woken except that of the process' own task.

pub(crate) mod overflow;
pub(crate) mod mailbox_counts;
mod child_role;
mod vacated_names;
mod ancestors;
pub(crate) mod core;
pub(crate) mod state;
mod exit_tickets;
mod revoked_signals;
mod successor;
mod published;
pub(crate) mod any;

pub(crate) use ancestors::Ancestors;
pub(crate) use any::AnyProcess;
pub(crate) use child_role::{ChildRole, ChildSlot, ChildStop, GivenName};
pub(crate) use core::{
    Core, Link, LinkKind, Monitored, Parent, ReaderWait, Registrar, Registrations, Relations,
    Stage, SupervisorRecord, Watcher,
};
pub(crate) use mailbox_counts::{Counts, Entry, IfFull};
pub(crate) use state::{AnyMail, Locked, State, Unread};
pub(crate) use vacated_names::{VacatedName, VacatedNames};

/// Bits that are read without the lock.
pub(crate) mod flag {
    /// An exit was accepted, or the process has ended: nothing more is handled.
    pub(crate) const EXIT_PENDING: u8 = 1;
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
    pub(crate) const ENDS_BY_ITSELF: u8 = 64;
    /// Somebody may want to know what it handles: it is to look at the runtime's switches.
    pub(crate) const OBSERVED: u8 = 128;
}
