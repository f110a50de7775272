//! Registries, and the keys under which processes are started, as the records of processes see them.
//! The registry knows the types of the keys and values.
//!
//! The key of a start is held from the admission of the process until the end of the process. If the
//! supervisor of the process will start a successor, the key is reserved until the successor has it,
//! as [names](crate::kernel::reserved_names) are.

use std::fmt;
use std::sync::{Arc, Weak};

use crate::base::pid::Pid;
use crate::base::shared_str::SharedStr;
use crate::process::child_role::ChildSlot;

/// A registry, as the record of a registered process sees it.
pub(crate) trait Registrar: Send + Sync {
    /// Removes the entries of a process that is ending. Takes no lock of a process.
    fn forget(&self, pid: Pid);
}

/// A key of a registry, with the value of its entry.
pub(crate) trait StartKey: Send + Sync {
    /// Registers a new process under the key. `incarnation` is set for a child: its supervisor, and
    /// which incarnation it is. Runs `enter` with the number of the registry and the registry, under
    /// the lock of the registry: `enter` adds the registry to the record of the process, and enters
    /// the process in the tables. Runs nothing if the key is refused.
    fn admit(
        &self,
        pid: Pid,
        incarnation: Option<(Pid, ChildSlot)>,
        enter: &mut dyn FnMut(u64, Weak<dyn Registrar>),
    ) -> Result<(), KeyRefused>;

    /// Reserves the key for the successor of a child, if the key is free or held by `holder`, and
    /// `list` returns true. `list` adds the key to the record of the supervisor, under the lock of
    /// the registry, if the supervisor still restarts children.
    fn reserve(
        self: Arc<Self>,
        holder: Option<Pid>,
        reserved: Reservation,
        list: &mut dyn FnMut(Arc<dyn StartKey>) -> bool,
    );

    /// Ends the reservation for a successor of this incarnation, or of an earlier one.
    fn release(&self, supervisor: Pid, slot: ChildSlot);

    /// The text of the key in an error.
    fn text(&self) -> String;
}

impl fmt::Debug for dyn StartKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StartKey")
    }
}

/// The key under which a process was started.
#[derive(Debug, Clone)]
pub(crate) struct SpecKey {
    pub(crate) key: Arc<dyn StartKey>,
    /// The child's id.
    pub(crate) child: SharedStr,
}

/// The child that a key is reserved for.
#[derive(Debug, Clone)]
pub(crate) struct Reservation {
    pub(crate) supervisor: Pid,
    /// The last incarnation that held the key.
    pub(crate) slot: ChildSlot,
    /// The child's id.
    pub(crate) child: SharedStr,
}

/// Why a process was not registered under its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum KeyRefused {
    /// This process holds the key.
    Taken(Pid),
    /// The key is reserved for a child that is being restarted.
    Reserved {
        /// The id of the child.
        child: SharedStr,
        supervisor: Pid,
    },
}
