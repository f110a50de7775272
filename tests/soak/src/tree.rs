//! The tree under test.
//!
//! ```text
//! soak              one_for_one
//!   metrics         the exporter of metrics
//!   observer        the page, and its events
//!   accounts        one_for_one: servers that are called, and that fail
//!   front           a server whose handler calls the accounts
//!   slow            a server that answers too late
//!   sink, gate      servers with small mailboxes, that drop and refuse
//!   jobs            one_for_one: tasks that fail
//!   trio            one_for_all: tasks that fail together
//!   victims         one_for_one: tasks that are killed
//!   fragile         gives up when its child fails for the fourth time; `soak` starts it again
//!   sessions        dynamic: children that end by themselves, or fail once first
//! ```

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use regrow::metrics::Exporter;
use regrow::observer::Observer;
use regrow::{
    CallError, ChildSpec, DynamicSupervisor, GenServer, Keep, Overflow, Reply, Restart, Result,
    Runtime, ServerContext, ServerRef, StartError, Supervisor, SupervisorRef, SupervisorSpec,
    TaskContext,
};
use tokio::net::TcpListener;
use tokio::time::sleep;

use crate::truth::Truth;

pub(crate) const ACCOUNTS: usize = 8;
pub(crate) const JOBS: usize = 20;
pub(crate) const VICTIMS: usize = 20;
/// How many starts `fragile` allows its child: the first one, and its restarts.
pub(crate) const FUSES: u32 = 4;
/// The bound of the mailboxes of `sink` and `gate`.
const BOUND: usize = 32;
/// How long the handler of `slow` takes.
const SLOW: Duration = Duration::from_millis(20);

/// A server with an amount. It fails when it is asked to.
pub(crate) struct Account {
    truth: Arc<Truth>,
    amount: u64,
}

pub(crate) struct Get(pub(crate) Reply<u64>);

pub(crate) enum Booking {
    Add(u64),
    Fail,
}

impl GenServer for Account {
    type Args = Arc<Truth>;
    type Call = Get;
    type Cast = Booking;

    async fn init(truth: Arc<Truth>, ctx: &mut ServerContext<Self>) -> Result<Self> {
        truth.started(ctx.start_cause());
        Ok(Account { truth, amount: 0 })
    }

    async fn handle_call(&mut self, Get(reply): Get, _: &mut ServerContext<Self>) -> Result {
        reply.send(self.amount);
        Ok(())
    }

    async fn handle_cast(&mut self, booking: Booking, _: &mut ServerContext<Self>) -> Result {
        self.truth.handled.add(1);
        match booking {
            Booking::Add(more) => self.amount += more,
            Booking::Fail => {
                self.truth.errors.add(1);
                return Err("the account is overdrawn".into());
            }
        }
        Ok(())
    }
}

/// Asks an account in its handler.
pub(crate) struct Front(Arc<Truth>);

pub(crate) struct Ask(pub(crate) usize, pub(crate) Reply<Option<u64>>);

impl GenServer for Front {
    type Args = Arc<Truth>;
    type Call = Ask;
    type Cast = ();

    async fn init(truth: Arc<Truth>, ctx: &mut ServerContext<Self>) -> Result<Self> {
        truth.started(ctx.start_cause());
        Ok(Front(truth))
    }

    async fn handle_call(&mut self, Ask(at, reply): Ask, ctx: &mut ServerContext<Self>) -> Result {
        let account: ServerRef<Account> = ctx.runtime().server(format!("account-{at}"));
        let amount = account.call(Get).await;
        match amount {
            Ok(_) => self.0.answered.add(1),
            Err(CallError::Timeout) => self.0.timed_out.add(1),
            Err(_) => self.0.failed.add(1),
        }
        reply.send(amount.ok());
        Ok(())
    }
}

/// Answers after a while.
pub(crate) struct Slow;

impl GenServer for Slow {
    type Args = Arc<Truth>;
    type Call = Get;
    type Cast = ();

    async fn init(truth: Arc<Truth>, ctx: &mut ServerContext<Self>) -> Result<Self> {
        truth.started(ctx.start_cause());
        Ok(Slow)
    }

    async fn handle_call(&mut self, Get(reply): Get, _: &mut ServerContext<Self>) -> Result {
        sleep(SLOW).await;
        reply.send(0);
        Ok(())
    }
}

/// Counts the casts that it handles.
pub(crate) struct Drain(Arc<Truth>);

impl GenServer for Drain {
    type Args = Arc<Truth>;
    type Call = Get;
    type Cast = u64;

    async fn init(truth: Arc<Truth>, ctx: &mut ServerContext<Self>) -> Result<Self> {
        truth.started(ctx.start_cause());
        Ok(Drain(truth))
    }

    async fn handle_cast(&mut self, _: u64, _: &mut ServerContext<Self>) -> Result {
        self.0.handled.add(1);
        Ok(())
    }
}

/// Fails as its message says.
async fn job(mut ctx: TaskContext, truth: Arc<Truth>) -> Result {
    truth.started(ctx.start_cause());
    let message = ctx.recv().await.message();
    if message.as_deref() == Some(b"panic") {
        truth.panics.add(1);
        panic!("the job was asked to panic");
    }
    truth.errors.add(1);
    Err("the job was asked to fail".into())
}

/// Waits to be killed.
async fn victim(ctx: TaskContext, truth: Arc<Truth>) -> Result {
    truth.started(ctx.start_cause());
    truth.victims.lock().expect("no holder panics").insert(ctx.pid());
    pending().await
}

/// Lives for a moment. Every fourth fails first, and is restarted once.
async fn session(ctx: TaskContext, number: u64, truth: Arc<Truth>) -> Result {
    truth.started(ctx.start_cause());
    sleep(Duration::from_millis(20 + number * 37 % 200)).await;
    if number.is_multiple_of(4) && ctx.start_cause().restarts() == 0 {
        truth.errors.add(1);
        return Err(format!("session {number} was lost").into());
    }
    Ok(())
}

/// Specifies the session with this number.
pub(crate) fn session_child(number: u64, truth: &Arc<Truth>) -> ChildSpec {
    let truth = truth.clone();
    ChildSpec::task(format!("session {}", number % 50), move |ctx| {
        session(ctx, number, truth.clone())
    })
    .restart(Restart::Transient)
}

/// Adds children that run this body, each with a name.
fn with_tasks<F>(
    mut supervisor: SupervisorSpec,
    (name, many): (&str, usize),
    truth: &Arc<Truth>,
    body: impl Fn(TaskContext, Arc<Truth>) -> F + Clone + Send + Sync + 'static,
) -> SupervisorSpec
where
    F: Future<Output = Result> + Send + 'static,
{
    for at in 0..many {
        let (truth, body) = (truth.clone(), body.clone());
        let name = format!("{name}-{at}");
        let child = ChildSpec::task(name.clone(), move |ctx| body(ctx, truth.clone()));
        supervisor = supervisor.child(child.named(name));
    }
    supervisor
}

/// Starts the tree.
pub(crate) async fn start(
    rt: &Runtime,
    truth: &Arc<Truth>,
    (page, exporter): (TcpListener, &Exporter),
) -> Result<SupervisorRef, StartError> {
    let mut accounts = Supervisor::one_for_one().with_id("accounts").unlimited_restarts();
    for at in 0..ACCOUNTS {
        let child = Account::child(truth.clone()).mailbox_capacity(256, Overflow::Reject);
        let name = format!("account-{at}");
        accounts = accounts.child(child.named(name.clone()).with_id(name));
    }
    let jobs = Supervisor::one_for_one().with_id("jobs").unlimited_restarts();
    let trio = Supervisor::one_for_all().with_id("trio").unlimited_restarts();
    let victims = Supervisor::one_for_one().with_id("victims").unlimited_restarts();
    let fragile = Supervisor::one_for_one()
        .with_id("fragile")
        .intensity(FUSES - 1, Duration::from_secs(3_600));
    Supervisor::one_for_one()
        .named("soak")
        .unlimited_restarts()
        .child(exporter.child())
        .child(Observer::new().track_mailboxes().serve_on(Keep::of(page)))
        .child(accounts)
        .child(Front::child(truth.clone()).named("front"))
        .child(Slow::child(truth.clone()).named("slow"))
        .child(
            Drain::child(truth.clone())
                .named("sink")
                .with_id("sink")
                .mailbox_capacity(BOUND, Overflow::DropOldest),
        )
        .child(
            Drain::child(truth.clone())
                .named("gate")
                .with_id("gate")
                .mailbox_capacity(BOUND, Overflow::Reject),
        )
        .child(with_tasks(jobs, ("job", JOBS), truth, job))
        .child(with_tasks(trio, ("trio", 3), truth, job))
        .child(with_tasks(victims, ("victim", VICTIMS), truth, victim))
        .child(with_tasks(fragile, ("fuse", 1), truth, job))
        .child(DynamicSupervisor::new().named("sessions").unlimited_restarts())
        .start(rt)
        .await
}
