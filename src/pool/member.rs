//! The start of a worker, and its membership in the pool.

use std::sync::Arc;

use async_trait::async_trait;

use crate::base::{CaughtDrop, ignore_panic};
use crate::child::start::Start;
use crate::child::{ChildSpec, StartChild, StartContext, Started};
use crate::exit::Result;
use crate::pool::table::Table;
use crate::runtime::StartError;
use crate::server::GenServer;

/// The entry of a worker in the table. The child's specification has it, so it is dropped when the
/// supervisor forgets the child. Pool invariant 1.
struct Membership<S: GenServer> {
    table: Arc<Table<S>>,
    worker: u64,
}

impl<S: GenServer> Drop for Membership<S> {
    fn drop(&mut self) {
        ignore_panic(|| self.table.forget(self.worker));
    }
}

struct WorkerStart<S: GenServer>(Membership<S>);

#[async_trait]
impl<S: GenServer> StartChild for WorkerStart<S> {
    async fn start(&self, ctx: &mut StartContext) -> Result<Started, StartError> {
        let Membership { table, worker } = &self.0;
        let started = ctx.server::<S>((table.settings.args)()).await?;
        // The supervisor knows the child by this process, also if it has ended by now.
        table.with(|state| state.started(*worker, started.pid()));
        // A worker that has ended by now is restarted.
        if let Ok(server) = ctx.runtime().server_at::<S>(started.pid()) {
            table.ready(*worker, server);
        }
        Ok(started)
    }
}

/// Adds a worker to the table, and returns its specification.
pub(super) fn new_worker<S: GenServer>(table: &Arc<Table<S>>) -> ChildSpec {
    let worker = table.with(|state| state.add());
    let start = WorkerStart(Membership { table: table.clone(), worker });
    let mut child = table.settings.worker.clone();
    let spec = child.edit();
    spec.id = worker.to_string().into();
    spec.start = CaughtDrop::new(Start::Awaited(Arc::new(start)));
    child
}
