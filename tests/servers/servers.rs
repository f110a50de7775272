//! Servers: starting, calls, casts.

use crate::support;

use std::time::Duration;

use regrow::{CallError, ExitReason, GenServer, Runtime, StartError};
use support::ledger::{Call, Cast, Init, LEDGER, Ledger, Parent, Setup, ledger};
use tokio::sync::mpsc::unbounded_channel;

/// GS-001, GS-012, GS-025, GS-049.
#[tokio::test]
async fn casts_and_calls_of_one_client_are_handled_in_order() {
    let rt = Runtime::new();
    let server = ledger(&rt).await;
    for line in 0..100 {
        assert!(server.cast(Cast::Write(line)));
    }
    assert_eq!(server.call(Call::Lines).await, Ok((0..100).collect()));
    assert_eq!(rt.server(LEDGER).call(Call::Lines).await.unwrap().len(), 100);
}

/// GS-004, GS-005, GS-007, GS-010.
#[tokio::test]
async fn a_failed_start_leaves_no_process_and_no_name() {
    let rt = Runtime::new();
    let (ends, mut ended) = unbounded_channel();
    let start = |init| {
        let setup = Setup { init, ends: Some(ends.clone()), ..Setup::default() };
        Ledger::start_named(&rt, LEDGER, setup)
    };
    let reason = ExitReason::crashed("no paper");
    let failed = start(Init::Fails(reason.clone())).await.unwrap_err();
    assert_eq!((failed, rt.process_count()), (StartError::Failed(reason), 0));
    let Err(StartError::Failed(reason)) = start(Init::Panics).await else { panic!() };
    assert_eq!(reason.crash().unwrap().message(), "no init today");
    assert_eq!(start(Init::Ignores).await.unwrap_err(), StartError::Ignored);
    assert_eq!((rt.process_count(), rt.whereis("ledger")), (0, None));

    let holder = start(Init::Fine).await.unwrap();
    let taken = start(Init::Panics).await.unwrap_err();
    let pid = holder.pid().unwrap();
    assert_eq!(taken, StartError::AlreadyStarted { name: "ledger".into(), pid });
    assert!(ended.try_recv().is_err(), "terminate ran for a server that never was");
}

/// T15.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_start_frees_its_name_before_it_returns() {
    let rt = Runtime::new();
    for _ in 0..2_000 {
        let setup = Setup { init: Init::Fails(ExitReason::crashed("no")), ..Setup::default() };
        let failed = Ledger::start_named(&rt, LEDGER, setup).await.unwrap_err();
        assert!(matches!(failed, StartError::Failed(_)), "{failed}");
    }
    assert_eq!(rt.leftovers(), regrow::Leftovers::default());
}

/// A start that is dropped before it is complete kills the server and frees its name.
#[tokio::test(start_paused = true)]
async fn a_dropped_start_leaves_no_process_and_no_name() {
    let rt = Runtime::new();
    let setup = Setup { init: Init::Hangs, ..Setup::default() };
    let start = Ledger::start_named(&rt, LEDGER, setup);
    assert!(tokio::time::timeout(Duration::from_millis(100), start).await.is_err());
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!((rt.process_count(), rt.whereis("ledger")), (0, None));
}

/// GS-013, GS-014.
#[tokio::test(start_paused = true)]
async fn a_call_times_out_to_the_millisecond_and_its_late_reply_is_dropped() {
    let rt = Runtime::new();
    let server = ledger(&rt).await;
    let start = tokio::time::Instant::now();
    let slow = |reply| Call::Slow(Duration::from_millis(200), reply);
    let answer = server.call_timeout(slow, Duration::from_millis(50)).await;
    assert_eq!(answer, Err(CallError::Timeout));
    assert_eq!(start.elapsed(), Duration::from_millis(50));
    assert_eq!(server.call(Call::Lines).await, Ok(vec![]));
    assert_eq!(start.elapsed(), Duration::from_millis(200));
    let default = server.call(|reply| Call::Slow(Duration::from_secs(9), reply)).await;
    assert_eq!((default, start.elapsed()), (Err(CallError::Timeout), Duration::from_millis(5_200)));
}

/// GS-015, GS-026, GS-036.
#[tokio::test]
async fn requests_to_an_ended_server_fail_with_noproc_at_once() {
    let rt = Runtime::new();
    let server = ledger(&rt).await;
    assert_eq!(server.stop(ExitReason::Normal).await, Ok(ExitReason::Normal));
    let unknown = CallError::NoHolder(LEDGER.as_str().into());
    for (dead, error) in [(server, CallError::NoProc), (rt.server(LEDGER), unknown)] {
        assert_eq!(dead.call(Call::Lines).await, Err(error.clone()));
        assert_eq!(dead.stop(ExitReason::Normal).await, Err(error));
        assert!(!dead.cast(Cast::Write(1)));
    }
}

/// GS-020, GS-039.
#[tokio::test]
async fn a_server_that_calls_or_stops_itself_gets_calling_self() {
    let rt = Runtime::new();
    let server = ledger(&rt).await;
    assert_eq!(server.call(Call::AskItself).await, Ok(CallError::CallingSelf));
    assert_eq!(server.call(Call::StopItself).await, Ok(CallError::CallingSelf));
    assert_eq!(server.call(Call::Lines).await, Ok(vec![]));
}

/// GS-021.
#[tokio::test]
async fn a_reply_may_be_sent_after_the_handler() {
    let rt = Runtime::new();
    let server = ledger(&rt).await;
    let (answer, ()) = tokio::join!(server.call(Call::Later), async {
        server.cast(Cast::Write(1));
        server.cast(Cast::ReplyAll);
    });
    assert_eq!(answer, Ok(1));
}

/// A reply that is dropped while the server lives fails with `NoReply`, also behind queued messages
/// and when another process drops it.
#[tokio::test]
async fn a_dropped_reply_fails_with_no_reply_or_the_exit_reason() {
    let rt = Runtime::new();
    let server = ledger(&rt).await;
    assert_eq!(server.call(Call::Drop).await, Err(CallError::NoReply));
    let stopped = {
        let waiting = server.call(Call::Later);
        let stop = server.stop(ExitReason::Shutdown);
        tokio::join!(waiting, stop).0
    };
    assert_eq!(stopped, Err(CallError::Exited(ExitReason::Shutdown)));
}

/// GS-027, GS-028.
#[tokio::test]
async fn a_continue_from_init_runs_before_any_message() {
    let rt = Runtime::new();
    let setup = Setup { init: Init::Continues, ..Setup::default() };
    let server = Ledger::start(&rt, setup).await.unwrap();
    rt.send(server.pid().unwrap(), vec![4]);
    assert_eq!(server.call(Call::Lines).await, Ok(vec![1, 2, 3, 4]));
}

/// A name held by another kind of server is an error, not a panic.
#[tokio::test]
async fn a_call_to_a_server_of_another_type_fails_with_wrong_type() {
    let rt = Runtime::new();
    let (ends, _ended) = unbounded_channel();
    let parent = Parent::start(&rt, ends).await.unwrap();
    rt.register("ledger", parent.pid().unwrap());
    assert_eq!(rt.server(LEDGER).call(Call::Lines).await, Err(CallError::WrongType));
}
