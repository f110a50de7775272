//! Stops all children when the supervisor ends.
//!
//! 1. Background starts are aborted, and half-started children are killed.
//! 2. All children are asked to stop at once, each with its own deadline.
//! 3. The children are awaited in the order of their deadlines. A child whose deadline passes is
//!    killed and moved behind the others, so no child delays the kill of another.
//! 4. The killed children are awaited, then the half-started ones.

use std::sync::Arc;

use tokio::time::Instant;

use crate::base::SharedStr;
use crate::exit::{ExitReason, Result, Shutdown};
use crate::kernel::{Until, WaitEdge};
use crate::observe::Doing;
use crate::process::AnyProcess;
use crate::runtime::{Ack, until};
use crate::supervisor::dynamic::pending_stops::PendingStops;
use crate::supervisor::dynamic::{Child, Completion, DynamicServer, HalfStarted};
use crate::supervisor::{await_killed, has_ended};

impl DynamicServer {
    /// Stops all children concurrently, each within its own shutdown time, and waits until the
    /// last one has ended.
    pub(super) async fn stop_all(&mut self) {
        self.show_ending();
        self.report.begin_shutdown();
        let half_started = self.abort_background().await;
        let _waits = self.wait_edges(&half_started);
        let mut pending = self.request_stops();
        for _ in 0..pending.sort_by_deadline() {
            let Some((due, child)) = pending.first() else { break };
            self.show_wait(child, pending.began(), pending.rest());
            match self.await_end_or_kill(due, child).await {
                Ok(reason) => pending.report_first(&reason),
                Err(doing) => pending.move_first_to_back(doing),
            }
        }
        while let Some((_, child)) = pending.first() {
            self.show_wait(child, pending.began(), pending.rest());
            let Some(process) = child.process() else { break };
            let reason = await_killed(&self.report, &child.id, process).await;
            pending.report_first(&reason);
        }
        self.show_half_started(half_started.len());
        for process in half_started {
            let id = label(&*process);
            await_killed(&self.report, &id, &process).await;
        }
    }

    /// Registers the wait edges from this supervisor to all its children, because the supervisor
    /// handles no more requests.
    fn wait_edges(&self, half_started: &[Arc<dyn AnyProcess>]) -> Vec<WaitEdge> {
        let half_started = half_started.iter().map(|process| process.pid());
        let all = self.children.keys().copied().chain(half_started);
        all.filter_map(|pid| self.report.register_wait(pid, Until::Answer)).collect()
    }

    /// Asks all children to stop. Kills the children with [`Shutdown::BrutalKill`].
    fn request_stops(&mut self) -> PendingStops {
        let began = Instant::now();
        let mut pending = PendingStops::new(&self.report, &self.published, began);
        self.show_deadlines(began);
        for child in std::mem::take(&mut self.children).into_values() {
            let Some(process) = child.process() else { continue };
            let pid = process.pid();
            let due = child.shutdown.deadline(began);
            match child.shutdown {
                Shutdown::BrutalKill => drop(self.report.runtime.kill(pid)),
                _ => self.report.ask_to_stop(&**process),
            };
            pending.push(due, child);
        }
        pending
    }

    /// Aborts all background tasks. Adds the children whose start had finished. Kills the
    /// half-started children, and returns them.
    async fn abort_background(&mut self) -> Vec<Arc<dyn AnyProcess>> {
        let nothing_begun = self.background.is_empty() && self.half_started.is_empty();
        if nothing_begun && self.completions.lock().completions.is_empty() {
            return Vec::new();
        }
        self.background.shutdown().await;
        for completion in self.take_completions() {
            if let Completion::Started { child, outcome: Ok(Some(process)), .. }
            | Completion::Restarted {
                incarnation: child, outcome: Ok(Some(process)), ..
            } = completion
            {
                self.insert(child, process);
            }
        }
        let notices = std::mem::take(&mut self.completions.lock().notices);
        for (server, ack) in notices {
            if ack != Some(Ack::Started) {
                continue;
            }
            if let Some(HalfStarted { child, guard, .. }) = self.half_started.remove(&server) {
                self.insert(child, guard.keep());
            }
        }
        self.half_started.clear();
        let mut half_started = self.report.runtime.kernel.children_of(self.report.supervisor);
        half_started.retain(|process| !self.children.contains_key(&process.pid()));
        for process in &half_started {
            self.report.runtime.kill(process.pid());
        }
        half_started
    }

    /// Waits for the end of a child until its deadline, then kills the child. The error is the
    /// activity of the child at that moment. The error is `None` if the child has ended in time,
    /// while its end is still being announced to many processes.
    async fn await_end_or_kill(
        &self,
        due: Option<Instant>,
        child: &Child,
    ) -> Result<ExitReason, Option<Doing>> {
        let process = child.process().ok_or(None)?;
        let ended = child.stop_request(process).ended(&self.report);
        let runtime = &self.report.runtime;
        until(&runtime.kernel, due, ended).await.ok_or_else(|| {
            let pid = process.pid();
            let doing = (!has_ended(process)).then(|| Doing::of(runtime, pid));
            runtime.kill(pid);
            doing
        })
    }
}

/// Returns the id of a half-started child, which is the label of its process.
fn label(process: &dyn AnyProcess) -> SharedStr {
    process.with(|locked| locked.core().relations()?.label.clone()).unwrap_or("half started".into())
}
