//! After a burst, a mailbox keeps no more than a small buffer, once its reader waits again.
//!
//! This file is a program of its own, because its allocator counts the allocations of the whole
//! program.

use peak_alloc::PeakAlloc;
use regrow::{GenServer, Reply, Result, Runtime, ServerContext, ServerRef};
use tokio::task::yield_now;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

const BURST: u64 = 10_000;

/// How much the memory may change without a leak: two small buffers, and the buffers of tokio.
const SLACK: usize = 16 * 1024;

struct Counter(u64);

impl GenServer for Counter {
    type Args = ();
    type Call = Reply<u64>;
    /// A number, and whether the server casts another to itself when it handles this one.
    type Cast = (u64, bool);

    async fn init((): (), _: &mut ServerContext<Self>) -> Result<Self> {
        Ok(Counter(0))
    }

    async fn handle_call(&mut self, reply: Reply<u64>, _: &mut ServerContext<Self>) -> Result {
        reply.send(self.0);
        Ok(())
    }

    async fn handle_cast(
        &mut self,
        (number, again): (u64, bool),
        ctx: &mut ServerContext<Self>,
    ) -> Result {
        self.0 += number;
        if again {
            ctx.this().cast((0, false));
        }
        Ok(())
    }
}

async fn waits(rt: &Runtime, counter: &ServerRef<Counter>) {
    let pid = counter.pid().unwrap();
    while !rt.info(pid).is_some_and(|info| info.receiving) {
        yield_now().await;
    }
}

/// In every second round, the server sends itself one message after the burst. It receives the
/// message while its buffers are still large, and then waits.
#[tokio::test]
async fn a_server_frees_the_mailbox_memory_of_a_burst_when_it_waits_again() {
    let rt = Runtime::new();
    let counter = Counter::start(&rt, ()).await.unwrap();
    for round in 1..=4 {
        waits(&rt, &counter).await;
        let before = ALLOCATOR.current_usage();
        for number in 1..=BURST {
            counter.cast((1, number == BURST && round % 2 == 0));
        }
        assert!(ALLOCATOR.current_usage() > before + BURST as usize * 8, "it is queued");
        waits(&rt, &counter).await;
        let kept = ALLOCATOR.current_usage();
        assert!(kept < before + SLACK, "round {round}: {before} bytes before, {kept} after");
    }
    assert_eq!(counter.call(|reply| reply).await, Ok(4 * BURST));
}
