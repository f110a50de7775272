//! The server of a pool: it [serves](crate::pool::serving) the clients that wait, has workers started
//! and stopped, and monitors the clients that have workers.

use std::sync::Arc;

use futures_util::future::try_join_all;
use tokio::time::{Instant, MissedTickBehavior};

use crate::base::MonitorRef;
use crate::base::random::Map;
use crate::call::Reply;
use crate::exit::Result;
use crate::message::Received;
use crate::pool::PoolStatus;
use crate::pool::background::{check_workers, stop_worker};
use crate::pool::member::new_worker;
use crate::pool::table::{PoolProcess, Table};
use crate::pool::upkeep::Due;
use crate::pool::waiters::{Answer, Waiters};
use crate::runtime::{Runtime, StartError};
use crate::server::{GenServer, ServerContext};
use crate::supervisor::DynamicSupervisorRef;

pub(crate) enum Call<S: GenServer> {
    CheckOut(Reply<Answer<S>>),
    Status(Reply<(PoolStatus, Arc<Table<S>>)>),
    Resize(usize, Reply<Result<(), String>>),
}

pub(crate) enum Cast {
    /// The table has changed.
    Look,
    /// A first start has finished, with this error.
    Started(Option<StartError>),
    /// The pause after a failed round of starts is over.
    StartAgain,
    /// The rate limit has one more token.
    Token,
    /// Look for workers whose time is up.
    Sweep,
    /// Check the idle workers.
    Check,
    Checked,
}

pub(crate) struct PoolServer<S: GenServer> {
    pub(super) table: OpenTable<S>,
    workers: DynamicSupervisorRef,
    pub(super) waiters: Waiters<S>,
    /// The monitors of the clients that got a worker under an earlier incarnation of the server, by
    /// their leases.
    adopted: Map<u64, MonitorRef>,
    /// Whether no worker is started, since a round of starts has failed.
    pauses: bool,
    /// When the timer for the next token of the rate limit ends, if it is set.
    pub(super) token_due: Option<Instant>,
    is_checking: bool,
}

/// The table while this server serves it.
pub(super) struct OpenTable<S: GenServer>(pub(super) Arc<Table<S>>);

impl<S: GenServer> Drop for OpenTable<S> {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl<S: GenServer> GenServer for PoolServer<S> {
    type Args = Arc<Table<S>>;
    type Call = Call<S>;
    type Cast = Cast;

    async fn init(table: Arc<Table<S>>, ctx: &mut ServerContext<Self>) -> Result<Self> {
        let (pid, this) = (ctx.pid(), ctx.this());
        let notify = Arc::new(move || drop(this.try_cast(Cast::Look)));
        let Some(clients) = table.open(PoolProcess { pid, notify }) else {
            let what = format!(
                "the specification of the pool {:?} runs already: make one for each runtime",
                table.settings.name
            );
            return Err(ctx.refuse(StartError::Invalid(what)));
        };
        let table = OpenTable(table);
        let adopted = clients.into_iter().map(|(lease, client)| (lease, ctx.monitor(client)));
        let adopted = adopted.collect();
        let workers = workers_of(&ctx.runtime(), &table.0.settings.name);
        let mut pool = PoolServer {
            table,
            workers,
            waiters: Waiters::new(),
            adopted,
            pauses: false,
            token_due: None,
            is_checking: false,
        };
        pool.start_first(ctx).await?;
        pool.set_timers(ctx);
        pool.settle(ctx);
        Ok(pool)
    }

    async fn handle_call(&mut self, call: Call<S>, ctx: &mut ServerContext<Self>) -> Result {
        match call {
            Call::CheckOut(reply) => {
                self.waiters.push(reply);
                self.settle(ctx);
                self.refuse_surplus();
            }
            Call::Status(reply) => {
                self.waiters.drop_given_up();
                let waiting = self.waiters.len();
                reply.send((PoolStatus { waiting, ..self.table.0.status() }, self.table.0.clone()));
            }
            Call::Resize(size, reply) => {
                reply.send(self.table.0.with(|state| state.resize(size)));
                self.settle(ctx);
            }
        }
        Ok(())
    }

    async fn handle_cast(&mut self, cast: Cast, ctx: &mut ServerContext<Self>) -> Result {
        match cast {
            Cast::Look => self.table.0.acknowledge(),
            Cast::Started(Some(error)) => self.table.0.set_start_error(error),
            Cast::Started(None) => {}
            Cast::StartAgain => self.pauses = false,
            Cast::Token => self.token_due = None,
            Cast::Sweep => {
                self.table.0.with(|state| state.sweep(Instant::now()));
            }
            Cast::Check => self.check_idle(ctx),
            Cast::Checked => self.is_checking = false,
        }
        self.settle(ctx);
        Ok(())
    }

    async fn handle_info(&mut self, info: Received, ctx: &mut ServerContext<Self>) -> Result {
        if let Received::Down { pid, .. } = info {
            self.table.0.with(|state| state.forfeit(pid));
            self.settle(ctx);
        }
        Ok(())
    }

    fn format_status(&self) -> Option<String> {
        Some(PoolStatus { waiting: self.waiters.len(), ..self.table.0.status() }.to_string())
    }
}

/// The supervisor of the workers of a pool.
pub(super) fn workers_of(runtime: &Runtime, pool: &str) -> DynamicSupervisorRef {
    DynamicSupervisorRef::named(runtime, workers_name(pool))
}

pub(super) fn workers_name(pool: &str) -> String {
    format!("{pool}/workers")
}

pub(super) fn server_name(pool: &str) -> String {
    format!("{pool}/server")
}

impl<S: GenServer> PoolServer<S> {
    /// Starts the workers of a pool that has none, and waits for them. If only the server was
    /// restarted, the pool still has its workers, so none are started.
    async fn start_first(&mut self, ctx: &mut ServerContext<Self>) -> Result {
        let table = &self.table.0;
        let missing = table.with(|state| if state.live() == 0 { state.missing() } else { 0 });
        let start = |_| self.workers.start_child(new_worker(table));
        match try_join_all((0..missing).map(start)).await {
            Ok(_) => Ok(()),
            Err(error) => Err(ctx.refuse(error)),
        }
    }

    fn set_timers(&self, ctx: &mut ServerContext<Self>) {
        if let Some(period) = self.table.0.with(|state| state.limits.sweep_period()) {
            ctx.cast_every(period, MissedTickBehavior::Skip, || Cast::Sweep);
        }
        if let Some((period, _)) = &self.table.0.settings.check_every {
            ctx.cast_every(*period, MissedTickBehavior::Skip, || Cast::Check);
        }
    }

    /// Brings the pool up to date with the table: serves the clients that wait, and has workers
    /// started and stopped.
    fn settle(&mut self, ctx: &mut ServerContext<Self>) {
        for lease in self.table.0.with(|state| state.sort()) {
            if let Some(monitor) = self.adopted.remove(&lease) {
                ctx.demonitor(monitor);
            }
        }
        self.serve(ctx);
        let Due { stops, pause, starts } = self.table.0.with(|state| state.due(self.pauses));
        for (worker, first) in stops {
            let stopped = stop_worker(self.table.0.clone(), self.workers.clone(), worker, first);
            ctx.spawn_task(stopped, |()| Cast::Look);
        }
        if let Some(pause) = pause {
            self.pauses = true;
            ctx.cast_after_as("start", pause, Cast::StartAgain);
        }
        for _ in 0..starts {
            let (workers, child) = (self.workers.clone(), new_worker(&self.table.0));
            let start = async move { workers.start_child(child).await };
            ctx.spawn_task(start, |started| Cast::Started(started.err()));
        }
    }

    /// Checks the idle workers, one after the other, outside the server.
    fn check_idle(&mut self, ctx: &mut ServerContext<Self>) {
        if let Some((_, check)) = &self.table.0.settings.check_every
            && !std::mem::replace(&mut self.is_checking, true)
        {
            let check_all = check_workers(self.table.0.clone(), check.clone());
            ctx.spawn_task(check_all, |()| Cast::Checked);
        }
    }
}
