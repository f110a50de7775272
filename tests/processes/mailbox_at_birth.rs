//! Bounds and policies of the mailboxes of plain processes and of children that are no servers.

use crate::support;

use std::future::pending;

use regrow::{
    ChildSpec, DynamicSupervisor, ExitReason, LogLevel, Overflow, Received, Runtime, Supervisor,
};
use support::log::Log;
use support::{dead_pid, idle};

/// Sends three messages to a mailbox with room for two. Returns which sends succeeded.
fn send_three(rt: &Runtime, pid: regrow::Pid) -> [bool; 3] {
    [1, 2, 3].map(|byte| rt.send(pid, vec![byte]))
}

#[tokio::test]
async fn every_policy_holds_for_a_spawned_process() {
    for (overflow, sent, received) in [
        (Overflow::Reject, [true, true, false], [1, 2]),
        (Overflow::Wait, [true, true, false], [1, 2]),
        (Overflow::DropOldest, [true; 3], [2, 3]),
        (Overflow::DropNewest, [true; 3], [1, 2]),
    ] {
        let rt = Runtime::new();
        let process = rt.process().mailbox_capacity(2, overflow).spawn(move |mut ctx| async move {
            for byte in received {
                assert_eq!(ctx.recv().await.message(), Some(vec![byte]));
            }
        });
        assert_eq!(send_three(&rt, process.pid()), sent, "{overflow:?}");
        let info = rt.info(process.pid()).unwrap();
        assert_eq!((info.mailbox_capacity, info.overflow), (Some(2), Some(overflow)));
        assert_eq!((info.depth(), info.dropped_messages), (Some(2), 1));
        assert_eq!(process.join().await, ExitReason::Normal);
    }
}

#[tokio::test]
async fn each_way_to_spawn_takes_the_bound_and_the_label() {
    let rt = Runtime::new();
    let small = || rt.process().label("small").mailbox_capacity(1, Overflow::Reject);
    let (parent, watcher) = (idle(&rt), idle(&rt));
    let plain = small().spawn(|_| pending());
    let fallible = small().spawn_fallible(|_| pending());
    let linked = small().spawn_link(parent, |_| pending());
    let (monitored, _) = small().spawn_monitor(watcher, |_| pending());
    for process in [&plain, &fallible, &linked, &monitored] {
        let info = rt.info(process.pid()).unwrap();
        assert_eq!((info.mailbox_capacity, info.label.as_deref()), (Some(1), Some("small")));
    }
    assert_eq!(rt.info(linked.pid()).unwrap().links, 1);
    assert_eq!(rt.info(monitored.pid()).unwrap().monitors, 1);
    rt.kill(parent);
    assert_eq!(linked.join().await, ExitReason::Killed);
    let orphan = small().spawn_link(dead_pid(&rt).await, |_| async { unreachable!() });
    assert_eq!(orphan.join().await, ExitReason::NoProc);
}

/// The reference is that of a monitor which is set before the body runs.
#[tokio::test]
async fn a_monitor_at_birth_reports_the_end_of_a_process_that_ends_at_once() {
    let rt = Runtime::new();
    let watcher = rt.spawn(|mut ctx| async move {
        let process = ctx.runtime().process();
        let (process, reference) = process.spawn_monitor(ctx.pid(), |_| async {});
        let down = Received::Down { reference, pid: process.pid(), reason: ExitReason::Normal };
        assert_eq!(ctx.recv().await, down);
    });
    assert_eq!(watcher.join().await, ExitReason::Normal);
}

#[tokio::test]
async fn a_process_without_settings_is_a_spawned_process() {
    let rt = Runtime::new();
    let process = rt.process().spawn(|_| pending());
    let info = rt.info(process.pid()).unwrap();
    assert_eq!((info.mailbox_capacity, info.depth(), info.label), (None, None, None));
    let rt = Runtime::with_mailbox_capacity(7);
    let process = rt.process().spawn(|_| pending());
    assert_eq!(rt.info(process.pid()).unwrap().mailbox_capacity, Some(7));
}

#[tokio::test]
async fn the_spawn_of_a_labelled_process_is_logged() {
    let log = Log::listen();
    let rt = Runtime::new();
    rt.set_log_level(LogLevel::Info);
    let process = rt.process().label("worker").spawn(|_| pending());
    let lines = log.take();
    let line = lines.iter().find(|line| line.message == "spawn").unwrap();
    assert_eq!((line.field("pid"), line.field("label")), (&*process.pid().to_string(), "worker"));
}

#[tokio::test]
async fn a_shut_down_runtime_runs_no_body() {
    let rt = Runtime::new();
    rt.shutdown();
    let process = rt.process().label("late").spawn(|_| async { unreachable!("never runs") });
    assert_eq!(process.join().await, ExitReason::Killed);
}

#[test]
#[should_panic(expected = "room for at least one message")]
fn a_capacity_of_zero_panics() {
    drop(Runtime::new().process().mailbox_capacity(0, Overflow::Reject));
}

/// The bound of a child specification holds for each kind of worker, and for each incarnation.
#[tokio::test]
async fn the_bound_of_a_child_holds_for_tasks_and_other_workers() {
    let rt = Runtime::new();
    let task = ChildSpec::task("task", |_| pending());
    let serve = ChildSpec::serve("serve", |shutdown| async {
        shutdown.await;
        Ok::<(), ExitReason>(())
    });
    let once = ChildSpec::once("once", |_| pending()).mailbox_capacity(2, Overflow::DropOldest);
    let blocking = ChildSpec::blocking("blocking", |ctx| {
        assert!(ctx.wait_stop(std::time::Duration::MAX));
        Ok(())
    });
    let mut supervisor = Supervisor::one_for_one();
    for child in [task, serve, blocking] {
        supervisor = supervisor.child(child.mailbox_capacity(2, Overflow::DropOldest));
    }
    let tree = supervisor.start(&rt).await.unwrap();
    let dynamic = DynamicSupervisor::new().start(&rt).await.unwrap();
    let once = dynamic.start_once(once).await.unwrap();
    let children = tree.which_children().await.unwrap();
    for pid in children.iter().filter_map(|child| child.pid()).chain([once]) {
        assert_eq!(send_three(&rt, pid), [true; 3]);
        let info = rt.info(pid).unwrap();
        assert_eq!((info.mailbox_capacity, info.dropped_messages), (Some(2), 1));
    }
    tree.stop().await.unwrap();
    dynamic.stop().await.unwrap();
}

#[tokio::test]
async fn a_supervisor_does_not_take_the_bound_of_its_specification() {
    let rt = Runtime::new();
    let below = ChildSpec::from(Supervisor::one_for_one().named("below"));
    let below = below.mailbox_capacity(1, Overflow::DropOldest);
    let _tree = Supervisor::one_for_one().child(below).start(&rt).await.unwrap();
    assert_eq!(rt.info(rt.whereis("below").unwrap()).unwrap().mailbox_capacity, None);
}
