//! The process of a dynamic supervisor.
//!
//! Everything in it is an event: a start that came to something, a child that ended, a stop
//! that is over, a time that is up. No handler waits for a child, so a slow init or a slow
//! stop holds up nobody else.
//!
//! **Starts.** A start is polled once where it is asked for; one that isn't done then goes
//! on as a task that the supervisor owns and that falls with it, and with that task the
//! half-started child. The child is linked to the supervisor from before its init on, so one
//! that is started already falls by its link. What a start came to is left in `done`, in the
//! same poll in which it came to it, and the supervisor is told to look: so a supervisor that
//! stops finds every child that was started, told of or not. What was only half started then
//! is killed, and found by its link: the stop waits for its end, too.
//!
//! **A child that ends before its supervisor has heard of its start** leaves an exit from an
//! unknown pid; while starts are under way such exits are kept, and looked for when the pid
//! becomes known.
//!
//! **Stops.** The child is asked, and killed when its time is up; its link's exit ends the
//! stop. One timer serves all stops. Whose time is up is looked at, and every few seconds
//! whoever has all the time there is, so that a child that took its link away is found ended.
//!
//! **Restarts.** A child that is to be started again keeps its old pid as its key until then,
//! and holds a ticket; what comes with another ticket is stale. A start under way that is called
//! off keeps the child known until it has come to something and all of that has ended.
//!
//! **What it publishes** costs one store an event: how many children it has. The first of them
//! it shows as they were when it was last asked for that, and while it stops those that it waits
//! for; a hundred at most.

use std::collections::{BTreeSet, HashMap};
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::base::pid::Pid;
use crate::base::random::Random;
use crate::base::shared_str::SharedStr;
use crate::call::reply::Reply;
use crate::child::Spec;
use crate::exit::reason::{ExitReason, Result};
use crate::message::received::Received;
use crate::restart::window::Window;
use crate::runtime::errors::call_error::StartError;
use crate::server::{GenServer, ServerContext, ServerRef};
use crate::supervisor::dynamic::child::Child;
use crate::supervisor::dynamic::index::Index;
use crate::supervisor::dynamic::spec::DynamicSupervisor;
use crate::supervisor::incarnation::StartOutcome;
use crate::supervisor::info::{ChildCounts, ChildError, ChildInfo};
use crate::supervisor::picture::{Published, Turn};
use crate::supervisor::report::Report;

pub(crate) type PidReply = Reply<Result<Pid, StartError>>;

/// A running dynamic supervisor.
pub(crate) struct DynamicServer {
    pub(super) me: ServerRef<DynamicServer>,
    pub(super) report: Report,
    pub(super) spec: DynamicSupervisor,
    pub(super) window: Window,
    pub(super) random: Random,
    pub(super) children: HashMap<Pid, Child, foldhash::fast::RandomState>,
    pub(super) index: Index,
    /// Starts under way, of new children and of old ones.
    pub(super) starts_in_progress: usize,
    /// Those of new ones.
    pub(super) first_starts: usize,
    /// What calls off the restarts that are under way, by their tickets.
    pub(super) restart_cancellations: HashMap<u64, CancellationToken, foldhash::fast::RandomState>,
    pub(super) background: JoinSet<()>,
    pub(super) completions: Arc<Mutex<Vec<Completion>>>,
    /// Exits of pids that are not known yet.
    pub(super) early_exits: HashMap<Pid, ExitReason, foldhash::fast::RandomState>,
    /// Stops under way, by when they are looked at next.
    pub(super) stop_checks: BTreeSet<(Instant, Pid)>,
    /// When the timer of all stops is due.
    pub(super) stop_timer_due: Option<Instant>,
    /// Who waits for a name to have a holder.
    pub(super) name_waiters: HashMap<SharedStr, Vec<PidReply>>,
    pub(super) last_number: u64,
    pub(super) published: Arc<Published>,
}

/// What a dynamic supervisor can be asked. `Publish` is answered when it has handled what came before
/// that, and shows it in what it publishes.
pub(crate) enum Call {
    StartChild { spec: Arc<Spec>, reply: PidReply },
    GetOrStart { name: SharedStr, spec: Arc<Spec>, reply: PidReply },
    TerminateChild { pid: Pid, reply: Reply<Result<(), ChildError>> },
    WhichChildren(Reply<Vec<ChildInfo>>),
    CountChildren(Reply<ChildCounts>),
    Publish(Reply<()>, Option<Turn>),
}

/// What it tells itself.
pub(crate) enum Cast {
    /// Something lies in `done`.
    HandleCompletions,
    AttemptRestart {
        pid: Pid,
        ticket: u64,
    },
    /// The time of some stop is up.
    CheckStops,
}

/// Whom a start is for.
pub(super) enum Requester {
    Caller(PidReply),
    /// Everybody who waits for this name.
    NameWaiters(SharedStr, Arc<Spec>),
}

/// What a helper is done with.
pub(super) enum Completion {
    Started {
        child: Child,
        requester: Requester,
        outcome: StartOutcome,
    },
    Restarted {
        pid: Pid,
        ticket: u64,
        incarnation: Child,
        outcome: StartOutcome,
    },
    /// What a killed supervisor left has ended.
    OrphansEnded {
        pid: Pid,
        ticket: u64,
    },
    /// A name's holder was on its way, in or out: how is it with the name now?
    NameChanged {
        name: SharedStr,
        spec: Arc<Spec>,
    },
}

impl GenServer for DynamicServer {
    type Args = DynamicSupervisor;
    type Call = Call;
    type Cast = Cast;

    async fn init(spec: DynamicSupervisor, ctx: &mut ServerContext<Self>) -> Result<Self> {
        ctx.trap_exit(true);
        let label = spec.id.clone();
        let published = spec.published();
        published.attach(&*ctx.process);
        Ok(DynamicServer {
            me: ctx.this(),
            report: Report::new(ctx, label),
            random: spec.seed.map_or_else(Random::fresh, Random::seeded),
            spec,
            window: Window::default(),
            children: HashMap::default(),
            index: Index::default(),
            starts_in_progress: 0,
            first_starts: 0,
            restart_cancellations: HashMap::default(),
            background: JoinSet::new(),
            completions: Arc::default(),
            early_exits: HashMap::default(),
            stop_checks: BTreeSet::new(),
            stop_timer_due: None,
            name_waiters: HashMap::new(),
            last_number: 0,
            published,
        })
    }

    async fn handle_call(&mut self, call: Call, ctx: &mut ServerContext<Self>) -> Result {
        let handled = self.handle_request(call, ctx);
        self.published.set_count(self.children.len());
        handled
    }

    async fn handle_cast(&mut self, cast: Cast, ctx: &mut ServerContext<Self>) -> Result {
        let handled = match cast {
            Cast::HandleCompletions => self.handle_completions(ctx),
            Cast::AttemptRestart { pid, ticket } => self.attempt_restart(pid, ticket, ctx),
            Cast::CheckStops => {
                self.check_stops(ctx);
                Ok(())
            }
        };
        self.published.set_count(self.children.len());
        handled
    }

    async fn handle_info(&mut self, info: Received, ctx: &mut ServerContext<Self>) -> Result {
        let handled = match info {
            Received::Exit { from, reason } if self.children.contains_key(&from) => {
                self.child_ended(from, reason, ctx)
            }
            Received::Exit { from, reason } if self.starts_in_progress > 0 => {
                self.early_exits.insert(from, reason);
                Ok(())
            }
            other => {
                self.report.unexpected(&other);
                Ok(())
            }
        };
        self.published.set_count(self.children.len());
        handled
    }

    async fn terminate(&mut self, _: &ExitReason) {
        self.stop_all().await;
    }
}

impl DynamicServer {
    fn handle_request(&mut self, call: Call, ctx: &mut ServerContext<Self>) -> Result {
        match call {
            Call::StartChild { spec, reply } => return self.start_child(spec, reply, ctx),
            Call::GetOrStart { name, spec, reply } => {
                return self.get_or_start(name, spec, reply, ctx);
            }
            Call::TerminateChild { pid, reply } => self.terminate_child(pid, reply, ctx),
            Call::WhichChildren(reply) => reply.send(self.which_children()),
            Call::CountChildren(reply) => reply.send(self.count_children()),
            Call::Publish(reply, turn) => {
                drop(turn);
                self.publish();
                reply.send(());
            }
        }
        Ok(())
    }

    /// Goes through what helpers are done with.
    fn handle_completions(&mut self, ctx: &mut ServerContext<Self>) -> Result {
        while self.background.try_join_next().is_some() {}
        let mut all = self.take_completions().into_iter();
        while let Some(completion) = all.next() {
            let handled = match completion {
                Completion::Started { child, requester, outcome } => {
                    self.first_starts -= 1;
                    self.starts_in_progress -= 1;
                    self.start_done(child, requester, outcome, ctx)
                }
                Completion::Restarted { pid, ticket, incarnation, outcome } => {
                    self.starts_in_progress -= 1;
                    self.restart_cancellations.remove(&ticket);
                    self.restart_done((pid, ticket), incarnation, outcome, ctx)
                }
                Completion::OrphansEnded { pid, ticket } => self.orphans_ended(pid, ticket, ctx),
                Completion::NameChanged { name, spec } => self.resolve_name(name, spec, ctx),
            };
            if handled.is_err() {
                // It gives up: the others are stopped with the rest.
                self.completions().extend(all);
                return handled;
            }
        }
        if self.starts_in_progress == 0 {
            // Strangers', after all.
            self.early_exits.clear();
        }
        Ok(())
    }

    pub(super) fn take_completions(&self) -> Vec<Completion> {
        std::mem::take(&mut *self.completions())
    }

    pub(super) fn completions(&self) -> MutexGuard<'_, Vec<Completion>> {
        self.completions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has this done beside the loop, and looked at afterwards.
    pub(super) fn run_in_background(
        &mut self,
        work: impl Future<Output = Completion> + Send + 'static,
    ) {
        let (completions, me) = (self.completions.clone(), self.me.clone());
        self.background.spawn(async move {
            let completion = work.await;
            completions.lock().unwrap_or_else(PoisonError::into_inner).push(completion);
            // A supervisor that is gone by now has nothing to look at.
            drop(me.cast_wait(Cast::HandleCompletions).await);
        });
    }

    pub(super) fn next_number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }
}
