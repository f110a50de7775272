//! Races for room in the mailbox of a server.

use crate::support;

use std::future::Future;
use std::pin::Pin;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::thread;

use regrow::{
    CallError, CastError, ExitReason, GenServer, Overflow, Received, Reply, Result, Runtime,
    ServerContext, ServerRef,
};
use support::race::{ROUNDS, WORKERS, race};
use support::{assert_nothing_left, idler};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

/// A server that records each message. `Cast::Gate` makes it wait.
struct Scribe {
    told: Vec<usize>,
    downs: usize,
}

enum Cast {
    Gate(oneshot::Receiver<()>),
    Write(usize),
}

impl GenServer for Scribe {
    type Args = ();
    type Call = Reply<(Vec<usize>, usize)>;
    type Cast = Cast;

    async fn init((): (), _: &mut ServerContext<Self>) -> Result<Self> {
        Ok(Scribe { told: Vec::new(), downs: 0 })
    }

    async fn handle_call(&mut self, reply: Self::Call, _: &mut ServerContext<Self>) -> Result {
        reply.send((self.told.clone(), self.downs));
        Ok(())
    }

    async fn handle_cast(&mut self, cast: Cast, _: &mut ServerContext<Self>) -> Result {
        match cast {
            // The gate opens when its sender is dropped.
            Cast::Gate(gate) => drop(gate.await),
            Cast::Write(number) => self.told.push(number),
        }
        Ok(())
    }

    async fn handle_info(&mut self, info: Received, _: &mut ServerContext<Self>) -> Result {
        self.downs += usize::from(matches!(info, Received::Down { .. }));
        Ok(())
    }
}

fn scribe(capacity: usize, overflow: Overflow, rt: &Runtime) -> ServerRef<Scribe> {
    let start = Scribe::spec(()).mailbox_capacity(capacity, overflow).start(rt);
    Handle::current().block_on(start).unwrap()
}

type Telling = Pin<Box<dyn Future<Output = Result<(), CastError<Cast>>> + Send>>;

fn tell(scribe: &ServerRef<Scribe>, number: usize) -> Telling {
    let scribe = scribe.clone();
    Box::pin(async move { scribe.cast_wait(Cast::Write(number)).await })
}

/// Polls once with a waker that does nothing.
fn poll<F: Future + ?Sized>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// A server that waits at a gate. Its mailbox has room for one message and is full; senders wait.
struct Crowd {
    scribe: ServerRef<Scribe>,
    gate: Mutex<Option<oneshot::Sender<()>>>,
    waiting: Mutex<Vec<Telling>>,
}

impl Crowd {
    fn new(rt: &Runtime, waiting: usize) -> Self {
        let scribe = scribe(1, Overflow::Wait, rt);
        let (gate, closed) = oneshot::channel();
        assert!(scribe.cast(Cast::Gate(closed)));
        // Once the server waits at the gate, its mailbox has room for one message.
        while scribe.try_cast(Cast::Write(0)).is_err() {
            thread::yield_now();
        }
        let mut waiting: Vec<_> = (1..=waiting).map(|number| tell(&scribe, number)).collect();
        assert!(waiting.iter_mut().all(|telling| poll(telling.as_mut()).is_pending()));
        Crowd { scribe, gate: Mutex::new(Some(gate)), waiting: Mutex::new(waiting) }
    }

    fn open(&self) {
        self.gate.lock().unwrap().take();
    }

    /// Removes and returns the sender that has waited longest.
    fn oldest(&self) -> Telling {
        self.waiting.lock().unwrap().remove(0)
    }

    async fn reports(&self) -> Vec<usize> {
        self.scribe.call(|reply| reply).await.unwrap().0
    }
}

/// A server ends while it admits a sender. The message was admitted or is returned, and the result
/// says which.
#[test]
fn a_queued_sender_gets_its_message_back_when_the_server_ends() {
    race(
        |rt| Crowd::new(rt, 2),
        |rt, crowd| {
            crowd.open();
            assert!(rt.kill(crowd.scribe.pid().unwrap()));
        },
        |_, crowd| {
            let mut first = crowd.oldest();
            match poll(first.as_mut()) {
                Poll::Pending => Err(first),
                Poll::Ready(told) => Ok(told),
            }
        },
        async |_, crowd, (), first| {
            let first = match first {
                Ok(told) => told,
                Err(first) => first.await,
            };
            let second = crowd.oldest().await;
            for (told, number) in [(&first, 1), (&second, 2)] {
                if let Err(error) = told {
                    assert_eq!(error.reason, CallError::NoProc);
                    assert!(matches!(error.cast, Cast::Write(given_back) if given_back == number));
                }
            }
            assert!(first.is_ok() || second.is_err(), "the second was let in before the first");
            assert_eq!(crowd.scribe.ended().await, ExitReason::Killed);
        },
    );
}

#[test]
fn a_send_that_starts_to_wait_as_the_server_ends_fails() {
    race(
        |rt| Crowd::new(rt, 0),
        |rt, crowd| assert!(rt.kill(crowd.scribe.pid().unwrap())),
        |_, crowd| {
            let mut late = tell(&crowd.scribe, 7);
            match poll(late.as_mut()) {
                Poll::Pending => Err(late),
                Poll::Ready(told) => Ok(told),
            }
        },
        async |_, _, (), late| {
            let told = match late {
                Ok(told) => told,
                Err(late) => late.await,
            };
            assert_eq!(told.unwrap_err().reason, CallError::NoProc);
        },
    );
}

/// A waiting sender is dropped while room becomes free for it. Its message was handled or never
/// queued, and the next sender is admitted.
#[test]
fn a_queued_send_dropped_as_it_is_admitted_blocks_no_other() {
    race(
        |rt| Crowd::new(rt, 2),
        |_, crowd| crowd.open(),
        |_, crowd| drop(crowd.oldest()),
        async |rt, crowd, (), ()| {
            crowd.oldest().await.unwrap();
            let told = crowd.reports().await;
            assert!(told == [0, 2] || told == [0, 1, 2], "{told:?}");
            let info = rt.info(crowd.scribe.pid().unwrap()).unwrap();
            assert_eq!((info.mailbox_depth, info.dropped_messages), (0, 0));
        },
    );
}

/// A call is evicted, or the server ends first. The caller gets the error that applies.
#[test]
fn an_evicted_caller_of_an_ending_server_gets_the_true_error() {
    race(
        |rt| {
            let scribe = scribe(1, Overflow::DropOldest, rt);
            let (gate, closed) = oneshot::channel();
            assert!(scribe.cast(Cast::Gate(closed)));
            let pid = scribe.pid().unwrap();
            while rt.info(pid).unwrap().mailbox_depth > 0 {
                thread::yield_now();
            }
            let asked = scribe.clone();
            let mut call = Box::pin(async move { asked.call_unlimited(|reply| reply).await });
            assert!(poll(call.as_mut()).is_pending());
            (scribe, gate, Mutex::new(Some(call)))
        },
        |rt, (scribe, ..)| assert!(rt.kill(scribe.pid().unwrap())),
        |_, (scribe, ..)| scribe.cast(Cast::Write(1)),
        async |_, (_, _gate, call), (), evicted| {
            let call = call.into_inner().unwrap().unwrap();
            let told = call.await.unwrap_err();
            let truth =
                if evicted { CallError::Overloaded } else { CallError::Exited(ExitReason::Killed) };
            assert_eq!(told, truth);
        },
    );
}

const SENDERS: usize = 4;
const CAPACITY: usize = 8;

/// Lets four threads send to a mailbox with room for one more message. `check` receives the handled
/// numbers, and the counts of accepted and of dropped messages.
fn flood(
    overflow: Overflow,
    send: impl Fn(&Runtime, &ServerRef<Scribe>, usize) -> bool + Sync,
    check: impl Fn(Vec<usize>, usize, u64),
) {
    for workers in WORKERS {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let tokio = builder.worker_threads(workers).enable_all().build().unwrap();
        let inside = tokio.enter();
        let rt = Runtime::new();
        let scribe = scribe(CAPACITY, overflow, &rt);
        let pid = scribe.pid().unwrap();
        assert!((1..CAPACITY).all(|_| scribe.cast(Cast::Write(usize::MAX))));
        let (accepted, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
        thread::scope(|scope| {
            let watcher = scope.spawn(|| {
                while !stop.load(Ordering::SeqCst) {
                    let depth = rt.info(pid).unwrap().mailbox_depth;
                    assert!(depth <= CAPACITY, "{depth} in a mailbox for {CAPACITY}");
                    thread::yield_now();
                }
            });
            let run = |sender: usize| {
                let _inside = tokio.enter();
                let numbers = (0..ROUNDS / 4).map(|round| round * SENDERS + sender);
                accepted.fetch_add(
                    numbers.filter(|&number| send(&rt, &scribe, number)).count(),
                    Ordering::SeqCst,
                );
            };
            let senders: Vec<_> =
                (0..SENDERS).map(|sender| scope.spawn(move || run(sender))).collect();
            senders.into_iter().for_each(|sender| sender.join().unwrap());
            stop.store(true, Ordering::SeqCst);
            watcher.join().unwrap();
        });
        drop(inside);
        let told = tokio.block_on(async {
            support::until("empty", || rt.info(pid).unwrap().mailbox_depth == 0).await;
            scribe.call(|reply| reply).await.unwrap().0
        });
        let told = told.into_iter().filter(|&number| number != usize::MAX).collect();
        check(told, accepted.into_inner(), rt.dropped_messages());
        tokio.block_on(assert_nothing_left(&rt));
    }
}

/// Asserts that the numbers of each sender were handled in ascending order.
fn assert_in_order(told: &[usize]) {
    for sender in 0..SENDERS {
        let own: Vec<_> = told.iter().filter(|&number| number % SENDERS == sender).collect();
        assert!(own.is_sorted(), "sender {sender}'s are out of order");
    }
}

/// T07. Four senders compete for one place: each accepted message is handled, and each other
/// message is counted.
#[test]
fn the_mailbox_bound_holds_with_overflow_reject() {
    let cast = |_: &Runtime, scribe: &ServerRef<Scribe>, number| scribe.cast(Cast::Write(number));
    flood(Overflow::Reject, cast, |told, accepted, dropped| {
        assert_in_order(&told);
        assert_eq!(told.len(), accepted);
        assert_eq!(dropped as usize, ROUNDS - accepted);
    });
}

/// With `DropOldest`, all messages are accepted, and those that are not handled are counted.
#[test]
fn the_mailbox_bound_holds_with_overflow_drop_oldest() {
    let cast = |_: &Runtime, scribe: &ServerRef<Scribe>, number| scribe.cast(Cast::Write(number));
    flood(Overflow::DropOldest, cast, |told, accepted, dropped| {
        assert_in_order(&told);
        assert_eq!(accepted, ROUNDS);
        let first = CAPACITY - 1; // those before the flood are dropped or handled too
        let handled_or_dropped = told.len() + dropped as usize;
        assert!((ROUNDS..=ROUNDS + first).contains(&handled_or_dropped), "{handled_or_dropped}");
    });
}

/// With `Wait`, no message is lost, and the messages of each sender stay in order.
#[test]
fn the_mailbox_bound_with_overflow_wait_loses_no_message() {
    let cast = |_: &Runtime, scribe: &ServerRef<Scribe>, number| {
        // Each sender has a thread of its own, which may block.
        Handle::current().block_on(scribe.cast_wait(Cast::Write(number))).is_ok()
    };
    flood(Overflow::Wait, cast, |told, accepted, dropped| {
        assert_in_order(&told);
        assert_eq!((told.len(), accepted, dropped), (ROUNDS, ROUNDS, 0));
    });
}

/// T24. No `Down` is evicted, no matter how many messages are.
#[test]
fn no_down_is_evicted_while_messages_overflow() {
    for workers in WORKERS {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let tokio = builder.worker_threads(workers).enable_all().build().unwrap();
        let inside = tokio.enter();
        let rt = Runtime::new();
        let scribe = scribe(1, Overflow::DropOldest, &rt);
        let targets: Vec<_> = (0..1_000).map(|_| idler(&rt)).collect();
        for target in &targets {
            rt.monitor(scribe.pid().unwrap(), target.pid());
        }
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            let flood = || {
                while !stop.load(Ordering::SeqCst) {
                    assert!(scribe.cast(Cast::Write(0)));
                }
            };
            let floods = [scope.spawn(flood), scope.spawn(flood)];
            targets.iter().for_each(|target| assert!(target.kill()));
            tokio.handle().block_on(async {
                for target in &targets {
                    target.join().await;
                }
            });
            stop.store(true, Ordering::SeqCst);
            floods.into_iter().for_each(|flood| flood.join().unwrap());
        });
        drop(inside);
        let (_, downs) = tokio.block_on(scribe.call(|reply| reply)).unwrap();
        assert_eq!(downs, 1_000);
        tokio.block_on(assert_nothing_left(&rt));
    }
}
