//! Replies that are never sent: the error that the caller gets and when, wherever the reply is
//! dropped.

use std::future::Future;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_util::stream::poll_fn as stream;
use regrow::{CallError, ExitReason, GenServer, Reply, Result, Runtime, ServerContext, ServerRef};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::yield_now;
use tokio::time::{Instant, sleep};

fn ms(time: u64) -> Duration {
    Duration::from_millis(time)
}

/// A server that keeps replies, or passes them on.
#[derive(Default)]
struct Desk {
    kept: Vec<Reply<u32>>,
}

enum Ask {
    Keep(Reply<u32>),
    HandOn(UnboundedSender<Reply<u32>>, Reply<u32>),
    /// Drops the reply, works for this time, and then returns this result.
    DropAndWork(Duration, Result, Reply<u32>),
}

enum Tell {
    Work(Duration),
    /// Drops the replies of calls to another server.
    Drop(Vec<Reply<u32>>),
    /// Pipes this stream into its mailbox, and drops each reply where the item is read.
    Read(UnboundedReceiver<Reply<u32>>),
    Forget,
}

impl GenServer for Desk {
    type Args = ();
    type Call = Ask;
    type Cast = Tell;

    async fn init((): (), _: &mut ServerContext<Self>) -> Result<Self> {
        Ok(Desk::default())
    }

    async fn handle_call(&mut self, ask: Ask, _: &mut ServerContext<Self>) -> Result {
        match ask {
            Ask::Keep(reply) => self.kept.push(reply),
            Ask::HandOn(to, reply) => to.send(reply).map_err(|_| "nobody there")?,
            Ask::DropAndWork(time, end, reply) => {
                drop(reply);
                sleep(time).await;
                return end;
            }
        }
        Ok(())
    }

    async fn handle_cast(&mut self, tell: Tell, ctx: &mut ServerContext<Self>) -> Result {
        match tell {
            Tell::Work(time) => sleep(time).await,
            Tell::Drop(replies) => drop(replies),
            Tell::Read(mut replies) => {
                let each = stream(move |cx| {
                    while let Poll::Ready(reply) = replies.poll_recv(cx) {
                        let Some(reply) = reply else { return Poll::Ready(None) };
                        drop(reply);
                    }
                    Poll::<Option<()>>::Pending
                });
                ctx.pipe(each, |_| Tell::Forget);
            }
            Tell::Forget => self.kept.clear(),
        }
        Ok(())
    }
}

async fn desk(rt: &Runtime) -> ServerRef<Desk> {
    Desk::start(rt, ()).await.unwrap()
}

/// Returns the result of the call, and the milliseconds until then.
async fn timed(
    desk: &ServerRef<Desk>,
    ask: impl FnOnce(Reply<u32>) -> Ask,
) -> (Result<u32, CallError>, u64) {
    let start = Instant::now();
    let answer = desk.call_unlimited(ask).await;
    (answer, start.elapsed().as_millis() as u64)
}

/// The call fails only after the handler that dropped the reply: if this handler fails, its error
/// is the reason.
#[tokio::test(start_paused = true)]
async fn a_dropped_reply_fails_its_call_after_the_handler_returns() {
    let rt = Runtime::new();
    let desk = desk(&rt).await;
    let first = timed(&desk, |reply| Ask::DropAndWork(ms(20), Ok(()), reply));
    assert_eq!(first.await, (Err(CallError::NoReply), 20));
    let reason = ExitReason::crashed("no more ink");
    let end = Err(reason.clone());
    let last = timed(&desk, |reply| Ask::DropAndWork(ms(30), end, reply));
    assert_eq!(last.await, (Err(CallError::Exited(reason)), 30));
}

/// A call whose reply is dropped in one handler fails before the next handler runs.
#[tokio::test(start_paused = true)]
async fn a_dropped_reply_does_not_wait_for_the_next_handler() {
    let rt = Runtime::new();
    let desk = desk(&rt).await;
    let (dropped, _) =
        tokio::join!(timed(&desk, |reply| Ask::DropAndWork(ms(0), Ok(()), reply)), async {
            desk.cast(Tell::Work(ms(500)))
        });
    assert!(dropped.1 < 500, "{dropped:?}");
    let (kept, _) = tokio::join!(timed(&desk, Ask::Keep), async {
        desk.cast(Tell::Forget);
        desk.cast(Tell::Work(ms(500)));
    });
    assert_eq!(kept.0, Err(CallError::NoReply));
    assert!(kept.1 <= 500, "what was in hand when it was asked, and no more: {kept:?}");
}

/// The server is killed in the handler that dropped the reply, or later with the reply in its
/// state.
#[tokio::test(start_paused = true)]
async fn a_reply_dropped_by_a_killed_server_fails_with_its_reason() {
    let rt = Runtime::new();
    for ask in [|reply| Ask::DropAndWork(ms(900), Ok(()), reply), Ask::Keep as fn(_) -> _] {
        let desk = desk(&rt).await;
        let (answer, ()) = tokio::join!(timed(&desk, ask), async {
            sleep(ms(10)).await;
            rt.kill(desk.pid().unwrap());
        });
        assert_eq!(answer, (Err(CallError::Exited(ExitReason::Killed)), 10));
    }
}

/// A task outside of any process, or another server, drops the reply.
#[tokio::test(start_paused = true)]
async fn a_reply_dropped_by_a_task_or_another_server_fails_with_no_reply() {
    let rt = Runtime::new();
    let (first, second) = (desk(&rt).await, desk(&rt).await);
    let (to, mut handed) = unbounded_channel();
    let (answer, ()) = tokio::join!(timed(&first, |reply| Ask::HandOn(to.clone(), reply)), async {
        drop(handed.recv().await);
    });
    assert_eq!(answer, (Err(CallError::NoReply), 0));
    let (answer, ()) = tokio::join!(timed(&first, |reply| Ask::HandOn(to.clone(), reply)), async {
        second.cast(Tell::Drop(vec![handed.recv().await.unwrap()]));
    });
    assert_eq!(answer, (Err(CallError::NoReply), 0));
    let (answer, ()) = tokio::join!(timed(&first, |reply| Ask::HandOn(to, reply)), async {
        let reply = handed.recv().await.unwrap();
        first.stop(ExitReason::Shutdown).await.unwrap();
        assert!(reply.is_awaited());
        second.cast(Tell::Drop(vec![reply]));
    });
    assert_eq!(answer, (Err(CallError::Exited(ExitReason::Shutdown)), 0));
}

/// A stream that the server pipes drops the reply.
#[tokio::test(start_paused = true)]
async fn a_reply_dropped_by_a_piped_stream_fails_with_no_reply() {
    let rt = Runtime::new();
    let desk = desk(&rt).await;
    let (to, read) = unbounded_channel();
    desk.cast(Tell::Read(read));
    for _ in 0..2 {
        let answer = timed(&desk, |reply| Ask::HandOn(to.clone(), reply)).await;
        assert_eq!(answer, (Err(CallError::NoReply), 0));
    }
}

/// A call that was polled once is moved to another task. The reply is sent after that, dropped
/// after that, or was dropped before.
#[tokio::test(start_paused = true)]
async fn a_polled_call_may_move_to_another_task() {
    let rt = Runtime::new();
    let desk = desk(&rt).await;
    let (to, mut handed) = unbounded_channel();
    let mut polled = async || {
        let (desk, to) = (desk.clone(), to.clone());
        let ask = move |reply| Ask::HandOn(to, reply);
        let mut call = Box::pin(async move { desk.call_unlimited(ask).await });
        assert!(call.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        (call, handed.recv().await.unwrap())
    };
    let (call, reply) = polled().await;
    let moved = tokio::spawn(call);
    yield_now().await;
    reply.send(7);
    assert_eq!(moved.await.unwrap(), Ok(7));
    let (call, reply) = polled().await;
    let moved = tokio::spawn(call);
    yield_now().await;
    drop(reply);
    assert_eq!(moved.await.unwrap(), Err(CallError::NoReply));
    let (mut call, reply) = polled().await;
    drop(reply);
    // From here on the call is unanswered, and the server has an outdated waker.
    assert!(call.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    assert_eq!(tokio::spawn(call).await.unwrap(), Err(CallError::NoReply));
}

/// A reply to a caller that is gone is dropped without an error.
#[tokio::test(start_paused = true)]
async fn is_awaited_is_false_after_a_call_timed_out() {
    let rt = Runtime::new();
    let desk = desk(&rt).await;
    let (to, mut handed) = unbounded_channel();
    let ask = |reply| Ask::HandOn(to.clone(), reply);
    let late = desk.call_timeout(ask, ms(10)).await;
    assert_eq!(late, Err(CallError::Timeout));
    let reply = handed.recv().await.unwrap();
    assert!(!reply.is_awaited());
    reply.send(1);
    assert_eq!(desk.call_timeout(ask, ms(10)).await, Err(CallError::Timeout));
    drop(handed.recv().await);
    assert_eq!(
        timed(&desk, |reply| Ask::DropAndWork(ms(0), Ok(()), reply)).await.0,
        Err(CallError::NoReply)
    );
}
