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
use crate::supervisor::dynamic::server::{Cast, Done, DynamicServer};
use crate::supervisor::dynamic::stopping::{Asked, ended};
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
        self.report.note_stop(&*process, ChildStop::ForGood);
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
        self.stopping.insert((due, pid));
        self.set_sweep(ctx);
    }

    /// Sees to it that whose time is up first is looked at then.
    fn set_sweep(&mut self, ctx: &mut ServerContext<Self>) {
        let Some(&(due, _)) = self.stopping.first() else { return };
        if self.next_sweep.is_none_or(|next| due < next) {
            self.next_sweep = Some(due);
            let delay = due.saturating_duration_since(Instant::now());
            // In place of one that was to come later.
            ctx.cast_after_as("sweep", delay, Cast::Sweep);
        }
    }

    /// Looks at all whose time is up.
    pub(super) fn sweep(&mut self, ctx: &mut ServerContext<Self>) {
        self.next_sweep = None;
        let now = Instant::now();
        while let Some(&(due, pid)) = self.stopping.first()
            && due <= now
        {
            self.stopping.remove(&(due, pid));
            self.overdue(pid, now);
        }
        self.set_sweep(ctx);
    }

    /// Kills a child whose time is up, unless it has all the time there is. One that was
    /// killed before does not await. One that has ended unheard had taken its link away.
    fn overdue(&mut self, pid: Pid, now: Instant) {
        let Some(child) = self.children.get_mut(&pid) else { return };
        let State::Stopping(stopping) = &mut child.state else { return };
        if let Some(reason) = ended(&*stopping.process) {
            self.stopped(pid, &reason);
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
        self.stopping.insert((stopping.due, pid));
    }

    /// A stop is over.
    pub(super) fn stopped(&mut self, pid: Pid, reason: &ExitReason) {
        let Some(child) = self.take(pid) else { return };
        if let State::Stopping(stopping) = &child.state {
            self.stopping.remove(&(stopping.due, pid));
            let leaving = child.leaving(&stopping.process);
            leaving.record_stop(&self.report, stopping.began, reason, stopping.overran);
        }
        self.report.free_names(child.slot);
        let State::Stopping(stopping) = child.state else { return };
        answer(stopping.replies);
    }

    /// Stops everybody at once, each in its own time, and waits for the very end of all.
    pub(super) async fn stop_all(&mut self) {
        self.show_ending();
        self.report.begin_shutdown();
        let half_started = self.drop_helpers().await;
        let _waits = self.waits_for_all(&half_started);
        let mut stop_requested = self.ask_all();
        for _ in 0..stop_requested.sort() {
            let Some((due, child)) = stop_requested.first() else { break };
            self.show_wait(child, stop_requested.began(), stop_requested.later());
            match self.in_time(due, child).await {
                Ok(reason) => stop_requested.tell_first(&reason),
                Err(doing) => stop_requested.first_is_killed(doing),
            }
        }
        while let Some((_, child)) = stop_requested.first() {
            self.show_wait(child, stop_requested.began(), stop_requested.later());
            let Some(process) = child.process() else { break };
            let reason = child.leaving(process).await_killed(&self.report).await;
            stop_requested.tell_first(&reason);
        }
        self.show_half_started(half_started.len());
        for process in half_started {
            let id = label(&*process);
            let (restart, shutdown) = (Restart::Temporary, Shutdown::BrutalKill);
            StopRequest { id: &id, restart, shutdown, process: &process }
                .await_killed(&self.report)
                .await;
        }
    }

    /// From now on it handles nothing, and waits for all of them.
    fn waits_for_all(&self, half_started: &[Arc<dyn AnyProcess>]) -> Vec<WaitEdge> {
        let half_started = half_started.iter().map(|process| process.pid());
        let all = self.children.keys().copied().chain(half_started);
        all.filter_map(|pid| self.report.register_wait(pid, Until::Answer)).collect()
    }

    fn ask_all(&mut self) -> Asked {
        let began = Instant::now();
        let mut stop_requested = Asked::new(&self.report, began);
        for child in std::mem::take(&mut self.children).into_values() {
            let Some(process) = child.process() else { continue };
            let pid = process.pid();
            let due = child.shutdown.grace().map(|grace| after(began, grace));
            match child.shutdown {
                Shutdown::BrutalKill => self.report.runtime.kill(pid),
                _ => self.report.runtime.exit(pid, ExitReason::Shutdown),
            };
            stop_requested.push(due, child);
        }
        stop_requested
    }

    /// Drops the starts under way, and kills and gives what they had started by then.
    async fn drop_helpers(&mut self) -> Vec<Arc<dyn AnyProcess>> {
        if self.helpers.is_empty() && self.done().is_empty() {
            return Vec::new();
        }
        self.helpers.shutdown().await;
        for child in self.take_done().into_iter().filter_map(started_late) {
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
    async fn in_time(
        &self,
        due: Option<Instant>,
        child: &Child,
    ) -> Result<ExitReason, Option<Doing>> {
        let process = child.process().ok_or(None)?;
        let ended = child.leaving(process).ended(&self.report);
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
pub(super) fn answer(replies: Vec<StopReply>) {
    for (at, StopReply { stop_requested, reply }) in replies.into_iter().enumerate() {
        // Who asked after the first asked for what is gone.
        reply.send(match at {
            0 => Ok(()),
            _ => Err(ChildError::NotFound(stop_requested.to_string())),
        });
    }
}

/// What it is called: its id.
fn label(process: &dyn AnyProcess) -> SharedStr {
    process.with(|locked| locked.core().relations()?.label.clone()).unwrap_or("half started".into())
}

/// A child that was started, and not yet told of.
fn started_late(done: Done) -> Option<Child> {
    match done {
        Done::Born { child, outcome: Ok(Some(process)), .. }
        | Done::Reborn { spare: child, outcome: Ok(Some(process)), .. } => {
            Some(Child { state: State::Running(process), ..child })
        }
        _ => None,
    }
}
