//! Carries out the action of a control request, and reports the outcome. The
//! supervisor refuses the restart of a child that can't be restarted now, in `supervisor/exact_child.rs`.

use crate::base::Pid;
use crate::control::ask::{ask_server, ask_supervisor};
use crate::control::audit::AuditEntry;
use crate::control::target::Target;
use crate::control::{ControlError, ControlRequest};
use crate::exit::Result;
use crate::observe::{ControlAction, ControlOutcome};
use crate::process::Claim;
use crate::runtime::Runtime;
use crate::supervisor::{ChildError, SupervisorRef};

impl Runtime {
    /// Carries out a request on a child of any tree, or on the runtime, and reports it: as
    /// [`LifecycleEvent::Control`](crate::LifecycleEvent::Control), as
    /// [`ChangeKind::Control`](crate::ChangeKind::Control) of the child, and in the log, with the
    /// target `regrow::control`, as INFO or, unless it was carried out, as WARN.
    ///
    /// The request names the process that the requester has seen. If the child has another process
    /// meanwhile, nothing is done.
    ///
    /// | action | |
    /// |---|---|
    /// | [`Restart`](ControlAction::Restart) | The child is stopped and started again; no other child of its group is. No budget is spent, and its earlier failures no longer count for its backoff. Its own budget, if it has one, is full again. If the start fails, a child in the list of a supervisor stays stopped; for a child of a dynamic supervisor the restart policy decides. A child that is temporary, or that is being restarted or stopped, is refused |
    /// | [`Terminate`](ControlAction::Terminate) | The child is stopped, and its restart cancelled if it waits for one. A supervisor forgets a child that is temporary, a dynamic supervisor each |
    /// | [`Kill`](ControlAction::Kill) | The process is killed, and the restart policy decides |
    /// | [`Suspend`](ControlAction::Suspend), [`Resume`](ControlAction::Resume) | The server does that after the items that were queued before. Supervisors and processes that are no servers are refused |
    /// | [`LogLevel`](ControlAction::LogLevel) | As [`set_log_level`](Self::set_log_level) |
    ///
    /// OTP: `supervisor`, `sys` and `logger`, called from a remote shell.
    ///
    /// # Errors
    ///
    /// The variants of [`ControlError`] say why, and whether something was done. A supervisor or
    /// server that is busy for 5 s is [`NotBegun`](ControlError::NotBegun). An action that has been
    /// begun and takes longer than 30 s is [`Unfinished`](ControlError::Unfinished).
    ///
    /// # Cancel safety
    ///
    /// The request is carried out and reported also if this future is dropped after its first poll.
    ///
    /// ```
    /// use regrow::{ChildSpec, ControlAction, ControlRequest, LifecycleEvent, Runtime, Supervisor};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let job = ChildSpec::task("job", |_| std::future::pending());
    /// let tree = Supervisor::one_for_one().named("app").child(job).start(&rt).await?;
    /// let picture = tree.observe()?.picture().await;
    /// let job = picture.find("app/job").unwrap();
    ///
    /// let mut events = rt.events();
    /// let request = ControlRequest::new(ControlAction::Restart).of(job).caller("alice");
    /// rt.control(request.clone()).await?;
    /// assert!(!rt.is_alive(job.pid.unwrap()));
    /// assert_eq!(tree.count_children().await?.active, 1);
    ///
    /// // The same request again names a process that is no longer that of the child.
    /// assert!(rt.control(request).await.unwrap_err().to_string().contains("another process"));
    /// loop {
    ///     if let Some(LifecycleEvent::Control { caller, outcome, .. }) = events.next().await {
    ///         assert_eq!((caller.as_str(), outcome.name()), ("alice", "done"));
    ///         break;
    ///     }
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub async fn control(&self, request: ControlRequest) -> Result<(), ControlError> {
        self.control_holding(request, ()).await
    }

    /// As [`control`](Self::control), and drops `held` when the request has ended, which may be long
    /// after the requester is gone.
    pub(crate) async fn control_holding(
        &self,
        request: ControlRequest,
        held: impl Send + 'static,
    ) -> Result<(), ControlError> {
        spawn(self.clone(), Ok(None), request, held).await
    }
}

impl SupervisorRef {
    /// Carries out a request on this supervisor or on a child below it, as [`Runtime::control`] does.
    /// A process of another tree is [`NotFound`](ControlError::NotFound). The level of the log is
    /// that of the whole runtime.
    ///
    /// # Errors
    ///
    /// As [`Runtime::control`], and [`Unreachable`](ChildError::Unreachable) if no process holds the
    /// name of this handle. Below a supervisor that has ended nothing is found.
    ///
    /// # Cancel safety
    ///
    /// As [`Runtime::control`].
    pub async fn control(&self, request: ControlRequest) -> Result<(), ControlError> {
        self.control_holding(request, ()).await
    }

    /// As [`control`](Self::control), and drops `held` when the request has ended.
    pub(crate) async fn control_holding(
        &self,
        request: ControlRequest,
        held: impl Send + 'static,
    ) -> Result<(), ControlError> {
        let runtime = Runtime { kernel: self.server.kernel().clone() };
        let top = self.server.reach().map(Some).map_err(ControlError::from);
        spawn(runtime, top, request, held).await
    }
}

/// Carries out a request in a task of its own, which goes on if the requester is gone, and then drops
/// `held`.
async fn spawn(
    runtime: Runtime,
    top: Result<Option<Pid>, ControlError>,
    request: ControlRequest,
    held: impl Send + 'static,
) -> Result<(), ControlError> {
    let claim = Claim::default();
    let mut entry = AuditEntry::of(runtime.clone(), &request, claim.clone());
    let Some(tokio) = runtime.kernel.tokio().cloned() else {
        entry.ended(ControlError::TokioGone.outcome());
        return Err(ControlError::TokioGone);
    };
    let task = tokio.spawn(async move {
        let _held = held;
        let done = match top {
            Ok(top) => carry_out(&runtime, top, request, &mut entry).await,
            Err(error) => Err(error),
        };
        entry.ended(done.as_ref().err().map_or(ControlOutcome::Done, ControlError::outcome));
        done
    });
    // If the task was dropped, tokio shuts down. The entry was dropped with it, and has withdrawn the
    // request unless it was begun.
    task.await.unwrap_or_else(|_| match claim.has_begun() {
        true => Err(ControlError::Unfinished),
        false => Err(ControlError::TokioGone),
    })
}

async fn carry_out(
    runtime: &Runtime,
    top: Option<Pid>,
    request: ControlRequest,
    entry: &mut AuditEntry,
) -> Result<(), ControlError> {
    let kernel = &runtime.kernel;
    if let ControlAction::LogLevel(level) = request.action {
        runtime.set_log_level(level);
        return Ok(());
    }
    let target = Target::find(kernel, top, &request)?;
    entry.found_in(target.root);
    match request.action {
        ControlAction::Kill => {
            let pid = target.process(kernel)?.pid();
            let id = target.child.map_or(request.path, |(id, _)| id);
            match runtime.kill(pid) {
                true => Ok(()),
                false => Err(ChildError::Changed { id: id.to_string(), pid: None }.into()),
            }
        }
        ControlAction::Suspend | ControlAction::Resume => {
            let suspends = request.action == ControlAction::Suspend;
            ask_server(runtime, &*target.process(kernel)?, suspends, entry.claim()).await
        }
        action => match (target.child, target.pid) {
            (Some(child), pid) => ask_supervisor(runtime, action, child, pid, entry.claim()).await,
            (None, pid) => Err(ControlError::Topmost(pid.unwrap_or(Pid::OUTSIDE))),
        },
    }
}
