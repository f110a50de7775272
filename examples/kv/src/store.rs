//! The store: SQLite on a thread of its own.
//!
//! Questions come through a channel whose receiving end outlives the thread that reads from it
//! (`Keep`). What happens when that thread dies:
//!
//! * *a question waits in the channel*: the next incarnation answers it;
//! * *it was taken, and not committed*: SQLite rolls it back, its reply is dropped, and who
//!   waits for that knows that it must ask again;
//! * *it was committed, and not acknowledged*: likewise; to write the same again does no harm.

use std::path::Path;
use std::time::Duration;

use regrow::{BlockingContext, ChildSpec, Health, Keep, Result};
use rusqlite::{Connection, OptionalExtension, Transaction, params};
use tokio::sync::{mpsc, oneshot};

/// How many questions may wait.
const WAITING: usize = 256;

/// How many are answered in one transaction.
const BATCH: usize = 64;

type Reply = oneshot::Sender<Option<String>>;

pub(crate) enum Ask {
    Get(String, Reply),
    /// Acknowledged by the value itself.
    Put(String, String, Reply),
    Crash,
}

/// The child, and the way to it.
pub(crate) fn child(file: &Path) -> (ChildSpec, mpsc::Sender<Ask>) {
    let (ask, asked) = mpsc::channel(WAITING);
    let first = std::sync::Mutex::new(Some(asked));
    let asked = Keep::new(move || {
        let asked = first.lock().ok().and_then(|mut first| first.take());
        async { asked.ok_or("nobody gives it away") }
    });
    let file = file.to_owned();
    let store = ChildSpec::blocking("store", move |ctx| serve(&file, &asked, &ctx));
    (store.ready_within(Duration::from_secs(5)), ask)
}

fn serve(file: &Path, asked: &Keep<mpsc::Receiver<Ask>>, ctx: &BlockingContext) -> Result {
    let mut db = Connection::open(file)?;
    db.pragma_update(None, "journal_mode", "WAL")?;
    db.pragma_update(None, "synchronous", "FULL")?; // on disk before it is acknowledged
    db.execute("CREATE TABLE IF NOT EXISTS kv (key TEXT PRIMARY KEY, value TEXT)", ())?;
    let Some(asked) = ctx.block_on(asked.lend()) else { return Ok(()) };
    let mut asked = asked?;
    ctx.set_health(Health::Ready);
    while let Some(Some(first)) = ctx.block_on(asked.recv()) {
        let more = std::iter::from_fn(|| asked.try_recv().ok());
        let batch: Vec<Ask> = std::iter::once(first).chain(more).take(BATCH).collect();
        let open = db.transaction()?;
        let answers = answer(&open, batch)?;
        open.commit()?;
        for (reply, answer) in answers {
            drop(reply.send(answer)); // who asked may have gone
        }
    }
    Ok(())
}

/// Answers that may be given once the transaction is committed.
fn answer(open: &Transaction, batch: Vec<Ask>) -> Result<Vec<(Reply, Option<String>)>> {
    let mut answers = Vec::new();
    for ask in batch {
        match ask {
            Ask::Get(key, reply) => {
                let found = "SELECT value FROM kv WHERE key = ?1";
                let found = open.query_row(found, params![key], |row| row.get(0));
                answers.push((reply, found.optional()?));
            }
            Ask::Put(key, value, reply) => {
                let put = "INSERT OR REPLACE INTO kv VALUES (?1, ?2)";
                open.execute(put, params![key, value])?;
                answers.push((reply, Some(value)));
            }
            Ask::Crash => {
                open.execute("INSERT OR REPLACE INTO kv VALUES ('half', 'written')", ())?;
                panic!("the store fell over in the middle of a write");
            }
        }
    }
    Ok(answers)
}
