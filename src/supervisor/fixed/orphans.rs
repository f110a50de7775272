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
use crate::runtime::errors::start_error::StartError;
use crate::supervisor::fixed::child_record::Child;
use crate::supervisor::fixed::child_state::{Retry, Running};
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
                report.left_behind(&child, orphan);
            }
        }
    }
}

impl FixedServer {
    /// What is left of this child's incarnations, if something is.
    pub(crate) fn left_by(&self, child: &Child) -> Option<Left> {
        if child.spec.kind != ChildType::Supervisor {
            return None;
        }
        let (me, slot) = (self.report.supervisor, child.slot());
        let left = self.report.runtime.kernel.orphans(me, slot);
        (!left.is_empty()).then(|| (child.spec.id.clone(), slot))
    }

    /// Presents this ticket when all that is left has ended.
    pub(crate) fn try_when_alone(&mut self, position: Position, ticket: u64, left: Vec<Left>) {
        let (report, me) = (self.report.clone(), self.me.clone());
        while self.helpers.try_join_next().is_some() {}
        self.helpers.spawn(async move {
            for left in left {
                alone(&report, left).await;
            }
            // A supervisor that has ended by now restarts nothing.
            drop(me.cast_wait(Cast::TryAgain { position, ticket }).await);
        });
    }

    pub(crate) async fn restart_child(&mut self, id: &str, reply: Reply<Result<Pid, ChildError>>) {
        let position = match self.stopped(id) {
            Ok(position) => position,
            Err(error) => return reply.send(Err(error)),
        };
        if let Some(child) = self.children.get_mut(position) {
            child.restarts = RestartState::default();
        }
        match self.children.get(position).and_then(|child| self.left_by(child)) {
            None => {
                let started = self.begin_by_hand(position).await;
                reply.send(started);
            }
            Some(left) => {
                let ticket = self.wait_for_ticket(position, None, Retry::ByHand);
                self.by_hand.insert(ticket, (id.into(), reply));
                self.try_when_alone(position, ticket, vec![left]);
            }
        }
    }

    /// A start by hand that has waited.
    pub(crate) async fn start_by_hand(&mut self, position: Position, ticket: u64) {
        let started = self.begin_by_hand(position).await;
        if let Some((_, reply)) = self.by_hand.remove(&ticket) {
            reply.send(started);
        }
    }

    /// Answers a start by hand whose ticket was taken away while it waited.
    pub(crate) fn refuse_by_hand(&mut self, ticket: u64) {
        let Some((id, reply)) = self.by_hand.remove(&ticket) else { return };
        reply.send(match self.children.by_id(&id).map(|(_, child)| child.state()) {
            None => Err(ChildError::NotFound(id.to_string())),
            Some(Running::Yes(process)) => Ok(process.pid()),
            Some(Running::Restarting { .. }) => Err(ChildError::Restarting(id.to_string())),
            Some(Running::No) => {
                Err(ChildError::NotStarted(StartError::Failed(ExitReason::Shutdown)))
            }
        });
    }

    async fn begin_by_hand(&mut self, position: Position) -> Result<Pid, ChildError> {
        if let Some(child) = self.children.get_mut(position) {
            child.ask_for();
        }
        let started_processes = self.begin(position).await;
        if started_processes.is_err() {
            self.rest(position);
        }
        started_processes?;
        let pid = self.children.get(position).and_then(Child::pid);
        pid.ok_or(ChildError::NotStarted(StartError::Ignored))
    }
}
