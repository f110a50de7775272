//! What a process is to be born with, being put together.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::base::pid::Pid;
use crate::base::shared_str::SharedStr;
use crate::exit::reason::ExitReason;
use crate::exit::shutdown::Shutdown;
use crate::kernel::Mailboxes;
use crate::kernel::admission::{NewProcess, NotAdmitted};
use crate::kernel::reserved_names::Reserved;
use crate::process::{ChildRole, Link, LinkKind, Parent};
use crate::runtime::Runtime;
use crate::runtime::errors::start_error::StartError;

/// A start being prepared.
pub(crate) struct Starting {
    runtime: Runtime,
    new_process: NewProcess,
    /// How long its init may take.
    init_timeout: Option<Duration>,
    /// How long its handlers may run untold, if not as all others.
    warn_after: Option<Duration>,
    cause: StartCause,
}

/// Why a server is being started, as its `init` may ask by
/// [`ServerContext::start_cause`](crate::ServerContext::start_cause), which has an example.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum StartCause {
    /// It is the first of its kind here.
    #[default]
    First,
    /// Its supervisor starts it again.
    Restart {
        /// How many times it was tried until now, this one included.
        attempt: u32,
        /// Why the one before ended, or did not start.
        previous: ExitReason,
    },
}

impl StartCause {
    /// How many restarts there were, this one included: 0 for the first start.
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

    /// Linked to the parent that starts it, from before its init on.
    pub(crate) fn linked(mut self, parent: Pid) -> Self {
        let link = Link { id: self.runtime.kernel.fresh_id(), kind: LinkKind::Awaited };
        let shutdown = Shutdown::Infinity;
        self.new_process.link = Some((parent, link));
        self.new_process.parent = Some(Parent { pid: parent, shutdown, role: None });
        self
    }

    /// Linked to its supervisor, which it may outlive by no more than `shutdown`, and which
    /// knows it by its role.
    pub(crate) fn supervised(mut self, parent: Pid, role: ChildRole, shutdown: Shutdown) -> Self {
        self = self.linked(parent);
        self.new_process.parent = Some(Parent { pid: parent, shutdown, role: Some(role) });
        self
    }

    /// A supervisor, which may leave children when it ends.
    pub(crate) fn with_ancestors(mut self) -> Self {
        if let Some(Parent { pid, role: Some(role), .. }) = self.new_process.parent {
            self.new_process.ancestors = Some(self.runtime.kernel.ancestors(pid, role.slot));
        }
        self
    }

    /// A process without an init: its end is told by the link from the first moment on.
    pub(crate) fn without_init(mut self) -> Self {
        if let Some((_, link)) = &mut self.new_process.link {
            link.kind = LinkKind::Plain;
        }
        self
    }

    /// Ready only when its init is over.
    pub(crate) fn with_init(mut self) -> Self {
        self.new_process.has_init = true;
        self
    }

    /// With a mailbox that is kept like this, if not like all others.
    pub(crate) fn mailbox(mut self, mailbox: Option<Mailboxes>) -> Self {
        self.new_process.mailbox = mailbox;
        self
    }

    /// Its parent's exit cancels this, and does nothing else.
    pub(crate) fn stopped_by(mut self, stop: CancellationToken) -> Self {
        self.new_process.stop = Some(stop);
        self
    }

    /// Killed when its init takes longer than this.
    pub(crate) fn within(mut self, limit: Option<Duration>) -> Self {
        self.init_timeout = limit;
        self
    }

    /// Told of when a handler of it runs longer than this.
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

    /// The error of a process that ended before it was ready.
    pub(crate) fn failed(&self, reason: ExitReason) -> StartError {
        match reason {
            ExitReason::Killed if self.runtime.kernel.tokio_is_gone() => StartError::TokioGone,
            reason => StartError::Failed(reason),
        }
    }

    /// The error of a process that was not born.
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

    /// Tells the log of the birth, if it has a label.
    pub(crate) fn log(&self, pid: Pid) {
        if let Some(label) = &self.new_process.label {
            self.runtime.log_spawn(pid, label, "");
        }
    }
}
