//! The store: SQLite on a thread of its own.
//!
//! Requests come through a channel whose receiver outlives the thread that reads from it (`Keep`).
//! When the thread crashes, the outcome of a request depends on how far it came:
//!
//! * *queued in the channel*: the next incarnation answers it.
//! * *received, and not committed*: SQLite rolls the transaction back and the reply is dropped, so
//!   the caller knows that it must retry.
//! * *committed, and not acknowledged*: the reply is dropped as well. Writing the same value again
//!   does no harm.

use std::path::Path;
use std::time::Duration;

use regrow::{BlockingContext, ChildSpec, Health, Keep, Result};
use rusqlite::{Connection, OptionalExtension, Transaction, params};
use tokio::sync::{mpsc, oneshot};

/// The capacity of the channel.
const CAPACITY: usize = 256;

/// The largest number of requests in one transaction.
const BATCH: usize = 64;

type Reply = oneshot::Sender<Option<String>>;

pub(crate) enum Request {
    Get(String, Reply),
    /// Replies with the value, once it is committed.
    Put(String, String, Reply),
    Crash,
}

/// The child specification, and the sender of its requests.
pub(crate) fn child(file: &Path) -> (ChildSpec, mpsc::Sender<Request>) {
    let (sender, requests) = mpsc::channel(CAPACITY);
    let requests = Keep::of(requests);
    let file = file.to_owned();
    let store = ChildSpec::blocking("store", move |ctx| serve(&file, &requests, &ctx));
    (store.ready_within(Duration::from_secs(5)), sender)
}

fn serve(file: &Path, requests: &Keep<mpsc::Receiver<Request>>, ctx: &BlockingContext) -> Result {
    let mut db = Connection::open(file)?;
    db.pragma_update(None, "journal_mode", "WAL")?;
    db.pragma_update(None, "synchronous", "FULL")?; // on disk before it is acknowledged
    db.execute("CREATE TABLE IF NOT EXISTS kv (key TEXT PRIMARY KEY, value TEXT)", ())?;
    let Some(requests) = ctx.block_on(requests.lend()) else { return Ok(()) };
    let mut requests = requests?;
    ctx.set_health(Health::Ready);
    while let Some(Some(first)) = ctx.block_on(requests.recv()) {
        let more = std::iter::from_fn(|| requests.try_recv().ok());
        let batch: Vec<Request> = std::iter::once(first).chain(more).take(BATCH).collect();
        let open = db.transaction()?;
        let answers = answer(&open, batch)?;
        open.commit()?;
        for (reply, answer) in answers {
            drop(reply.send(answer)); // the caller may be gone
        }
    }
    Ok(())
}

/// The replies to send once the transaction is committed.
fn answer(open: &Transaction, batch: Vec<Request>) -> Result<Vec<(Reply, Option<String>)>> {
    let mut answers = Vec::new();
    for request in batch {
        match request {
            Request::Get(key, reply) => {
                let found = "SELECT value FROM kv WHERE key = ?1";
                let found = open.query_row(found, params![key], |row| row.get(0));
                answers.push((reply, found.optional()?));
            }
            Request::Put(key, value, reply) => {
                let put = "INSERT OR REPLACE INTO kv VALUES (?1, ?2)";
                open.execute(put, params![key, value])?;
                answers.push((reply, Some(value)));
            }
            Request::Crash => {
                open.execute("INSERT OR REPLACE INTO kv VALUES ('half', 'written')", ())?;
                panic!("the store crashed in the middle of a write");
            }
        }
    }
    Ok(answers)
}
