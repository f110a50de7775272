//! Calls of keyed servers that end all the time.

use crate::support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use regrow::{
    DynamicSupervisor, ExitReason, GenServer, KeyedServers, Reply, Result, Runtime, ServerContext,
};
use support::assert_nothing_left;

const CALLS: u64 = 50_000;
const TASKS: u64 = 8;
const KEYS: u64 = 5;
const LIMIT: Duration = Duration::from_secs(30);

/// How often each call was handled, and the number of starts.
struct Counts {
    handled: Vec<AtomicUsize>,
    starts: AtomicU64,
}

/// Ends if it is idle for this time.
struct Brief {
    counts: Arc<Counts>,
    idle: Duration,
}

impl GenServer for Brief {
    type Args = (Arc<Counts>, Duration);
    type Call = (usize, Reply<usize>);
    type Cast = ();

    async fn init((counts, idle): Self::Args, ctx: &mut ServerContext<Self>) -> Result<Self> {
        counts.starts.fetch_add(1, Ordering::Relaxed);
        ctx.idle_timeout(idle);
        Ok(Brief { counts, idle })
    }

    async fn handle_call(
        &mut self,
        (number, reply): (usize, Reply<usize>),
        ctx: &mut ServerContext<Self>,
    ) -> Result {
        self.counts.handled[number].fetch_add(1, Ordering::Relaxed);
        reply.send(number);
        ctx.idle_timeout(self.idle);
        Ok(())
    }

    async fn handle_timeout(&mut self, _: &mut ServerContext<Self>) -> Result {
        Err(ExitReason::Normal)
    }
}

/// Makes the calls of one task. Now and then the task waits for the end of a server, while other
/// tasks call it.
async fn make_calls(
    devices: KeyedServers<u64, Brief>,
    counts: Arc<Counts>,
    task: u64,
    idle: Duration,
) {
    for nth in 0..CALLS / TASKS {
        let (number, key) = ((task * (CALLS / TASKS) + nth) as usize, (task + nth) % KEYS);
        let spec = || Brief::spec((counts.clone(), idle));
        let answer = devices.call_or_start(&key, spec, |reply| (number, reply), LIMIT).await;
        assert_eq!(answer, Ok(number));
        if nth % 32 == 0
            && let Some(server) = devices.server(&key)
        {
            server.ended().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn calls_to_servers_with_an_idle_time_out_of_one_millisecond_are_handled_exactly_once() {
    let idle = Duration::from_millis(1);
    let rt = Runtime::new();
    let supervisor = DynamicSupervisor::new().start(&rt).await.unwrap();
    let handled = (0..CALLS).map(|_| AtomicUsize::new(0)).collect();
    let counts = Arc::new(Counts { handled, starts: AtomicU64::new(0) });
    let devices = KeyedServers::new(&supervisor);
    let tasks: Vec<_> = (0..TASKS)
        .map(|task| tokio::spawn(make_calls(devices.clone(), counts.clone(), task, idle)))
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert!(counts.handled.iter().all(|handled| handled.load(Ordering::Relaxed) == 1));
    assert!(counts.starts.load(Ordering::Relaxed) > KEYS, "no server has ended");
    assert_eq!(rt.unhandled_messages(), 0, "a call that is taken back is not lost");
    supervisor.stop().await.unwrap();
    assert_nothing_left(&rt).await;
}
