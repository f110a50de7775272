//! The tree of a listener: its processes, and how they find each other.

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::stream::FuturesUnordered;

use crate::base::{Pid, PlainMutex};
use crate::child::{ChildSpec, OnceChild, StartChild, StartContext, Started, TaskContext};
use crate::exit::{Result, Shutdown};
use crate::net::accept_errors::FailureLog;
use crate::net::acceptor::{Acceptor, Make, Settings};
use crate::net::port::{Announce, Borrow, Incoming, PortLease};
use crate::runtime::{Runtime, StartError};
use crate::supervisor::dynamic::DynamicServer;
use crate::supervisor::{DynamicSupervisor, DynamicSupervisorRef, Supervisor, SupervisorSpec};

/// What each incarnation of a listener is made of.
pub(crate) struct Plan<I> {
    pub(crate) borrow: Borrow<I>,
    /// Whether the `Keep` of the port belongs to the user.
    pub(crate) is_users: bool,
    pub(crate) make: Make<I>,
    pub(crate) settings: Settings,
    pub(crate) announce: Announce,
}

impl<I: Incoming> Plan<I> {
    /// Returns the supervisor of one incarnation.
    pub(crate) fn tree(self) -> SupervisorSpec {
        let connections = Connections::default();
        let child = connections.child();
        let acceptor = ChildSpec::new("acceptor", AcceptorStart(self, connections));
        Supervisor::rest_for_one().child(child).child(acceptor)
    }

    fn acceptor(
        self,
        lease: PortLease<I>,
        ctx: &TaskContext,
        connections: DynamicSupervisorRef,
    ) -> Acceptor<I> {
        Acceptor {
            failures: FailureLog::new(ctx.pid(), lease.address()),
            lease: lease.owned_by(ctx.pid()),
            make: self.make,
            settings: self.settings,
            runtime: ctx.runtime(),
            connections,
            starts: FuturesUnordered::new(),
            live: FuturesUnordered::new(),
            pause: None,
            is_orphaned: false,
        }
    }
}

impl<I> Clone for Plan<I> {
    fn clone(&self) -> Self {
        Plan {
            borrow: self.borrow.clone(),
            is_users: self.is_users,
            make: self.make.clone(),
            settings: self.settings.clone(),
            announce: self.announce.clone(),
        }
    }
}

/// The pid of the supervisor of the connections, in one incarnation of the supervisor above. A
/// restart replaces the pid before the children behind it, which use it, are started again.
#[derive(Debug, Clone, Default)]
pub(crate) struct Connections(Arc<PlainMutex<Option<Pid>>>);

impl Connections {
    /// Returns the supervisor as a child.
    pub(crate) fn child(&self) -> ChildSpec {
        let spec = DynamicSupervisor::new();
        let start = ConnectionsStart(spec.clone(), self.clone());
        ChildSpec::new("connections", start).supervisor(None, Arc::new(spec))
    }

    /// Returns a handle to the supervisor; `None` if it has ended since its start.
    pub(crate) fn find(&self, runtime: &Runtime) -> Option<DynamicSupervisorRef> {
        let server = runtime.server_at((*self.0.lock())?).ok()?;
        Some(DynamicSupervisorRef { server })
    }
}

/// Starts the supervisor of the connections, and notes its pid.
struct ConnectionsStart(DynamicSupervisor, Connections);

#[async_trait]
impl StartChild for ConnectionsStart {
    async fn start(&self, ctx: &mut StartContext) -> Result<Started, StartError> {
        let started = ctx.server::<DynamicServer>(self.0.clone().with_id("connections")).await?;
        *self.1.0.lock() = Some(started.pid());
        Ok(started)
    }
}

/// Binds the port, unless it is bound, and starts the acceptor.
struct AcceptorStart<I>(Plan<I>, Connections);

#[async_trait]
impl<I: Incoming> StartChild for AcceptorStart<I> {
    async fn start(&self, ctx: &mut StartContext) -> Result<Started, StartError> {
        let AcceptorStart(plan, connections) = self;
        // The supervisor may have ended since its start: both are restarted.
        let Some(connections) = connections.find(ctx.runtime()) else {
            let reason = crate::exit::ExitReason::NoProc;
            return Err(StartError::Failed(reason));
        };
        let port = plan.borrow.lend().await.map_err(StartError::Failed)?;
        let owner = (ctx.runtime().clone(), ctx.supervisor());
        let borrow = (plan.borrow.clone(), plan.is_users);
        let lease = PortLease::new(port, borrow, plan.announce.clone(), owner);
        let plan = plan.clone();
        ctx.task(async move |task: TaskContext| {
            let acceptor = plan.acceptor(lease, &task, connections);
            acceptor.run().await
        })
        .await
    }
}

/// Makes the body of a connection see its stop, if connections finish at a stop. Otherwise a stop
/// drops the body at its next await.
pub(crate) fn drained(mut ctx: TaskContext, drains: bool) -> TaskContext {
    if drains {
        drop(ctx.cancellation_token());
    }
    ctx
}

/// Returns the specification of a connection, with the time that it has at a stop.
pub(crate) fn connection<V>(child: OnceChild<V>, settings: &Settings) -> ChildSpec {
    match settings.drain {
        Some(limit) => child.or_shutdown(Shutdown::Timeout(limit)).spec,
        None => child.spec,
    }
}
