//! The table of a pool, which its handles, its checkouts and its server share.
//!
//! One lock guards the [`State`]. Under it, no value of a user is dropped, nothing is sent, and no
//! process is locked.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;

use crate::base::{CaughtDrop, Pid, PlainMutex, SharedStr};
use crate::child::ChildSpec;
use crate::limits::Token;
use crate::pool::PoolStatus;
use crate::pool::state::{State, Taken};
use crate::pool::tokens::Found;
use crate::pool::worker_limits::Limits;
use crate::runtime::StartError;
use crate::server::{GenServer, ServerRef};

/// A check of a worker: whether it is usable.
pub(super) type Check<S> =
    CaughtDrop<Arc<dyn Fn(ServerRef<S>) -> BoxFuture<'static, bool> + Send + Sync>>;

/// The arguments of each start of a worker.
pub(super) type Args<A> = CaughtDrop<Arc<dyn Fn() -> A + Send + Sync>>;

/// The settings of a pool that do not change.
pub(super) struct Settings<S: GenServer> {
    pub(super) name: SharedStr,
    pub(super) args: Args<S::Args>,
    /// The specification of a worker, without its id and its start.
    pub(super) worker: ChildSpec,
    pub(super) queue_limit: Option<usize>,
    pub(super) discards_oldest: bool,
    pub(super) check_on_checkout: Option<Check<S>>,
    pub(super) check_every: Option<(Duration, Check<S>)>,
}

pub(crate) struct Table<S: GenServer> {
    pub(super) settings: Settings<S>,
    shared: PlainMutex<Shared<S>>,
}

struct Shared<S: GenServer> {
    state: State<ServerRef<S>>,
    /// The server that runs.
    server: Option<PoolProcess>,
    /// Whether the mailbox of this server has a notification.
    is_notified: bool,
    start_error: Option<StartError>,
}

/// The server of a pool: its pid, and a function that notifies it of a change.
#[derive(Clone)]
pub(super) struct PoolProcess {
    pub(super) pid: Pid,
    pub(super) notify: Arc<dyn Fn() + Send + Sync>,
}

/// The taken worker, and the server that has to monitor the client.
pub(super) type TakenAt<S> = (Taken<ServerRef<S>>, Pid);

impl<S: GenServer> Table<S> {
    pub(super) fn new(settings: Settings<S>, limits: Limits) -> Arc<Self> {
        let state = State::new(limits);
        let shared = Shared { state, server: None, is_notified: false, start_error: None };
        Arc::new(Table { settings, shared: PlainMutex::new(shared) })
    }

    /// Takes an idle worker for this client, if no client waits.
    pub(super) fn take(&self, client: Option<Pid>) -> Option<TakenAt<S>> {
        self.change(|shared| {
            let Some(server) = shared.server.as_ref().map(|server| server.pid) else {
                return (None, false);
            };
            if shared.state.waiting > 0 {
                return (None, false);
            }
            let found = shared.state.take_with_token(client, false, ServerRef::is_there);
            // A worker that is too old was found on the way.
            let has_stops = shared.state.has_stops();
            match found {
                Found::Worker(taken) => (Some((taken, server)), has_stops),
                Found::NoWorker | Found::NoToken(_) => (None, has_stops),
            }
        })
    }

    /// Takes an idle worker for a client that waits in the server. If it gets none, records in the
    /// same step how many clients wait. Pool invariant 3.
    pub(super) fn take_or_wait(&self, client: Option<Pid>, waiting: usize) -> Found<ServerRef<S>> {
        let state = &mut self.shared.lock().state;
        let found = state.take_with_token(client, true, ServerRef::is_there);
        if !matches!(found, Found::Worker(_)) {
            state.waiting = waiting;
        }
        found
    }

    /// Takes this worker for a check, if it is idle.
    pub(super) fn take_exactly(&self, worker: u64) -> Option<Taken<ServerRef<S>>> {
        self.shared.lock().state.take_exactly(worker, ServerRef::is_there)
    }

    /// Returns a worker from its client.
    pub(super) fn give_back(&self, lease: (u64, u64), incarnation: u64, is_broken: bool) {
        self.change(|shared| {
            let is_same = shared.server.is_some() && shared.state.incarnation == incarnation;
            ((), shared.state.give_back(lease, is_same, is_broken, ServerRef::is_there))
        });
    }

    /// Puts back a token of the rate limit, whose client has not received its worker.
    pub(super) fn put_token_back(&self, token: Token) {
        self.change(|shared| ((), shared.state.put_token_back(token)));
    }

    /// Uses up a token of the rate limit, whose client has received its worker.
    pub(super) fn spend_token(&self, token: Token) {
        self.shared.lock().state.spend_token(token);
    }

    /// Records that an incarnation of this worker is ready.
    pub(super) fn ready(&self, worker: u64, handle: ServerRef<S>) {
        let old = self.change(|shared| {
            let error = shared.start_error.take();
            ((shared.state.ready(worker, handle), error), true)
        });
        drop(old);
    }

    /// Removes a worker that its supervisor has forgotten.
    pub(super) fn forget(&self, worker: u64) {
        let old = self.change(|shared| (shared.state.forget(worker), true));
        drop(old);
    }

    /// Records a new incarnation of the server. Returns the clients that this server has to
    /// monitor, by their leases, or `None` if another server of this pool runs.
    pub(super) fn open(&self, server: PoolProcess) -> Option<Vec<(u64, Pid)>> {
        let mut shared = self.shared.lock();
        if shared.server.is_some() {
            return None;
        }
        (shared.server, shared.is_notified) = (Some(server), false);
        Some(shared.state.open())
    }

    /// Ends with the server.
    pub(super) fn close(&self) {
        let mut shared = self.shared.lock();
        shared.state.waiting = 0;
        let server = shared.server.take();
        drop(shared);
        drop(server);
    }

    /// Acknowledges the notification: what is changed from here on notifies the server again.
    pub(super) fn acknowledge(&self) {
        self.shared.lock().is_notified = false;
    }

    pub(super) fn set_start_error(&self, error: StartError) {
        let old = self.shared.lock().start_error.replace(error);
        drop(old);
    }

    /// Whether the rate limit of the pool lets no client pass now.
    pub(super) fn is_rate_limited(&self) -> bool {
        self.shared.lock().state.tokens() == Some(0)
    }

    pub(super) fn start_error(&self) -> Option<StartError> {
        self.shared.lock().start_error.clone()
    }

    pub(super) fn status(&self) -> PoolStatus {
        self.shared.lock().state.status()
    }

    /// Runs a function of the server on the state. The function drops no handle.
    pub(super) fn with<R>(&self, act: impl FnOnce(&mut State<ServerRef<S>>) -> R) -> R {
        act(&mut self.shared.lock().state)
    }

    /// Changes the state, and then notifies the server if it has to look at it.
    fn change<R>(&self, act: impl FnOnce(&mut Shared<S>) -> (R, bool)) -> R {
        let mut shared = self.shared.lock();
        let (result, is_for_server) = act(&mut shared);
        let mut server = None;
        if is_for_server && !shared.is_notified {
            server = shared.server.clone();
            shared.is_notified = server.is_some();
        }
        drop(shared);
        if let Some(server) = server {
            // If the server is ending, the next one begins with the whole table.
            (server.notify)();
        }
        result
    }
}
