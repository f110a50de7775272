//! The key of a registry that the specification of a process gives, as the process's record and its
//! supervisor see it. The registry knows the types of the key and of its value.
//!
//! A key is held from the admission of the process until the end of the process. If the supervisor
//! of the process will start a successor, the key is reserved until the successor has it, as
//! [names](crate::kernel::reserved_names) are.

use std::fmt;
use std::sync::Arc;

use crate::base::pid::Pid;
use crate::base::shared_str::SharedStr;
use crate::process::{AnyProcess, ChildSlot};

/// A key of a registry, with the value of its entry.
pub(crate) trait StartKey: Send + Sync {
    /// Registers a new process under the key. Runs `enter`, which enters the process in the tables,
    /// before another thread can find the process by its key. Runs nothing if the key is refused.
    fn admit(&self, process: &dyn AnyProcess, enter: &mut dyn FnMut()) -> Result<(), KeyRefused>;

    /// Reserves the key for the successor of a child, if the key is free or held by `holder`, and the
    /// supervisor still restarts children. Adds the key to the supervisor's record, by [`VacatedNames::insert_key`], under the lock of
    /// the registry.
    ///
    /// [`VacatedNames::insert_key`]: crate::process::VacatedNames::insert_key
    fn reserve(
        self: Arc<Self>,
        holder: Option<Pid>,
        supervisor: &dyn AnyProcess,
        slot: ChildSlot,
        child: SharedStr,
    );

    /// Ends the reservation for a successor of this incarnation.
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
