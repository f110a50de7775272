//! Waiting for what a killed supervisor left, before the supervisor is started anew.
//!
//! A supervisor that is killed ends before its children do. Its next incarnation starts when all
//! of them have ended, so that no incarnation of a child overlaps with the one before and no name
//! is found held. That may take as long as the slowest child: so it is a state of the child,
//! restarting, and not a wait of the loop. The supervisor above serves requests, restarts other
//! children and can be stopped meanwhile.
//!
//! A start by hand waits in the same way, and is answered when it has come to something. What
//! is done about the child meanwhile takes its ticket away, as in a restart; the answer then says
//! how it stands with the child.

use crate::base::pid::Pid;
use crate::base::shared_str::SharedStr;
use crate::call::reply::Reply;
use crate::child::ChildType;
use crate::exit::reason::{ExitReason, Result};
use crate::process::ChildSlot;
use crate::restart::restart_state::RestartState;
use crate::runtime::deadline::within;
use crate::runtime::errors::call_error::StartError;
use crate::supervisor::fixed::child_record::Child;
use crate::supervisor::fixed::child_state::{RetryKind, RunState};
use crate::supervisor::fixed::server::{Cast, FixedServer};
use crate::supervisor::info::ChildError;
use crate::supervisor::report::Report;
use crate::supervisor::spec::strategy::Position;
use crate::supervisor::stop::NOT_YIELDING;

/// A child that left something, and the last of its starts.
pub(crate) type Left = (SharedStr, ChildSlot);

/// Waits until what incarnations up to this one left has ended, and logs every few seconds what
/// it waits for.
pub(crate) async fn alone(report: &Report, (child, slot): Left) {
    let Report { runtime, supervisor, .. } = report;
    loop {
        let left = runtime.kernel.orphans(*supervisor, slot);
        if left.is_empty() {
            return;
        }
        for orphan in left {
            let mut ended = runtime.ended(orphan);
            while within(&runtime.kernel, NOT_YIELDING, &mut ended).await.is_none() {
                report.waits_for_orphan(&child, orphan);
            }
        }
    }
}

impl FixedServer {
    /// What is left of this child's incarnations, if something is.
    pub(crate) fn orphans_of(&self, child: &Child) -> Option<Left> {
        if child.spec.kind != ChildType::Supervisor {
            return None;
        }
        let (me, slot) = (self.report.supervisor, child.slot());
        let left = self.report.runtime.kernel.orphans(me, slot);
        (!left.is_empty()).then(|| (child.spec.id.clone(), slot))
    }

    /// Presents this ticket when all that is left has ended.
    pub(crate) fn retry_after_orphans(
        &mut self,
        position: Position,
        retry_id: u64,
        left: Vec<Left>,
    ) {
        let (report, me) = (self.report.clone(), self.own_ref.clone());
        while self.background.try_join_next().is_some() {}
        self.background.spawn(async move {
            for left in left {
                alone(&report, left).await;
            }
            // A supervisor that has ended by now restarts nothing.
            drop(me.cast_wait(Cast::Retry { position, retry_id }).await);
        });
    }

    pub(crate) async fn restart_child(&mut self, id: &str, reply: Reply<Result<Pid, ChildError>>) {
        let position = match self.stopped_position(id) {
            Ok(position) => position,
            Err(error) => return reply.send(Err(error)),
        };
        if let Some(child) = self.children.get_mut(position) {
            child.restarts = RestartState::default();
        }
        match self.children.get(position).and_then(|child| self.orphans_of(child)) {
            None => {
                let started = self.start_requested(position).await;
                reply.send(started);
            }
            Some(left) => {
                let retry_id = self.set_restarting(position, None, RetryKind::Requested);
                self.waiting_requests.insert(retry_id, (id.into(), reply));
                self.retry_after_orphans(position, retry_id, vec![left]);
            }
        }
    }

    /// A start by hand that has waited.
    pub(crate) async fn retry_requested(&mut self, position: Position, retry_id: u64) {
        let started = self.start_requested(position).await;
        if let Some((_, reply)) = self.waiting_requests.remove(&retry_id) {
            reply.send(started);
        }
    }

    /// Answers a start by hand whose ticket was taken away while it waited.
    pub(crate) fn answer_cancelled_request(&mut self, retry_id: u64) {
        let Some((id, reply)) = self.waiting_requests.remove(&retry_id) else { return };
        reply.send(match self.children.by_id(&id).map(|(_, child)| child.state()) {
            None => Err(ChildError::NotFound(id.to_string())),
            Some(RunState::Running(process)) => Ok(process.pid()),
            Some(RunState::Restarting { .. }) => Err(ChildError::Restarting(id.to_string())),
            Some(RunState::Stopped) => {
                Err(ChildError::NotStarted(StartError::Failed(ExitReason::Shutdown)))
            }
        });
    }

    async fn start_requested(&mut self, position: Position) -> Result<Pid, ChildError> {
        if let Some(child) = self.children.get_mut(position) {
            child.count_requested_start();
        }
        let started = self.start_incarnation(position).await;
        if started.is_err() {
            self.mark_stopped(position);
        }
        started?;
        let pid = self.children.get(position).and_then(Child::pid);
        pid.ok_or(ChildError::NotStarted(StartError::Ignored))
    }
}
