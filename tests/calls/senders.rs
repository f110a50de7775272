//! Handles for one type of message.

use crate::support;

use regrow::testing::{Mock, Probe, await_restart};
use regrow::{CallError, Caller, ExitReason, GenServer, Name, Runtime, Sender, Supervisor};
use support::ledger::{Call, Cast, LEDGER, Ledger, ParentCall, Setup, ledger};

fn is_plain<T: Clone + Send + Sync + std::fmt::Debug + 'static>(_: &T) {}

/// Senders of one type reach servers of different types.
#[tokio::test]
async fn a_sender_reaches_servers_of_different_types() {
    let rt = Runtime::new();
    let mut parent = Mock::<support::ledger::Parent>::new(&rt);
    let server = ledger(&rt).await;
    let takers: Vec<Sender<u32>> = vec![server.sender(Cast::Write), parent.server().sender(|_| ())];
    for taker in &takers {
        is_plain(taker);
        assert!(taker.clone().send(7));
    }
    assert_eq!(server.call(Call::Lines).await, Ok(vec![7]));
    parent.next_cast().await;

    let bytes: Sender<u8> = takers[0].map(u32::from);
    assert!(bytes.send(8));
    assert_eq!(server.call(Call::Lines).await, Ok(vec![7, 8]));
}

/// The sender and the caller of a named handle reach the successor. Those of a direct handle reach
/// only its own incarnation.
#[tokio::test]
async fn a_sender_of_a_named_handle_reaches_the_restarted_server() {
    let rt = Runtime::new();
    let child = Ledger::child(Setup::default()).named(LEDGER);
    let _tree = Supervisor::one_for_one().child(child).start(&rt).await.unwrap();
    let named = rt.server(LEDGER);
    let direct = rt.server_at::<Ledger>(named.pid().unwrap()).unwrap();
    let (by_name, by_pid) = (named.sender(Cast::Write), direct.sender(Cast::Write));
    let ask = named.caller(|(), reply| Call::Lines(reply));
    let ask_one = direct.caller(|(), reply| Call::Lines(reply));

    let restart = await_restart(&rt, "ledger");
    rt.kill(named.pid().unwrap());
    restart.await;
    assert!(by_name.send(1));
    assert!(!by_pid.send(2));
    assert_eq!(ask.call(()).await, Ok(vec![1]));
    assert_eq!(ask_one.call(()).await, Err(CallError::NoProc));
}

/// A caller returns the errors of a call.
#[tokio::test(start_paused = true)]
async fn a_caller_returns_the_errors_of_a_call() {
    let rt = Runtime::new();
    let server = ledger(&rt).await;
    let limit = std::time::Duration::from_millis(50);
    let slow: Caller<u64, usize> =
        server.caller(|time, reply| Call::Slow(std::time::Duration::from_millis(time), reply));
    is_plain(&slow);
    let start = tokio::time::Instant::now();
    assert_eq!(slow.call_timeout(200, limit).await, Err(CallError::Timeout));
    assert_eq!(start.elapsed(), limit);
    assert_eq!(slow.call(10).await, Ok(0));
    let dropping = server.caller(|(), reply| Call::Drop(reply));
    assert_eq!(dropping.call(()).await, Err(CallError::NoReply));
    let stopping = server.caller(Call::Stop);
    let stopped = stopping.call(ExitReason::Shutdown).await;
    assert_eq!(stopped, Err(CallError::Exited(ExitReason::Shutdown)));

    let nobody = rt.server(Name::<support::ledger::Parent>::new("nobody"));
    assert_eq!(
        nobody.caller(|(), reply| ParentCall::Infos(reply)).call(()).await,
        Err(CallError::NoHolder("nobody".into()))
    );
}

/// The debug output contains the target, and nothing of the messages.
#[tokio::test]
async fn the_debug_output_of_a_sender_names_its_target() {
    let rt = Runtime::new();
    let mock = Mock::<Ledger>::new(&rt);
    let sender = mock.server().sender(Cast::Write);
    let told = format!("Sender(ServerRef({}))", mock.pid());
    assert_eq!(format!("{sender:?}"), told);
    let caller: Caller<(), Vec<u32>> = rt.server(LEDGER).caller(|(), reply| Call::Lines(reply));
    assert_eq!(format!("{caller:?}"), "Caller(ServerRef(\"ledger\"))");
    let probe = Probe::new(&rt);
    assert_eq!(format!("{probe:?}"), format!("Probe({})", probe.pid()));
}
