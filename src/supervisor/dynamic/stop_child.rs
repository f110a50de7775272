//! Stopping dynamic children: one when it is asked for, all of them at the end.

use std::sync::Arc;

use tokio::time::Instant;

use crate::base::pid::Pid;
use crate::base::shared_str::SharedStr;
use crate::child::Restart;
use crate::exit::reason::{ExitReason, Result};
use crate::exit::shutdown::Shutdown;
use crate::kernel::wait_graph::{Until, WaitEdge};
use crate::observe::doing::Doing;
use crate::process::{AnyProcess, ChildStop};
use crate::runtime::deadline::until;
use crate::server::ServerContext;
use crate::supervisor::dynamic::child::{Child, State, StopReply, Stopping};
use crate::supervisor::dynamic::server::{Cast, Completion, DynamicServer};
use crate::supervisor::dynamic::stopping::{PendingStops, ended};
use crate::supervisor::info::ChildError;
use crate::supervisor::stop::{NOT_YIELDING, StopRequest};
use crate::time::timer_queue::after;

impl DynamicServer {
    /// Asks the child to stop; its end, or the end of its time, is an event of its own.
    pub(super) fn begin_stop(
        &mut self,
        pid: Pid,
        replies: Vec<StopReply>,
        ctx: &mut ServerContext<Self>,
    ) {
        let runtime = self.report.runtime.clone();
        let Some(child) = self.children.get_mut(&pid) else { return };
        let State::Running(process) = &child.state else { return };
        let process = process.clone();
        self.report.stops(&*process, ChildStop::ForGood);
        let began = Instant::now();
        let due = match child.shutdown {
            Shutdown::Timeout(grace) => after(began, grace),
            Shutdown::BrutalKill | Shutdown::Infinity => began + NOT_YIELDING,
        };
        match child.shutdown {
            Shutdown::BrutalKill => runtime.kill(pid),
            _ => runtime.exit(pid, ExitReason::Shutdown),
        };
        let stopping = Stopping { process, began, due, overran: None, replies };
        child.state = State::Stopping(Box::new(stopping));
        self.stop_checks.insert((due, pid));
        self.arm_stop_timer(ctx);
    }

    /// Sees to it that whose time is up first is looked at then.
    fn arm_stop_timer(&mut self, ctx: &mut ServerContext<Self>) {
        let Some(&(due, _)) = self.stop_checks.first() else { return };
        if self.stop_timer_due.is_none_or(|next| due < next) {
            self.stop_timer_due = Some(due);
            let delay = due.saturating_duration_since(Instant::now());
            // In place of one that was to come later.
            ctx.cast_after_as("check stops", delay, Cast::CheckStops);
        }
    }

    /// Looks at all whose time is up.
    pub(super) fn check_stops(&mut self, ctx: &mut ServerContext<Self>) {
        self.stop_timer_due = None;
        let now = Instant::now();
        while let Some(&(due, pid)) = self.stop_checks.first()
            && due <= now
        {
            self.stop_checks.remove(&(due, pid));
            self.check_stop(pid, now);
        }
        self.arm_stop_timer(ctx);
    }

    /// Kills a child whose time is up, unless it has all the time there is. One that was
    /// killed before does not await. One that has ended unheard had taken its link away.
    fn check_stop(&mut self, pid: Pid, now: Instant) {
        let Some(child) = self.children.get_mut(&pid) else { return };
        let State::Stopping(stopping) = &mut child.state else { return };
        if let Some(reason) = ended(&*stopping.process) {
            self.child_stopped(pid, &reason);
            return;
        }
        match child.shutdown {
            Shutdown::Infinity => {}
            Shutdown::Timeout(_) if stopping.overran.is_none() => {
                stopping.overran = Some(Doing::of(&self.report.runtime, pid));
                self.report.runtime.kill(pid);
            }
            Shutdown::Timeout(_) | Shutdown::BrutalKill => self.report.not_yielding(&child.id, pid),
        }
        stopping.due = now + NOT_YIELDING;
        self.stop_checks.insert((stopping.due, pid));
    }

    /// A stop is over.
    pub(super) fn child_stopped(&mut self, pid: Pid, reason: &ExitReason) {
        let Some(child) = self.take(pid) else { return };
        if let State::Stopping(stopping) = &child.state {
            self.stop_checks.remove(&(stopping.due, pid));
            let stop_request = child.stop_request(&stopping.process);
            stop_request.tell(&self.report, stopping.began, reason, stopping.overran);
        }
        self.report.free_names(child.slot);
        let State::Stopping(stopping) = child.state else { return };
        answer_stops(stopping.replies);
    }

    /// Stops everybody at once, each in its own time, and waits for the very end of all.
    pub(super) async fn stop_all(&mut self) {
        self.show_ending();
        self.report.begins_to_stop();
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
            let reason = child.stop_request(process).killed(&self.report).await;
            pending.report_first(&reason);
        }
        self.show_half_started(half_started.len());
        for process in half_started {
            let id = label(&*process);
            let (restart, shutdown) = (Restart::Temporary, Shutdown::BrutalKill);
            StopRequest { id: &id, restart, shutdown, process: &process }
                .killed(&self.report)
                .await;
        }
    }

    /// From now on it handles nothing, and waits for all of them.
    fn wait_edges(&self, half_started: &[Arc<dyn AnyProcess>]) -> Vec<WaitEdge> {
        let half_started = half_started.iter().map(|process| process.pid());
        let all = self.children.keys().copied().chain(half_started);
        all.filter_map(|pid| self.report.waits_for(pid, Until::Answer)).collect()
    }

    fn request_stops(&mut self) -> PendingStops {
        let began = Instant::now();
        let mut pending = PendingStops::new(&self.report, began);
        for child in std::mem::take(&mut self.children).into_values() {
            let Some(process) = child.process() else { continue };
            let pid = process.pid();
            let due = child.shutdown.grace().map(|grace| after(began, grace));
            match child.shutdown {
                Shutdown::BrutalKill => self.report.runtime.kill(pid),
                _ => self.report.runtime.exit(pid, ExitReason::Shutdown),
            };
            pending.push(due, child);
        }
        pending
    }

    /// Drops the starts under way, and kills and gives what they had started by then.
    async fn abort_background(&mut self) -> Vec<Arc<dyn AnyProcess>> {
        if self.background.is_empty() && self.completions().is_empty() {
            return Vec::new();
        }
        self.background.shutdown().await;
        for child in self.take_completions().into_iter().filter_map(started_child) {
            if let Some(process) = child.process() {
                self.children.insert(process.pid(), child);
            }
        }
        let mut half_started = self.report.runtime.kernel.children_of(self.report.supervisor);
        half_started.retain(|process| !self.children.contains_key(&process.pid()));
        for process in &half_started {
            self.report.runtime.kill(process.pid());
        }
        half_started
    }

    /// The reason of a child that ends until then; else it is killed, at what it is doing.
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
            let doing = Doing::of(runtime, pid);
            runtime.kill(pid);
            Some(doing)
        })
    }
}

/// Answers all requests for this stop: the child is gone.
pub(super) fn answer_stops(replies: Vec<StopReply>) {
    for (at, StopReply { requested, reply }) in replies.into_iter().enumerate() {
        // Who asked after the first asked for what is gone.
        reply.send(match at {
            0 => Ok(()),
            _ => Err(ChildError::NotFound(requested.to_string())),
        });
    }
}

/// What it is called: its id.
fn label(process: &dyn AnyProcess) -> SharedStr {
    process.with(|locked| locked.core().relations()?.label.clone()).unwrap_or("half started".into())
}

/// A child that was started, and not yet told of.
fn started_child(completion: Completion) -> Option<Child> {
    match completion {
        Completion::Started { child, outcome: Ok(Some(process)), .. }
        | Completion::Restarted { incarnation: child, outcome: Ok(Some(process)), .. } => {
            Some(Child { state: State::Running(process), ..child })
        }
        _ => None,
    }
}
