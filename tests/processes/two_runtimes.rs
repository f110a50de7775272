//! Two runtimes in one program: a pid of one is no pid of the other, for every operation that takes a
//! pid. The processes of both stay as they are.

use crate::support;

use std::collections::HashSet;
use std::time::Duration;

use regrow::{
    CallError, ChildError, ChildSpec, Context, Dest, DynamicSupervisor, ExitReason, Health,
    LogLevel, MonitorRef, Pid, Received, Registry, Runtime,
};
use support::ledger::Ledger;
use support::{TestProcess, dead_pid, down, exit, settled};

/// As many processes as are enough for the pids of either runtime to be live ones of the other, if
/// both counted from 1.
const CROWD: usize = 2_000;

const SOON: Duration = Duration::from_secs(1);

/// A runtime whose first processes report what they receive, among others that wait for ever.
struct Side {
    rt: Runtime,
    reporters: Vec<TestProcess>,
    crowd: Vec<Pid>,
}

impl Side {
    fn new() -> Side {
        let rt = Runtime::with_mailbox_depth();
        let reporters = (0..40).map(|_| TestProcess::trapping(&rt)).collect();
        let crowd = (0..CROWD).map(|_| support::idle(&rt)).collect();
        Side { rt, reporters, crowd }
    }

    /// The pids of processes of this side that were started at different times.
    fn some(&self) -> Vec<Pid> {
        let reporters = self.reporters.iter().map(TestProcess::pid);
        reporters.chain(self.crowd.iter().copied().step_by(97)).collect()
    }

    /// Checks that no process has ended, was sent something, or was linked, monitored, named,
    /// labelled or put into a group.
    async fn assert_untouched(&mut self) {
        settled().await;
        for reporter in &mut self.reporters {
            assert_eq!(reporter.mail().await, []);
            assert!(reporter.lives().await && self.rt.info(reporter.pid()).unwrap().trap_exit);
        }
        for pid in self.some() {
            let info = self.rt.info(pid).unwrap_or_else(|| panic!("{pid} has ended"));
            assert_eq!(
                (info.links, info.monitors, info.monitoring, info.mailbox_depth),
                (0, 0, 0, 0)
            );
            assert!(info.names.is_empty() && info.tags.is_empty() && info.label.is_none());
            assert_eq!(self.rt.health(pid), Some(Health::Ready));
        }
        assert_eq!(self.rt.process_count(), self.reporters.len() + CROWD);
    }
}

#[tokio::test(start_paused = true)]
async fn no_pid_is_handed_out_by_two_runtimes() {
    let (a, b) = (Side::new(), Side::new());
    let (of_a, of_b) = (a.rt.list(), b.rt.list());
    let all: HashSet<&Pid> = of_a.iter().chain(&of_b).collect();
    assert_eq!(all.len(), of_a.len() + of_b.len());
    for pids in [&of_a, &of_b] {
        assert!(pids.is_sorted() && pids.iter().all(|pid| !pid.is_foreign()));
    }
    let in_order: Vec<Pid> = a.some();
    assert!(in_order.is_sorted(), "a later process has a greater pid");
}

#[tokio::test(start_paused = true)]
async fn signals_and_messages_to_a_pid_of_another_runtime_reach_nobody() {
    let (mut a, mut b) = (Side::new(), Side::new());
    for other in b.some() {
        let (_writer, reader) = regrow::stream();
        assert!(!a.rt.send(other, b"x".to_vec()));
        assert!(!a.rt.send_stream(other, reader));
        assert!(!a.rt.exit(other, ExitReason::Shutdown));
        assert!(!a.rt.kill(other));
        assert_eq!(a.rt.set_trap_exit(other, false), None);
        assert_eq!(a.rt.ended(other).await, ExitReason::NoProc);
        assert!(!a.rt.is_alive(other) && a.rt.info(other).is_none());
        assert_eq!(a.rt.server_at::<Ledger>(other).unwrap_err(), CallError::NoProc);
    }
    a.assert_untouched().await;
    b.assert_untouched().await;
}

#[tokio::test(start_paused = true)]
async fn timers_for_a_pid_of_another_runtime_fire_nowhere() {
    let (mut a, mut b) = (Side::new(), Side::new());
    for other in b.some() {
        let timers = [
            a.rt.send_after(other, SOON, b"x".to_vec()),
            a.rt.send_interval(other, SOON, b"x".to_vec()),
            a.rt.exit_after(Dest::Pid(other), SOON, ExitReason::Shutdown),
            a.rt.kill_after(other, SOON),
        ];
        assert!(timers.iter().all(|timer| timer.remaining().is_none() && !timer.cancel()));
    }
    tokio::time::sleep(SOON * 3).await;
    a.assert_untouched().await;
    b.assert_untouched().await;
}

/// The number of a timer may be that of a timer of the other runtime. A reference cancels its own.
#[tokio::test(start_paused = true)]
async fn a_timer_reference_cancels_the_timer_of_its_runtime() {
    let (a, b) = (Runtime::new(), Runtime::new());
    let (mut one, mut two) = (TestProcess::new(&a), TestProcess::new(&b));
    let first = a.send_after(one.pid(), SOON, b"one".to_vec());
    let second = b.send_after(two.pid(), SOON, b"two".to_vec());
    assert!(second.cancel() && !second.cancel());
    tokio::time::sleep(SOON * 2).await;
    assert!(!first.cancel());
    assert_eq!(one.mail().await, [support::text("one")]);
    assert_eq!(two.mail().await, []);
}

#[tokio::test(start_paused = true)]
async fn links_and_monitors_with_a_pid_of_another_runtime_find_no_process() {
    let (mut a, mut b) = (Side::new(), Side::new());
    let mut own = TestProcess::trapping(&a.rt);
    for other in b.some() {
        assert!(!a.rt.link(own.pid(), other));
        assert!(!a.rt.link(other, own.pid()));
        assert_eq!(own.mail().await, [exit(other, ExitReason::NoProc)]);
        a.rt.unlink(own.pid(), other);
        a.rt.unlink(other, own.pid());
        let reference = a.rt.monitor(own.pid(), other);
        assert_eq!(own.mail().await, [down(reference, other, ExitReason::NoProc)]);
        let by_other = a.rt.monitor(other, own.pid());
        assert!(!a.rt.demonitor(by_other));
        let (by_other, _) = a.rt.monitor_group(other, "group");
        assert!(!a.rt.demonitor_flush(by_other));
        let linked = a.rt.spawn_link(other, |_: Context| async { unreachable!("never runs") });
        assert_eq!(linked.join().await, ExitReason::NoProc);
        let (monitored, _) = a.rt.spawn_monitor(other, |_| async {});
        assert_eq!(monitored.join().await, ExitReason::Normal);
    }
    own.finish();
    own.ended().await;
    a.assert_untouched().await;
    b.assert_untouched().await;
}

/// A monitor of one runtime is not removed through the other, although their numbers may be equal.
#[tokio::test(start_paused = true)]
async fn a_monitor_is_removed_only_in_its_own_runtime() {
    let set = |rt: &Runtime| {
        let (watcher, target) = (TestProcess::new(rt), support::idle(rt));
        let reference = rt.monitor(watcher.pid(), target);
        (watcher, target, reference)
    };
    let (a, b) = (Runtime::new(), Runtime::new());
    let (mut in_a, target_in_a, of_a) = set(&a);
    let (_in_b, _, of_b): (_, _, MonitorRef) = set(&b);
    assert!(!a.demonitor(of_b) && !a.demonitor_flush(of_b));
    support::killed(&a, target_in_a).await;
    assert_eq!(in_a.next().await, down(of_a, target_in_a, ExitReason::Killed));
    assert!(b.demonitor(of_b));
}

#[tokio::test(start_paused = true)]
async fn names_groups_labels_and_registries_refuse_a_pid_of_another_runtime() {
    let (mut a, mut b) = (Side::new(), Side::new());
    let registry = Registry::<&str, ()>::unique(&a.rt);
    a.rt.set_log_level(LogLevel::Debug);
    for other in b.some() {
        assert!(!a.rt.register("name", other));
        assert!(a.rt.try_register("name", other).is_err());
        assert!(!a.rt.register_tag("group", other));
        assert!(!a.rt.unregister_tag("group", other));
        assert!(!a.rt.set_label(other, "label"));
        assert!(!a.rt.set_health(other, Health::Degraded("slow".into())));
        assert!(!a.rt.heartbeat(other));
        assert!(registry.register(other, "key", ()).is_err());
        assert!(!registry.unregister(other, &"key"));
        assert!(registry.keys(other).is_empty());
    }
    assert_eq!((a.rt.whereis("name"), a.rt.whereis_tag("group")), (None, vec![]));
    assert_eq!(registry.whereis(&"key"), None);
    a.assert_untouched().await;
    b.assert_untouched().await;
}

#[tokio::test(start_paused = true)]
async fn a_supervisor_terminates_no_child_of_another_runtime() {
    let (a, b) = (Runtime::new(), Runtime::new());
    let idle = || ChildSpec::task("idle", |_| std::future::pending());
    let ours = DynamicSupervisor::new().start(&a).await.unwrap();
    let theirs = DynamicSupervisor::new().start(&b).await.unwrap();
    let (own, other) =
        (ours.start_child(idle()).await.unwrap(), theirs.start_child(idle()).await.unwrap());
    assert!(matches!(ours.terminate_child(other).await, Err(ChildError::NotFound(_))));
    assert!(a.is_alive(own) && b.is_alive(other));
    assert_eq!(ours.terminate_child(own).await, Ok(()));
}

/// Also the pid of a process of a runtime that no longer exists.
#[tokio::test]
async fn a_pid_of_a_dropped_runtime_stays_dead() {
    let before = {
        let rt = Runtime::new();
        dead_pid(&rt).await
    };
    let rt = Runtime::new();
    let later: Vec<Pid> = (0..CROWD).map(|_| support::idle(&rt)).collect();
    assert!(!later.contains(&before) && !rt.is_alive(before) && !rt.kill(before));
    assert!(later.iter().all(|pid| rt.is_alive(*pid)));
}

/// A process may use both runtimes. What it sends carries its own pid, and each runtime delivers to its
/// own processes only.
#[tokio::test]
async fn a_process_of_one_runtime_uses_another() {
    let (a, b) = (Runtime::new(), Runtime::new());
    let mut there = TestProcess::new(&b);
    let (b, pid) = (b.clone(), there.pid());
    let client = a.spawn(move |ctx| async move {
        assert!(!ctx.runtime().send(pid, b"wrong".to_vec()));
        assert!(b.send(pid, b"right".to_vec()));
    });
    assert_eq!(client.join().await, ExitReason::Normal);
    assert_eq!(there.next().await, Received::Message(b"right".to_vec()));
}
