//! Starts the next incarnation of a dynamic child, and handles the outcome.

use futures_util::FutureExt;
use futures_util::future::Either;
use tokio::time::Instant;

use crate::base::{Pid, SharedStr};
use crate::exit::Result;
use crate::process::ChildSlot;
use crate::server::ServerContext;
use crate::supervisor::dynamic::start_child::begin;
use crate::supervisor::dynamic::{Child, Completion, DynamicServer, Retry};
use crate::supervisor::{
    Decision, EndRecord, NewIncarnation, NotStarted, StartOutcome, decision_after,
};

impl DynamicServer {
    /// Starts the next incarnation of a child. The child keeps its old pid as its key until the
    /// start has succeeded. Server invariant 4.
    pub(super) fn begin_restart(&mut self, retry: Retry, ctx: &mut ServerContext<Self>) -> Result {
        if self.wait_for_orphans(retry) {
            return Ok(());
        }
        let Some(child) = self.children.get_mut(&retry.pid) else { return Ok(()) };
        let cause = child.begin_incarnation();
        let Some(record) = &child.restart_record else { return Ok(()) };
        let (spec, incarnation) = (record.spec.clone(), child.incarnation());
        let (slot, started, history) = (child.slot, child.started, record.history.clone());
        match begin(&self.report, NewIncarnation { slot, cause, started, history }, spec) {
            Either::Left(outcome) => self.restart_done(retry, incarnation, outcome, ctx),
            Either::Right(starting) => {
                let starting = self.run_cancellable(retry, &incarnation, starting);
                self.run_in_background(starting.map(move |outcome| Completion::Restarted {
                    retry,
                    incarnation,
                    outcome,
                }));
                Ok(())
            }
        }
    }

    /// Handles the outcome of a restart. If the retry is stale, the restart was cancelled.
    pub(super) fn restart_done(
        &mut self,
        retry: Retry,
        incarnation: Child,
        outcome: StartOutcome,
        ctx: &mut ServerContext<Self>,
    ) -> Result {
        let pid = retry.pid;
        let waits = self.waits_for(retry);
        self.answer_requested(retry, waits.then_some(&outcome));
        if !waits {
            self.cancelled_restart_done(retry, incarnation, outcome, ctx);
            return Ok(());
        }
        match outcome {
            Ok(Some(process)) => {
                let Some(child) = self.take(pid) else { return Ok(()) };
                self.report.free_names(ChildSlot { start: child.slot.start - 1, ..child.slot });
                self.add_started(child, process, ctx)
            }
            Ok(None) => {
                self.forget(pid);
                Ok(())
            }
            Err(failure) => self.restart_failed(pid, &incarnation.id, &failure, ctx),
        }
    }

    /// Handles a failed restart of the child with the key `pid`.
    fn restart_failed(
        &mut self,
        pid: Pid,
        id: &SharedStr,
        failure: &NotStarted,
        ctx: &mut ServerContext<Self>,
    ) -> Result {
        let record = self.children.get(&pid).and_then(|child| child.restart_record.as_ref());
        let spec = record.map(|record| &*record.spec);
        let reason = failure.error.as_reason();
        match decision_after(&self.report, spec, failure) {
            Some(Decision::GiveUp) => {
                self.forget(pid);
                Ok(())
            }
            decided @ Some(_) => self.follow(decided, id, failure.pid, reason),
            None => {
                let end = EndRecord { pid: None, reason, at: Instant::now(), stopped: false };
                self.restart_after_end(pid, end, ctx)
            }
        }
    }
}
