//! The server process of a dynamic supervisor.
//!
//! # Guarantees
//!
//! The server never waits for a child while it serves requests. Each of these is an event of its
//! own: the end of a start, of a stop or of a delay, and the exit of a child. So a slow `init` or a
//! slow stop delays no other child. Only [`stop_all`](DynamicServer::stop_all) waits; it runs in
//! `terminate`.
//!
//! # The states of a child
//!
//! ```text
//!  start_child
//!       │
//!       ▼
//!   Starting ────▶ Running ◀─── ended / started ───▶ Restarting ─── budget used up ──▶ GivenUp
//!  (in no table)      │                                  │                                │
//!                     │ terminate                        │ terminate during               │ terminate, or
//!                     │                                  │ its start                      │ a start under
//!                     ▼                                  ▼                                │ its name
//!                 Stopping ◀──── start succeeded ─── Cancelled                            │
//!                     │ exit                             │ start failed                   │
//!                     ▼                                  ▼                                ▼
//!                 (removed)                          (removed)                        (removed)
//! ```
//!
//! A child is also removed in three other cases: it ends and its restart type requires no restart,
//! it is terminated while it waits for its restart, or it chooses not to run at a restart. If a
//! child has used up a budget of its own, [`Exhausted`] decides whether the child is given up, the
//! child is removed, or the supervisor ends. If the children have used up a shared budget, the
//! supervisor ends.
//!
//! [`Exhausted`]: crate::Exhausted
//!
//! # Starts
//!
//! 1. The handler that begins a start polls the start once. Most starts of tasks finish there.
//! 2. A first start of a server is listed, and the server acknowledges its `init` by a notice:
//!    [`half_started`](super::half_started).
//! 3. Any other pending start continues as a background task. When the server stops, it aborts this
//!    task, and the drop of the task kills the half-started child.
//! 4. The task pushes its result to `completions` in the poll that produces the result, and then
//!    sends [`Cast::HandleCompletions`].
//!
//! # Invariants
//!
//! 1. A child is linked to the supervisor before its `init` runs, so the end of the supervisor
//!    ends every child, started or half started.
//! 2. A stopping supervisor finds every started child: in `children`, or, if the server has not
//!    handled the start yet, in `completions`. The supervisor finds half-started children by their
//!    links, kills them, and waits for their ends.
//! 3. A child may end before the server has handled its start. So while any start is in progress,
//!    the pid of an exit of an unknown process is kept in `early_exits`. The exit is handled when
//!    the pid becomes known. When no start is in progress, all early exits are dropped. Exits of
//!    processes of other nodes are not kept, because no child runs there.
//! 4. A child that restarts keeps its old pid as its key until the restart succeeds, and holds the
//!    id of its retry. A completion or a cast with another id is stale and is ignored.
//! 5. A child whose restart is cancelled stays known until the start has finished and the processes
//!    of that start have ended ([`cancelled_restart`](super::cancelled_restart)).
//! 6. One timer serves all stops: it fires at the earliest entry of `stop_checks`. A child is
//!    killed when its shutdown time is over. A child that was killed is checked every few seconds, and
//!    each check is logged until the child ends.
//! 7. Every event publishes the number of children with one atomic store. The published list holds
//!    at most a hundred children: the first ones at the time of the last request for the list or,
//!    while the supervisor stops, the children that it waits for.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::base::random::{MapHasher, Random};
use crate::base::{Pid, SharedStr};
use crate::call::Reply;
use crate::child::Spec;
use crate::exit::{ExitReason, Result};
use crate::message::Received;
use crate::restart::{Rules, Window};
use crate::server::{GenServer, ServerContext, ServerRef};
use crate::supervisor::dynamic::completion::{Completion, PidReply, Retry};
use crate::supervisor::dynamic::fold::{FoldAnswer, FoldRequest};
use crate::supervisor::dynamic::{Child, Completions, HalfStarted, Notice, RestartReply};
use crate::supervisor::{
    ChildCounts, ChildError, ChildInfo, DynamicSupervisor, ExactChild, PublishPermit,
    PublishedCell, Report,
};

/// A running dynamic supervisor.
pub(crate) struct DynamicServer {
    pub(super) own_ref: ServerRef<DynamicServer>,
    pub(super) report: Report,
    pub(super) spec: DynamicSupervisor,
    pub(super) window: Window,
    pub(super) random: Random,
    pub(super) children: HashMap<Pid, Child, MapHasher>,
    /// Maps the pid of a child's first incarnation to the pid of its latest one. A child whose two
    /// pids are equal has no entry.
    pub(super) last_pids: HashMap<Pid, Pid, MapHasher>,
    pub(super) given_up_by_name: HashMap<SharedStr, Pid, MapHasher>,
    /// The given-up children, by a number that grows with each child that is given up. The first
    /// entry was given up first.
    pub(super) given_up_by_age: BTreeMap<u64, Pid>,
    /// The number of first starts in progress: background tasks, and servers in their `init`.
    pub(super) first_starts: usize,
    /// The tokens that cancel the background restarts in progress, by the ids of their retries.
    pub(super) restart_cancellations: HashMap<u64, CancellationToken, MapHasher>,
    /// The requests to restart a child, by the ids of their retries.
    pub(super) requested_restarts: HashMap<u64, (SharedStr, RestartReply), MapHasher>,
    /// The background tasks: starts, and waits for names and orphans.
    pub(super) background: JoinSet<()>,
    /// The results of background tasks that the server has not handled yet.
    pub(super) completions: Arc<Completions>,
    /// The servers whose first start is in progress, and whose `init` is running.
    pub(super) half_started: HashMap<Pid, HalfStarted, MapHasher>,
    /// An empty buffer for the notices of these servers.
    pub(super) notices: Vec<Notice>,
    /// The unknown pids of which an `Exit` has arrived. Invariant 3.
    pub(super) early_exits: HashSet<Pid, MapHasher>,
    /// The stops in progress, by the time of their next check. Invariant 6.
    pub(super) stop_checks: BTreeSet<(Instant, Pid)>,
    /// The time at which the timer of all stops fires, if it is set.
    pub(super) stop_timer_due: Option<Instant>,
    /// The callers of `get_or_start` that wait, by name.
    pub(super) name_waiters: HashMap<SharedStr, Vec<PidReply>, MapHasher>,
    /// The last number that was given to a child, a retry, or a child that was given up.
    pub(super) last_number: u64,
    pub(super) published: Arc<PublishedCell>,
}

/// The requests to a dynamic supervisor.
pub(crate) enum Call {
    StartChild {
        spec: Arc<Spec>,
        reply: PidReply,
    },
    GetOrStart {
        name: SharedStr,
        spec: Arc<Spec>,
        reply: PidReply,
    },
    TerminateChild {
        pid: Pid,
        reply: Reply<Result<(), ChildError>>,
    },
    TerminateExactly(ExactChild, Reply<Result<(), ChildError>>),
    RestartExactly(ExactChild, RestartReply),
    WhichChildren(Reply<Vec<ChildInfo>>),
    CountChildren(Reply<ChildCounts>),
    /// Asks for the counts of children, and for the worst ones.
    Fold(Reply<FoldAnswer>, Box<FoldRequest>, PublishPermit),
    /// Publishes the current children. The reply is sent after all earlier messages were handled.
    Publish(Reply<()>, Option<PublishPermit>),
}

/// The messages that the server sends to itself.
pub(crate) enum Cast {
    /// `completions` is not empty.
    HandleCompletions,
    /// This retry is due.
    Retry(Retry),
    /// The timer of all stops has fired.
    CheckStops,
}

impl GenServer for DynamicServer {
    type Args = DynamicSupervisor;
    type Call = Call;
    type Cast = Cast;

    async fn init(spec: DynamicSupervisor, ctx: &mut ServerContext<Self>) -> Result<Self> {
        ctx.trap_exit(true);
        let label = spec.id.clone();
        let published = spec.published();
        let source = published.attach(&ctx.runtime(), &*ctx.process, true);
        let report = Report::new(ctx, label, source);
        let intensity = spec.child_budget.map_or(spec.intensity, |own| own.intensity);
        let rules = Rules { backoff: spec.backoff, intensity };
        report
            .process
            .with(|locked| locked.core().supervisor_record_mut().child_rules = Some(rules));
        Ok(DynamicServer {
            own_ref: ctx.this(),
            report,
            random: spec.seed.map_or_else(Random::fresh, Random::seeded),
            spec,
            window: Window::default(),
            children: HashMap::default(),
            last_pids: HashMap::default(),
            given_up_by_name: HashMap::default(),
            given_up_by_age: BTreeMap::new(),
            first_starts: 0,
            restart_cancellations: HashMap::default(),
            requested_restarts: HashMap::default(),
            background: JoinSet::new(),
            completions: Completions::new(DynamicServer::notifier(ctx.process.clone())),
            half_started: HashMap::default(),
            notices: Vec::new(),
            early_exits: HashSet::default(),
            stop_checks: BTreeSet::new(),
            stop_timer_due: None,
            name_waiters: HashMap::default(),
            last_number: 0,
            published,
        })
    }

    async fn handle_call(&mut self, call: Call, ctx: &mut ServerContext<Self>) -> Result {
        let handled = self.handle_request(call, ctx);
        self.publish_count();
        handled
    }

    async fn handle_cast(&mut self, cast: Cast, ctx: &mut ServerContext<Self>) -> Result {
        let handled = match cast {
            Cast::HandleCompletions => self.handle_completions(ctx),
            Cast::Retry(retry) => self.retry(retry, ctx),
            Cast::CheckStops => self.check_stops(ctx),
        };
        self.publish_count();
        handled
    }

    async fn handle_info(&mut self, info: Received, ctx: &mut ServerContext<Self>) -> Result {
        let handled = match info {
            Received::Exit { from, .. } if self.children.contains_key(&from) => {
                self.exit_arrived(from, ctx)
            }
            Received::Exit { from, .. } if self.is_starting() && !from.is_foreign() => {
                self.early_exits.insert(from);
                Ok(())
            }
            other => {
                self.report.unexpected_message(&other);
                Ok(())
            }
        };
        self.publish_count();
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
            Call::TerminateExactly(child, reply) => self.terminate_exactly(&child, reply, ctx),
            Call::RestartExactly(child, reply) => return self.restart_exactly(&child, reply, ctx),
            Call::WhichChildren(reply) => reply.send(self.which_children()),
            Call::CountChildren(reply) => reply.send(self.count_children()),
            Call::Fold(reply, request, turn) => {
                drop(turn);
                reply.send(self.fold(&request));
            }
            Call::Publish(reply, turn) => {
                drop(turn);
                self.publish();
                reply.send(());
            }
        }
        Ok(())
    }

    /// Handles the results of background tasks.
    fn handle_completions(&mut self, ctx: &mut ServerContext<Self>) -> Result {
        self.handle_notices(ctx)?;
        while self.background.try_join_next().is_some() {}
        let mut all = self.take_completions().into_iter();
        while let Some(completion) = all.next() {
            let handled = match completion {
                Completion::Started { child, requester, outcome } => {
                    self.first_starts -= 1;
                    self.start_done(child, requester, outcome, ctx)
                }
                Completion::Restarted { retry, incarnation, outcome } => {
                    self.restart_cancellations.remove(&retry.id);
                    self.restart_done(retry, incarnation, outcome, ctx)
                }
                Completion::OrphansEnded(retry) => self.orphans_ended(retry, ctx),
                Completion::NameChanged { name, spec } => self.resolve_name(name, spec, ctx),
            };
            if handled.is_err() {
                // The supervisor gives up. `stop_all` finds the other results. Invariant 2.
                self.completions.lock().completions.extend(all);
                return handled;
            }
        }
        if !self.is_starting() {
            // The remaining exits belong to no child. Invariant 3.
            self.early_exits.clear();
        }
        Ok(())
    }

    /// Returns whether a first start or a restart is in progress in the background.
    fn is_starting(&self) -> bool {
        self.first_starts > 0 || !self.restart_cancellations.is_empty()
    }

    pub(super) fn take_completions(&self) -> Vec<Completion> {
        std::mem::take(&mut self.completions.lock().completions)
    }

    /// Runs `work` in a background task. The server handles the result.
    pub(super) fn run_in_background(
        &mut self,
        work: impl Future<Output = Completion> + Send + 'static,
    ) {
        let (completions, own_ref) = (self.completions.clone(), self.own_ref.clone());
        self.background.spawn(async move {
            let completion = work.await;
            completions.lock().completions.push(completion);
            // The cast fails only if the server has ended.
            drop(own_ref.cast_wait(Cast::HandleCompletions).await);
        });
    }
}
