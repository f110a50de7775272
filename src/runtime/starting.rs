//! The settings of a start, which servers and children set before a process is admitted.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::base::{Pid, SharedStr};
use crate::exit::{ExitReason, Shutdown};
use crate::kernel::reserved_names::Reserved;
use crate::kernel::{NewProcess, NotAdmitted};
use crate::mailbox::{Item, Process};
use crate::process::{KeyRefused, Link, LinkRole, LinkState, Parent};
use crate::runtime::{Runtime, StartError};

/// The runtime, the initial state, the limits and the cause of one start.
pub(crate) struct Starting {
    pub(crate) runtime: Runtime,
    pub(crate) new_process: NewProcess,
    /// The limit for `init`. If `init` takes longer, the process is killed.
    pub(crate) init_timeout: Option<Duration>,
    /// The limit after which a running handler is logged, if it differs from the runtime's.
    pub(crate) warn_after: Option<Duration>,
    pub(crate) cause: StartCause,
}

/// Why a server is being started. `init` gets it from
/// [`ServerContext::start_cause`](crate::ServerContext::start_cause), which has an example.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum StartCause {
    /// The server is started for the first time.
    #[default]
    First,
    /// The supervisor of the server restarts it.
    Restart {
        /// The number of restart attempts so far, including this one.
        attempt: u32,
        /// Why the previous incarnation ended or did not start.
        previous: ExitReason,
    },
}

impl StartCause {
    /// The number of restart attempts so far, including this one; 0 for the first start.
    /// [`ServerContext::start_cause`](crate::ServerContext::start_cause) has an example.
    pub fn restarts(&self) -> u32 {
        match self {
            StartCause::First => 0,
            StartCause::Restart { attempt, .. } => *attempt,
        }
    }
}

impl Starting {
    pub(crate) fn new(runtime: &Runtime) -> Self {
        Starting {
            runtime: runtime.clone(),
            new_process: NewProcess::default(),
            init_timeout: None,
            warn_after: None,
            cause: StartCause::First,
        }
    }

    /// Sets the label of the process, and its name if it has one.
    #[inline]
    pub(crate) fn with_identity(mut self, label: SharedStr, name: Option<SharedStr>) -> Self {
        (self.new_process.label, self.new_process.name) = (Some(label), name);
        self
    }

    /// Links the process to the process that starts it, its parent.
    pub(crate) fn linked(self, parent: Pid) -> Self {
        self.with_parent(Parent { pid: parent, shutdown: Shutdown::Infinity, role: None })
    }

    /// Links the process to its parent. The link exists before `init` runs.
    #[inline]
    pub(crate) fn with_parent(mut self, parent: Parent) -> Self {
        let role = if parent.role.is_some() { LinkRole::Child } else { LinkRole::Peer };
        let link = Link::awaited(self.runtime.kernel.fresh_id(), role);
        self.new_process.link = Some((parent.pid, link));
        self.new_process.parent = Some(parent);
        self
    }

    /// Marks the process as one without `init`: its link carries exit signals from the start on.
    #[inline]
    pub(crate) fn without_init(mut self) -> Self {
        if let Some((_, link)) = &mut self.new_process.link {
            link.state = LinkState::Active;
        }
        self
    }

    /// Marks the process as one with `init`: it is ready only when `init` has returned.
    #[inline]
    pub(crate) fn with_init(mut self) -> Self {
        self.new_process.has_init = true;
        self
    }

    /// Sets the token that is cancelled when the parent's exit signal asks the process to stop.
    /// Such a signal is not queued.
    pub(crate) fn stopped_by(mut self, stop: CancellationToken) -> Self {
        self.new_process.stop = Some(stop);
        self
    }

    /// Adds a process without a body to the tables. Logs its spawn, if it has a label.
    pub(crate) fn admit<M: Item>(&self) -> Result<Arc<Process<M>>, StartError> {
        let (process, admitted) = self.runtime.admit(&self.new_process);
        admitted.map_err(|refused| self.refused(refused))?;
        if let Some(label) = &self.new_process.label {
            self.runtime.log_spawn(process.pid(), label, "");
        }
        Ok(process)
    }

    /// Returns the error for a process that was not admitted.
    pub(crate) fn refused(&self, not_admitted: NotAdmitted) -> StartError {
        let name = || self.new_process.name.as_ref().map(ToString::to_string).unwrap_or_default();
        match not_admitted {
            NotAdmitted::Ended(reason) => self.runtime.start_error(reason),
            NotAdmitted::NameTaken(pid) => StartError::AlreadyStarted { name: name(), pid },
            NotAdmitted::NameReserved(Reserved { child, supervisor }) => {
                StartError::NameReserved { name: name(), child: child.to_string(), supervisor }
            }
            NotAdmitted::Key(refused) => self.key_refused(&refused),
        }
    }

    /// Returns the error for a process whose key is held, or reserved for another process.
    fn key_refused(&self, refused: &KeyRefused) -> StartError {
        let name = self.new_process.key.as_ref().map(|key| key.text()).unwrap_or_default();
        match refused {
            KeyRefused::Taken(pid) => StartError::AlreadyStarted { name, pid: *pid },
            KeyRefused::Reserved { child, supervisor } => {
                let (child, supervisor) = (child.to_string(), *supervisor);
                StartError::NameReserved { name, child, supervisor }
            }
        }
    }
}
