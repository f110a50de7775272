//! Servers: their callers, their state, their time-outs, and what they lose.

use std::sync::atomic::{AtomicU64, Ordering};

use regrow::{
    CallError, ExitReason, GenServer, Pid, Received, Reply, Result, Runtime, ServerContext,
    ServerRef,
};
use tokio::time::Instant;

use super::LIMIT;
use super::counter::{Call as Get, Cast, Counter};

mod caller_before {
    use super::{Lock, Pid, Reply, Result, ServerRef};
    // BEFORE caller
    pub(crate) struct Acquire {
        client: Pid,
        reply: Reply<bool>,
    }

    pub(crate) async fn acquire(lock: &ServerRef<Lock<Acquire>>, client: Pid) -> Result<bool> {
        Ok(lock.call(|reply| Acquire { client, reply }).await?)
    }
    // END
    pub(crate) fn client(call: &Acquire) -> Option<Pid> {
        Some(call.client).filter(|_| call.reply.is_awaited())
    }
}

mod caller_now {
    use super::{Lock, Pid, Reply, Result, ServerRef};
    // NOW caller
    pub(crate) async fn acquire(lock: &ServerRef<Lock<Reply<bool>>>) -> Result<bool> {
        Ok(lock.call(|reply| reply).await?)
    }
    // END
    pub(crate) fn client(call: &Reply<bool>) -> Option<Pid> {
        call.caller()
    }
}

struct Lock<C>(Vec<C>);

impl<C: Send + 'static> GenServer for Lock<C> {
    type Args = ();
    type Call = C;
    type Cast = ();

    async fn init((): (), _: &mut ServerContext<Self>) -> Result<Self> {
        Ok(Lock(Vec::new()))
    }
}

struct Store {
    rows: Vec<String>,
    next: ServerRef<Counter>,
}

enum Call {
    // BEFORE peek
    Size(Reply<usize>),
    // BEFORE deadline
    Count { due: Instant, reply: Reply<Result<u64, CallError>> },
    // NOW deadline
    CountNow { reply: Reply<Result<u64, CallError>> },
    // END
}

impl GenServer for Store {
    type Args = ServerRef<Counter>;
    type Call = Call;
    type Cast = String;

    async fn init(next: ServerRef<Counter>, _: &mut ServerContext<Self>) -> Result<Self> {
        Ok(Store { rows: Vec::new(), next })
    }

    async fn handle_call(&mut self, call: Call, _: &mut ServerContext<Self>) -> Result {
        match call {
            // BEFORE peek
            Call::Size(reply) => reply.send(self.rows.len()),
            // BEFORE deadline
            Call::Count { due, reply } => {
                let left = due.saturating_duration_since(Instant::now());
                reply.send(self.next.call_timeout(Get::Get, left).await);
            }
            // NOW deadline
            Call::CountNow { reply } => reply.send(self.next.call(Get::Get).await),
            // END
        }
        Ok(())
    }
}

async fn peek_before(store: &ServerRef<Store>) -> Result<usize> {
    // BEFORE peek
    let rows = store.call(Call::Size).await?;
    // END
    Ok(rows)
}

async fn peek_now(store: &ServerRef<Store>) -> Result<usize> {
    // NOW peek
    let rows = store.peek(|store| store.rows.len()).await?;
    // END
    Ok(rows)
}

async fn deadline_before(store: &ServerRef<Store>) -> Result<u64> {
    // BEFORE deadline
    let due = Instant::now() + LIMIT;
    let count = store.call_timeout(|reply| Call::Count { due, reply }, LIMIT).await??;
    // END
    Ok(count)
}

async fn deadline_now(rt: &Runtime, store: &ServerRef<Store>) -> Result<u64> {
    // NOW deadline
    rt.propagate_deadlines(true);
    let count = store.call_timeout(|reply| Call::CountNow { reply }, LIMIT).await??;
    // END
    Ok(count)
}

struct Ticker;

impl GenServer for Ticker {
    type Args = ();
    type Call = ();
    type Cast = ();

    async fn init((): (), _: &mut ServerContext<Self>) -> Result<Self> {
        Ok(Ticker)
    }

    // BEFORE handlers
    async fn handle_call(&mut self, (): (), _: &mut ServerContext<Self>) -> Result {
        Ok(())
    }

    async fn handle_cast(&mut self, (): (), _: &mut ServerContext<Self>) -> Result {
        Ok(())
    }
    // NOW handlers
    // END
}

// BEFORE lost
static LOST: AtomicU64 = AtomicU64::new(0);

fn cast_counted(counter: &ServerRef<Counter>, cast: Cast) {
    if !counter.cast(cast) {
        LOST.fetch_add(1, Ordering::Relaxed);
    }
}
// END

async fn lost_now(rt: &Runtime) {
    // NOW lost
    let mut letters = rt.dead_letters();
    while let Some(letter) = letters.next().await {
        tracing::warn!(?letter, "a message is lost");
    }
    // END
}

struct IdleBefore;

impl GenServer for IdleBefore {
    type Args = ();
    type Call = Reply<()>;
    type Cast = ();

    async fn init((): (), ctx: &mut ServerContext<Self>) -> Result<Self> {
        // BEFORE idle
        ctx.idle_timeout(LIMIT);
        // END
        Ok(IdleBefore)
    }

    async fn handle_call(&mut self, reply: Reply<()>, ctx: &mut ServerContext<Self>) -> Result {
        reply.send(());
        // BEFORE idle
        ctx.idle_timeout(LIMIT);
        // END
        Ok(())
    }

    async fn handle_cast(&mut self, (): (), ctx: &mut ServerContext<Self>) -> Result {
        // BEFORE idle
        ctx.idle_timeout(LIMIT);
        // END
        Ok(())
    }

    // BEFORE idle
    async fn handle_info(&mut self, _: Received, ctx: &mut ServerContext<Self>) -> Result {
        ctx.idle_timeout(LIMIT);
        Ok(())
    }
    // END

    async fn handle_timeout(&mut self, ctx: &mut ServerContext<Self>) -> Result {
        ctx.stop(ExitReason::Normal)
    }
}

fn idle_now(ctx: &mut ServerContext<IdleBefore>) {
    // NOW idle
    ctx.idle_after(LIMIT);
    // END
}
