//! A pool of connections as a server, whose clients may give up, crash, and lose what they borrowed.
//!
//! You learn how a server lends something out: `Reply::caller` says which client to monitor, a
//! `Reply` is kept until a connection is free, and a guard gives it back when it is dropped.
//!
//! ```text
//! cargo run --example pool
//! ```
//!
//! You will see five situations, with the counts of the pool after each. The clock is paused, so no
//! time limit takes time. The example ends by itself.

mod pool;

use std::error::Error;
use std::future::pending;
use std::time::Duration;

use regrow::{CallError, GenServer, Name, Runtime, Supervisor};
use tokio::sync::oneshot;
use tokio::task::yield_now;

use pool::{Call, Lease, Pool};

const POOL: Name<Pool> = Name::new("pool");
const LIMIT: Duration = Duration::from_secs(1);

async fn check_out(rt: &Runtime) -> Result<Lease, CallError> {
    rt.server(POOL).call_waiting(Call::CheckOut, LIMIT).await
}

/// Prints the counts of the pool, when every other task waits.
async fn show(rt: &Runtime, what: &str) -> Result<(), CallError> {
    tokio::time::sleep(Duration::from_millis(1)).await;
    let counts = rt.server(POOL).call(Call::Counts).await?;
    println!("{what:<48} {} free, {} lent", counts.free, counts.lent);
    assert_eq!((counts.free + counts.lent, counts.waiting), (2, 0));
    Ok(())
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() -> Result<(), Box<dyn Error>> {
    let rt = Runtime::new();
    let tree = Supervisor::one_for_one().child(Pool::child(2).named(POOL)).start(&rt).await?;
    let (first, second) = (check_out(&rt).await?, check_out(&rt).await?);
    show(&rt, "two connections are lent").await?;

    // A client that waits in the queue gives up. The connection goes to the next one.
    let mut late = Box::pin(check_out(&rt));
    let next = async {
        yield_now().await; // behind the client that gives up
        tokio::time::sleep(LIMIT / 2).await;
        check_out(&rt).await
    };
    let free = async {
        tokio::time::sleep(LIMIT + LIMIT / 4).await;
        drop(first);
    };
    let (late, next, ()) = tokio::join!(&mut late, next, free);
    assert_eq!(late.err(), Some(CallError::Timeout));
    assert_eq!(next.as_ref().map(|lease| lease.number), Ok(2));
    show(&rt, "a client gave up, and the next one was served").await?;

    // A client is killed. Its future is dropped, and so is its lease.
    drop(next);
    let client = spawn_client(&rt, |lease| lease).await?;
    show(&rt, "a client has a connection").await?;
    rt.kill(client);
    show(&rt, "it was killed, which has dropped its lease").await?;

    // A client is killed that never drops its lease. The pool opens another connection.
    let (lost, found) = oneshot::channel();
    let client = spawn_client(&rt, |lease| drop(lost.send(lease))).await?;
    let lost: Lease = found.await?;
    rt.kill(client);
    show(&rt, "a client was killed that had lost its lease").await?;
    drop(lost); // comes back late, and is closed
    show(&rt, "the lost connection was closed").await?;

    // The pool is killed. Leases of the old pool are not given to the new one.
    rt.kill(rt.server(POOL).pid().ok_or("the pool runs")?);
    let third = check_out(&rt).await?;
    drop(second);
    show(&rt, "the pool was killed, and its successor lends").await?;
    drop(third);
    show(&rt, "all connections were given back").await?;
    tree.stop().await?;
    Ok(())
}

/// Spawns a client that checks a connection out, does something with its lease, and waits.
async fn spawn_client<T: Send + 'static>(
    rt: &Runtime,
    with: impl FnOnce(Lease) -> T + Send + 'static,
) -> Result<regrow::Pid, Box<dyn Error>> {
    let (ready, has_lease) = oneshot::channel();
    let client = rt.spawn_fallible(async move |ctx| {
        let _kept = with(check_out(&ctx.runtime()).await?);
        let _ = ready.send(());
        pending().await
    });
    has_lease.await?;
    Ok(client.pid())
}
