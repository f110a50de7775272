//! A pool of connections, whose clients may give up, crash, and lose what they have checked out.
//!
//! You learn what a `Pool` does for its clients: a checkout that is dropped returns its worker, a
//! worker that a client has lost is replaced, and a worker that crashes is restarted.
//!
//! ```text
//! cargo run --example pool
//! ```
//!
//! You will see six situations, with the counts of the pool after each. The clock is paused, so no
//! time limit takes time. The example ends by itself.

mod pool;

use std::error::Error;
use std::future::pending;
use std::time::Duration;

use regrow::{Checkout, Pid, PoolError, PoolRef, Runtime, Supervisor};
use tokio::sync::oneshot;

use pool::{Call, Connection, POOL, pool};

const LIMIT: Duration = Duration::from_secs(1);

/// Prints the counts of the pool, when every other task waits.
async fn show(pool: &PoolRef<Connection>, what: &str) -> Result<(), PoolError> {
    tokio::time::sleep(Duration::from_millis(1)).await;
    let status = pool.status().await?;
    println!("{what:<48} {} idle, {} lent", status.idle, status.lent);
    assert_eq!((status.workers(), status.waiting), (2, 0));
    Ok(())
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() -> Result<(), Box<dyn Error>> {
    let rt = Runtime::new();
    let tree = Supervisor::one_for_one().child(pool().spec()?).start(&rt).await?;
    let pool = PoolRef::named(&rt, POOL);
    let (first, second) = (pool.checkout().await?, pool.checkout().await?);
    show(&pool, "two connections are lent").await?;

    // A client gives up, and the next one in the queue is served.
    let (late, next, ()) = tokio::join!(pool.checkout_within(LIMIT), pool.checkout(), async {
        tokio::time::sleep(2 * LIMIT).await;
        drop(first);
    });
    assert!(matches!(late, Err(PoolError::Timeout { .. })));
    drop(next?);
    show(&pool, "a client gave up, and the next one was served").await?;

    // A client is killed. Its future is dropped, and so is its checkout.
    let client = spawn_client(&rt, &pool, |checkout| checkout).await?;
    show(&pool, "a client has a connection").await?;
    rt.kill(client);
    show(&pool, "it was killed, which has returned it").await?;

    // A client is killed that never drops its checkout. The pool opens another connection.
    let client = spawn_client(&rt, &pool, std::mem::forget).await?;
    rt.kill(client);
    show(&pool, "a client was killed that had lost its checkout").await?;

    // A connection crashes while it is in use. Its client gets the reason.
    let error = pool.checkout().await?.call(Call::Faulty).await.unwrap_err();
    assert!(error.to_string().contains("has ended"));
    show(&pool, "a connection has crashed, and was restarted").await?;

    // The pool's server is killed. Checkouts stay valid, and come back to its successor.
    rt.kill(rt.whereis("connections/server").ok_or("the pool runs")?);
    assert!(second.call(Call::Number).await? <= 2);
    drop(second);
    show(&pool, "the pool's server was killed, all are back").await?;
    tree.stop().await?;
    Ok(())
}

/// Spawns a client that checks a connection out, does something with its checkout, and waits.
async fn spawn_client<T: Send + 'static>(
    rt: &Runtime,
    pool: &PoolRef<Connection>,
    with: impl FnOnce(Checkout<Connection>) -> T + Send + 'static,
) -> Result<Pid, Box<dyn Error>> {
    let (pool, (ready, has_checkout)) = (pool.clone(), oneshot::channel());
    let client = rt.spawn_fallible(async move |_| {
        let _kept = with(pool.checkout().await?);
        let _ = ready.send(());
        pending().await
    });
    has_checkout.await?;
    Ok(client.pid())
}
