//! The end of a process that very many timers are addressed to.

use crate::support;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use regrow::{ExitReason, Leftovers, Pid, Runtime, TimerRef};
use support::{Listener, TestProcess, down, idle, message, settled};
use tokio::task::yield_now;
use tokio::time::{Instant, sleep};

const HOUR: Duration = Duration::from_secs(3_600);
const ALL: usize = 20_000;

/// The most timers that are dropped between two polls of another task.
const SLICE: usize = 2_000;

/// An error that counts its destructor.
#[derive(Debug)]
struct Counted(Arc<AtomicUsize>);

impl fmt::Display for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("counted")
    }
}

impl std::error::Error for Counted {}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Sets timers that are due in an hour. Returns them, and the number of those that were dropped.
fn set_timers(rt: &Runtime, target: Pid, count: usize) -> (Vec<TimerRef>, Arc<AtomicUsize>) {
    let dropped: Arc<AtomicUsize> = Arc::default();
    let reason = || ExitReason::from(Counted(dropped.clone()));
    let timers = (0..count).map(|_| rt.exit_after(target, HOUR, reason())).collect();
    (timers, dropped)
}

/// The end is announced when no timer is pending, although most are not dropped yet. Then they are
/// dropped, a few between two polls of another task, and long before they are due.
#[tokio::test(start_paused = true)]
async fn the_timers_of_an_ended_process_are_dropped_in_slices() {
    let rt = Runtime::new();
    let (target, start) = (idle(&rt), Instant::now());
    let (timers, dropped) = set_timers(&rt, target, ALL);
    let ended = rt.ended(target);
    rt.kill(target);
    assert_eq!(ended.await, ExitReason::Killed);
    assert_eq!(rt.leftovers(), Leftovers::default());
    assert!(timers.iter().all(|timer| !timer.cancel() && timer.remaining().is_none()));
    let mut before = dropped.load(Ordering::SeqCst);
    assert!(before <= SLICE, "{before} timers are dropped by the end itself");
    while before < ALL {
        yield_now().await;
        let now = dropped.load(Ordering::SeqCst);
        assert!(now - before <= SLICE, "{} timers are dropped at once", now - before);
        before = now;
    }
    assert_eq!(start.elapsed(), Duration::ZERO);
}

/// Timers of other processes fire while those of an ended one are dropped, and new timers are set.
#[tokio::test(start_paused = true)]
async fn timers_fire_on_time_while_those_of_an_ended_process_are_dropped() {
    let rt = Runtime::new();
    let (target, mut other) = (idle(&rt), Listener::new(&rt));
    let (_, dropped) = set_timers(&rt, target, ALL);
    let ended = rt.ended(target);
    rt.kill(target);
    ended.await;
    rt.send_after(other.pid, Duration::ZERO, b"at once".to_vec());
    assert_eq!(other.next().await, message("at once"));
    assert!(dropped.load(Ordering::SeqCst) < ALL);
    let start = Instant::now();
    rt.send_after(other.pid, Duration::from_millis(5), b"later".to_vec());
    assert_eq!(other.next().await, message("later"));
    assert_eq!(start.elapsed(), Duration::from_millis(5));
    assert_eq!(dropped.load(Ordering::SeqCst), ALL);
}

/// A watcher receives the `Down` when the name is free and no timer is pending.
#[tokio::test(start_paused = true)]
async fn a_down_of_a_process_with_many_timers_follows_its_names_and_timers() {
    let rt = Runtime::new();
    let (target, mut watcher) = (TestProcess::new(&rt), TestProcess::new(&rt));
    rt.register("target", target.pid());
    let (timers, _dropped) = set_timers(&rt, target.pid(), ALL);
    let reference = rt.monitor(watcher.pid(), target.pid());
    target.finish();
    assert_eq!(watcher.next().await, down(reference, target.pid(), ExitReason::Normal));
    assert_eq!(rt.whereis("target"), None);
    assert_eq!(rt.leftovers().timers, 0);
    assert!(!timers[0].cancel());
}

/// Timers whose target ends in the millisecond in which they are due are not delivered, and an
/// interval among them is not armed again.
#[tokio::test(start_paused = true)]
async fn no_timer_of_an_ended_process_fires_while_they_are_dropped() {
    let rt = Runtime::new();
    let (target, mut named) = (idle(&rt), Listener::new(&rt));
    rt.register("named", named.pid);
    let due = Duration::from_millis(10);
    rt.kill_after(target, due);
    for _ in 0..ALL {
        rt.send_after(target, due, b"m".to_vec());
        rt.send_interval(target, due, b"tick".to_vec());
    }
    rt.send_after("named", due, b"after all of them".to_vec());
    assert_eq!(named.next().await, message("after all of them"));
    assert!(!rt.is_alive(target) || rt.ended(target).await == ExitReason::Killed);
    assert_eq!(rt.leftovers().timers, 0);
    sleep(HOUR).await;
    assert_eq!(rt.leftovers().timers, 0);
}

/// When tokio shuts down, timers that wait to be dropped are dropped, and so are those that are
/// armed.
#[test]
fn the_shutdown_of_tokio_drops_all_timers() {
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (rt, timers, dropped) = tokio.block_on(async {
        let rt = Runtime::new();
        let (target, other) = (idle(&rt), idle(&rt));
        let (mut timers, dropped) = set_timers(&rt, target, ALL);
        let reason = ExitReason::from(Counted(dropped.clone()));
        timers.push(rt.exit_after(other, HOUR, reason));
        let ended = rt.ended(target);
        rt.kill(target);
        ended.await;
        (rt, timers, dropped)
    });
    assert!(dropped.load(Ordering::SeqCst) < ALL);
    assert!(timers[ALL].remaining().is_some());
    drop(tokio);
    assert_eq!(dropped.load(Ordering::SeqCst), ALL + 1);
    assert_eq!(timers[ALL].remaining(), None);
    assert_eq!(rt.leftovers(), Leftovers::default());
}

/// When tokio is idle, a paused clock advances to the next timer, which must not be one of these.
#[tokio::test(start_paused = true)]
async fn a_paused_clock_does_not_advance_to_a_timer_whose_target_has_ended() {
    let rt = Runtime::new();
    let target = idle(&rt);
    rt.send_after(target, HOUR, b"m".to_vec());
    settled().await;
    let ended = rt.ended(target);
    rt.kill(target);
    ended.await;
    let begin = Instant::now();
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let thread = std::thread::spawn(move || {
        // Meanwhile tokio is idle.
        (0..10_000).for_each(|_| std::thread::yield_now());
        sender.send(())
    });
    receiver.await.unwrap();
    assert!(begin.elapsed() < HOUR, "the clock has advanced to the timer");
    thread.join().unwrap().unwrap();
}
