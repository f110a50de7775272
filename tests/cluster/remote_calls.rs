//! Calls and casts between two nodes of this crate.

use std::time::Duration;

use regrow::cluster::{Atom, RemoteServer};
use regrow::{CallError, ExitReason, GenServer, NodeChange, Runtime, Supervisor, SupervisorRef};
use tokio::sync::oneshot;

use crate::kv::{Call, Cast, KV, Kv};
use crate::pairs::{Running, pair_with};

fn atom(name: &str) -> Atom {
    Atom::new(name).unwrap()
}

async fn kv(rt: &Runtime) -> SupervisorRef {
    Supervisor::one_for_one().child(Kv::child(()).named(KV)).start(rt).await.unwrap()
}

/// Two nodes, the server at the second one, and the handle of the first one.
async fn two_nodes() -> (Running, Running, SupervisorRef, RemoteServer<Kv>) {
    let (a, b) = pair_with("a@127.0.0.1", "b@127.0.0.1", |node| node.expose(KV)).await;
    let tree = kv(&b.rt).await;
    let there = a.rt.node("b@127.0.0.1").server(KV);
    (a, b, tree, there)
}

#[tokio::test]
async fn calls_and_casts_reach_a_server_of_another_node_and_connect() {
    let (a, b, _tree, there) = two_nodes().await;
    assert!(a.rt.connected_nodes().await.is_empty());
    assert!(there.cast(Cast::Note("tea".into())));
    assert_eq!(there.call(Call::Size).await, Ok(1));
    assert_eq!(a.rt.connected_nodes().await, ["b@127.0.0.1"]);
    there.call(|reply| Call::Put("milk".into(), 2, reply)).await.unwrap();
    let get = |key: &str| {
        let key = key.to_owned();
        there.call(|reply| Call::Get { key, reply })
    };
    assert_eq!(get("milk").await, Ok(Some("milk".to_owned())));
    assert_eq!(get("none").await, Ok(None));
    assert_eq!(b.rt.server(KV).call(Call::Size).await, Ok(3));
    // The connection is used in both directions.
    let back = b.rt.node("a@127.0.0.1").server(KV);
    assert_eq!(back.call(Call::Size).await, Err(CallError::NoHolder("kv".into())));
    assert_eq!(there.call(Call::HasCaller).await, Ok(false));
    let caller = there.clone();
    let task = a.rt.spawn_fallible(move |_| async move {
        assert!(caller.call(Call::HasCaller).await?);
        Ok(())
    });
    assert_eq!(task.join().await, ExitReason::Normal);
    assert_eq!(format!("{there:?}"), r#"RemoteServer("kv" at "b@127.0.0.1")"#);
    assert_eq!((there.node(), there.name()), ("b@127.0.0.1", "kv"));
}

#[tokio::test]
async fn the_own_node_is_called_without_a_socket() {
    let (a, _b, _tree, _) = two_nodes().await;
    let own = a.rt.node("a@127.0.0.1").server(KV);
    assert_eq!(own.call(Call::Size).await, Err(CallError::NoHolder("kv".into())));
    let _own_kv = kv(&a.rt).await;
    // Neither value has a term.
    assert!(own.cast(Cast::Number(f64::NAN)));
    assert!(own.cast(Cast::Note("x".into())));
    assert_eq!(own.call(Call::Size).await, Ok(1));
    assert_eq!(own.call(Call::Drop).await, Err(CallError::NoReply));
    assert!(a.rt.connected_nodes().await.is_empty());
    let untyped = a.rt.node("a@127.0.0.1").process("kv");
    assert_eq!(untyped.call::<u8>("size").await, Err(CallError::WrongType));
}

#[tokio::test]
async fn each_failure_of_a_call_has_its_error() {
    let (a, b, _tree, there) = two_nodes().await;
    assert_eq!(there.call(Call::Drop).await, Err(CallError::NoReply));
    assert_eq!(there.call_timeout(Call::Size, Duration::MAX).await, Ok(0));
    let never = there.call_timeout(|reply| Call::Later(60_000, reply), Duration::ZERO).await;
    assert_eq!(never, Err(CallError::Timeout));
    let untyped = a.rt.node("b@127.0.0.1").process("kv");
    assert_eq!(untyped.call_timeout::<u8>(atom("size"), Duration::MAX).await, Ok(0));
    let never = untyped.call_timeout::<u8>((atom("later"), 60_000), Duration::ZERO).await;
    assert_eq!(never, Err(CallError::Timeout));
    let unencodable = there.call(|reply| Call::New(f64::NAN, reply)).await;
    assert_eq!(unencodable, Err(CallError::InvalidRequest("a float is not finite".into())));
    let unknown = there.call(|reply| Call::New(1.5, reply)).await;
    let Err(CallError::InvalidRequest(why)) = unknown else { panic!("{unknown:?}") };
    assert!(why.starts_with("the variant is not known"), "{why}");
    assert!(!there.cast(Cast::Number(f64::INFINITY)));
    let nobody = a.rt.node("b@127.0.0.1").server::<Kv>("nobody");
    assert_eq!(nobody.call(Call::Size).await, Err(CallError::NoHolder("nobody".into())));
    let long = a.rt.node("b@127.0.0.1").server::<Kv>("x".repeat(300));
    assert!(long.call(Call::Size).await.is_err_and(|error| error.is_no_proc()));
    let invalid = a.rt.node("no name").server::<Kv>("kv");
    assert_eq!(invalid.call(Call::Size).await, Err(CallError::NoConnection));
    assert!(!invalid.cast(Cast::Note("x".into())));
    let unknown = a.rt.node("c@127.0.0.1").server(KV);
    assert_eq!(unknown.call(Call::Size).await, Err(CallError::NoConnection));
    // A server of another type at the other side.
    let answer = untyped.call::<String>(atom("size")).await;
    let Err(CallError::InvalidAnswer(why)) = answer else { panic!("{answer:?}") };
    assert!(why.starts_with("found an integer, expected a string"), "{why}");
    // The reason of the server's end, and the next incarnation.
    let Err(CallError::Exited(reason)) = there.call(Call::Crash).await else { panic!() };
    assert_eq!(reason.to_string(), r#"error: {error,<<"no luck">>}"#);
    b.rt.server(KV).call_waiting(Call::Size, Duration::from_secs(5)).await.unwrap();
    assert_eq!(there.call(Call::Size).await, Ok(0));
    assert_eq!(there.call(Call::Stop).await, Err(CallError::Exited(ExitReason::Normal)));
}

#[tokio::test]
async fn a_late_answer_is_dropped_and_a_call_that_is_dropped_forgotten() {
    let (a, b, _tree, there) = two_nodes().await;
    let kv = b.rt.whereis("kv").unwrap();
    let before = b.rt.info(kv).unwrap().monitors;
    there.call(Call::Size).await.unwrap();
    let short = Duration::from_millis(1);
    let late = there.call_timeout(|reply| Call::Later(50, reply), short).await;
    assert_eq!(late, Err(CallError::Timeout));
    drop(tokio::time::timeout(short, there.call(|reply| Call::Later(50, reply))).await);
    // The late answers have been dropped, and so have the monitors.
    assert_eq!(there.call(|reply| Call::Later(60, reply)).await, Ok(4));
    // The removal of the last one's monitor may still be under way.
    while b.rt.info(kv).unwrap().monitors != before {
        tokio::task::yield_now().await;
    }
    assert_eq!(a.rt.server(KV).call(Call::Size).await, Err(CallError::NoHolder("kv".into())));
}

#[tokio::test]
async fn a_lost_connection_ends_each_call_once_and_the_next_call_connects_again() {
    let (mut a, _b, _tree, there) = two_nodes().await;
    there.call(Call::Size).await.unwrap();
    a.expect("b@127.0.0.1", &[NodeChange::Up]).await;
    let (sender, mut results) = tokio::sync::mpsc::unbounded_channel();
    for _ in 0..10 {
        let (there, sender) = (there.clone(), sender.clone());
        tokio::spawn(async move {
            let result = there.call(|reply| Call::Later(60_000, reply)).await;
            sender.send(result).unwrap();
        });
    }
    drop(sender);
    // All calls have been sent when this one is answered.
    tokio::task::yield_now().await;
    there.call(Call::Size).await.unwrap();
    assert!(a.rt.node("b@127.0.0.1").disconnect().await);
    for _ in 0..10 {
        assert_eq!(results.recv().await.unwrap(), Err(CallError::NoConnection));
    }
    assert!(results.recv().await.is_none());
    a.expect("b@127.0.0.1", &[NodeChange::Down]).await;
    assert_eq!(there.call(Call::Size).await, Ok(0));
}

#[tokio::test]
async fn calls_of_one_process_are_handled_in_their_order_and_many_callers_get_their_own_answers() {
    let (_a, b, _tree, there) = two_nodes().await;
    let (done, finished) = oneshot::channel();
    let caller = there.clone();
    tokio::spawn(async move {
        for n in 0..200_u32 {
            assert!(caller.cast(Cast::Note(n.to_string())));
        }
        done.send(caller.call(Call::Size).await).unwrap();
    });
    assert_eq!(finished.await.unwrap(), Ok(200));
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..100_u32 {
        let there = there.clone();
        tasks.spawn(async move {
            let key = n.to_string();
            let found = there.call(|reply| Call::Get { key: key.clone(), reply }).await;
            assert_eq!(found, Ok(Some(key)));
        });
    }
    tasks.join_all().await;
    assert_eq!(b.rt.server(KV).call(Call::Size).await, Ok(200));
}

/// A reply is a part of a call that a node decodes or encodes, and of nothing else.
#[test]
fn a_reply_has_no_bytes_outside_of_a_call() {
    let bytes = regrow::cluster::to_bytes(&("size", 1)).unwrap();
    assert!(regrow::cluster::from_bytes::<(String, u8, regrow::Reply<u8>)>(&bytes).is_err());
}

#[cfg(feature = "serde")]
#[test]
fn a_reply_has_no_json() {
    for json in ["null", "{}", "1"] {
        assert!(serde_json::from_str::<regrow::Reply<u8>>(json).is_err(), "{json}");
    }
    let error = serde_json::from_str::<Call>("{\"Size\":null}").err().unwrap();
    assert!(error.to_string().contains("a part of a call from another node"), "{error}");
}

#[tokio::test]
async fn pids_in_calls_and_answers_are_pids_at_the_other_node() {
    let (a, b, _tree, there) = two_nodes().await;
    let server = b.rt.whereis("kv").unwrap();
    let (sender, found) = oneshot::channel();
    let caller = there.clone();
    let client = a.rt.spawn_fallible(move |ctx| async move {
        let client = ctx.pid();
        let pids = caller.call(|reply| Call::Pids { client, reply }).await?;
        let _ = sender.send(pids);
        Ok(())
    });
    assert_eq!(client.join().await, ExitReason::Normal);
    let (is_caller, pid) = found.await.unwrap();
    assert!(is_caller && pid.is_foreign());
    // It is the server: its end is noticed by that pid.
    let ended = a.rt.spawn_fallible(move |mut ctx| async move {
        ctx.runtime().monitor(ctx.pid(), pid);
        let down = ctx.recv().await;
        assert!(matches!(down, regrow::Received::Down { pid: from, .. } if from == pid));
        Ok(())
    });
    while b.rt.info(server).is_some_and(|info| info.monitors < 1) {
        tokio::task::yield_now().await;
    }
    assert!(b.rt.kill(server));
    assert_eq!(ended.join().await, ExitReason::Normal);
    // A pid has no term outside of a message of a node.
    assert!(regrow::cluster::to_bytes(&server).is_err());
    let outside = there.call(|reply| Call::Pids { client: regrow::Pid::OUTSIDE, reply }).await;
    assert!(matches!(outside, Err(CallError::InvalidRequest(_))), "{outside:?}");
}

/// The rounds of the race. Failpoints widen the windows, so there are more.
const ROUNDS: usize = if cfg!(regrow_proof) { 400 } else { 40 };

/// Threads call, stop waiting, and cut the connection at once. Each call ends once, with its own answer
/// or `NoConnection`, and nothing is left at either node.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn calls_that_race_with_the_loss_of_the_connection_end_once_and_leave_nothing() {
    #[cfg(regrow_proof)]
    regrow::proof::arm_failpoints(regrow::proof::FailPlan { seed: 7, yields: 100, pauses: 20 });
    let (a, b, _tree, there) = two_nodes().await;
    assert_eq!(there.call(Call::Size).await, Ok(0));
    let left = || [&a.rt, &b.rt].map(|rt| rt.leftovers().monitors);
    let connected = || left().iter().all(|monitors| *monitors == 2);
    while !connected() {
        tokio::task::yield_now().await;
    }
    for round in 0..ROUNDS {
        let calls: Vec<_> = (0..8_u64)
            .map(|n| {
                let there = there.clone();
                tokio::spawn(async move {
                    let call = there.call(|reply| Call::Later(0, reply));
                    if n == 0 {
                        return drop(tokio::time::timeout(Duration::from_micros(n), call).await);
                    }
                    let result = call.await;
                    assert!(matches!(result, Ok(4) | Err(CallError::NoConnection)), "{result:?}");
                })
            })
            .collect();
        if round % 2 == 0 {
            a.rt.node("b@127.0.0.1").disconnect().await;
        } else {
            b.rt.node("a@127.0.0.1").disconnect().await;
        }
        for call in calls {
            call.await.unwrap();
        }
    }
    // Each node monitors the process of the connection.
    assert_eq!(there.call(Call::Size).await, Ok(0));
    while !connected() {
        tokio::task::yield_now().await;
    }
}
