//! Pools of servers: a client checks a worker out, uses it alone, and returns it.
//!
//! **Uses** `base`, `exit`, `message`, `time`, `restart`, `call`, `runtime`, `child`,
//! `server`, `supervisor`, `limits`.
//! **Knows nothing of** what the workers do.
//!
//! A pool is a supervisor with two children: a dynamic supervisor of the workers, and the pool's
//! server. The counts are in a [table] that the handles, the checkouts and the server share. The
//! table outlives each process of the pool. Checking out an idle worker changes the table and sends
//! nothing. The same holds for the return, unless the server has to decide on the worker. The
//! server does everything else.
//!
//! **Guarantees**
//! 1. A worker is lent to one client at a time.
//! 2. A lent worker comes back or is replaced when its [`Checkout`] is dropped, or when the process
//!    that checked it out has ended.
//! 3. Waiting clients are served in the order in which their requests reached the server. A client
//!    that has given up is skipped, and a worker that was handed to it at that moment comes back.
//! 4. The pool never has more than `size + overflow` workers, including workers that are being
//!    stopped. The exception is a resize to a smaller size: until the lent workers have come back,
//!    the pool may have more.
//!
//! **Steps**
//! 1. *Take*, under the lock of the table: if no client waits, a worker is idle, and the rate limit
//!    has a [token](tokens), the entry of the worker becomes *lent*, with a lease number and the pid
//!    of the client. Otherwise the client calls the server, which queues the request, and later
//!    takes a worker for the client.
//! 2. *Monitor*: the pool's server begins to monitor the client.
//! 3. *Use*: the client calls the worker directly.
//! 4. *Return*, in the drop of the checkout: first the monitor is removed. Then, under the lock,
//!    the entry becomes *idle*, or *returned* if the server has to decide. The server has to decide
//!    if a client waits, if the worker is surplus or too old, or if the server is another
//!    incarnation than at step 1. In these cases the server is notified.
//!
//! **Invariants**
//! 1. Each worker has one entry in the table from before its start until its supervisor has
//!    forgotten it: the [membership](member) in the child's specification removes the entry when
//!    the specification is dropped. So the table is correct after a failed start, a crash, a stop,
//!    and the end of the supervisor.
//! 2. A return changes an entry only if the entry still has the lease number of the checkout.
//! 3. While a client waits, no worker is idle, except between two steps of the server, and while the
//!    rate limit has no token. The server sets the number of waiting clients in the step that finds
//!    no idle worker or no token.
//! 4. A notification is only a hint: the change itself is in the table, and each incarnation of the
//!    server begins by examining the whole table.
//!
//! **The other side ends** between any two steps:
//!
//! | the client ends | |
//! |---|---|
//! | while it waits | the server finds that no caller awaits the reply, and skips the request |
//! | after the server has taken a worker for it | the checkout in the reply is dropped: step 4, and its token is put back |
//! | between steps 1 and 2 | no await lies between; with a call, the monitor reports the end at once |
//! | in step 3, and its checkout is dropped with it | step 4 |
//! | in step 3, and its checkout is leaked, or was moved elsewhere | the monitor reports the end: the worker is stopped and replaced |
//! | in step 4 | the drop has no await |
//!
//! | the worker ends | |
//! |---|---|
//! | while it is idle | step 1 finds it dead, and takes the next |
//! | from step 1 on | calls of the client fail with the reason; the supervisor restarts the worker |
//! | from step 1 on, and is ready again before step 4 | its entry has no lease any more: the next client gets the new incarnation, and step 4 changes nothing |
//! | from step 1 on, and is not ready again at step 4 | its entry becomes idle, and the next step 1 finds the worker dead |
//! | for good, because its restart type or its reason forbids a restart | invariant 1: a new worker is started, after a [pause](failures) if it had not proved usable |
//!
//! | the pool's server ends | |
//! |---|---|
//! | while a client waits | the client waits for the next incarnation, within its limit |
//! | between steps 1 and 2 | the next incarnation monitors the clients of all leases when it starts |
//! | in step 3 | as above; the checkout stays valid |
//! | in step 4 | the entry is *returned*, and the next incarnation makes it idle |
//! | while it starts or stops a worker | invariant 1; the next incarnation requests the stop again |
//!
//! | the supervisor of the workers ends | |
//! |---|---|
//! | at any step | all workers end, and their entries are removed (invariant 1); the server is restarted after the supervisor, and starts new workers |

mod error;
mod status;
mod limits;
mod failures;
mod state;
mod returns;
mod upkeep;
mod tokens;
mod table;
mod member;
mod checkout;
mod waiters;
mod background;
mod server;
mod serving;
mod handle;
mod spec;

pub use checkout::Checkout;
pub use error::PoolError;
pub use handle::PoolRef;
pub use spec::Pool;
pub use status::PoolStatus;
