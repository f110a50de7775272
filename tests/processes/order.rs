//! Messages and signals from one process to another arrive in the order they were sent, and the
//! runtime holds no lock while user code runs.

use crate::support;

use std::fmt;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context as TaskContext, Poll, Wake, Waker};

use regrow::{ExitReason, Pid, Received, Runtime};
use support::{TestProcess, crash, dead_pid, down, exit, idler, text};

/// Guarantee 2.
#[tokio::test]
async fn messages_and_signals_of_one_sender_keep_their_order() {
    let rt = Runtime::new();
    let (sender, mut receiver) = (TestProcess::new(&rt), TestProcess::trapping(&rt));
    let (to, dead) = (receiver.pid(), dead_pid(&rt).await);
    rt.link(sender.pid(), to);
    let sent = sender.ask(move |ctx| {
        let rt = ctx.runtime();
        rt.send(to, b"1".to_vec());
        rt.exit(to, crash("2"));
        rt.send(to, b"3".to_vec());
        let fourth = rt.monitor(to, dead);
        rt.link(to, dead);
        rt.exit(to, ExitReason::Normal);
        rt.send(to, b"7".to_vec());
        fourth
    });
    let fourth = sent.await;
    sender.fail(crash("8"));
    sender.ended().await;
    let from = sender.pid();
    let expected = [
        text("1"),
        exit(from, crash("2")),
        text("3"),
        down(fourth, dead, ExitReason::NoProc),
        exit(dead, ExitReason::NoProc),
        exit(from, ExitReason::Normal),
        text("7"),
        exit(from, crash("8")),
    ];
    assert_eq!(receiver.mail().await, expected);
}

/// A process sends messages, then a fatal signal, then one more message, in 7,000 rounds. The last
/// message is refused, and only messages from before the signal may be handled.
#[test]
fn a_message_sent_after_a_fatal_signal_is_never_handled() {
    support::race::on_workers(async |rt| {
        for round in 0..7_000 {
            let handled: Arc<Mutex<Vec<Received>>> = Arc::default();
            let log = Arc::clone(&handled);
            let target = rt.spawn(|mut ctx| async move {
                loop {
                    let item = ctx.recv().await;
                    log.lock().unwrap().push(item);
                }
            });
            let to = target.pid();
            let sender = rt.spawn(move |ctx| async move {
                let rt = ctx.runtime();
                for _ in 0..round % 8 {
                    rt.send(to, b"before".to_vec());
                }
                if round % 2 == 0 {
                    rt.kill(to)
                } else {
                    rt.exit(to, crash("r"))
                };
                assert!(!rt.send(to, b"after".to_vec()), "taken after the signal");
            });
            assert_eq!(sender.join().await, ExitReason::Normal);
            target.join().await;
            let handled = handled.lock().unwrap();
            assert!(handled.len() <= round % 8);
            assert!(handled.iter().all(|item| *item == text("before")));
        }
    });
}

/// Uses every part of the runtime that locks something.
fn exercise(rt: &Runtime, pid: Pid) {
    drop((rt.info(pid), rt.list(), rt.whereis("n"), rt.tags(), rt.registered()));
    rt.send(pid, b"x".to_vec());
    rt.set_label(pid, "label");
    rt.exit(pid, ExitReason::Normal);
    drop(rt.demonitor(rt.monitor(pid, pid)).then(|| rt.ended(pid)));
    rt.register("other", pid);
    rt.unregister("other");
    rt.register_tag("g", pid);
    rt.unregister_tag("g", pid);
}

/// A waker that uses the runtime when it is woken, as a waker of user code may.
struct Nosy {
    rt: Runtime,
    pid: Pid,
    woken: AtomicUsize,
}

impl Nosy {
    fn waker(rt: &Runtime, pid: Pid) -> (Arc<Nosy>, Waker) {
        let nosy = Arc::new(Nosy { rt: rt.clone(), pid, woken: AtomicUsize::new(0) });
        (Arc::clone(&nosy), Waker::from(nosy))
    }
}

impl Wake for Nosy {
    fn wake(self: Arc<Self>) {
        self.woken.fetch_add(1, Ordering::SeqCst);
        exercise(&self.rt, self.pid);
    }
}

/// Guarantee 5. A process that waits for an end is woken while no lock is held.
#[tokio::test]
async fn a_waker_that_is_woken_by_an_exit_may_use_the_runtime() {
    let rt = Runtime::new();
    let process = idler(&rt);
    let (nosy, waker) = Nosy::waker(&rt, process.pid());
    let mut ended = pin!(process.join());
    assert_eq!(ended.as_mut().poll(&mut TaskContext::from_waker(&waker)), Poll::Pending);
    rt.register("n", process.pid());
    process.kill();
    assert_eq!(process.join().await, ExitReason::Killed);
    assert_eq!(nosy.woken.load(Ordering::SeqCst), 1);
}

/// Guarantee 5. A receive was polled with a waker of user code. The runtime holds no lock when a
/// message, a signal, a `Down` or a group event wakes it.
#[tokio::test]
async fn a_waker_that_is_woken_by_a_receive_may_use_the_runtime() {
    let rt = Runtime::with_mailbox_depth();
    let (mate, target) = (idler(&rt), idler(&rt));
    let (report, mut reports) = tokio::sync::mpsc::unbounded_channel();
    let (nudge, mut nudges) = tokio::sync::mpsc::unbounded_channel::<()>();
    let process = rt.spawn(move |mut ctx| async move {
        let (nosy, waker) = Nosy::waker(&ctx.runtime(), ctx.pid());
        loop {
            let parked = pin!(ctx.recv()).poll(&mut TaskContext::from_waker(&waker)).is_pending();
            report.send((parked, nosy.woken.load(Ordering::SeqCst))).unwrap();
            nudges.recv().await.unwrap();
            while ctx.recv_timeout(std::time::Duration::ZERO).await.is_some() {}
        }
    });
    let (pid, mate, target) = (process.pid(), mate.pid(), target.pid());
    rt.set_trap_exit(pid, true);
    rt.monitor(pid, target);
    rt.monitor_group(pid, "room");
    let wakes: [&dyn Fn(); 4] = [
        &|| assert!(rt.send(pid, b"x".to_vec())),
        &|| assert!(rt.exit(pid, crash("trapped"))),
        &|| assert!(rt.register_tag("room", mate)),
        &|| assert!(rt.kill(target)),
    ];
    for (done, wake) in wakes.iter().enumerate() {
        assert_eq!(reports.recv().await, Some((true, done)));
        wake();
        tokio::task::yield_now().await;
        nudge.send(()).unwrap();
    }
    assert_eq!(reports.recv().await, Some((true, 4)));
}

/// An error that uses the runtime when it is dropped.
struct Clingy(Runtime, Pid, Arc<AtomicUsize>);

impl Drop for Clingy {
    fn drop(&mut self) {
        self.2.fetch_add(1, Ordering::SeqCst);
        exercise(&self.0, self.1);
    }
}

impl fmt::Display for Clingy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("clingy")
    }
}

/// Guarantee 5. A reason is dropped while no lock is held. The test has four: a reason that arrives
/// after another was accepted, one for an ended process, one that no code reads, and one in a
/// mailbox.
#[tokio::test]
async fn a_destructor_of_a_reason_may_use_the_runtime() {
    let rt = Runtime::new();
    let dropped = Arc::new(AtomicUsize::new(0));
    let (plain, trapping) = (idler(&rt).pid(), idler(&rt).pid());
    rt.set_trap_exit(trapping, true);
    let ended = rt.ended(plain);
    for target in [trapping, plain, plain, dead_pid(&rt).await] {
        let clingy = Clingy(rt.clone(), target, Arc::clone(&dropped));
        rt.exit(target, ExitReason::shutdown_with(clingy));
    }
    assert_eq!(
        dropped.load(Ordering::SeqCst),
        2,
        "the late message, and the one to an ended process"
    );
    assert_eq!(ended.await.to_string(), "shutdown: clingy");
    let ended = rt.ended(trapping);
    rt.kill(trapping);
    ended.await;
    support::until("all are gone", || dropped.load(Ordering::SeqCst) == 4).await;
}

/// Guarantee 5. The runtime holds no lock while a predicate runs.
#[tokio::test]
async fn a_predicate_of_a_selective_receive_may_use_the_runtime() {
    let rt = Runtime::new();
    let process = rt.spawn(|mut ctx| async move {
        let (rt, pid) = (ctx.runtime(), ctx.pid());
        let once = |item: &Received| {
            let first = *item == text("first");
            if first {
                exercise(&rt, pid);
            }
            !first
        };
        assert_eq!(ctx.recv_match(once).await, text("x"), "what it sent itself");
    });
    rt.send(process.pid(), b"first".to_vec());
    assert_eq!(process.join().await, ExitReason::Normal);
}
