//! Races for the queue of a child that keeps it: between its end, a sender, and its supervisor.

use crate::support;

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Waker};

use regrow::{
    CallError, GenServer, Pid, Reply, Result, Runtime, ServerContext, ServerRef, Supervisor,
    SupervisorRef,
};
use support::race::race;
use support::until;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

/// Counts how often it was handled.
type Item = Arc<AtomicUsize>;

struct Counter;

enum Cast {
    /// The handler returns when the sender is dropped.
    Gate(oneshot::Receiver<()>),
    Count(Item),
}

impl GenServer for Counter {
    type Args = ();
    type Call = (Item, Reply<()>);
    type Cast = Cast;

    async fn init((): (), _: &mut ServerContext<Self>) -> Result<Self> {
        Ok(Counter)
    }

    async fn handle_call(&mut self, call: Self::Call, _: &mut ServerContext<Self>) -> Result {
        call.0.fetch_add(1, Ordering::SeqCst);
        call.1.send(());
        Ok(())
    }

    async fn handle_cast(&mut self, cast: Cast, _: &mut ServerContext<Self>) -> Result {
        match cast {
            Cast::Gate(gate) => drop(gate.await),
            Cast::Count(item) => drop(item.fetch_add(1, Ordering::SeqCst)),
        }
        Ok(())
    }
}

type Answer = Pin<Box<dyn Future<Output = Result<(), CallError>> + Send>>;

/// A supervisor with a server that waits at a gate. A cast and a call are queued behind it.
struct Round {
    tree: SupervisorRef,
    server: ServerRef<Counter>,
    pid: Pid,
    items: [Item; 3],
    answer: Mutex<Option<Answer>>,
    gate: Mutex<Option<oneshot::Sender<()>>>,
}

fn round(rt: &Runtime) -> Round {
    let spec = Supervisor::one_for_one().child(Counter::child(()).keep_queue());
    let (tree, pid) = Handle::current().block_on(async {
        let tree = spec.start(rt).await.unwrap();
        let pid = tree.which_child("Counter").await.unwrap().pid().unwrap();
        (tree, pid)
    });
    let server: ServerRef<Counter> = rt.server_at(pid).unwrap();
    let items: [Item; 3] = Default::default();
    let (gate, opened) = oneshot::channel();
    assert!(server.cast(Cast::Gate(opened)) && server.cast(Cast::Count(items[0].clone())));
    let (caller, item) = (server.clone(), items[1].clone());
    let mut answer: Answer =
        Box::pin(async move { caller.call_unlimited(|reply| (item, reply)).await });
    // The first poll queues the call.
    assert!(answer.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    let (answer, gate) = (Mutex::new(Some(answer)), Mutex::new(Some(gate)));
    Round { tree, server, pid, items, answer, gate }
}

fn times(item: &Item) -> usize {
    item.load(Ordering::SeqCst)
}

/// Checks, when the tree has ended or is ending, that no item was handled twice, and that each is
/// dropped.
async fn check_end(round: &Round) {
    round.tree.ended().await;
    for item in &round.items {
        until("the item is dropped", || Arc::strong_count(item) == 1).await;
        assert!(times(item) <= 1);
    }
}

/// The queue is handed on, or its callers get the reason of the end. No caller waits for ever.
#[test]
fn a_queue_is_handed_on_or_released_while_its_supervisor_is_killed() {
    race(
        round,
        |rt, round| rt.kill(round.pid),
        |rt, round| rt.kill(round.tree.pid().unwrap()),
        async |_, round, _, _| {
            let answer = round.answer.lock().unwrap().take().unwrap();
            match answer.await {
                Ok(()) => assert_eq!(times(&round.items[1]), 1),
                Err(CallError::Exited(_)) => assert_eq!(times(&round.items[1]), 0),
                Err(other) => panic!("{other}"),
            }
            drop(round.gate.lock().unwrap().take());
            check_end(&round).await;
        },
    );
}

/// A cast that is accepted is handled, by the old incarnation or by the new one, and after what was
/// queued before it.
#[test]
fn a_cast_that_is_accepted_while_its_server_is_killed_is_handled_once() {
    race(
        round,
        |rt, round| rt.kill(round.pid),
        |_, round| round.server.cast(Cast::Count(round.items[2].clone())),
        async |rt, round, _, accepted| {
            let answer = round.answer.lock().unwrap().take().unwrap();
            assert_eq!(answer.await, Ok(()));
            assert_eq!((times(&round.items[0]), times(&round.items[1])), (1, 1));
            let expected = usize::from(accepted);
            until("the cast is handled", || times(&round.items[2]) == expected).await;
            rt.kill(round.tree.pid().unwrap());
            check_end(&round).await;
        },
    );
}
