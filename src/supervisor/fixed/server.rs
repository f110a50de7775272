//! The process of a fixed supervisor, which is a server.
//!
//! The supervisor traps exits and is linked to its children. While the supervisor waits for one
//! child, the exits of the other children stay in its mailbox. When the supervisor has stopped a
//! child, the link is removed and no exit of that child is in the mailbox. So if an exit arrives
//! from a pid that belongs to no child, another process has sent it. An exit from the pid of a
//! child is the end of the child, or was sent by the child
//! ([`child_exit`](crate::supervisor::child_exit)).
//!
//! Apart from messages, the supervisor waits only for the events below. Like a supervisor of OTP,
//! it handles no request during such a wait.
//!
//! | waits for | where | why |
//! |---|---|---|
//! | a child's `init`, or a [`StartChild`](crate::StartChild) | `start` | children start in order, each after the one before is ready; bounded by the child's `init_timeout`, if it has one |
//! | `ready_within` | `until_ready` | the same order; bounded by that limit |
//! | the end of a child that it stops | `stop` | children stop in reverse order, one at a time; bounded by the child's shutdown time and, unless that is infinite, by the kill that follows |
//! | the end of a child that it killed | `await_killed` | names and `Down`s must be final before a successor starts; unbounded for a body that never awaits, which is logged every 5 s |
//! | its own init | `resolve_spec` | there is no child yet |
//!
//! The loop does not wait for orphans of a killed supervisor: a background task does. It does not
//! wait for the delay of a backoff either: the delay is a timer.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::base::failpoint::step;
use crate::base::random::{MapHasher, Random};
use crate::base::{Pid, SharedStr};
use crate::call::Reply;
use crate::child::{ChildSpec, Spec};
use crate::exit::{Crash, ExitReason, Result};
use crate::message::Received;
use crate::restart::{Backoff, Intensity, Rules, Window};
use crate::runtime::StartError;
use crate::server::{GenServer, ServerContext, ServerRef};
use crate::supervisor::fixed::Children;
use crate::supervisor::{
    AutoShutdown, ChildCounts, ChildError, ChildInfo, Decision, ExactChild, Position,
    PublishPermit, PublishedCell, Report, Step, StopRequest, Strategy, SupervisorContext,
    SupervisorSpec, stop,
};

/// The state of a running fixed supervisor.
pub(crate) struct FixedServer {
    pub(crate) own_ref: ServerRef<FixedServer>,
    pub(crate) report: Report,
    pub(crate) children: Children,
    pub(crate) strategy: Strategy,
    pub(crate) intensity: Intensity,
    pub(crate) window: Window,
    pub(crate) auto_shutdown: AutoShutdown,
    /// The number of significant children that the step in progress has not started yet. The step
    /// is a restart of a group, or the start of the supervisor.
    pub(crate) still_to_start: usize,
    /// The backoff of children that have none of their own.
    pub(crate) backoff: Option<Backoff>,
    pub(crate) random: Random,
    /// The id of the last retry. A retry is stale if its child does not wait for this id.
    pub(crate) last_retry_id: u64,
    /// The background tasks that wait for orphans.
    pub(crate) background: JoinSet<()>,
    /// Requested starts that wait for orphans, by the ids of their retries.
    pub(crate) waiting_requests: HashMap<u64, RestartRequest, MapHasher>,
}

/// A requested start: the id of the child, and the reply to the request.
type RestartRequest = (SharedStr, Reply<Result<Pid, ChildError>>);

/// The requests to a supervisor. `Publish` is answered when the supervisor has handled all earlier
/// messages and its published state shows the result.
pub(crate) enum Call {
    StartChild { spec: Arc<Spec>, reply: Reply<Result<Pid, StartError>> },
    TerminateChild { id: String, reply: Reply<Result<(), ChildError>> },
    RestartChild { id: String, reply: Reply<Result<Pid, ChildError>> },
    TerminateExactly { child: ExactChild, reply: Reply<Result<(), ChildError>> },
    RestartExactly { child: ExactChild, reply: Reply<Result<Pid, ChildError>> },
    DeleteChild { id: String, reply: Reply<Result<(), ChildError>> },
    WhichChild { id: String, reply: Reply<Result<ChildInfo, ChildError>> },
    ChildSpec { id: String, reply: Reply<Result<ChildSpec, ChildError>> },
    WhichChildren(Reply<Vec<ChildInfo>>),
    CountChildren(Reply<ChildCounts>),
    Publish(Reply<()>, Option<PublishPermit>),
}

/// The message of a supervisor to itself: a retry is due. The retry is stale if the child does not
/// wait for this id.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Retry {
    pub(crate) position: Position,
    pub(crate) id: u64,
}

impl GenServer for FixedServer {
    type Args = SupervisorSpec;
    type Call = Call;
    type Cast = Retry;

    async fn init(spec: SupervisorSpec, ctx: &mut ServerContext<Self>) -> Result<Self> {
        ctx.trap_exit(true);
        let published = PublishedCell::new("", Step::RunningInit { since: Instant::now() });
        let source = published.attach(&ctx.runtime(), &*ctx.process, false);
        step!("before a supervisor's init");
        let spec = with_partitions(resolve_spec(spec, ctx).await?, &published);
        let mut tree = FixedServer {
            own_ref: ctx.this(),
            report: Report { acks: Some(Arc::default()), ..Report::new(ctx, spec.id, source) },
            children: Children::new(published),
            strategy: spec.strategy,
            intensity: spec.intensity,
            window: Window::default(),
            auto_shutdown: spec.auto_shutdown,
            still_to_start: spec.children.iter().filter(|child| child.spec.significant).count(),
            backoff: spec.backoff,
            random: spec.seed.map_or_else(Random::fresh, Random::seeded),
            last_retry_id: 0,
            background: JoinSet::new(),
            waiting_requests: HashMap::default(),
        };
        let rules = Rules { backoff: tree.backoff, intensity: tree.intensity };
        let process = &tree.report.process;
        process.with(|locked| locked.core().supervisor_record_mut().child_rules = Some(rules));
        tree.publish_description();
        for child in spec.children {
            // A panic ends the supervisor after the children that were started have stopped.
            let added = AssertUnwindSafe(tree.add(child.spec, ctx)).catch_unwind().await;
            let reason = match added {
                Ok(Ok(Ok(()))) => continue,
                Ok(Ok(Err(reason))) => reason,
                Ok(Err(error)) => ctx.refuse(error),
                Err(payload) => ExitReason::Crashed(Crash::from_panic(payload)),
            };
            tree.stop_all().await;
            return Err(reason);
        }
        tree.report.source.has_started();
        Ok(tree)
    }

    async fn handle_call(&mut self, call: Call, _: &mut ServerContext<Self>) -> Result {
        match call {
            Call::StartChild { spec, reply } => return self.start_child(spec, reply).await,
            Call::TerminateChild { id, reply } => reply.send(self.terminate_child(&id).await),
            Call::RestartChild { id, reply } => return self.restart_child(&id, reply).await,
            Call::TerminateExactly { child, reply } => self.terminate_exactly(child, reply).await,
            Call::RestartExactly { child, reply } => {
                return self.restart_exactly(child, reply).await;
            }
            Call::DeleteChild { id, reply } => reply.send(self.delete_child(&id)),
            Call::WhichChild { id, reply } => reply.send(self.which_child(&id)),
            Call::ChildSpec { id, reply } => reply.send(self.child_spec(&id)),
            Call::WhichChildren(reply) => reply.send(self.which_children()),
            Call::CountChildren(reply) => reply.send(self.count_children()),
            Call::Publish(reply, turn) => {
                drop(turn);
                self.publish_budget(Instant::now());
                reply.send(());
            }
        }
        Ok(())
    }

    async fn handle_cast(&mut self, retry: Retry, ctx: &mut ServerContext<Self>) -> Result {
        self.retry(retry, ctx).await
    }

    async fn handle_info(&mut self, info: Received, ctx: &mut ServerContext<Self>) -> Result {
        if let Received::Exit { from, .. } = &info
            && let Some(position) = self.children.by_pid(*from)
        {
            return match self.children.reason_of_end(position, &self.report) {
                Some(reason) => self.child_ended(position, *from, reason, ctx).await,
                None => Ok(()),
            };
        }
        self.report.unexpected_message(&info);
        Ok(())
    }

    async fn terminate(&mut self, _: &ExitReason) {
        self.stop_all().await;
    }
}

/// Returns the description to run. If the supervisor has its own init, calls the init and returns
/// the description from it.
async fn resolve_spec(
    spec: SupervisorSpec,
    ctx: &mut ServerContext<FixedServer>,
) -> Result<SupervisorSpec> {
    let Some(init) = spec.init.clone() else { return Ok(spec) };
    let cause = ctx.start_cause().clone();
    let own = SupervisorContext::new(ctx.runtime(), ctx.pid(), cause);
    let given = match init(own.clone()).await {
        Ok(given) => given.with_identity_of(&spec).map_err(|error| ctx.refuse(error))?,
        Err(reason) if own.is_own_ignore(&reason) => return Err(ctx.ignore()),
        Err(reason) => return Err(reason),
    };
    given.check().map_err(|error| ctx.refuse(error))?;
    Ok(given)
}

/// Returns the description with the present number of partitions, if the children are partitions.
/// The ids of partitions are numbers. A child with another id was added by the user, and follows
/// the partitions.
fn with_partitions(mut spec: SupervisorSpec, published: &PublishedCell) -> SupervisorSpec {
    if let Some(partitions) = spec.partitions.take() {
        spec.children.retain(|child| child.id().parse::<usize>().is_err());
        spec.children.splice(0..0, partitions.children());
        published.set_partitions(partitions);
    }
    spec
}

impl FixedServer {
    /// Adds a child after the others and starts it. The outer error names the child. The inner
    /// error is the reason of a supervisor that ends. There are two causes: a decision of the
    /// child, or a limit that was reached by a child that [retries its first
    /// start](crate::ChildSpec::retry_first_start).
    async fn add(
        &mut self,
        spec: Arc<Spec>,
        ctx: &mut ServerContext<Self>,
    ) -> Result<Result, StartError> {
        let (id, retries) = (spec.id.clone(), spec.retry_first_start);
        self.still_to_start = self.still_to_start.saturating_sub(usize::from(spec.significant));
        let position = self.children.add(spec);
        let Err(failure) = self.start_incarnation(position).await else { return Ok(Ok(())) };
        let ends_tree = failure.decided == Some(Decision::EndTree);
        if ends_tree || (retries && failure.error.may_pass()) {
            return Ok(self.start_failed(position, failure, ctx).await.map(drop));
        }
        Err(StartError::of_child(id.to_string(), failure.error))
    }

    /// Stops all children, one at a time, in reverse order.
    async fn stop_all(&mut self) {
        self.report.begin_shutdown();
        let mut now = Instant::now();
        self.children.published.begin_ending(now);
        while let Some(position) = self.children.last_position() {
            let Some((child, process)) = self.children.begin_stop(position, now) else {
                self.children.remove(position);
                continue;
            };
            let stopped = StopRequest::of(&child.spec, process);
            let (reason, ended) = stop(&self.report, stopped, now).await;
            now = ended;
            self.children.remove_stopped(position, reason, ended);
        }
    }

    /// Publishes the strategy and the budget, before the first child is started.
    fn publish_description(&self) {
        let (strategy, now) = (self.strategy.name(), Instant::now());
        let budget = self.window.budget(self.intensity, now);
        self.children.published.change(|state| {
            (state.strategy, state.since) = (strategy, now);
            state.set_budget(budget, now);
            state.step = Step::Serving;
        });
    }

    /// Publishes the budget. This happens after each counted restart, and on request.
    pub(crate) fn publish_budget(&self, now: Instant) {
        let Some(budget) = self.window.budget(self.intensity, now) else { return };
        self.children.published.change(|state| state.set_budget(Some(budget), now));
    }
}
