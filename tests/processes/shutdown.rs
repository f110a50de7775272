//! The shutdown of a runtime: no process, timer or task outlives it.

use crate::support;

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use regrow::{ChildSpec, ExitReason, Leftovers, Pid, Runtime, Supervisor, stream};
use support::{Listener, OnDrop, dead, idle, settled};
use tokio::sync::mpsc::unbounded_channel;

/// Returns the number of tokio tasks that have not ended. The task of the test itself is not
/// counted.
fn alive_tasks() -> usize {
    tokio::runtime::Handle::current().metrics().num_alive_tasks()
}

/// Panics: the body of a process that must not run.
async fn unreachable(_: regrow::Context) {
    unreachable!("the runtime is closed")
}

/// PROC-020.
#[tokio::test(start_paused = true)]
async fn shutdown_returns_the_number_of_killed_processes_and_leaves_none() {
    let rt = Runtime::new();
    dead(&rt).await;
    let five: Vec<Pid> = (0..5).map(|_| idle(&rt)).collect();
    rt.set_trap_exit(five[0], true);
    let ends: Vec<_> = five.iter().map(|&pid| rt.ended(pid)).collect();
    assert_eq!(rt.shutdown(), 5);
    for ended in ends {
        assert_eq!(ended.await, ExitReason::Killed, "a trap is no help");
    }
    assert_eq!((rt.process_count(), rt.finished(), rt.spawned()), (0, 6, 6));
    assert_eq!(rt.shutdown(), 0);
}

/// `kill_tag` and `shutdown` count each process that they end, even if the exit of a linked process
/// reaches it first, on another thread.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn shutdown_counts_processes_that_a_link_ended_first() {
    for _ in 0..50 {
        let rt = Runtime::new();
        let chain: Vec<Pid> = (0..200).map(|_| idle(&rt)).collect();
        chain.windows(2).for_each(|pair| assert!(rt.link(pair[0], pair[1])));
        chain.iter().for_each(|&pid| assert!(rt.register_tag("chain", pid)));
        let extra = idle(&rt);
        assert_eq!(rt.kill_tag("chain"), 200);
        rt.ended(chain[0]).await;
        support::until("one is left", || rt.process_count() == 1).await;
        let others: Vec<Pid> = (0..200).map(|_| idle(&rt)).collect();
        others.iter().for_each(|&pid| assert!(rt.link(extra, pid)));
        assert_eq!(rt.shutdown(), 201);
        support::until("all have ended", || rt.process_count() == 0).await;
    }
}

/// A shutdown does not change the reason of a process that is already ending.
#[tokio::test]
async fn shutdown_does_not_count_processes_that_are_already_ending() {
    let rt = Runtime::new();
    let [dying, _other] = [idle(&rt), idle(&rt)];
    assert!(rt.kill(dying));
    assert_eq!((rt.process_count(), rt.shutdown(), rt.shutdown()), (2, 1, 0));
}

/// A shutdown also removes names, groups, links, monitors, timers, streams and tokio tasks.
#[tokio::test(start_paused = true)]
async fn a_closed_runtime_leaves_no_names_groups_timers_or_tasks() {
    let rt = Runtime::new();
    rt.set_log_level(regrow::LogLevel::Debug);
    let [a, b, c] = [idle(&rt), idle(&rt), idle(&rt)];
    rt.register("a", a);
    rt.register_tag("g", b);
    rt.link(a, b);
    rt.monitor(b, c);
    rt.monitor_group(c, "g");
    let timer = rt.send_interval("a", Duration::from_millis(1), b"tick".to_vec());
    rt.kill_after(b, Duration::MAX);
    let (writer, reader) = stream();
    rt.send_stream(c, reader);
    assert_eq!(rt.shutdown(), 3);
    assert!(!timer.cancel());
    settled().await;
    assert_eq!(rt.leftovers(), Leftovers::default());
    assert!(rt.registered().is_empty() && rt.tags().is_empty() && rt.list().is_empty());
    assert_eq!(writer.write(b"x".to_vec()).await, Err(b"x".to_vec()));
    assert_eq!(alive_tasks(), 0);
}

/// A shutdown uses the normal teardown: values are dropped before the end is announced.
#[tokio::test]
async fn a_shutdown_drops_the_values_of_a_body_before_the_end_is_announced() {
    let (tell, mut dropped) = unbounded_channel();
    let rt = Runtime::new();
    let process = rt.spawn(move |_| async move {
        let _value = OnDrop::new(move || tell.send("dropped").unwrap());
        pending().await
    });
    tokio::task::yield_now().await;
    assert_eq!(rt.shutdown(), 1);
    assert_eq!(process.join().await, ExitReason::Killed);
    assert_eq!(dropped.try_recv(), Ok("dropped"));
}

/// On a closed runtime, every way to spawn returns an ended process, and no body runs.
#[tokio::test]
async fn every_kind_of_spawn_on_a_closed_runtime_returns_an_ended_process() {
    let rt = Runtime::new();
    rt.shutdown();
    let (monitored, _) = rt.spawn_monitor(Pid::OUTSIDE, unreachable);
    let handles = [
        rt.spawn(unreachable),
        rt.spawn_fallible(|_| async { unreachable!() }),
        rt.spawn_link(Pid::OUTSIDE, unreachable),
        monitored,
    ];
    for handle in handles {
        assert!(!rt.is_alive(handle.pid()) && !handle.kill());
        assert_eq!(handle.join().await, ExitReason::Killed);
    }
    let named = rt.whereis_or_spawn("n", unreachable);
    assert!(!rt.is_alive(named));
    assert_eq!(rt.whereis("n"), None);
    assert_eq!((rt.spawned(), rt.finished()), (5, 5));
    assert_eq!(rt.leftovers(), Leftovers::default());
}

/// A closed runtime sets no timer, not even for a process that has not been torn down yet.
#[tokio::test(start_paused = true)]
async fn a_timer_on_a_closed_runtime_is_never_pending() {
    let rt = Runtime::new();
    let mut listener = Listener::new(&rt);
    rt.shutdown();
    for timer in [
        rt.send_after(listener.pid, Duration::ZERO, b"m".to_vec()),
        rt.send_interval("n", Duration::from_millis(1), b"m".to_vec()),
    ] {
        assert_eq!(timer.remaining(), None);
        assert!(!timer.cancel());
    }
    settled().await;
    assert!(listener.so_far().is_empty());
    assert_eq!(rt.leftovers(), Leftovers::default());
}

/// A process may shut down its own runtime. It then ends at its next await.
#[tokio::test(start_paused = true)]
async fn a_process_may_shut_down_its_own_runtime() {
    let rt = Runtime::new();
    idle(&rt);
    let last = rt.spawn(|mut ctx| async move {
        assert_eq!(ctx.runtime().shutdown(), 2);
        ctx.recv().await;
        unreachable!("nothing is received after the end was accepted");
    });
    assert_eq!(last.join().await, ExitReason::Killed);
    settled().await;
    assert_eq!(rt.leftovers(), Leftovers::default());
}

/// A spawn by a destructor during the shutdown is refused.
#[tokio::test(start_paused = true)]
async fn a_spawn_from_a_destructor_on_a_closed_runtime_ends_at_once() {
    let rt = Runtime::new();
    let inner = rt.clone();
    rt.spawn(move |_| async move {
        let _value = OnDrop::new(move || drop(inner.spawn(unreachable)));
        pending().await
    });
    settled().await;
    assert_eq!(rt.shutdown(), 1);
    settled().await;
    assert_eq!((rt.spawned(), rt.finished(), rt.process_count()), (2, 2, 0));
}

/// T02. Processes on several threads spawn others all the time. A shutdown ends all of them, and no
/// later spawn succeeds.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_shutdown_ends_processes_that_are_spawned_concurrently() {
    fn breed(rt: &Runtime, born: &Arc<AtomicUsize>) -> Pid {
        let born = born.clone();
        let process = rt.spawn(|ctx| async move {
            born.fetch_add(1, Ordering::SeqCst);
            breed(&ctx.runtime(), &born);
            tokio::task::yield_now().await;
        });
        process.pid()
    }
    for _ in 0..50 {
        let (rt, born) = (Runtime::new(), Arc::new(AtomicUsize::new(0)));
        for _ in 0..4 {
            breed(&rt, &born);
        }
        support::until("some are born", || born.load(Ordering::SeqCst) > 100).await;
        rt.shutdown();
        support::until("all have ended", || rt.process_count() == 0).await;
        let last = breed(&rt, &born);
        assert!(!rt.is_alive(last));
        support::until("all is quiet", || rt.spawned() == rt.finished()).await;
        assert_eq!(rt.leftovers(), Leftovers::default());
    }
}

/// T02. A child that its supervisor is about to restart does not outlive a shutdown.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_shutdown_ends_children_that_are_restarted_concurrently() {
    for _ in 0..20 {
        let rt = Runtime::new();
        let flaky = |n: usize| {
            ChildSpec::task(format!("flaky {n}"), |_| async {
                tokio::task::yield_now().await;
                Err(ExitReason::from("again"))
            })
        };
        let spec = Supervisor::one_for_one().intensity(u32::MAX, Duration::from_secs(1));
        let tree = (0..20).fold(spec, |spec, n| spec.child(flaky(n))).start(&rt).await.unwrap();
        support::until("some restarts", || rt.spawned() > 200).await;
        let ended = rt.ended(tree.pid().unwrap());
        rt.shutdown();
        assert_eq!(ended.await, ExitReason::Killed);
        support::until("all have ended", || rt.process_count() == 0).await;
        support::until("all is quiet", || rt.spawned() == rt.finished()).await;
        assert_eq!(rt.leftovers(), Leftovers::default());
    }
}

/// A shutdown does not affect another runtime in the same program.
#[tokio::test]
async fn a_shutdown_leaves_other_runtimes_alone() {
    let (one, other) = (Runtime::new(), Runtime::new());
    let (here, mut there) = (idle(&one), Listener::new(&other));
    let ended = one.ended(here);
    assert_eq!(one.clone().shutdown(), 1);
    ended.await;
    assert!(other.send(there.pid, b"hello".to_vec()));
    assert_eq!(there.next().await, support::message("hello"));
    assert_eq!(other.process_count(), 1);
}

/// A runtime that was never used inside tokio can be shut down.
#[test]
fn an_unused_runtime_can_be_shut_down() {
    assert_eq!(Runtime::new().shutdown(), 0);
}
