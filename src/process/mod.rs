//! The record of one process: the state that the lock of the process guards, and the flags that are
//! read without the lock.
//!
//! **Uses** `base`, `exit`, `message`, `restart`, `observe`.
//! **Knows nothing of** other processes and of message types: the mailbox is behind [`AnyMail`].
//!
//! Invariants:
//! 1. One mutex guards [`Core`] and the inbox, and no thread holds the locks of two processes at
//!    once.
//! 2. The [`Stage`] of a process never goes back. The order is: live, exit pending, closing, ended,
//!    announced. The flag bits that [`Stage::flags`] gives for a stage are raised in the step that
//!    enters that stage, under the lock.
//! 3. While the lock is held, no user code runs, no user value is dropped, and no waker is woken
//!    except the waker of the process's own task.

pub(crate) mod overflow_policy;
mod announced_wait;
mod spin;
mod head;
pub(crate) mod mailbox_counts;
pub(crate) mod mailbox_full;
mod call_limit;
mod child_role;
mod child_facts;
mod registrar;
mod ancestors;
mod stage;
pub(crate) mod intake;
pub(crate) mod unhandled_counts;
mod unread;
mod vacated_names;
mod link;
pub(crate) mod heartbeat;
mod watcher;
mod memory;
pub(crate) mod core;
mod registrations;
pub(crate) mod state;
mod tree_place;
mod exit_tickets;
mod revoked_signals;
mod successor;
mod published;
mod claim;
mod system_request;
pub(crate) mod any;

pub(crate) use ancestors::Ancestors;
pub(crate) use any::AnyProcess;
pub(crate) use call_limit::CallLimit;
pub(crate) use child_facts::ChildFacts;
pub(crate) use child_role::{ChildRole, ChildSlot, ChildStop, SpecName};
pub(crate) use claim::Claim;
pub(crate) use core::{
    Core, MonitorEntry, Parent, ReaderWait, Registrations, Relations, SupervisorRecord,
};
pub(crate) use head::Head;
pub(crate) use intake::{Drain, Intake};
pub(crate) use link::{Link, LinkRole, LinkState};
pub(crate) use mailbox_counts::Counts;
pub(crate) use mailbox_full::{Entry, IfFull};
pub(crate) use memory::Memory;
pub(crate) use registrar::{KeyRefused, Registrar, Reservation, SpecKey, StartKey};
pub(crate) use stage::Stage;
pub(crate) use state::{AnyMail, Locked, State};
#[cfg(feature = "observer")]
pub(crate) use system_request::StatusRequest;
pub(crate) use system_request::{NotQueued, StatusAnswer, SuspendRequest, SystemRequest};
pub(crate) use tree_place::Place;
pub(crate) use unhandled_counts::Unhandled;
pub(crate) use unread::{KeptQueue, Unread};
pub(crate) use vacated_names::{VacatedKey, VacatedName, VacatedNames};
#[cfg(feature = "cluster")]
pub(crate) use watcher::ForeignWatcher;
pub(crate) use watcher::Watcher;

/// Bits of a process that are read without its lock.
pub(crate) mod flag {
    /// The stage is exit pending or later: the process receives no more items.
    pub(crate) const EXIT_PENDING: u8 = 1;
    /// The waker of the task is stored in the record.
    pub(crate) const STARTED: u8 = 2;
    /// The record lists callers whose replies were dropped unsent. The server has to resolve them.
    pub(crate) const UNANSWERED: u8 = 4;
    /// Timers may be armed for this process.
    pub(crate) const TIMED: u8 = 8;
    /// The process is in no table, and its timers are being ended: code that arms a timer for the
    /// process disarms that timer when it finds this bit. The teardown raises the bit and ends the
    /// timers before the process enters the stage *ended*.
    pub(crate) const ENDED: u8 = 16;
    /// The mailbox is counted. Set when the process is created, and never cleared.
    pub(crate) const COUNTED: u8 = 32;
    /// An accepted exit signal does not drop the body. The body is still polled, and returns when
    /// its work has ended.
    pub(crate) const DEFERS_EXIT: u8 = 64;
    /// The server has to check the runtime's observation switches between two handlers.
    pub(crate) const CHECK_SWITCHES: u8 = 128;

    /// Whether the body of a process with these bits is to be dropped without another poll: an exit
    /// is pending, and the process does not [defer its exit](DEFERS_EXIT).
    pub(crate) fn drops_body(flags: u8) -> bool {
        flags & (EXIT_PENDING | DEFERS_EXIT) == EXIT_PENDING
    }

    /// Whether the body of a process with these bits is polled as it is: the waker of its task is
    /// registered, and no exit is pending.
    pub(crate) fn allows_plain_poll(flags: u8) -> bool {
        flags & (STARTED | EXIT_PENDING) == STARTED
    }
}
