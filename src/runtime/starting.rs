//! The settings of a start, which servers and children set before a process is admitted.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::base::{Pid, SharedStr};
use crate::exit::{ExitReason, Shutdown};
use crate::kernel::reserved_names::Reserved;
use crate::kernel::{Mailboxes, NewProcess, NotAdmitted};
use crate::process::{ChildRole, Link, LinkState, Parent};
use crate::runtime::{Runtime, StartError};

/// The settings of one start.
pub(crate) struct Starting {
    runtime: Runtime,
    new_process: NewProcess,
    /// The limit for `init`.
    init_timeout: Option<Duration>,
    /// The limit after which a running handler is logged, if it differs from the runtime's.
    warn_after: Option<Duration>,
    cause: StartCause,
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
    /// The number of restarts, including this one; 0 for the first start.
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

    pub(crate) fn named(mut self, name: SharedStr) -> Self {
        self.new_process.name = Some(name);
        self
    }

    pub(crate) fn labelled(mut self, label: SharedStr) -> Self {
        self.new_process.label = Some(label);
        self
    }

    /// Sets the label of the process, and its name if it has one.
    pub(crate) fn with_identity(mut self, label: SharedStr, name: Option<SharedStr>) -> Self {
        self.new_process.name = name;
        self.labelled(label)
    }

    /// Links the process to the parent that starts it. The link exists before `init` runs.
    pub(crate) fn linked(mut self, parent: Pid) -> Self {
        let link = Link::awaited(self.runtime.kernel.fresh_id());
        let shutdown = Shutdown::Infinity;
        self.new_process.link = Some((parent, link));
        self.new_process.parent = Some(Parent { pid: parent, shutdown, role: None });
        self
    }

    /// Links the process to its supervisor. `role` identifies the process to the supervisor.
    /// `shutdown` limits how long the process may outlive that supervisor.
    pub(crate) fn supervised(mut self, parent: Pid, role: ChildRole, shutdown: Shutdown) -> Self {
        self = self.linked(parent);
        self.new_process.parent = Some(Parent { pid: parent, shutdown, role: Some(role) });
        self
    }

    /// Records the supervisors above this process. Called for a supervisor, because its children
    /// become orphans if it ends before them.
    pub(crate) fn with_ancestors(mut self) -> Self {
        if let Some(Parent { pid, role: Some(role), .. }) = self.new_process.parent {
            self.new_process.ancestors = Some(self.runtime.kernel.ancestors(pid, role.slot));
        }
        self
    }

    /// Marks the process as one without `init`: its link carries exit signals from the start on.
    pub(crate) fn without_init(mut self) -> Self {
        if let Some((_, link)) = &mut self.new_process.link {
            link.state = LinkState::Active;
        }
        self
    }

    /// Marks the process as one with `init`: it is ready only when `init` has returned.
    pub(crate) fn with_init(mut self) -> Self {
        self.new_process.has_init = true;
        self
    }

    /// Sets the kind of the mailbox, if it differs from the runtime's.
    pub(crate) fn mailbox(mut self, mailbox: Option<Mailboxes>) -> Self {
        self.new_process.mailbox = mailbox;
        self
    }

    /// Makes the exit signal of the parent cancel this token. The signal then has no other effect.
    pub(crate) fn stopped_by(mut self, stop: CancellationToken) -> Self {
        self.new_process.stop = Some(stop);
        self
    }

    /// Sets the limit for `init`. If `init` takes longer, the process is killed.
    pub(crate) fn within(mut self, limit: Option<Duration>) -> Self {
        self.init_timeout = limit;
        self
    }

    /// Sets the limit for handlers. A handler that runs longer is logged.
    pub(crate) fn warned_after(mut self, limit: Option<Duration>) -> Self {
        self.warn_after = limit;
        self
    }

    pub(crate) fn with_cause(mut self, cause: StartCause) -> Self {
        self.cause = cause;
        self
    }

    pub(crate) fn init_timeout(&self) -> Option<Duration> {
        self.init_timeout
    }

    pub(crate) fn warn_after(&self) -> Option<Duration> {
        self.warn_after
    }

    pub(crate) fn cause(&self) -> StartCause {
        self.cause.clone()
    }

    pub(crate) fn new_process(&self) -> &NewProcess {
        &self.new_process
    }

    pub(crate) fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// Returns the error for a process that ended before it was ready.
    pub(crate) fn failed(&self, reason: ExitReason) -> StartError {
        match reason {
            ExitReason::Killed if self.runtime.kernel.tokio_is_gone() => StartError::TokioGone,
            reason => StartError::Failed(reason),
        }
    }

    /// Returns the error for a process that was not admitted.
    pub(crate) fn refused(&self, not_admitted: NotAdmitted) -> StartError {
        let name = || self.new_process.name.as_ref().map(ToString::to_string).unwrap_or_default();
        match not_admitted {
            NotAdmitted::Ended(reason) => self.failed(reason),
            NotAdmitted::NameTaken(pid) => StartError::AlreadyStarted { name: name(), pid },
            NotAdmitted::NameReserved(Reserved { child, supervisor }) => {
                StartError::NameReserved { name: name(), child: child.to_string(), supervisor }
            }
        }
    }

    /// Logs the spawn, if the process has a label.
    pub(crate) fn log(&self, pid: Pid) {
        if let Some(label) = &self.new_process.label {
            self.runtime.log_spawn(pid, label, "");
        }
    }
}
