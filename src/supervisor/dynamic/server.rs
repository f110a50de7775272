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
use crate::runtime::errors::start_error::StartError;
use crate::server::{GenServer, ServerContext, ServerRef};
use crate::supervisor::dynamic::child::Child;
use crate::supervisor::dynamic::given_up::Index;
use crate::supervisor::dynamic::spec::DynamicSupervisor;
use crate::supervisor::incarnation::StartOutcome;
use crate::supervisor::info::{ChildCounts, ChildError, ChildInfo};
use crate::supervisor::published_state::{PublishPermit, PublishedCell};
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
    pub(super) starting: usize,
    /// Those of new ones.
    pub(super) births: usize,
    /// What calls off the restarts that are under way, by their tickets.
    pub(super) under_way: HashMap<u64, CancellationToken, foldhash::fast::RandomState>,
    pub(super) helpers: JoinSet<()>,
    pub(super) done: Arc<Mutex<Vec<Done>>>,
    /// Exits of pids that are not known yet.
    pub(super) early: HashMap<Pid, ExitReason, foldhash::fast::RandomState>,
    /// Stops under way, by when they are looked at next.
    pub(super) stopping: BTreeSet<(Instant, Pid)>,
    /// When the timer of all stops is due.
    pub(super) next_sweep: Option<Instant>,
    /// Who waits for a name to have a holder.
    pub(super) finds: HashMap<SharedStr, Vec<PidReply>>,
    pub(super) next: u64,
    pub(super) published: Arc<PublishedCell>,
}

/// What a dynamic supervisor can be asked. `Publish` is answered when it has handled what came before
/// that, and shows it in what it publishes.
pub(crate) enum Call {
    StartChild { spec: Arc<Spec>, reply: PidReply },
    Find { name: SharedStr, spec: Arc<Spec>, reply: PidReply },
    TerminateChild { pid: Pid, reply: Reply<Result<(), ChildError>> },
    WhichChildren(Reply<Vec<ChildInfo>>),
    CountChildren(Reply<ChildCounts>),
    Publish(Reply<()>, Option<PublishPermit>),
}

/// What it tells itself.
pub(crate) enum Cast {
    /// Something lies in `done`.
    Look,
    TryAgain {
        pid: Pid,
        ticket: u64,
    },
    /// The time of some stop is up.
    Sweep,
}

/// Whom a start is for.
pub(super) enum For {
    One(PidReply),
    /// Everybody who waits for this name.
    Name(SharedStr, Arc<Spec>),
}

/// What a helper is done with.
pub(super) enum Done {
    Born {
        child: Child,
        whom: For,
        outcome: StartOutcome,
    },
    Reborn {
        pid: Pid,
        ticket: u64,
        spare: Child,
        outcome: StartOutcome,
    },
    /// What a killed supervisor left has ended.
    Alone {
        pid: Pid,
        ticket: u64,
    },
    /// A name's holder was on its way, in or out: how is it with the name now?
    Waited {
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
            starting: 0,
            births: 0,
            under_way: HashMap::default(),
            helpers: JoinSet::new(),
            done: Arc::default(),
            early: HashMap::default(),
            stopping: BTreeSet::new(),
            next_sweep: None,
            finds: HashMap::new(),
            next: 0,
            published,
        })
    }

    async fn handle_call(&mut self, call: Call, ctx: &mut ServerContext<Self>) -> Result {
        let handled = self.called(call, ctx);
        self.published.set_count(self.children.len());
        handled
    }

    async fn handle_cast(&mut self, cast: Cast, ctx: &mut ServerContext<Self>) -> Result {
        let handled = match cast {
            Cast::Look => self.look(ctx),
            Cast::TryAgain { pid, ticket } => self.try_again(pid, ticket, ctx),
            Cast::Sweep => {
                self.sweep(ctx);
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
            Received::Exit { from, reason } if self.starting > 0 => {
                self.early.insert(from, reason);
                Ok(())
            }
            other => {
                self.report.unexpected_message(&other);
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
    fn called(&mut self, call: Call, ctx: &mut ServerContext<Self>) -> Result {
        match call {
            Call::StartChild { spec, reply } => return self.start_child(spec, reply, ctx),
            Call::Find { name, spec, reply } => return self.find(name, spec, reply, ctx),
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
    fn look(&mut self, ctx: &mut ServerContext<Self>) -> Result {
        while self.helpers.try_join_next().is_some() {}
        let mut all = self.take_done().into_iter();
        while let Some(done) = all.next() {
            let looked = match done {
                Done::Born { child, whom, outcome } => {
                    self.births -= 1;
                    self.starting -= 1;
                    self.start_done(child, whom, outcome, ctx)
                }
                Done::Reborn { pid, ticket, spare, outcome } => {
                    self.starting -= 1;
                    self.under_way.remove(&ticket);
                    self.restart_done((pid, ticket), spare, outcome, ctx)
                }
                Done::Alone { pid, ticket } => self.is_alone(pid, ticket, ctx),
                Done::Waited { name, spec } => self.look_again(name, spec, ctx),
            };
            if looked.is_err() {
                // It gives up: the others are stopped with the rest.
                self.done().extend(all);
                return looked;
            }
        }
        if self.starting == 0 {
            // Strangers', after all.
            self.early.clear();
        }
        Ok(())
    }

    pub(super) fn take_done(&self) -> Vec<Done> {
        std::mem::take(&mut *self.done())
    }

    pub(super) fn done(&self) -> MutexGuard<'_, Vec<Done>> {
        self.done.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has this done beside the loop, and looked at afterwards.
    pub(super) fn aside(&mut self, work: impl Future<Output = Done> + Send + 'static) {
        let (done, me) = (self.done.clone(), self.me.clone());
        self.helpers.spawn(async move {
            let what = work.await;
            done.lock().unwrap_or_else(PoisonError::into_inner).push(what);
            // A supervisor that is gone by now has nothing to look at.
            drop(me.cast_wait(Cast::Look).await);
        });
    }

    pub(super) fn fresh(&mut self) -> u64 {
        self.next += 1;
        self.next
    }
}
