//! A server: a state that handles one message at a time.
//!
//! You learn the parts of a `GenServer`: its calls, its casts, the reply to a caller, and the error
//! that a caller gets if there will be no reply.
//!
//! ```text
//! cargo run --example counter
//! ```
//!
//! You will see a correct count from ten concurrent tasks, the error of a call during which the
//! server crashes, and the error of a call to a server that has ended. The example ends by itself.

use std::error::Error;

use futures_util::future::join_all;
use regrow::{CallError, ExitReason, GenServer, Reply, Result, Runtime, ServerContext};

struct Counter(u64);

/// The calls. Each contains the `Reply` that answers it.
enum Call {
    Get(Reply<u64>),
    Take { at_most: u64, reply: Reply<u64> },
}

/// The casts: messages without a reply.
enum Cast {
    Add(u64),
}

impl GenServer for Counter {
    type Args = u64;
    type Call = Call;
    type Cast = Cast;

    async fn init(start: u64, _: &mut ServerContext<Self>) -> Result<Self> {
        Ok(Counter(start))
    }

    async fn handle_call(&mut self, call: Call, _: &mut ServerContext<Self>) -> Result {
        match call {
            Call::Get(reply) => reply.send(self.0),
            Call::Take { at_most: 0, .. } => panic!("asked for nothing"),
            Call::Take { at_most, reply } => {
                let taken = at_most.min(self.0);
                self.0 -= taken;
                reply.send(taken);
            }
        }
        Ok(())
    }

    async fn handle_cast(&mut self, cast: Cast, _: &mut ServerContext<Self>) -> Result {
        match cast {
            Cast::Add(n) => self.0 += n,
        }
        Ok(())
    }
}

// ANCHOR: main
#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let rt = Runtime::new();
    let counter = Counter::start(&rt, 40).await?;

    let adding = (0..10)
        .map(|_| counter.clone())
        .map(|counter| tokio::spawn(async move { assert!(counter.cast(Cast::Add(1))) }));
    join_all(adding).await;
    let count = counter.call(Call::Get).await?; // the variant is the message builder
    println!("ten tasks counted at once: {count}");
    assert_eq!(count, 50);

    let taken = counter.call(|reply| Call::Take { at_most: 80, reply }).await?;
    println!("wanted 80, got {taken}");
    assert_eq!((taken, counter.call(Call::Get).await?), (50, 0));

    let error = counter.call(|reply| Call::Take { at_most: 0, reply }).await.unwrap_err();
    println!("a call that crashed it: {error}");
    let CallError::Exited(ExitReason::Crashed(crash)) = error else { panic!("{error}") };
    assert_eq!(crash.message(), "asked for nothing");

    let error = counter.call(Call::Get).await.unwrap_err();
    println!("and a call after that: {error}");
    assert_eq!(error, CallError::NoProc);
    Ok(())
}
// ANCHOR_END: main
