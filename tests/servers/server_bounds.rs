//! Bounded mailboxes of servers: the effect of each policy, and its counters and log lines.

use crate::support;

use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::join_all;
use regrow::{
    CallError, CastError, ChildSpec, ExitReason, GenServer, Overflow, Pid, ProcessInfo, Reply,
    Result, Runtime, ServerContext, ServerRef, Supervisor,
};
use support::ledger::{Call, Cast, LEDGER, Ledger, Setup};
use support::{idler, settled};
use tokio::time::Instant;

const SECOND: Duration = Duration::from_secs(1);
const ALL: [Overflow; 4] =
    [Overflow::Reject, Overflow::Wait, Overflow::DropOldest, Overflow::DropNewest];

/// Starts a ledger with a mailbox of this capacity, and keeps it busy for a second.
async fn busy(rt: &Runtime, capacity: usize, overflow: Overflow) -> ServerRef<Ledger> {
    let spec = Ledger::spec(Setup { trap: true, ..Setup::default() });
    let server = spec.mailbox_capacity(capacity, overflow).start(rt).await.unwrap();
    keep_busy(&server).await;
    server
}

async fn keep_busy(server: &ServerRef<Ledger>) {
    let asked = server.clone();
    tokio::spawn(async move { asked.call(|reply| Call::Slow(SECOND, reply)).await });
    settled().await;
}

fn info(rt: &Runtime, server: &ServerRef<Ledger>) -> ProcessInfo {
    rt.info(server.pid().unwrap()).unwrap()
}

/// Returns the lines that the server has handled, after it has nothing left to do.
async fn lines(server: &ServerRef<Ledger>) -> Vec<u32> {
    tokio::time::sleep(2 * SECOND).await;
    server.call(Call::Lines).await.unwrap()
}

fn refused(result: Result<(), CastError<Cast>>) -> (CallError, u32) {
    match result {
        Err(CastError { reason, cast: Cast::Write(line), .. }) => (reason, line),
        other => panic!("not given back: {other:?}"),
    }
}

/// PROC-022. A rejected cast returns `false`, a call `Overloaded`, and `try_cast` the message.
#[tokio::test(start_paused = true)]
async fn a_full_server_rejects_and_counts() {
    let rt = Runtime::new();
    let server = busy(&rt, 3, Overflow::Reject).await;
    let accepted: Vec<_> = (0..10).map(|line| server.cast(Cast::Write(line))).collect();
    assert_eq!(accepted, [[true; 3].as_slice(), &[false; 7]].concat());
    let seen = info(&rt, &server);
    assert_eq!((seen.mailbox_depth, seen.dropped_messages, rt.dropped_messages()), (3, 7, 7));
    assert_eq!((seen.mailbox_capacity, seen.overflow), (Some(3), Some(Overflow::Reject)));

    assert_eq!(refused(server.try_cast(Cast::Write(9))), (CallError::Overloaded, 9));
    assert_eq!(info(&rt, &server).dropped_messages, 7, "it was given back");
    assert_eq!(server.call(Call::Lines).now_or_never(), Some(Err(CallError::Overloaded)));
    let info = info(&rt, &server);
    assert_eq!((info.dropped_messages, rt.dropped_messages(), info.mailbox_depth), (8, 8, 3));
    assert_eq!(lines(&server).await, [0, 1, 2]);
}

/// Messages and streams sent to the pid count like casts, under every policy.
#[tokio::test(start_paused = true)]
async fn messages_and_streams_count_against_the_bound_like_casts() {
    let rt = Runtime::new();
    for (overflow, accepted, handled) in [
        (Overflow::Reject, [false, false], vec![0, 1]),
        (Overflow::Wait, [false, false], vec![0, 1]),
        (Overflow::DropOldest, [true, true], vec![2]),
        (Overflow::DropNewest, [true, true], vec![0, 1]),
    ] {
        let server = busy(&rt, 2, overflow).await;
        let pid = server.pid().unwrap();
        assert!(server.cast(Cast::Write(0)) && rt.send(pid, vec![1]));
        let (writer, upload) = regrow::stream();
        assert_eq!([rt.send(pid, vec![2]), rt.send_stream(pid, upload)], accepted, "{overflow:?}");
        let seen = info(&rt, &server);
        assert_eq!((seen.mailbox_depth, seen.dropped_messages), (2, 2), "{overflow:?}");
        assert_eq!(lines(&server).await, handled, "{overflow:?}");
        assert!(writer.write(b"nobody reads".to_vec()).await.is_err());
    }
}

/// The oldest message is dropped. The caller of an evicted call learns at once that the call was
/// not handled.
#[tokio::test(start_paused = true)]
async fn drop_oldest_evicts_the_oldest_message() {
    let rt = Runtime::new();
    let server = busy(&rt, 3, Overflow::DropOldest).await;
    let begun = Instant::now();
    let mut call = Box::pin(server.call(Call::Lines));
    assert_eq!(call.as_mut().now_or_never(), None);
    assert!((0..3).all(|line| server.cast(Cast::Write(line))));
    assert_eq!((call.await, begun.elapsed()), (Err(CallError::Overloaded), Duration::ZERO));
    server.try_cast(Cast::Write(3)).unwrap();
    server.cast_wait(Cast::Write(4)).now_or_never().unwrap().unwrap();
    let seen = info(&rt, &server);
    assert_eq!((seen.mailbox_depth, seen.dropped_messages, rt.dropped_messages()), (3, 3, 3));
    // The call itself evicts line 2.
    assert_eq!(server.call(Call::Lines).await, Ok(vec![3, 4]));
}

/// A mailbox for one message keeps the newest.
#[tokio::test(start_paused = true)]
async fn drop_oldest_with_capacity_one_keeps_the_newest_message() {
    let rt = Runtime::new();
    let server = busy(&rt, 1, Overflow::DropOldest).await;
    assert!((0..100).all(|line| server.cast(Cast::Write(line))));
    assert_eq!(info(&rt, &server).dropped_messages, 99);
    assert_eq!(lines(&server).await, [99]);
}

/// The new message is dropped. The sender of a cast is not told, the caller of a call is.
#[tokio::test(start_paused = true)]
async fn drop_newest_drops_the_new_message() {
    let rt = Runtime::new();
    let server = busy(&rt, 2, Overflow::DropNewest).await;
    assert!((0..4).all(|line| server.cast(Cast::Write(line))));
    server.try_cast(Cast::Write(4)).unwrap();
    server.cast_wait(Cast::Write(5)).now_or_never().unwrap().unwrap();
    assert_eq!(server.call(Call::Lines).now_or_never(), Some(Err(CallError::Overloaded)));
    assert_eq!(info(&rt, &server).dropped_messages, 5);
    assert_eq!(lines(&server).await, [0, 1]);
}

/// PROC-023, T24. A full mailbox accepts exit signals, the server's own timers and a stop. They do
/// not count against the bound.
#[tokio::test(start_paused = true)]
async fn signals_are_exempt_from_every_overflow_policy() {
    for overflow in ALL {
        let rt = Runtime::new();
        let server = busy(&rt, 2, overflow).await;
        let pid = server.pid().unwrap();
        let target = idler(&rt);
        rt.monitor(pid, target.pid());
        rt.link(pid, target.pid());
        assert!(server.cast(Cast::Write(0)));
        target.kill();
        target.join().await;
        assert!(server.cast(Cast::Write(1)));
        server.cast(Cast::Write(2));
        server.cast(Cast::Write(3));
        let seen = info(&rt, &server);
        assert_eq!((seen.mailbox_depth, seen.dropped_messages), (4, 2), "{overflow:?}");
        // The `Down` and the `Exit` arrived, whatever happened to the casts.
        let handled = lines(&server).await;
        assert_eq!(handled.iter().filter(|&&line| line == 999).count(), 2, "{handled:?}");

        keep_busy(&server).await;
        assert!(server.cast(Cast::Write(0)) && server.cast(Cast::Write(1)));
        assert_eq!(server.stop(ExitReason::Shutdown).await, Ok(ExitReason::Shutdown));
    }
}

/// A server's own timers and continue values do not count against the bound.
#[tokio::test(start_paused = true)]
async fn own_timers_and_continues_are_exempt_from_the_bound() {
    let rt = Runtime::new();
    for overflow in ALL {
        let spec = Alarm::spec(()).mailbox_capacity(1, overflow);
        let server = spec.start(&rt).await.unwrap();
        assert!(server.cast("queued while it sleeps"));
        tokio::time::sleep(3 * SECOND).await;
        let heard = server.call(|reply| reply).await.unwrap();
        assert_eq!(heard, ["continued", "queued while it sleeps", "timer", "timer"]);
        assert_eq!(rt.dropped_messages(), 0);
    }
}

/// A server that sets itself two alarms, and is busy when they are due.
struct Alarm(Vec<&'static str>);

impl GenServer for Alarm {
    type Args = ();
    type Call = Reply<Vec<&'static str>>;
    type Cast = &'static str;

    async fn init((): (), ctx: &mut ServerContext<Self>) -> Result<Self> {
        ctx.cast_after(SECOND, "timer");
        ctx.cast_after(SECOND, "timer");
        ctx.continue_with("continued");
        Ok(Alarm(Vec::new()))
    }

    async fn handle_call(&mut self, reply: Self::Call, _: &mut ServerContext<Self>) -> Result {
        reply.send(self.0.clone());
        Ok(())
    }

    async fn handle_cast(&mut self, heard: Self::Cast, _: &mut ServerContext<Self>) -> Result {
        if heard == "continued" {
            tokio::time::sleep(2 * SECOND).await;
        }
        self.0.push(heard);
        Ok(())
    }
}

/// A call waits for room and for the answer under one deadline. `Overloaded` means that it was
/// never handled, `Timeout` that it may have been. The deadline is exact to the millisecond.
#[tokio::test(start_paused = true)]
async fn a_call_waits_for_room_within_its_deadline() {
    let rt = Runtime::new();
    let server = busy(&rt, 1, Overflow::Wait).await;
    let free_in = SECOND - Duration::from_millis(1);
    assert!(server.cast(Cast::Write(0)));
    assert!(!server.cast(Cast::Write(1)), "it can't wait");
    for limit in [Duration::ZERO, Duration::from_millis(1), Duration::from_millis(250)] {
        let begun = Instant::now();
        let late = server.call_timeout(|reply| Call::Slow(SECOND, reply), limit).await;
        assert_eq!((late, begun.elapsed()), (Err(CallError::Overloaded), limit));
    }
    assert_eq!(info(&rt, &server).dropped_messages, 4, "one cast and three calls");
    let begun = Instant::now();
    let slow = server.call_timeout(|reply| Call::Slow(5 * SECOND, reply), 2 * SECOND);
    let second = server.call_timeout(Call::Lines, 3 * SECOND);
    let (slow, second, third) = tokio::join!(slow, second, server.call(Call::Lines));
    assert_eq!((slow, second), (Err(CallError::Timeout), Err(CallError::Timeout)));
    assert_eq!(third, Err(CallError::Overloaded), "the second was let in, this one wasn't");
    assert_eq!(begun.elapsed(), 5 * SECOND);

    let begun = Instant::now();
    assert_eq!(server.call_unlimited(Call::Lines).await, Ok(vec![0]));
    assert!(begun.elapsed() < free_in);
    assert_eq!(rt.leftovers().calls, 0);
}

/// Waiting senders are admitted in the order of their arrival, for every kind of message, and no
/// later sender overtakes them.
#[tokio::test(start_paused = true)]
async fn queued_senders_are_admitted_in_order() {
    let rt = Runtime::new();
    for overflow in [Overflow::Reject, Overflow::Wait] {
        let server = busy(&rt, 1, overflow).await;
        assert!(server.cast(Cast::Write(0)));
        let begun = Instant::now();
        let waiting = join_all((1..=20).map(|line| server.cast_wait(Cast::Write(line))));
        let pushing = async {
            settled().await;
            assert_eq!(refused(server.try_cast(Cast::Write(99))), (CallError::Overloaded, 99));
        };
        let (told, ()) = tokio::join!(waiting, pushing);
        assert!(told.into_iter().all(|told| told.is_ok()));
        assert_eq!(begun.elapsed(), SECOND - Duration::from_millis(1));
        assert_eq!(lines(&server).await, (0..=20).collect::<Vec<_>>());
        assert_eq!(info(&rt, &server).dropped_messages, 0);
    }
}

/// Calls and casts wait in the same queue.
#[tokio::test(start_paused = true)]
async fn calls_and_casts_share_one_send_queue() {
    let rt = Runtime::new();
    let server = busy(&rt, 1, Overflow::Wait).await;
    assert!(server.cast(Cast::Write(0)));
    let first = server.cast_wait(Cast::Write(1));
    let (first, seen, second) =
        tokio::join!(first, server.call(Call::Lines), server.cast_wait(Cast::Write(2)));
    assert_eq!((first.is_ok(), seen, second.is_ok()), (true, Ok(vec![0, 1]), true));
    assert_eq!(lines(&server).await, [0, 1, 2]);
}

/// If a waiting sender is dropped, so is its message, and the senders behind it move up.
#[tokio::test(start_paused = true)]
async fn a_dropped_send_lets_the_next_queued_sender_in() {
    let rt = Runtime::new();
    let server = busy(&rt, 1, Overflow::Wait).await;
    assert!(server.cast(Cast::Write(0)));
    let mut waiting: Vec<_> = (1..=4)
        .map(|line| {
            let mut place = Box::pin(server.cast_wait(Cast::Write(line)));
            assert!(place.as_mut().now_or_never().is_none());
            place
        })
        .collect();
    drop(waiting.remove(0));
    drop(waiting.remove(1)); // lines 1 and 3
    assert!(join_all(waiting).await.into_iter().all(|told| told.is_ok()));
    assert_eq!(lines(&server).await, [0, 2, 4]);
    assert_eq!(info(&rt, &server).dropped_messages, 0);
}

/// A sender is admitted without being polled, and does not delay the senders behind it.
#[tokio::test(start_paused = true)]
async fn a_queued_send_that_is_not_polled_does_not_block_the_next() {
    let rt = Runtime::new();
    let server = busy(&rt, 1, Overflow::Wait).await;
    assert!(server.cast(Cast::Write(0)));
    let mut asleep = Box::pin(server.cast_wait(Cast::Write(1)));
    assert!(asleep.as_mut().now_or_never().is_none());
    server.cast_wait(Cast::Write(2)).await.unwrap();
    assert_eq!(lines(&server).await, [0, 1, 2]);
    assert!(asleep.await.is_ok());
}

/// The server is killed, stopped or crashes: a waiting sender gets its message back, and the error
/// of a waiting call says that it was not handled.
#[tokio::test(start_paused = true)]
async fn queued_senders_get_their_messages_back_when_the_server_ends() {
    let rt = Runtime::new();
    for how in ["kill", "stop", "crash"] {
        let server = busy(&rt, 1, Overflow::Wait).await;
        assert!(how != "crash" || server.cast(Cast::Fail));
        // The first cast is admitted at once, unless the cast that crashes the server is ahead of
        // it.
        let mut first = Box::pin(server.cast_wait(Cast::Write(0)));
        assert_eq!(first.as_mut().now_or_never().is_some(), how != "crash");
        // One cast is polled before the end of the server, the other is polled again only
        // afterwards.
        let cast = server.cast_wait(Cast::Write(1));
        let mut late = Box::pin(server.cast_wait(Cast::Write(2)));
        assert!(late.as_mut().now_or_never().is_none());
        let ending = async {
            settled().await;
            match how {
                "stop" => drop(server.stop(ExitReason::Normal).await),
                "kill" => assert!(rt.kill(server.pid().unwrap())),
                _ => drop(server.ended().await),
            }
        };
        let (cast, call, _) = tokio::join!(cast, server.call(Call::Lines), ending);
        // A request to stop gives a waiting cast back at once. A waiting call is queued when there
        // is room, and gets the reason of the end.
        let (cast_error, call_error) = match how {
            "stop" => (CallError::Stopping, CallError::Exited(ExitReason::Normal)),
            _ => (CallError::NoProc, CallError::NoProc),
        };
        assert_eq!(refused(cast), (cast_error, 1), "{how}");
        assert_eq!(refused(late.await), (CallError::NoProc, 2), "{how}");
        assert_eq!(call, Err(call_error), "{how}");
        assert_eq!(rt.dropped_messages(), 0);
    }
}

/// A call that may wait for a successor leaves the send queue of the killed server, and reaches the
/// successor.
#[tokio::test(start_paused = true)]
async fn a_waiting_call_leaves_the_send_queue_of_a_killed_server_for_the_next() {
    let rt = Runtime::new();
    let child = Ledger::child(Setup::default()).named(LEDGER).mailbox_capacity(1, Overflow::Wait);
    let _tree = Supervisor::one_for_one().child(child).start(&rt).await.unwrap();
    let server = rt.server(LEDGER);
    keep_busy(&server).await;
    assert!(server.cast(Cast::Write(0)));
    let calling = server.call_waiting(Call::Lines, 9 * SECOND);
    let killing = async {
        settled().await;
        rt.kill(server.pid().unwrap())
    };
    assert_eq!(tokio::join!(calling, killing), (Ok(vec![]), true));
    let seen = info(&rt, &server);
    let bound = (seen.mailbox_capacity, seen.overflow);
    assert_eq!(bound, (Some(1), Some(Overflow::Wait)), "each incarnation has the bound");
}

/// The error of a refused cast contains the reason and the message.
#[tokio::test(start_paused = true)]
async fn a_refused_cast_is_returned_with_the_reason() {
    let rt = Runtime::new();
    let server = rt.server(LEDGER);
    let gone = CallError::NoHolder("ledger".into());
    assert_eq!(refused(server.try_cast(Cast::Write(1))), (gone.clone(), 1));
    assert_eq!(refused(server.cast_wait(Cast::Write(2)).await), (gone, 2));
    let other = idler(&rt);
    rt.register("ledger", other.pid());
    assert_eq!(refused(server.try_cast(Cast::Write(3))), (CallError::WrongType, 3));
    let error = rt.server(LEDGER).try_cast(Cast::Fail).unwrap_err();
    assert_eq!(error.to_string(), "the cast was refused: the process is not a server of this type");
    assert_eq!(CallError::from(error), CallError::WrongType);
}

/// The bound of a server overrides that of the runtime. A bound for a supervisor is ignored,
/// because it could drop messages that a supervisor sends to itself.
#[tokio::test(start_paused = true)]
async fn the_bound_of_a_server_overrides_that_of_the_runtime() {
    let rt = Runtime::with_mailbox_capacity(1);
    let bound = |pid: Pid| rt.info(pid).unwrap().mailbox_capacity;
    let own = Ledger::child(Setup::default()).named(LEDGER).mailbox_capacity(3, Overflow::Wait);
    let inner = ChildSpec::from(Supervisor::one_for_one().named("inner").child(own));
    let inner = inner.mailbox_capacity(3, Overflow::DropNewest);
    let _tree = Supervisor::one_for_one().child(inner).start(&rt).await.unwrap();
    assert_eq!(bound(rt.whereis("inner").unwrap()), Some(1));
    assert_eq!(bound(rt.whereis("ledger").unwrap()), Some(3));
    let plain = Ledger::start(&rt, Setup::default()).await.unwrap();
    assert_eq!(bound(plain.pid().unwrap()), Some(1));

    let rt = Runtime::new();
    let plain = Ledger::start(&rt, Setup::default()).await.unwrap();
    let seen = info(&rt, &plain);
    assert_eq!((seen.mailbox_capacity, seen.overflow, seen.dropped_messages), (None, None, 0));
}

#[test]
#[should_panic(expected = "room for at least one message")]
fn a_server_mailbox_capacity_of_zero_panics() {
    let _ = Ledger::spec(Setup::default()).mailbox_capacity(0, Overflow::Reject);
}

#[test]
#[should_panic(expected = "room for at least one message")]
fn a_child_mailbox_capacity_of_zero_panics() {
    let _ = Ledger::child(Setup::default()).mailbox_capacity(0, Overflow::Wait);
}
