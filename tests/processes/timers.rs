//! Timers: they fire exactly when due, in order and once, and never for ended processes.

use crate::support;

use std::future::pending;
use std::time::Duration;

use regrow::{Dest, ExitReason, Pid, Received, Runtime, TimerRef};
use support::{Listener, dead, idle, killed, message, settled};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::{Instant, advance, sleep};

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A process that reports the arrival time of each message, counted from its spawn.
struct Clock {
    pid: Pid,
    ticks: UnboundedReceiver<(Duration, String)>,
}

impl Clock {
    fn new(rt: &Runtime) -> Self {
        let (tell, ticks) = unbounded_channel();
        let born = Instant::now();
        let process = rt.spawn(move |mut ctx| async move {
            while let Some(text) = ctx.recv().await.message() {
                let text = String::from_utf8(text).unwrap();
                tell.send((born.elapsed(), text)).unwrap();
            }
        });
        Clock { pid: process.pid(), ticks }
    }

    /// Waits for the next message, and returns it with the time in milliseconds at which it
    /// arrived.
    async fn next(&mut self) -> (u128, String) {
        let (at, text) = self.ticks.recv().await.expect("the clock has ended");
        assert_eq!(at.subsec_nanos() % 1_000_000, 0, "{at:?} is no whole millisecond");
        (at.as_millis(), text)
    }

    fn is_silent(&mut self) -> bool {
        self.ticks.try_recv().is_err()
    }
}

fn tick(at: u128, text: &str) -> (u128, String) {
    (at, text.to_owned())
}

/// TMR-001.
#[tokio::test(start_paused = true)]
async fn a_timer_message_arrives_once_and_exactly_when_due() {
    let rt = Runtime::new();
    let (mut clock, mut other) = (Clock::new(&rt), Clock::new(&rt));
    rt.send_after(clock.pid, ms(500), b"m".to_vec());
    assert_eq!(clock.next().await, tick(500, "m"));
    sleep(ms(10_000)).await;
    assert!(clock.is_silent() && other.is_silent());
}

/// TMR-002.
#[tokio::test(start_paused = true)]
async fn a_cancelled_timer_never_fires() {
    let rt = Runtime::new();
    let mut clock = Clock::new(&rt);
    let timer = rt.send_after(clock.pid, ms(500), b"m".to_vec());
    sleep(ms(499)).await;
    assert_eq!(timer.remaining(), Some(ms(1)));
    assert!(timer.cancel());
    assert_eq!(timer.remaining(), None);
    sleep(ms(10_000)).await;
    assert!(clock.is_silent());
    assert_eq!(rt.leftovers().timers, 0);
}

/// TMR-003.
#[tokio::test(start_paused = true)]
async fn cancel_returns_true_once_and_false_after_the_timer_fired() {
    let rt = Runtime::new();
    let mut clock = Clock::new(&rt);
    let (cancelled, fired) = (
        rt.send_after(clock.pid, ms(5), b"no".to_vec()),
        rt.send_after(clock.pid, ms(5), b"yes".to_vec()),
    );
    assert!(cancelled.cancel());
    assert!(!cancelled.cancel() && !cancelled.clone().cancel());
    assert_eq!(clock.next().await, tick(5, "yes"));
    assert!(!fired.cancel());
    sleep(ms(100)).await;
    assert!(clock.is_silent());
}

/// TMR-004.
#[tokio::test(start_paused = true)]
async fn timers_fire_in_order_of_their_due_times() {
    let rt = Runtime::new();
    let mut clock = Clock::new(&rt);
    for delay in [200, 0, 100] {
        rt.send_after(clock.pid, ms(delay), delay.to_string().into());
    }
    for (at, text) in [(0, "0"), (100, "100"), (200, "200")] {
        assert_eq!(clock.next().await, tick(at, text));
    }
}

/// Timers that are due at the same instant fire in the order in which they were set. This holds for
/// a few and for very many timers, and also if some were set long before the others.
#[tokio::test(start_paused = true)]
async fn timers_due_at_one_instant_fire_in_the_order_they_were_set() {
    let rt = Runtime::new();
    let mut clock = Clock::new(&rt);
    for n in 0..1_000 {
        rt.send_after(clock.pid, ms(5_000), n.to_string().into());
    }
    sleep(ms(4_999)).await;
    for n in 1_000..2_000 {
        rt.send_after(clock.pid, ms(1), n.to_string().into());
    }
    for n in 0..2_000 {
        assert_eq!(clock.next().await, tick(5_000, &n.to_string()));
    }
}

/// TMR-006. The process that holds the name when the timer is set does not matter.
#[tokio::test(start_paused = true)]
async fn a_timer_to_a_name_reaches_the_holder_at_the_due_time() {
    let rt = Runtime::new();
    let (mut old, mut new) = (Clock::new(&rt), Clock::new(&rt));
    for name in [Dest::from("n"), Dest::from(String::from("n")), Dest::Name("n".into())] {
        rt.send_after(name, ms(10), b"m".to_vec());
    }
    rt.register("n", old.pid);
    sleep(ms(5)).await;
    rt.unregister("n");
    rt.register("n", new.pid);
    for _ in 0..3 {
        assert_eq!(new.next().await, tick(10, "m"));
    }
    assert!(old.is_silent());
}

/// TMR-008. T39: no task is left for the timer either.
#[tokio::test(start_paused = true)]
async fn a_timer_is_dropped_with_its_target() {
    let rt = Runtime::new();
    let (p, q) = (idle(&rt), idle(&rt));
    let timers =
        [ms(10), ms(20), Duration::MAX].map(|delay| rt.send_after(p, delay, b"m".to_vec()));
    let other = rt.send_after(q, ms(10), b"m".to_vec());
    assert_eq!(rt.leftovers().timers, 4);
    killed(&rt, p).await;
    for timer in timers {
        assert_eq!(timer.remaining(), None);
        assert!(!timer.cancel());
    }
    assert_eq!(rt.leftovers().timers, 1);
    assert!(other.cancel());
    killed(&rt, q).await;
    drop(rt);
    settled().await;
    assert_eq!(alive_tasks(), 0);
}

/// Returns the number of tokio tasks that have not ended. The task of the test itself is not
/// counted.
fn alive_tasks() -> usize {
    tokio::runtime::Handle::current().metrics().num_alive_tasks()
}

/// A pending timer does not keep the runtime alive: the runtime is dropped with its last handle.
#[tokio::test(start_paused = true)]
async fn timers_do_not_keep_the_runtime_alive() {
    let rt = Runtime::new();
    let timers: [TimerRef; 2] = [
        rt.send_after("nobody", ms(50), b"m".to_vec()),
        rt.send_interval("nobody", ms(50), b"m".to_vec()),
    ];
    sleep(ms(175)).await;
    assert_eq!(timers[1].remaining(), Some(ms(25)));
    drop(rt);
    settled().await;
    assert_eq!(alive_tasks(), 0);
    for timer in timers {
        assert_eq!(timer.remaining(), None);
        assert!(!timer.cancel());
    }
}

/// TMR-010.
#[tokio::test(start_paused = true)]
async fn a_timer_survives_the_process_that_set_it() {
    let rt = Runtime::new();
    let mut clock = Clock::new(&rt);
    let to = clock.pid;
    let setter = rt.spawn(move |ctx| async move {
        ctx.runtime().send_after(to, ms(100), b"m".to_vec());
        pending().await
    });
    sleep(ms(50)).await;
    killed(&rt, setter.pid()).await;
    assert_eq!(clock.next().await, tick(100, "m"));
}

/// TMR-011.
#[tokio::test(start_paused = true)]
async fn an_interval_ticks_until_it_is_cancelled() {
    let rt = Runtime::new();
    let mut clock = Clock::new(&rt);
    let interval = rt.send_interval(clock.pid, ms(100), b"tick".to_vec());
    for n in 1..=5 {
        assert_eq!(clock.next().await, tick(n * 100, "tick"));
    }
    assert_eq!(interval.remaining(), Some(ms(100)));
    assert!(interval.cancel());
    assert!(!interval.cancel());
    sleep(ms(10_000)).await;
    assert!(clock.is_silent());
}

/// After a delay, an interval sends every missed tick, and is on time again.
#[tokio::test(start_paused = true)]
async fn an_interval_does_not_drift() {
    let rt = Runtime::new();
    let mut clock = Clock::new(&rt);
    rt.send_interval(clock.pid, ms(10), b"tick".to_vec());
    settled().await;
    advance(ms(34)).await;
    for at in [35, 35, 35, 40, 50] {
        assert_eq!(clock.next().await, tick(at, "tick"));
    }
}

/// An interval to a pid ends with its target. An interval to a name continues while no process
/// holds the name.
#[tokio::test(start_paused = true)]
async fn an_interval_ends_with_its_target_pid_but_not_with_a_name_holder() {
    let rt = Runtime::new();
    let (first, mut second) = (Clock::new(&rt), Clock::new(&rt));
    let by_pid = rt.send_interval(first.pid, ms(10), b"by pid".to_vec());
    let by_name = rt.send_interval("n", ms(10), b"by name".to_vec());
    rt.register("n", first.pid);
    sleep(ms(25)).await;
    killed(&rt, first.pid).await;
    assert!(!by_pid.cancel());
    sleep(ms(20)).await;
    rt.register("n", second.pid);
    assert_eq!(second.next().await, tick(50, "by name"));
    assert!(by_name.cancel());
    assert_eq!(rt.leftovers().timers, 0);
}

/// TMR-013.
#[tokio::test(start_paused = true)]
async fn exit_after_and_kill_after_end_their_target_on_time() {
    let rt = Runtime::new();
    let (start, reason) = (Instant::now(), ExitReason::crashed("r"));
    let (p, q, spared) = (idle(&rt), idle(&rt), idle(&rt));
    rt.set_trap_exit(q, true);
    rt.exit_after(p, ms(100), reason.clone());
    rt.kill_after(q, ms(100));
    let exit = rt.exit_after(spared, ms(100), reason.clone());
    let kill = rt.kill_after(spared, ms(100));
    let ends = (rt.ended(p), rt.ended(q));
    sleep(ms(99)).await;
    assert!(rt.is_alive(p) && rt.is_alive(q));
    assert!(exit.cancel() && kill.cancel());
    assert_eq!(ends.0.await, reason);
    assert_eq!(ends.1.await, ExitReason::Killed);
    assert_eq!(start.elapsed(), ms(100));
    sleep(ms(1_000)).await;
    assert!(rt.is_alive(spared));
}

/// TMR-013. A process that traps exits receives the exit as a message whose sender is
/// `Pid::OUTSIDE`.
#[tokio::test(start_paused = true)]
async fn exit_after_reaches_a_trapping_process_as_a_message() {
    let rt = Runtime::new();
    let mut p = Listener::trapping(&rt);
    rt.exit_after(p.pid, ms(100), ExitReason::Shutdown);
    rt.exit_after(p.pid, ms(200), ExitReason::Normal);
    for reason in [ExitReason::Shutdown, ExitReason::Normal] {
        assert_eq!(p.next().await, Received::Exit { from: Pid::OUTSIDE, reason });
    }
}

/// TMR-014.
#[tokio::test(start_paused = true)]
async fn timers_to_an_ended_process_or_a_free_name_have_no_effect() {
    let rt = Runtime::new();
    let mut clock = Clock::new(&rt);
    for gone in [Dest::from(dead(&rt).await), Dest::from(Pid::from_raw(999)), "nobody".into()] {
        rt.exit_after(gone.clone(), ms(10), ExitReason::crashed("x"));
        rt.kill_after(gone.clone(), ms(10));
        rt.send_after(gone.clone(), ms(10), b"x".to_vec());
        rt.send_after(gone, Duration::ZERO, b"x".to_vec());
    }
    rt.send_after(clock.pid, ms(20), b"later".to_vec());
    assert_eq!(clock.next().await, tick(20, "later"));
    assert_eq!(rt.leftovers().timers, 0);
}

/// TMR-015.
#[tokio::test(start_paused = true)]
async fn remaining_returns_the_time_until_a_timer_fires() {
    let rt = Runtime::new();
    let mut clock = Clock::new(&rt);
    let timer = rt.send_after(clock.pid, ms(1_000), b"m".to_vec());
    sleep(ms(200)).await;
    assert_eq!(timer.remaining(), Some(ms(800)));
    clock.next().await;
    assert_eq!(timer.remaining(), None);
    let cancelled = rt.send_after(clock.pid, ms(1_000), b"m".to_vec());
    cancelled.cancel();
    assert_eq!(cancelled.remaining(), None);
}

/// TMR-016.
#[tokio::test(start_paused = true)]
async fn an_interval_cancelled_in_its_first_tick_has_no_second_tick() {
    let rt = Runtime::new();
    let handler = rt.spawn(|mut ctx| async move {
        let interval = ctx.runtime().send_interval(ctx.pid(), ms(10), b"tick".to_vec());
        assert_eq!(ctx.recv().await, message("tick"));
        assert!(interval.cancel(), "the next tick was pending");
        assert_eq!(ctx.recv_timeout(ms(1_000)).await, None);
    });
    assert_eq!(handler.join().await, ExitReason::Normal);
}

/// TMR-018.
#[tokio::test(start_paused = true)]
async fn a_kill_ends_a_sleeping_process_at_once() {
    let rt = Runtime::new();
    let start = Instant::now();
    let sleeper = rt.spawn(|_| async {
        sleep(ms(50)).await;
        sleep(ms(0)).await;
    });
    assert_eq!(sleeper.join().await, ExitReason::Normal);
    assert_eq!(start.elapsed(), ms(50));

    let sleeper = rt.spawn(|_| sleep(ms(1_000_000)));
    settled().await;
    killed(&rt, sleeper.pid()).await;
    assert_eq!(start.elapsed(), ms(51), "a sleeping process is killed at once");
}
