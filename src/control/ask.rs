//! Asks a supervisor or a server, and waits for the answer within limits.

use std::pin::pin;
use std::time::Duration;

use tokio::time::Instant;

use crate::base::{Pid, SharedStr};
use crate::control::ControlError;
use crate::exit::Result;
use crate::observe::ControlAction;
use crate::process::{AnyProcess, Claim, NotQueued, SuspendRequest, SystemRequest};
use crate::runtime::{CallError, Runtime, until};
use crate::supervisor::dynamic::server::{Call as DynamicCall, DynamicServer};
use crate::supervisor::fixed::{Call as FixedCall, FixedServer};
use crate::supervisor::{ChildError, ExactChild, PublishedCell};

/// How long a request waits until a supervisor or a server takes it.
pub(crate) const BEGIN_WITHIN: Duration = Duration::from_secs(5);

/// How long the requester waits for the end of an action, from the request on.
pub(crate) const END_WITHIN: Duration = Duration::from_secs(30);

/// Asks a supervisor to restart or terminate this child. An error after the beginning of the action
/// says that it was begun.
pub(super) async fn ask_supervisor(
    runtime: &Runtime,
    action: ControlAction,
    (id, supervisor): (SharedStr, Pid),
    pid: Option<Pid>,
    claim: &Claim,
) -> Result<(), ControlError> {
    let child = ExactChild { id, pid, claim: claim.clone() };
    let is_ending = || is_ending(runtime, supervisor);
    if is_ending() {
        return Err(ControlError::SupervisorStopping(supervisor));
    }
    let answer = async {
        match (runtime.server_at::<FixedServer>(supervisor), action) {
            (Ok(server), ControlAction::Restart) => {
                let call = |reply| FixedCall::RestartExactly { child, reply };
                server.call_unlimited(call).await?.map(drop)
            }
            (Ok(server), _) => {
                let call = |reply| FixedCall::TerminateExactly { child, reply };
                server.call_unlimited(call).await?
            }
            (Err(CallError::WrongType), action) => {
                ask_dynamic(runtime, action, supervisor, child).await
            }
            (Err(error), _) => Err(error.into()),
        }
    };
    let answer = within(runtime, claim, answer).await;
    match answer {
        // A stopping supervisor handles no request, or has ended since.
        Err(ControlError::NotBegun) if is_ending() => {
            Err(ControlError::SupervisorStopping(supervisor))
        }
        Err(ControlError::Child(error)) if claim.has_begun() => Err(match error {
            ChildError::Unreachable(_) => ControlError::Unfinished,
            error => ControlError::Failed(error),
        }),
        answer => answer,
    }
}

async fn ask_dynamic(
    runtime: &Runtime,
    action: ControlAction,
    supervisor: Pid,
    child: ExactChild,
) -> Result<(), ChildError> {
    let server = runtime.server_at::<DynamicServer>(supervisor)?;
    match action {
        ControlAction::Restart => {
            let call = |reply| DynamicCall::RestartExactly(child, reply);
            server.call_unlimited(call).await?.map(drop)
        }
        _ => {
            let call = |reply| DynamicCall::TerminateExactly(child, reply);
            server.call_unlimited(call).await?
        }
    }
}

/// Whether a supervisor stops all its children, or was asked to.
fn is_ending(runtime: &Runtime, supervisor: Pid) -> bool {
    let Some(process) = runtime.kernel.find(supervisor) else { return false };
    let cell = PublishedCell::of(&*process);
    let is_published = cell.is_some_and(|cell| cell.change(|state| state.ending.is_some()));
    is_published || process.with(|locked| locked.core().stop_requested)
}

/// Waits for an answer. A request that is not begun in time is withdrawn.
async fn within(
    runtime: &Runtime,
    claim: &Claim,
    answer: impl Future<Output = Result<(), ChildError>>,
) -> Result<(), ControlError> {
    let (mut answer, now) = (pin!(answer), Instant::now());
    if let Some(answer) = until(&runtime.kernel, Some(now + BEGIN_WITHIN), &mut answer).await {
        return Ok(answer?);
    }
    if claim.withdraw() {
        return Err(ControlError::NotBegun);
    }
    match until(&runtime.kernel, Some(now + END_WITHIN), answer).await {
        Some(answer) => Ok(answer?),
        None => Err(ControlError::Unfinished),
    }
}

/// Asks a server to suspend or to resume itself. It does so after the items that were queued before.
pub(super) async fn ask_server(
    runtime: &Runtime,
    process: &dyn AnyProcess,
    suspends: bool,
    claim: &Claim,
) -> Result<(), ControlError> {
    let pid = process.pid();
    if runtime.kernel.supervisor_path(pid).is_some() {
        return Err(ControlError::IsSupervisor(pid));
    }
    let ended = || ControlError::from(CallError::NoProc);
    let (request, mut answer) = SuspendRequest::new(suspends, claim.clone());
    process.request_system(SystemRequest::Suspend(request)).map_err(|refused| match refused {
        NotQueued::NotAServer => ControlError::NotAServer(pid),
        NotQueued::Ended => ended(),
    })?;
    let due = Some(Instant::now() + BEGIN_WITHIN);
    if let Some(answer) = until(&runtime.kernel, due, &mut answer).await {
        return answer.map_err(|_| ended());
    }
    // What was begun is done: the server suspends itself in one step.
    if claim.withdraw() { Err(ControlError::NotBegun) } else { Ok(()) }
}
