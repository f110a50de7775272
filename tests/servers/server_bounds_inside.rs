//! A server with a bounded mailbox: its own tasks, pipes, timers and continue values.

use crate::support;

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use regrow::{
    CallError, GenServer, Message, Name, Overflow, Received, Reply, Result, Runtime, ServerContext,
    ServerRef,
};
use support::settled;
use tokio::sync::Notify;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::time::Instant;

/// A server that acts on request and can wait at a gate.
struct Worker {
    gate: Arc<Notify>,
    done: Vec<usize>,
}

enum Call {
    Done(Reply<Vec<usize>>),
    /// Casts this number of messages to itself, and waits for room. Answers with the number of
    /// accepted casts and the error of the next.
    TellItself(usize, Reply<(usize, CallError)>),
    /// Casts to another server, and waits for room.
    Tell(Name<Worker>, Reply<CallError>),
    /// Calls another server before it answers.
    Ask(Name<Worker>, Reply<Vec<usize>>),
    /// Starts tasks and a pipe that together send it the numbers 0 to 99.
    Launch(Reply<()>),
}

enum Cast {
    Wait,
    Did(usize),
    Fragile(#[allow(dead_code)] Fragile),
    /// The reply of a call to another server.
    Relay(#[allow(dead_code)] Reply<Vec<usize>>),
}

/// A value whose destructor panics.
struct Fragile(UnboundedSender<()>);

impl Drop for Fragile {
    fn drop(&mut self) {
        self.0.send(()).unwrap();
        panic!("a destructor of the server's own messages");
    }
}

impl GenServer for Worker {
    type Args = Arc<Notify>;
    type Call = Call;
    type Cast = Cast;

    async fn init(gate: Self::Args, _: &mut ServerContext<Self>) -> Result<Self> {
        Ok(Worker { gate, done: Vec::new() })
    }

    async fn handle_call(&mut self, call: Call, ctx: &mut ServerContext<Self>) -> Result {
        match call {
            Call::Done(reply) => reply.send(self.done.clone()),
            Call::TellItself(times, reply) => {
                for told in 0..times {
                    if let Err(error) = ctx.this().cast_wait(Cast::Did(told)).await {
                        reply.send((told, error.reason));
                        break;
                    }
                }
            }
            Call::Tell(other, reply) => {
                let other = ctx.runtime().server(other);
                let told = other.cast_wait(Cast::Did(1)).await;
                reply.send(told.unwrap_err().reason);
            }
            Call::Ask(other, reply) => {
                reply.send(ctx.runtime().server(other).call_unlimited(Call::Done).await?);
            }
            Call::Launch(reply) => {
                for number in 0..10 {
                    ctx.spawn_task(async move { number }, Cast::Did);
                }
                let numbers = futures_util::stream::iter(10..100);
                ctx.pipe(numbers, |number| number.map_or(Cast::Wait, Cast::Did));
                reply.send(());
            }
        }
        Ok(())
    }

    async fn handle_cast(&mut self, cast: Cast, _: &mut ServerContext<Self>) -> Result {
        match cast {
            Cast::Wait => self.gate.notified().await,
            Cast::Did(number) => self.done.push(number),
            Cast::Fragile(_) | Cast::Relay(_) => {}
        }
        Ok(())
    }

    async fn handle_info(&mut self, info: Received, _: &mut ServerContext<Self>) -> Result {
        self.done.extend(info.message().as_ref().map(Message::len));
        Ok(())
    }
}

struct Fixture {
    rt: Runtime,
    gate: Arc<Notify>,
}

impl Fixture {
    fn new() -> Self {
        Fixture { rt: Runtime::new(), gate: Arc::default() }
    }

    async fn worker(&self, capacity: usize, overflow: Overflow) -> ServerRef<Worker> {
        let spec = Worker::spec(self.gate.clone()).mailbox_capacity(capacity, overflow);
        spec.start(&self.rt).await.unwrap()
    }

    /// Starts a worker that waits at the gate.
    async fn waiting(&self, capacity: usize, overflow: Overflow) -> ServerRef<Worker> {
        let worker = self.worker(capacity, overflow).await;
        assert!(worker.cast(Cast::Wait));
        settled().await;
        worker
    }
}

/// A handler that waits for room in the mailbox of its own server would wait for ever.
#[tokio::test]
async fn a_wait_for_room_in_the_own_mailbox_fails_with_calling_self() {
    let fixture = Fixture::new();
    let worker = fixture.worker(3, Overflow::Wait).await;
    let told = worker.call(|reply| Call::TellItself(9, reply)).await;
    assert_eq!(told, Ok((3, CallError::CallingSelf)));
    assert_eq!(worker.call(Call::Done).await, Ok(vec![0, 1, 2]));
}

/// With deadlock detection, a wait for room that would close a cycle of servers returns the cycle.
#[tokio::test(start_paused = true)]
async fn a_wait_for_room_that_closes_a_cycle_gets_a_deadlock_error() {
    let fixture = Fixture::new();
    let rt = &fixture.rt;
    rt.detect_deadlocks(true);
    let (one, two) = (Name::new("one"), Name::new("two"));
    let first = fixture.waiting(8, Overflow::Wait).await;
    let second = fixture.worker(1, Overflow::Wait).await;
    let pids = [first.pid().unwrap(), second.pid().unwrap()];
    assert!(rt.register("one", pids[0]) && rt.register("two", pids[1]));
    let telling = first.call(|reply| Call::Tell(two, reply));
    let asking = async {
        settled().await; // the first must get its request before it is called
        second.call(|reply| Call::Ask(one, reply)).await
    };
    let filling = async {
        tokio::time::sleep(Duration::from_millis(10)).await;
        assert!(second.cast(Cast::Did(0)));
        fixture.gate.notify_one();
    };
    let (told, asked, ()) = tokio::join!(telling, asking, filling);
    let cycle = vec![pids[0], pids[1], pids[0]];
    assert_eq!((told, asked), (Ok(CallError::Deadlock { cycle }), Ok(vec![])));
}

/// Results of tasks and items of pipes wait for room, and none is lost.
#[tokio::test(start_paused = true)]
async fn task_results_and_pipe_items_wait_for_room() {
    for overflow in [Overflow::Reject, Overflow::Wait] {
        let fixture = Fixture::new();
        let worker = fixture.worker(2, overflow).await;
        worker.call(Call::Launch).await.unwrap();
        assert!(fixture.rt.send(worker.pid().unwrap(), vec![0; 100]));
        fixture.gate.notify_one();
        settled().await;
        let mut done = worker.call(Call::Done).await.unwrap();
        done.sort_unstable();
        assert_eq!(done, (0..=100).collect::<Vec<_>>());
        assert_eq!(fixture.rt.dropped_messages(), 0);
    }
}

/// With a policy that drops messages, items of a pipe are dropped like casts. The end of a pipe and
/// the result of a task come only once, so they are never dropped, however full the mailbox is.
#[tokio::test(start_paused = true)]
async fn pipe_ends_and_task_results_are_never_dropped() {
    for overflow in [Overflow::DropOldest, Overflow::DropNewest] {
        for tracked in [false, true] {
            let fixture = Fixture::new();
            fixture.rt.track_handlers(tracked);
            let worker = fixture.waiting(2, overflow).await;
            let busy_again = async {
                assert!(worker.cast(Cast::Wait));
                fixture.gate.notify_one();
            };
            let (launched, ()) = tokio::join!(worker.call(Call::Launch), busy_again);
            launched.unwrap();
            settled().await;
            for number in 1_000..1_100 {
                assert!(worker.cast(Cast::Did(number)));
            }
            assert!(fixture.rt.dropped_messages() > 100, "items are casts");
            fixture.gate.notify_one();
            settled().await;
            let mut done = pin!(worker.call(Call::Done));
            assert!(done.as_mut().now_or_never().is_none(), "the end of the pipe has it wait");
            fixture.gate.notify_one();
            let done = done.await.unwrap();
            let results = done.iter().filter(|number| **number < 10).count();
            assert_eq!(results, 10, "{overflow:?}: {done:?}");
        }
    }
}

/// A panicking destructor of an evicted message does not affect the sender.
#[tokio::test(start_paused = true)]
async fn a_panicking_destructor_of_an_evicted_message_is_caught() {
    let fixture = Fixture::new();
    let worker = fixture.waiting(1, Overflow::DropOldest).await;
    let (dropped, mut drops) = unbounded_channel();
    assert!(worker.cast(Cast::Fragile(Fragile(dropped))));
    assert!(worker.cast(Cast::Did(1)));
    drops.try_recv().unwrap();
    fixture.gate.notify_one();
    settled().await;
    assert_eq!(worker.call(Call::Done).await, Ok(vec![1]));
}

/// A reply is evicted inside another message. The call fails with the error of the server that was
/// called, which is alive.
#[tokio::test(start_paused = true)]
async fn a_reply_evicted_inside_another_message_fails_with_no_reply() {
    let fixture = Fixture::new();
    let desk = Desk::start(&fixture.rt, ()).await.unwrap();
    let worker = fixture.waiting(1, Overflow::DropOldest).await;
    let begun = Instant::now();
    let relayed = desk.call(|reply| (worker.clone(), reply));
    let evicting = async {
        settled().await;
        assert!(worker.cast(Cast::Did(1)));
    };
    let (answer, ()) = tokio::join!(relayed, evicting);
    assert_eq!(answer, Err(CallError::NoReply), "the desk is alive, and took the call");
    assert_eq!(begun.elapsed(), Duration::from_millis(1));
}

/// A server that passes the reply of each call on to a worker.
struct Desk;

impl GenServer for Desk {
    type Args = ();
    type Call = (ServerRef<Worker>, Reply<Vec<usize>>);
    type Cast = ();

    async fn init((): (), _: &mut ServerContext<Self>) -> Result<Self> {
        Ok(Desk)
    }

    async fn handle_call(&mut self, call: Self::Call, _: &mut ServerContext<Self>) -> Result {
        let (worker, reply) = call;
        worker.cast(Cast::Relay(reply));
        Ok(())
    }

    async fn handle_cast(&mut self, (): (), _: &mut ServerContext<Self>) -> Result {
        Ok(())
    }
}
