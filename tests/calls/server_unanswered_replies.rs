//! Replies that are dropped in unusual places: in a handler in which another server is polled, with
//! a caller that cannot be woken, and at the end of a thread.

use crate::support;

use std::any::Any;
use std::cell::RefCell;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_util::FutureExt;
use regrow::{CallError, ExitReason, GenServer, Reply, Result, Runtime, ServerContext};
use support::counting_waker::counting_waker;
use tokio::sync::{Notify, oneshot};
use tokio::task::{spawn_blocking, yield_now};

/// A server that keeps replies, and processes them on request.
#[derive(Default)]
struct Desk(Replies);

type Replies = Vec<Reply<u32>>;
type Act = Box<dyn FnOnce(Replies) + Send>;

impl GenServer for Desk {
    type Args = ();
    type Call = Reply<u32>;
    type Cast = Act;

    async fn init((): (), _: &mut ServerContext<Self>) -> Result<Self> {
        Ok(Desk::default())
    }

    async fn handle_call(&mut self, reply: Reply<u32>, _: &mut ServerContext<Self>) -> Result {
        self.0.push(reply);
        Ok(())
    }

    async fn handle_cast(&mut self, act: Act, _: &mut ServerContext<Self>) -> Result {
        act(std::mem::take(&mut self.0));
        Ok(())
    }
}

/// A server whose cast handler waits for a notification, and counts the polls of that handler.
struct Guard(Arc<Polls>);

#[derive(Default)]
struct Polls {
    count: AtomicUsize,
    come: Notify,
}

impl GenServer for Guard {
    type Args = Arc<Polls>;
    type Call = Reply<u32>;
    type Cast = ();

    async fn init(polls: Arc<Polls>, _: &mut ServerContext<Self>) -> Result<Self> {
        Ok(Guard(polls))
    }

    /// Drops the reply.
    async fn handle_call(&mut self, _: Reply<u32>, _: &mut ServerContext<Self>) -> Result {
        Ok(())
    }

    async fn handle_cast(&mut self, (): (), _: &mut ServerContext<Self>) -> Result {
        let mut come = Box::pin(self.0.come.notified());
        poll_fn(|cx| {
            self.0.count.fetch_add(1, Ordering::SeqCst);
            come.as_mut().poll(cx)
        })
        .await;
        Ok(())
    }
}

/// Runs a server from its start to its end on this thread, in its own tokio runtime, inside a
/// handler of another server.
fn guarded() {
    let tokio = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    tokio.block_on(async {
        let (rt, polls) = (Runtime::new(), Arc::new(Polls::default()));
        let guard = Guard::start(&rt, polls.clone()).await.unwrap();
        assert_eq!(guard.call_unlimited(|reply| reply).await, Err(CallError::NoReply));
        guard.cast(());
        for _ in 0..100 {
            yield_now().await;
        }
        assert_eq!(polls.count.load(Ordering::SeqCst), 1, "no message had arrived");
        polls.come.notify_one();
        assert_eq!(guard.call_unlimited(|reply| reply).await, Err(CallError::NoReply));
    });
}

/// A server of another tokio runtime is polled on this thread, in the handler of a server with an
/// unanswered call: each caller gets the result of its own server, and no caller is woken for
/// another server.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_polled_in_another_servers_handler_keeps_its_own_replies() {
    let rt = Runtime::new();
    let desk = Desk::start(&rt, ()).await.unwrap();
    let (done, mut is_done) = oneshot::channel();
    let (answer, _) = tokio::join!(desk.call_unlimited(|reply| reply), async {
        desk.cast(Box::new(|replies| {
            drop(replies);
            tokio::task::block_in_place(guarded);
            done.send(()).unwrap();
        }))
    });
    assert_eq!(answer, Err(CallError::NoReply));
    is_done.try_recv().expect("the other's life went as it should, and is over");
}

/// The outcome of three calls in one handler.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Fate {
    Answered,
    Dropped,
    /// The replies are dropped, and then the handler fails.
    Crashed,
}

/// Three calls are each polled once by hand. The waker of the second caller panics.
#[tokio::test(start_paused = true)]
async fn a_caller_whose_waker_panics_does_not_affect_other_callers() {
    for fate in [Fate::Answered, Fate::Dropped, Fate::Crashed] {
        let (told, is_told) = oneshot::channel();
        let rt = Runtime::new();
        let desk = Desk::start(&rt, ()).await.unwrap();
        let wakers = [false, true, false].map(counting_waker);
        let mut calls = [(); 3].map(|()| Box::pin(desk.call_unlimited(|reply| reply)));
        for (call, (_, waker)) in calls.iter_mut().zip(&wakers) {
            assert!(call.as_mut().poll(&mut Context::from_waker(waker)).is_pending());
        }
        desk.cast(Box::new(move |replies| match fate {
            Fate::Answered => replies.into_iter().for_each(|reply| reply.send(7)),
            Fate::Dropped => drop(replies),
            Fate::Crashed => {
                drop(replies);
                panic!("out of ink");
            }
        }));
        if fate == Fate::Crashed {
            assert!(desk.ended().await.is_abnormal());
        } else {
            // The next handler runs after the server has resolved these calls.
            desk.cast(Box::new(move |_| told.send(()).unwrap()));
            is_told.await.unwrap();
        }
        for (mut call, (counts, waker)) in calls.into_iter().zip(&wakers) {
            assert_eq!(counts.woken(), 1);
            let Poll::Ready(answer) = call.as_mut().poll(&mut Context::from_waker(waker)) else {
                panic!("it was woken for nothing")
            };
            let told = match answer {
                Ok(7) => Fate::Answered,
                Err(CallError::NoReply) => Fate::Dropped,
                Err(CallError::Exited(reason)) if reason.is_abnormal() => Fate::Crashed,
                other => panic!("{other:?}"),
            };
            assert_eq!(told, fate);
        }
    }
}

thread_local! {
    /// Values that are dropped when the thread ends. A thread-local that is first used after this
    /// one is dropped before it.
    static KEPT: RefCell<Vec<Box<dyn Any>>> = const { RefCell::new(Vec::new()) };
}

/// A thread that is ending drops the reply, outside of any server.
#[tokio::test]
async fn a_reply_dropped_with_a_thread_fails_the_call_with_no_reply() {
    let rt = Runtime::new();
    let desk = Desk::start(&rt, ()).await.unwrap();
    let (answer, _) = tokio::join!(desk.call_unlimited(|reply| reply), async {
        desk.cast(Box::new(|replies| {
            let ends = move || KEPT.with_borrow_mut(|kept| kept.push(Box::new(replies)));
            std::thread::spawn(ends).join().unwrap();
        }))
    });
    assert_eq!(answer, Err(CallError::NoReply));
}

/// A thread ends, and drops a tokio runtime with a server that has an open call. By then the
/// thread-local of unanswered replies, which the thread has used before, is already gone.
#[tokio::test]
async fn a_server_that_ends_with_its_thread_fails_its_open_calls() {
    let (asked, is_asked) = oneshot::channel();
    let thread = std::thread::spawn(move || {
        KEPT.with_borrow_mut(|kept| kept.push(Box::new("goes last")));
        let tokio = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let desk = tokio.block_on(async {
            let desk = Desk::start(&Runtime::new(), ()).await.unwrap();
            let (answer, _) = tokio::join!(desk.call_unlimited(|reply| reply), async {
                desk.cast(Box::new(drop))
            });
            assert_eq!(answer, Err(CallError::NoReply));
            desk
        });
        let mut call = Box::pin(async move { desk.call_unlimited(|reply| reply).await });
        assert!(call.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        // The server receives the call.
        tokio.block_on(yield_now());
        asked.send(call).ok().expect("a caller waits");
        KEPT.with_borrow_mut(|kept| kept.push(Box::new(tokio)));
    });
    let call = is_asked.await.unwrap();
    thread.join().unwrap();
    assert_eq!(call.await, Err(CallError::Exited(ExitReason::Killed)));
}

/// A value in an exit reason. Its destructor reports that it runs, and waits until it may return.
struct SlowDrop(mpsc::Sender<()>, Mutex<mpsc::Receiver<()>>);

impl fmt::Display for SlowDrop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("slow to drop")
    }
}

impl Drop for SlowDrop {
    fn drop(&mut self) {
        self.0.send(()).unwrap();
        self.1.lock().unwrap().recv().unwrap();
    }
}

/// Invariant 2 of the teardown: while the timers of a server are being dropped, its end cannot be
/// observed yet. A reply that another thread drops at that moment stays open until they are gone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_fails_only_after_the_timers_of_its_ended_server_are_dropped() {
    let rt = Runtime::new();
    let desk = Desk::start(&rt, ()).await.unwrap();
    let mut call = pin!(desk.call_unlimited(|reply| reply));
    assert!(call.as_mut().now_or_never().is_none());
    let (hand_out, replies) = oneshot::channel();
    desk.cast(Box::new(|replies| drop(hand_out.send(replies))));
    let replies = replies.await.unwrap();
    let ((dropping, is_dropping), (let_go, may_go)) = (mpsc::channel(), mpsc::channel());
    let reason = ExitReason::shutdown_with(SlowDrop(dropping, Mutex::new(may_go)));
    let pid = desk.pid().unwrap();
    let timer = rt.exit_after(pid, Duration::from_secs(3600), reason);
    rt.kill(pid);
    spawn_blocking(move || is_dropping.recv()).await.unwrap().unwrap();
    drop(replies);
    assert!(call.as_mut().now_or_never().is_none(), "the timers are still being dropped");
    let_go.send(()).unwrap();
    assert_eq!(call.await, Err(CallError::Exited(ExitReason::Killed)));
    assert_eq!(timer.remaining(), None);
}

/// A call that waits for the server to resolve its dropped reply wakes the task that polled it last.
#[tokio::test]
async fn a_call_with_a_dropped_reply_may_move_to_another_task() {
    let rt = Runtime::new();
    let desk = Desk::start(&rt, ()).await.unwrap();
    let mut call = pin!(desk.call_unlimited(|reply| reply));
    assert!(call.as_mut().now_or_never().is_none());
    let (hand_out, replies) = oneshot::channel();
    desk.cast(Box::new(|replies| drop(hand_out.send(replies))));
    drop(replies.await.unwrap());
    // This poll asks the server; the next is another task's.
    assert!(call.as_mut().now_or_never().is_none());
    let (counts, waker) = counting_waker(false);
    assert!(call.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    for _ in 0..100 {
        yield_now().await; // the server resolves the call
    }
    assert_eq!(counts.woken(), 1);
    assert_eq!(call.await, Err(CallError::NoReply));
}
