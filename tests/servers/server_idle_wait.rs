//! A server that waits at its mailbox: a message is handled whenever it arrives, and `info` shows
//! whether the server waits.

use std::time::Duration;

use regrow::{ExitReason, GenServer, Pid, Reply, Result, Runtime, ServerContext, ServerRef};
use tokio::task::yield_now;
use tokio::time::{Instant, sleep};

fn ms(time: u64) -> Duration {
    Duration::from_millis(time)
}

/// A server that works for the requested time, in one step or in steps of a millisecond, and
/// records when each job was done.
#[derive(Default)]
struct Worker(Vec<Instant>);

enum Work {
    Once(Duration),
    Bit(u64),
    /// Sends itself a message, and finishes at once.
    Again,
}

impl GenServer for Worker {
    type Args = ();
    type Call = Reply<Vec<Instant>>;
    type Cast = Work;

    async fn init((): (), _: &mut ServerContext<Self>) -> Result<Self> {
        Ok(Worker::default())
    }

    async fn handle_call(&mut self, done: Self::Call, _: &mut ServerContext<Self>) -> Result {
        done.send(self.0.clone());
        Ok(())
    }

    async fn handle_cast(&mut self, work: Work, ctx: &mut ServerContext<Self>) -> Result {
        match work {
            Work::Once(time) => sleep(time).await,
            Work::Bit(times) => {
                for _ in 0..times {
                    sleep(ms(1)).await;
                }
            }
            Work::Again => drop(ctx.this().cast(Work::Once(ms(0)))),
        }
        self.0.push(Instant::now());
        Ok(())
    }
}

async fn worker(rt: &Runtime) -> ServerRef<Worker> {
    Worker::start(rt, ()).await.unwrap()
}

/// The message arrives while a handler waits, between two waits of a handler, or in the last step
/// of a handler.
#[tokio::test(start_paused = true)]
async fn a_message_that_arrives_during_a_handler_is_handled_next() {
    let rt = Runtime::new();
    for (work, done) in [(Work::Once(ms(10)), 10), (Work::Bit(10), 10), (Work::Again, 0)] {
        let (worker, start) = (worker(&rt).await, Instant::now());
        worker.cast(work);
        if done > 0 {
            sleep(ms(5)).await;
            worker.cast(Work::Once(ms(1)));
        }
        let first = start + ms(done);
        let second = if done > 0 { first + ms(1) } else { first };
        sleep(ms(100)).await;
        assert_eq!(worker.call(|reply| reply).await, Ok(vec![first, second]));
        worker.stop(ExitReason::Normal).await.unwrap();
    }
}

fn waits(rt: &Runtime, pid: Pid) -> bool {
    rt.info(pid).unwrap().receiving
}

/// A server is receiving before its first message and after a handler, but not in a handler. The
/// test checks this several times.
#[tokio::test(start_paused = true)]
async fn info_receiving_tells_whether_a_server_waits() {
    let rt = Runtime::new();
    let worker = worker(&rt).await;
    let pid = worker.pid().unwrap();
    for _ in 0..3 {
        yield_now().await;
        assert!(waits(&rt, pid));
        worker.cast(Work::Once(ms(10)));
        sleep(ms(5)).await;
        assert!(!waits(&rt, pid), "it is in a handler");
        sleep(ms(10)).await;
        assert!(waits(&rt, pid));
        worker.call(|reply| reply).await.unwrap();
        yield_now().await;
        assert!(waits(&rt, pid));
    }
}
