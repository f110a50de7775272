//! The caller that waits has its own deadline: it expires in time, whichever other threads block.
//!
//! These tests block threads until the deadline under test has passed, so a deadline that depends
//! on a blocked thread never expires.

use crate::support;

use std::future::{Future, pending, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use regrow::{
    CallError, ChildSpec, ExitReason, GenServer, Reply, Runtime, ServerContext, ServerRef,
    Supervisor, Task,
};
use support::settled;
use tokio::runtime::{Builder, Runtime as Tokio};
use tokio::sync::oneshot;
use tokio::time::Instant;

const SHORT: Duration = Duration::from_millis(100);

const HOUR: Duration = Duration::from_secs(3600);

/// A server that keeps its replies, so no call is ever answered.
struct Silent(Vec<Reply<()>>);

impl GenServer for Silent {
    type Args = ();
    type Call = Reply<()>;
    type Cast = ();

    async fn init((): (), _: &mut ServerContext<Self>) -> regrow::Result<Self> {
        Ok(Silent(Vec::new()))
    }

    async fn handle_call(
        &mut self,
        reply: Reply<()>,
        _: &mut ServerContext<Self>,
    ) -> regrow::Result {
        self.0.push(reply);
        Ok(())
    }

    async fn handle_cast(&mut self, (): (), _: &mut ServerContext<Self>) -> regrow::Result {
        self.0.drain(..).for_each(|reply| reply.send(()));
        Ok(())
    }
}

fn same(reply: Reply<()>) -> Reply<()> {
    reply
}

/// Returns a tokio runtime with this number of threads.
fn workers(threads: usize) -> Tokio {
    Builder::new_multi_thread().worker_threads(threads).enable_all().build().unwrap()
}

fn current_thread(paused: bool) -> Tokio {
    Builder::new_current_thread().enable_all().start_paused(paused).build().unwrap()
}

/// Starts a server that never answers on this tokio runtime.
fn silent(tokio: &Tokio) -> (Runtime, ServerRef<Silent>) {
    tokio.block_on(async {
        let rt = Runtime::new();
        let server = Silent::start(&rt, ()).await.unwrap();
        (rt, server)
    })
}

/// Runs a function on a thread and returns its result. Panics if the function takes so long that it
/// must be stuck.
fn in_time<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, result) = mpsc::channel();
    thread::spawn(move || done.send(run()));
    result.recv_timeout(Duration::from_secs(30)).expect("it ends though others are blocked")
}

/// A blocked worker of a tokio runtime. Dropping this value releases the worker.
struct Blocked {
    _release: Sender<()>,
}

impl Blocked {
    /// Blocks a worker after this future has returned on it.
    fn after(tokio: &Tokio, first: impl Future<Output = ()> + Send + 'static) -> Self {
        let (release, released) = mpsc::channel();
        let (blocks, blocked) = mpsc::channel();
        tokio.spawn(async move {
            first.await;
            block(&blocks, &released);
        });
        blocked.recv().unwrap();
        Blocked { _release: release }
    }

    /// Blocks a worker that has begun a call with this limit, before it returns to its queue.
    fn in_a_call(tokio: &Tokio, server: &ServerRef<Silent>, limit: Duration) -> Self {
        let (release, released) = mpsc::channel();
        let (blocks, blocked) = mpsc::channel();
        let server = server.clone();
        tokio.spawn(async move {
            let mut call = pin!(server.call_timeout(same, limit));
            assert!(begins_to_wait(call.as_mut()).await);
            block(&blocks, &released);
        });
        blocked.recv().unwrap();
        Blocked { _release: release }
    }
}

fn block(blocks: &Sender<()>, released: &Receiver<()>) {
    blocks.send(()).unwrap();
    let _ = released.recv();
}

/// Polls a future once.
async fn begins_to_wait(mut future: Pin<&mut impl Future>) -> bool {
    poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx).is_pending())).await
}

const TIMEOUT: Result<(), CallError> = Err(CallError::Timeout);

#[test]
fn a_call_from_another_tokio_times_out_while_the_servers_tokio_is_blocked() {
    for other in [workers(1), current_thread(false)] {
        let tokio = workers(1);
        let (_rt, server) = silent(&tokio);
        let answer = in_time(move || {
            // The same thread waits in both runtimes, one after the other.
            assert_eq!(tokio.block_on(server.call_timeout(same, SHORT)), TIMEOUT);
            let blocked = Blocked::after(&tokio, async {});
            let answers = [
                other.block_on(server.call_timeout(same, SHORT)),
                other.block_on(async { tokio::spawn(calls(server.clone())).await.unwrap() }),
                other.block_on(server.call_waiting(same, SHORT)),
                other.block_on(async {
                    let [answer] = &ServerRef::call_many(&[server], same, SHORT).await[..] else {
                        panic!("one server, one answer")
                    };
                    answer.clone()
                }),
            ];
            drop(blocked);
            answers
        });
        assert_eq!(answer, [TIMEOUT, TIMEOUT, TIMEOUT, TIMEOUT]);
    }
}

async fn calls(server: ServerRef<Silent>) -> Result<(), CallError> {
    server.call_timeout(same, SHORT).await
}

#[test]
fn waits_from_another_tokio_time_out_while_the_runtimes_tokio_is_blocked() {
    let (tokio, other) = (workers(1), workers(1));
    let (rt, server) = silent(&tokio);
    in_time(move || {
        let task = tokio.block_on(async { Task::spawn_nolink(&rt, |_| pending::<()>()) });
        let blocked = Blocked::after(&tokio, async {});
        other.block_on(async {
            let stopped = server.stop_timeout(ExitReason::Shutdown, SHORT).await;
            assert_eq!(stopped, Err(CallError::Timeout));
            assert!(task.join_timeout(SHORT).await.is_err());
        });
        drop(blocked);
    });
}

/// The call reads the same clock that it waits for.
#[test]
fn a_call_from_another_tokio_uses_the_clock_of_that_tokio() {
    let tokio = workers(1);
    let (_rt, server) = silent(&tokio);
    current_thread(true).block_on(async {
        let start = Instant::now();
        assert_eq!(server.call_timeout(same, HOUR).await, TIMEOUT);
        assert_eq!(start.elapsed(), HOUR);
    });
}

#[test]
fn a_call_times_out_while_a_worker_with_a_started_call_is_blocked() {
    let tokio = workers(2);
    let (_rt, server) = silent(&tokio);
    let answer = in_time(move || {
        let blocked = Blocked::in_a_call(&tokio, &server, HOUR);
        let answer = tokio.block_on(async { tokio::spawn(calls(server)).await.unwrap() });
        drop(blocked);
        answer
    });
    assert_eq!(answer, TIMEOUT);
}

/// One task watches the deadlines of many calls. A worker that begins a call and then blocks does
/// not wake that task.
#[test]
fn pooled_deadlines_expire_while_a_worker_with_a_started_call_is_blocked() {
    let tokio = workers(2);
    let (_rt, server) = silent(&tokio);
    let answer = in_time(move || {
        // From now on the task watches calls with this limit.
        assert_eq!(tokio.block_on(server.call_timeout(same, SHORT)), TIMEOUT);
        let waiting = tokio.spawn(calls(server.clone()));
        let second = tokio.spawn(calls(server.clone()));
        let blocked = Blocked::in_a_call(&tokio, &server, SHORT / 10);
        let third = tokio.spawn(calls(server.clone()));
        let answers = [waiting, second, third].map(|one| tokio.block_on(one).unwrap());
        drop(blocked);
        answers
    });
    assert_eq!(answer, [TIMEOUT, TIMEOUT, TIMEOUT]);
}

#[test]
fn a_shutdown_time_expires_while_a_worker_with_a_started_call_is_blocked() {
    let tokio = workers(2);
    let (rt, server) = silent(&tokio);
    in_time(move || {
        let stubborn = ChildSpec::task("stubborn", |mut ctx| async move {
            let _told = ctx.cancellation_token();
            pending().await
        });
        let stubborn = stubborn.shutdown(regrow::Shutdown::Timeout(SHORT));
        let tree = Supervisor::one_for_one().child(stubborn);
        let tree = tokio.block_on(tree.start(&rt)).unwrap();
        tokio.block_on(tree.which_children()).unwrap();
        let blocked = Blocked::in_a_call(&tokio, &server, HOUR);
        let stopped = tokio.spawn(async move { tree.stop().await });
        tokio.block_on(stopped).unwrap().unwrap();
        drop(blocked);
    });
}

#[test]
fn a_blocking_call_times_out_while_tokio_is_not_driven() {
    for paused in [false, true] {
        let tokio = current_thread(paused);
        let (_rt, server) = silent(&tokio);
        let answer = in_time(move || server.call_blocking(same, SHORT));
        assert_eq!(answer, TIMEOUT, "paused: {paused}");
    }
}

#[test]
fn a_blocking_call_on_a_dropped_tokio_fails_with_tokio_gone() {
    let tokio = workers(1);
    let (_rt, server) = silent(&tokio);
    drop(tokio);
    assert_eq!(in_time(move || server.call_blocking(same, SHORT)), Err(CallError::TokioGone));
}

#[test]
fn a_blocking_call_times_out_while_the_servers_tokio_is_blocked() {
    let tokio = workers(1);
    let (_rt, server) = silent(&tokio);
    let blocked = Blocked::after(&tokio, async {});
    assert_eq!(in_time(move || server.call_blocking(same, SHORT)), TIMEOUT);
    drop(blocked);
}

#[test]
fn a_blocking_call_returns_the_reply() {
    let tokio = workers(1);
    let (_rt, server) = silent(&tokio);
    let answering = server.clone();
    tokio.spawn(async move {
        while answering.cast(()) {
            tokio::task::yield_now().await;
        }
    });
    assert_eq!(in_time(move || server.call_blocking(same, HOUR)), Ok(()));
}

#[tokio::test]
#[should_panic(expected = "Cannot start a runtime from within a runtime")]
async fn a_blocking_call_inside_async_code_panics() {
    let rt = Runtime::new();
    let server = Silent::start(&rt, ()).await.unwrap();
    drop(server.call_blocking(same, SHORT));
}

/// Runs a function on a thread that belongs to no tokio runtime, and returns a receiver of the
/// result.
fn on_a_thread<T: Send + 'static>(
    run: impl FnOnce() -> T + Send + 'static,
) -> oneshot::Receiver<T> {
    let (done, result) = oneshot::channel();
    thread::spawn(move || done.send(run()).is_ok());
    result
}

#[tokio::test(start_paused = true)]
async fn a_blocking_call_uses_a_paused_clock() {
    let (rt, start) = (Runtime::new(), Instant::now());
    let server = Silent::start(&rt, ()).await.unwrap();
    let answer = on_a_thread(move || server.call_blocking(same, HOUR));
    assert_eq!(answer.await.unwrap(), TIMEOUT);
    assert_eq!(start.elapsed(), HOUR);
}

/// The deadline has passed by the system's clock, but not by the paused clock, which decides.
#[tokio::test(start_paused = true)]
async fn a_blocking_call_waits_while_a_paused_clock_stands_still() {
    let (rt, start) = (Runtime::new(), Instant::now());
    let server = Silent::start(&rt, ()).await.unwrap();
    let asking = server.clone();
    let mut answer = on_a_thread(move || asking.call_blocking(same, Duration::from_millis(1)));
    // The runtime is never idle, so its clock stands still, for longer than tokio may take to
    // react.
    let busy = std::time::Instant::now();
    while busy.elapsed() < Duration::from_millis(1500) {
        tokio::task::yield_now().await;
    }
    assert!(answer.try_recv().is_err());
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert_eq!(answer.await.unwrap(), TIMEOUT);
    assert_eq!(start.elapsed(), Duration::from_millis(1));
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Runs a future without tokio.
fn without_tokio<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_polled_outside_tokio_uses_the_clock_of_the_servers_tokio() {
    let rt = Runtime::new();
    tokio::time::advance(HOUR).await; // far from the system's clock
    let (server, start) = (Silent::start(&rt, ()).await.unwrap(), Instant::now());
    let answer = on_a_thread(move || without_tokio(server.call_timeout(same, HOUR)));
    assert_eq!(answer.await.unwrap(), TIMEOUT);
    assert_eq!(start.elapsed(), HOUR);
}

#[test]
#[should_panic(expected = "timers are disabled")]
fn a_call_from_a_tokio_without_timers_panics() {
    let tokio = workers(1);
    let (_rt, server) = silent(&tokio);
    let other = Builder::new_current_thread().build().unwrap();
    drop(other.block_on(server.call_timeout(same, SHORT)));
}

#[tokio::test(start_paused = true)]
async fn a_blocking_child_uses_a_paused_clock() {
    let rt = Runtime::new();
    let (says, mut said) = tokio::sync::mpsc::unbounded_channel();
    let child = ChildSpec::blocking("child", move |mut ctx| {
        assert!(!ctx.wait_stop(HOUR));
        says.send(Instant::now())?;
        assert!(ctx.recv_timeout(HOUR).is_none() && !ctx.is_stopping());
        says.send(Instant::now())?;
        assert!(ctx.wait_stop(Duration::MAX));
        Ok(())
    });
    let start = Instant::now();
    let tree = Supervisor::one_for_one().child(child).start(&rt).await.unwrap();
    assert_eq!(said.recv().await, Some(start + HOUR));
    assert_eq!(said.recv().await, Some(start + 2 * HOUR));
    tree.stop().await.unwrap();
}

#[test]
fn waits_of_a_blocking_child_time_out_while_its_tokio_is_blocked() {
    let tokio = workers(1);
    let (says, said) = mpsc::channel();
    let (go, gone) = mpsc::channel::<()>();
    let gone = Arc::new(std::sync::Mutex::new(gone));
    let child = ChildSpec::blocking("child", move |mut ctx| {
        gone.lock().unwrap().recv()?;
        assert!(!ctx.wait_stop(SHORT));
        assert!(ctx.recv_timeout(SHORT).is_none());
        says.send(())?;
        Ok(())
    });
    let rt = Runtime::new();
    let _tree = tokio.block_on(Supervisor::one_for_one().child(child).start(&rt)).unwrap();
    let blocked = Blocked::after(&tokio, async {});
    go.send(()).unwrap();
    said.recv_timeout(Duration::from_secs(30)).expect("its waits end though tokio is blocked");
    drop(blocked);
}

/// A finished wait is not counted, whichever mechanism timed it.
#[tokio::test(start_paused = true)]
async fn a_finished_call_leaves_no_deadline_counted() {
    let rt = Runtime::new();
    let server = Silent::start(&rt, ()).await.unwrap();
    for limit in [HOUR, SHORT, 3 * HOUR, SHORT] {
        let mut call = Box::pin(server.call_timeout(same, limit));
        assert!(begins_to_wait(call.as_mut()).await);
        assert_eq!(rt.leftovers().calls, 1);
        drop(call);
        assert_eq!(rt.leftovers().calls, 0);
        settled().await;
    }
}

/// While many calls are made, the deadlines of further calls are not read from the clock. They are
/// never early nevertheless.
#[test]
fn deadlines_are_not_early_while_many_calls_are_made() {
    let tokio = workers(2);
    let (rt, server) = silent(&tokio);
    let early = tokio.block_on(async {
        let (end, over) = tokio::sync::watch::channel(());
        let busy = [0, 1].map(|_| {
            let (server, mut over) = (server.clone(), over.clone());
            tokio::spawn(async move {
                let quick = async {
                    loop {
                        let call = server.call_timeout(same, Duration::from_secs(2));
                        let (answer, ()) = tokio::join!(call, async {
                            server.cast(());
                        });
                        answer.unwrap();
                    }
                };
                tokio::select! { () = quick => {}, _ = over.changed() => {} }
            })
        });
        let slow = Silent::start(&rt, ()).await.unwrap();
        let mut early = Vec::new();
        for limit in [1_000, 1_200].map(Duration::from_millis) {
            let start = Instant::now();
            assert_eq!(slow.call_timeout(same, limit).await, Err(CallError::Timeout));
            early.extend((start.elapsed() < limit).then(|| start.elapsed()));
        }
        drop(end);
        for one in busy {
            one.await.unwrap();
        }
        early
    });
    assert!(early.is_empty(), "these calls timed out too early: {early:?}");
}
