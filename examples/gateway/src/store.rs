//! The store: writes rows in batches, and acknowledges each row when it is on disk.

use std::time::Duration;

use regrow::{Backoff, ChildSpec, GenServer, Name, Overflow, Reply, Result, ServerContext};
use rusqlite::{Connection, Params};
use tokio::task::block_in_place;

use crate::Settings;

pub(crate) const STORE: Name<Store> = Name::new("store");

/// The largest number of rows in one transaction.
const BATCH: usize = 256;

/// One reading. A device that gets no answer repeats its number and its value.
#[derive(Clone)]
pub(crate) struct Row {
    pub(crate) device: String,
    pub(crate) seq: i64,
    pub(crate) value: f64,
}

pub(crate) enum Call {
    /// Replies when the row is on disk.
    Write(Row, Reply<()>),
    /// Notes that the upstream has all rows up to this id, and replies with the next ones.
    Next(i64, Reply<Vec<(i64, Row)>>),
    /// Replies with the last row of this device.
    Last(String, Reply<Option<Row>>),
}

pub(crate) struct Store {
    db: Connection,
    config: Settings,
    batch: Vec<(Row, Reply<()>)>,
}

// ANCHOR: child
pub(crate) fn child(config: Settings) -> ChildSpec {
    let backoff = Backoff::new().first(Duration::from_millis(20)).max(Duration::from_millis(250));
    Store::child(config).named(STORE).mailbox_capacity(1_024, Overflow::Wait).backoff(backoff)
}
// ANCHOR_END: child

/// The row in `upstream` is the id of the last row that the upstream has confirmed.
const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS readings (id INTEGER PRIMARY KEY, device TEXT NOT NULL,
        seq INTEGER NOT NULL, value REAL NOT NULL, UNIQUE (device, seq));
    CREATE TABLE IF NOT EXISTS upstream (one INTEGER PRIMARY KEY, has INTEGER);
    INSERT OR IGNORE INTO upstream VALUES (1, 0);";

// ANCHOR: server
impl GenServer for Store {
    type Args = Settings;
    type Call = Call;
    type Cast = ();

    async fn init(config: Settings, _: &mut ServerContext<Self>) -> Result<Self> {
        let db = Connection::open(&config.borrow().database)?;
        db.pragma_update(None, "journal_mode", "WAL")?;
        db.pragma_update(None, "synchronous", "FULL")?; // a commit returns when it is on disk
        db.execute_batch(TABLES)?;
        Ok(Store { db, config, batch: Vec::new() })
    }

    async fn handle_call(&mut self, call: Call, ctx: &mut ServerContext<Self>) -> Result {
        match call {
            Call::Write(row, reply) => {
                self.batch.push((row, reply));
                if self.batch.len() == BATCH {
                    return self.commit();
                } else if self.batch.len() == 1 {
                    let window = Duration::from_millis(self.config.borrow().window_ms);
                    ctx.cast_after_as("commit", window, ());
                }
            }
            Call::Next(has, reply) => {
                self.db.execute("UPDATE upstream SET has = ?1 WHERE has < ?1", [has])?;
                reply
                    .send(self.rows("id > (SELECT has FROM upstream) ORDER BY id LIMIT 1000", ())?);
            }
            Call::Last(device, reply) => {
                let last = self.rows("device = ?1 ORDER BY seq DESC LIMIT 1", [device])?.pop();
                reply.send(last.map(|(_, row)| row));
            }
        }
        Ok(())
    }

    async fn handle_cast(&mut self, (): (), _: &mut ServerContext<Self>) -> Result {
        self.commit()
    }
}
// ANCHOR_END: server

impl Store {
    // ANCHOR: commit
    /// Writes the batch in one transaction, and then replies. A row that is there already is a
    /// repetition, and gets its reply.
    fn commit(&mut self) -> Result {
        block_in_place(|| {
            let open = self.db.transaction()?;
            for (row, _) in &self.batch {
                open.prepare_cached(
                    "INSERT INTO readings (device, seq, value) VALUES (?1, ?2, ?3)
                     ON CONFLICT (device, seq) DO NOTHING",
                )?
                .execute((&row.device, row.seq, row.value))?; // an error for NaN
            }
            open.commit()
        })?;
        self.batch.drain(..).for_each(|(_, reply)| reply.send(()));
        Ok(())
    }
    // ANCHOR_END: commit

    fn rows(&self, filter: &str, params: impl Params) -> rusqlite::Result<Vec<(i64, Row)>> {
        let select = format!("SELECT id, device, seq, value FROM readings WHERE {filter}");
        let mut select = self.db.prepare_cached(&select)?;
        let rows = select.query_map(params, |row| {
            Ok((row.get(0)?, Row { device: row.get(1)?, seq: row.get(2)?, value: row.get(3)? }))
        })?;
        rows.collect()
    }
}
