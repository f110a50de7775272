//! Lifecycle events: the facts of the log as values.

use crate::support;

use std::time::Duration;

use regrow::{ChildSpec, ExitReason, LifecycleEvent, Restart, Runtime, Supervisor};
use support::{crash, idler};
use tokio::task::yield_now;

/// A restart is reported as the exit of the crashed incarnation and the spawn of the next one,
/// under the same label.
#[tokio::test]
async fn a_restart_is_an_exited_event_and_a_spawned_event() {
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

/// For processes without a label, only crashes are reported: a kill emits no event.
#[tokio::test]
async fn an_unlabelled_process_emits_an_event_only_for_a_crash() {
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

/// A listener that lags too far behind loses the oldest events, and receives the number of lost
/// events. No process waits for the listener.
#[tokio::test]
async fn a_slow_listener_loses_the_oldest_events_and_counts_them() {
    let rt = Runtime::new();
    let mut events = rt.events();
    let pid = idler(&rt).pid();
    for n in 0..1030 {
        rt.log_spawn(pid, &n.to_string(), "");
    }
    let first = LifecycleEvent::Spawned { pid, label: "6".into() };
    assert_eq!((events.next().await, events.missed()), (Some(first), 6));
}

/// An event stream does not keep its runtime alive: the stream ends after the runtime is dropped.
#[tokio::test]
async fn the_event_stream_ends_with_its_runtime() {
    let rt = Runtime::new();
    let mut events = rt.events();
    let last = rt.spawn(|_| async { yield_now().await });
    drop(rt);
    last.join().await;
    drop(last);
    assert_eq!(events.next().await, None);
}

/// Makes a child that waits for a message, and then ends with the result of `end`.
fn ends(id: &str, end: fn() -> regrow::Result) -> ChildSpec {
    let body = move |mut ctx: regrow::TaskContext| async move {
        ctx.recv().await;
        end()
    };
    ChildSpec::task(id, body).named(id)
}

/// Collects all events except spawns, exits and crash reports, until the runtime is gone.
async fn decisions(mut events: regrow::Events) -> Vec<LifecycleEvent> {
    let mut told = Vec::new();
    while let Some(event) = events.next().await {
        match event {
            LifecycleEvent::Spawned { .. }
            | LifecycleEvent::Exited { .. }
            | LifecycleEvent::CrashReport(_) => {}
            decision => told.push(decision),
        }
    }
    told
}

/// Decisions of supervisors are reported in order. A restart event has the number of restarts that
/// are left.
#[tokio::test(start_paused = true)]
async fn supervisor_decisions_are_events_in_order_with_the_remaining_budget() {
    let rt = Runtime::new();
    let spec = Supervisor::one_for_one()
        .intensity(1, Duration::from_secs(1))
        .child(ends("failing", || Err(crash("no luck"))))
        .child(ends("done", || Ok(())).restart(Restart::Transient));
    let tree = spec.start(&rt).await.unwrap();
    let events = rt.events();
    let (supervisor, ended) = (tree.pid().unwrap(), tree.ended());
    let pid = rt.whereis("done").unwrap();
    for name in ["done", "failing", "failing"] {
        rt.send_named(name, Vec::new());
        support::settled().await;
    }
    let reason = ended.await;
    drop((rt, tree));
    let restarting = LifecycleEvent::Restarting {
        supervisor,
        child: "failing".into(),
        reason: crash("no luck"),
        attempt: 1,
        delay: Duration::ZERO,
        budget_left: Some(0),
    };
    let child = "done".into();
    let ended = LifecycleEvent::ChildEnded { supervisor, child, pid, reason: ExitReason::Normal };
    let gave_up = LifecycleEvent::GaveUp { supervisor, child: "failing".into(), reason };
    assert_eq!(decisions(events).await, [ended, restarting, gave_up]);
}
