//! A worker that a client has.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use crate::base::{MonitorRef, ignore_panic};
use crate::limits::Token;
use crate::pool::state::Taken;
use crate::pool::table::Table;
use crate::server::{GenServer, ServerRef};

/// A worker that a client has checked out of a [`Pool`](crate::Pool), for itself alone. It derefs to
/// the handle of the worker. Dropping it returns the worker. Pool of other languages: a lease, a
/// checked-out connection.
///
/// | | the worker |
/// |---|---|
/// | the checkout is dropped, also by a panic or a kill of its process | goes to the next client, or is idle |
/// | [`discard`](Self::discard) | is stopped and replaced |
/// | the process that checked out ends, and the checkout was leaked or moved out of it | is stopped and replaced |
/// | the worker ends | is restarted by its supervisor, and the next client gets the new incarnation |
///
/// If a worker ends while it is checked out, calls of its client fail with the reason,
/// [`CallError::Exited`](crate::CallError::Exited), and later ones with
/// [`CallError::NoProc`](crate::CallError::NoProc).
///
/// The checkout belongs to the process that made it, if that is a process of the pool's
/// [`Runtime`](crate::Runtime). A plain tokio task, a thread, and a process of another runtime are
/// not, so if one of these leaks a checkout, the worker never comes back. [`Pool`](crate::Pool) has
/// an example.
#[must_use = "dropping it returns the worker"]
pub struct Checkout<S: GenServer> {
    worker: ServerRef<S>,
    table: Arc<Table<S>>,
    /// The number of the worker, and that of the lease.
    lease: (u64, u64),
    /// The incarnation of the pool's server by which the worker was taken.
    incarnation: u64,
    pub(super) monitor: Option<MonitorRef>,
    /// Whether the worker is stopped and replaced when the checkout is dropped.
    is_broken: bool,
    /// The token of the pool's rate limit that is put back when the checkout is dropped, because
    /// the client has not received it.
    token: Option<Token>,
}

impl<S: GenServer> Checkout<S> {
    pub(super) fn new(table: Arc<Table<S>>, taken: Taken<ServerRef<S>>) -> Self {
        let Taken { worker, lease, incarnation, token, handle } = taken;
        let lease = (worker, lease);
        Checkout {
            worker: handle,
            table,
            lease,
            incarnation,
            monitor: None,
            is_broken: false,
            token,
        }
    }

    /// Marks the checkout as received by its client. From now on its token is used.
    pub(super) fn received(mut self) -> Self {
        if let Some(token) = self.token.take() {
            self.table.spend_token(token);
        }
        self
    }

    /// Returns the worker as one that is not usable any more: the pool stops it, and starts another
    /// one. Use this after an error that leaves the worker in an unknown state.
    ///
    /// ```
    /// # use regrow::doc_counter::Counter;
    /// # use regrow::Runtime;
    /// use regrow::Pool;
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let pool = Pool::<Counter>::new("counters", || 0).size(1).start(&rt).await?;
    /// let first = pool.checkout().await?;
    /// let pid = first.pid();
    /// first.discard();
    /// assert_ne!(pool.checkout().await?.pid(), pid);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub fn discard(mut self) {
        self.is_broken = true;
    }

    pub(super) fn table(&self) -> &Arc<Table<S>> {
        &self.table
    }

    /// Runs a future, and counts the worker as broken until the future has finished. So the pool
    /// replaces the worker if the future is dropped or panics.
    pub(super) async fn unless_cut_short<F: Future>(&mut self, work: F) -> F::Output {
        self.is_broken = true;
        let result = work.await;
        self.is_broken = false;
        result
    }
}

impl<S: GenServer> Deref for Checkout<S> {
    type Target = ServerRef<S>;

    fn deref(&self) -> &ServerRef<S> {
        &self.worker
    }
}

impl<S: GenServer> Drop for Checkout<S> {
    fn drop(&mut self) {
        ignore_panic(|| {
            if let Some(monitor) = self.monitor.take() {
                self.worker.kernel().demonitor(monitor, true);
            }
            self.table.give_back(self.lease, self.incarnation, self.is_broken);
            if let Some(token) = self.token {
                self.table.put_token_back(token);
            }
        });
    }
}

impl<S: GenServer> fmt::Debug for Checkout<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Checkout({}", self.table.settings.name)?;
        self.worker.pid().map_or(Ok(()), |pid| write!(f, ", {pid}"))?;
        f.write_str(")")
    }
}
