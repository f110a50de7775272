//! Races around the end of a process: the final reason, the names that become free, and the
//! notifications.

use crate::support;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use regrow::{ExitReason, ProcessHandle, Received, Runtime};
use support::race::{ROUNDS, on_workers, race};
use support::{TestProcess, crash, down, exit, idler, text};
use tokio::sync::oneshot;

/// A process that an observer watches by a monitor and by a link.
struct Watched {
    process: TestProcess,
    observer: TestProcess,
    down: regrow::MonitorRef,
}

impl Watched {
    fn new(rt: &Runtime) -> Watched {
        let (process, observer) = (TestProcess::new(rt), TestProcess::trapping(rt));
        let down = rt.monitor(observer.pid(), process.pid());
        assert!(rt.link(observer.pid(), process.pid()));
        Watched { process, observer, down }
    }

    /// Returns the reason of the end. Checks that all observers received the same reason once.
    async fn one_reason(mut self) -> ExitReason {
        let (pid, reason) = (self.process.pid(), self.process.ended().await);
        let expected = [down(self.down, pid, reason.clone()), exit(pid, reason.clone())];
        assert_eq!(self.observer.mail().await, expected);
        self.observer.handle.kill();
        reason
    }
}

/// T13.
#[test]
fn the_reason_after_two_concurrent_fatal_signals_is_one_of_them() {
    race(
        Watched::new,
        |rt, watched| rt.exit(watched.process.pid(), crash("exit")),
        |rt, watched| rt.kill(watched.process.pid()),
        async |_, watched, _, _| {
            let reason = watched.one_reason().await;
            assert!([crash("exit"), ExitReason::Killed].contains(&reason), "{reason}");
        },
    );
}

/// T45. A process ends by itself while it is shut down. Its reason is its own or that of the
/// signal, but never `NoProc`.
#[test]
fn the_reason_of_an_exit_during_a_shutdown_is_its_own_or_shutdown() {
    race(
        Watched::new,
        |_, watched| watched.process.fail(crash("own")),
        |rt, watched| rt.exit(watched.process.pid(), ExitReason::Shutdown),
        async |_, watched, (), _| {
            let reason = watched.one_reason().await;
            assert!([crash("own"), ExitReason::Shutdown].contains(&reason), "{reason}");
        },
    );
}

/// T13. A body panics while a signal arrives. The panic is the reason, unless the signal ended the
/// process before the panic.
#[test]
fn a_panic_takes_precedence_over_a_concurrent_shutdown() {
    type Made = (ProcessHandle, Mutex<Option<oneshot::Sender<()>>>, Arc<AtomicBool>);
    fn set_up(rt: &Runtime) -> Made {
        let panicked = Arc::new(AtomicBool::new(false));
        let panics = Arc::clone(&panicked);
        let (go, going) = oneshot::channel::<()>();
        let process = rt.spawn(|_| async move {
            going.await.ok();
            panics.store(true, Ordering::SeqCst);
            std::panic::resume_unwind(Box::new("real"));
        });
        (process, Mutex::new(Some(go)), panicked)
    }
    race(
        set_up,
        |_, (_, go, _)| go.lock().unwrap().take().map(|go| go.send(())),
        |rt, (process, ..)| rt.exit(process.pid(), ExitReason::Shutdown),
        async |_, (process, _, panicked), _, _| {
            let reason = process.join().await;
            let real = reason.crash().is_some_and(|crash| crash.message() == "real");
            assert_eq!(real, panicked.load(Ordering::SeqCst));
            assert!(real || reason == ExitReason::Shutdown, "{reason}");
        },
    );
}

/// Two linked processes end at once for different reasons. Each ends with its own reason or with
/// that of the other.
#[test]
fn two_linked_concurrent_exits_each_report_one_of_the_two_reasons() {
    race(
        |rt| {
            let pair = (TestProcess::new(rt), TestProcess::new(rt));
            assert!(rt.link(pair.0.pid(), pair.1.pid()));
            pair
        },
        |_, (one, _)| one.fail(crash("one")),
        |_, (_, other)| other.fail(crash("other")),
        async |_, (one, other), (), ()| {
            let reasons = (one.ended().await.to_string(), other.ended().await.to_string());
            let possible = [("one", "one"), ("other", "other"), ("one", "other")];
            assert!(possible.contains(&(&*reasons.0, &*reasons.1)), "{reasons:?}");
        },
    );
}

/// T14. The name of a process passes to another process while the first one ends, and stays there.
#[test]
fn a_teardown_frees_only_names_that_the_process_still_holds() {
    race(
        |rt| {
            let pair = (idler(rt), idler(rt));
            let name = pair.0.pid().to_string();
            assert!(rt.register(name.as_str(), pair.0.pid()));
            (pair, name)
        },
        |rt, ((dying, _), _)| assert!(rt.kill(dying.pid())),
        |rt, ((_, heir), name)| {
            rt.unregister(name);
            assert!(rt.register(name.as_str(), heir.pid()), "no other process registers it");
        },
        async |rt, ((dying, heir), name), (), ()| {
            dying.join().await;
            assert_eq!(rt.whereis(&name), Some(heir.pid()));
            assert_eq!(rt.info(heir.pid()).unwrap().names, [name]);
        },
    );
}

/// A name is registered for a process while it ends. The registration is refused, or the name is
/// freed with the others.
#[test]
fn a_name_registered_during_a_teardown_does_not_remain() {
    race(
        idler,
        |rt, process| assert!(rt.kill(process.pid())),
        |rt, process| {
            let (pid, name) = (process.pid(), process.pid().to_string());
            (rt.register(name.as_str(), pid), rt.register_tag(name.as_str(), pid))
        },
        async |rt, process, (), _| {
            process.join().await;
            let name = process.pid().to_string();
            assert_eq!((rt.whereis(&name), rt.whereis_tag(&name)), (None, vec![]));
        },
    );
}

/// T16 and SIG-040. The receiver of the `Down` registers the name at once, while others look it up.
#[test]
fn a_concurrent_exit_frees_the_name_before_its_down_arrives() {
    type Made = (ProcessHandle, oneshot::Receiver<(bool, bool)>);
    fn set_up(rt: &Runtime) -> Made {
        let dying = idler(rt);
        let (pid, name) = (dying.pid(), dying.pid().to_string());
        assert!(rt.register(name.as_str(), pid) && rt.register_tag(name.as_str(), pid));
        let (report, reported) = oneshot::channel();
        let watcher = rt.spawn(move |mut ctx| async move {
            let rt = ctx.runtime();
            let Received::Down { .. } = ctx.recv().await else { panic!("not a Down") };
            let gone = !rt.is_alive(pid) && rt.whereis(&name).is_none();
            let left = rt.whereis_tag(&name).is_empty();
            report.send((gone && left, rt.register(name, ctx.pid()))).unwrap();
        });
        rt.monitor(watcher.pid(), pid);
        (dying, reported)
    }
    race(
        set_up,
        |rt, (dying, _)| assert!(rt.kill(dying.pid())),
        |rt, (dying, _)| {
            let (pid, name) = (dying.pid(), dying.pid().to_string());
            (rt.send_named(&name, b"x".to_vec()), rt.is_alive(pid), rt.whereis_tag(&name))
        },
        async |_, (_, reported), (), _| assert_eq!(reported.await, Ok((true, true))),
    );
}

/// Guarantee: no message is handled that a sender sent after its `exit` or `kill` had returned,
/// whatever other senders send meanwhile.
#[test]
fn a_message_sent_after_a_kill_is_never_handled() {
    race(
        TestProcess::new,
        |rt, target| {
            let pid = target.pid();
            if pid.raw() % 2 == 0 {
                rt.kill(pid)
            } else {
                rt.exit(pid, crash("r"))
            };
            assert!(!rt.send(pid, b"after".to_vec()), "taken after the signal");
        },
        |rt, target| [(); 4].map(|()| rt.send(target.pid(), b"before".to_vec())),
        async |_, mut target, (), accepted| {
            target.ended().await;
            assert!(accepted.is_sorted_by_key(|accepted| !accepted), "first taken, then not");
            let taken = accepted.iter().filter(|&&accepted| accepted).count();
            let handled = target.rest().await;
            assert!(handled.len() <= taken);
            assert!(handled.iter().all(|item| *item == text("before")));
        },
    );
}

/// A call of `ended` while the process ends returns the reason or `NoProc`. A `join` always returns
/// the reason.
#[test]
fn ended_during_an_exit_resolves_with_the_reason_or_noproc() {
    race(
        idler,
        |rt, process| assert!(rt.exit(process.pid(), crash("r"))),
        |rt, process| (rt.ended(process.pid()), process.join(), process.clone().join()),
        async |_, _, (), (ended, joined, dropped)| {
            drop(dropped);
            let reason = ended.await;
            assert!([crash("r"), ExitReason::NoProc].contains(&reason), "{reason}");
            assert_eq!(joined.await, crash("r"));
        },
    );
}

/// Reads the three counters in both orders until `stop` is set, and returns the number of rounds. A
/// process is counted as alive or as finished, never as both and never as neither, and is counted
/// as spawned before.
fn watch_counters(rt: &Runtime, stop: &AtomicBool) -> u64 {
    let mut looks = 0;
    while !stop.load(Ordering::Acquire) {
        let spawned = rt.spawned();
        let alive = rt.process_count() as u64;
        let finished = rt.finished();
        assert!(alive + finished >= spawned, "{alive} + {finished} of {spawned}: one is lost");
        let finished = rt.finished();
        let alive = rt.process_count() as u64;
        let spawned = rt.spawned();
        assert!(alive + finished <= spawned, "{alive} + {finished} of {spawned}: one is double");
        looks += 1;
    }
    looks
}

/// `finished` lags behind neither `process_count` nor `spawned`.
#[test]
fn the_process_counters_change_together_with_the_table() {
    on_workers(async |rt| {
        let stop = Arc::new(AtomicBool::new(false));
        let (watched, stopped) = (rt.clone(), stop.clone());
        let watcher = std::thread::spawn(move || watch_counters(&watched, &stopped));
        for _ in 0..ROUNDS / 3 {
            let (one, other) = (rt.spawn(|_| async {}), rt.spawn(|_| async {}));
            one.join().await;
            other.join().await;
        }
        stop.store(true, Ordering::Release);
        assert!(watcher.join().expect("the counters agree") > 0);
        assert_eq!((rt.process_count(), rt.finished()), (0, rt.spawned()));
    });
}
