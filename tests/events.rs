//! Lifecycle events: the facts of the log, for code.

mod support;

use regrow::{ChildSpec, ExitReason, LifecycleEvent, Runtime, Supervisor};
use support::{crash, idler};
use tokio::task::yield_now;

/// A restart reads as the crashed instance's exit, then a fresh spawn, under one label.
#[tokio::test]
async fn a_restart_is_an_exit_and_a_spawn() {
    let rt = Runtime::new();
    let flaky = ChildSpec::task("flaky", |_| std::future::pending()).named("flaky");
    let tree = Supervisor::one_for_one().child(flaky).start(&rt).await.unwrap();
    let mut events = rt.events();
    let first = rt.whereis("flaky").unwrap();
    assert!(rt.exit(first, crash("tired")));
    let mut told = Vec::new();
    loop {
        let event = events.next().await.unwrap();
        let spawned = matches!(event, LifecycleEvent::Spawned { .. });
        if matches!(event, LifecycleEvent::Exited { .. } | LifecycleEvent::Spawned { .. }) {
            told.push(event);
        }
        if spawned {
            break;
        }
    }
    let second = rt.whereis("flaky").unwrap();
    assert_ne!(first, second);
    let (label, name) = (Some("flaky".into()), Some("flaky".into()));
    let exited = LifecycleEvent::Exited { pid: first, label, name, reason: crash("tired") };
    assert_eq!(told, [exited, LifecycleEvent::Spawned { pid: second, label: "flaky".into() }]);
    tree.stop().await.unwrap();
}

/// Of processes without a label only a crash is told.
#[tokio::test]
async fn the_nameless_speak_when_they_crash() {
    let rt = Runtime::new();
    let mut events = rt.events();
    let quiet = idler(&rt);
    quiet.kill();
    quiet.join().await;
    let loud = rt.spawn_fallible(|_| async { Err(ExitReason::crashed("loud")) });
    let pid = loud.pid();
    loud.join().await;
    let told = LifecycleEvent::Exited { pid, label: None, name: None, reason: crash("loud") };
    assert_eq!(events.next().await, Some(told));
}

/// A listener that lies too far behind misses the oldest, and learns how many; nobody
/// waits for it.
#[tokio::test]
async fn a_slow_listener_misses_the_oldest() {
    let rt = Runtime::new();
    let mut events = rt.events();
    let pid = idler(&rt).pid();
    for n in 0..1030 {
        rt.log_spawn(pid, &n.to_string(), "");
    }
    let first = LifecycleEvent::Spawned { pid, label: "6".into() };
    assert_eq!((events.next().await, events.missed()), (Some(first), 6));
}

/// Listening keeps no runtime alive.
#[tokio::test]
async fn events_end_with_their_runtime() {
    let rt = Runtime::new();
    let mut events = rt.events();
    let last = rt.spawn(|_| async { yield_now().await });
    drop(rt);
    last.join().await;
    drop(last);
    assert_eq!(events.next().await, None);
}
