//! Misuse: pids of ended processes, of other runtimes and without a process, and the documented
//! panics.

use crate::support;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use regrow::{ExitReason, Leftovers, LogLevel, Pid, Received, Runtime};
use support::{TestProcess, crash, dead_pid, down, exit};

/// Returns pids without a live process: of an ended process, of another runtime, and invented ones.
async fn nobodies(rt: &Runtime) -> Vec<Pid> {
    let dead = dead_pid(rt).await;
    let foreign = Pid::from_raw(dead.raw() | 1 << 48);
    assert!(foreign.is_foreign() && !dead.is_foreign());
    let other = support::idle(&Runtime::new()); // its runtime lives on with it
    let mut raw = vec![other.raw(), 0, u64::MAX, 1 << 63, (1 << 48) - 1, 1 << 40];
    raw.extend([dead.raw(), foreign.raw()]);
    raw.into_iter().map(Pid::from_raw).collect()
}

/// Sends and signals to a missing process return `false`.
#[tokio::test]
async fn sends_and_signals_to_a_missing_process_return_false() {
    let rt = Runtime::with_mailbox_depth();
    for nobody in nobodies(&rt).await {
        let (writer, reader) = regrow::stream();
        assert!(!rt.send(nobody, b"x".to_vec()));
        assert!(!rt.send_stream(nobody, reader));
        assert_eq!(writer.write(b"x".to_vec()).await, Err(b"x".to_vec()));
        assert!(!rt.kill(nobody));
        for reason in [ExitReason::Normal, ExitReason::Killed, crash("x")] {
            assert!(!rt.exit(nobody, reason));
        }
        assert_eq!(rt.set_trap_exit(nobody, true), None);
        assert_eq!(rt.ended(nobody).await, ExitReason::NoProc);
    }
    assert_eq!(rt.leftovers(), Leftovers::default());
}

/// A missing process has no info, no name, no label and no group.
#[tokio::test]
async fn a_missing_process_takes_no_name_group_or_label() {
    let rt = Runtime::new();
    rt.set_log_level(LogLevel::Debug);
    for nobody in nobodies(&rt).await {
        assert!(!rt.is_alive(nobody) && !rt.list().contains(&nobody));
        assert_eq!(rt.info(nobody), None);
        assert!(!rt.set_label(nobody, "label"));
        assert!(!rt.register("n", nobody));
        assert!(!rt.register_tag("g", nobody));
        assert!(!rt.unregister_tag("g", nobody));
        rt.log_spawn(nobody, "label", "detail");
    }
    assert_eq!((rt.whereis("n"), rt.whereis_tag("g")), (None, vec![]));
    assert!(!rt.unregister("n"));
    assert!(!rt.send_named("n", b"x".to_vec()));
    assert_eq!(rt.kill_tag("g"), 0);
    assert_eq!(rt.leftovers(), Leftovers::default());
}

/// A link or a monitor to a missing process has no effect on other processes.
#[tokio::test]
async fn links_and_monitors_of_a_missing_process_have_no_effect() {
    let rt = Runtime::new();
    let mut somebody = TestProcess::trapping(&rt);
    let pid = somebody.pid();
    for nobody in nobodies(&rt).await {
        assert!(!rt.link(pid, nobody));
        assert_eq!(somebody.mail().await, [exit(nobody, ExitReason::NoProc)]);
        assert!(!rt.link(nobody, pid) && !rt.link(nobody, nobody));
        rt.unlink(pid, nobody);
        rt.unlink(nobody, pid);
        let reference = rt.monitor(pid, nobody);
        assert_eq!(somebody.mail().await, [down(reference, nobody, ExitReason::NoProc)]);
        for target in [pid, nobody] {
            let unheard = rt.monitor(nobody, target);
            assert!(!rt.demonitor(unheard) && !rt.demonitor_flush(unheard));
        }
        rt.monitor_name(nobody, "n");
        assert_eq!(rt.monitor_group(nobody, "g").1, []);
    }
    let info = rt.info(pid).unwrap();
    assert_eq!((info.links, info.monitors, info.monitoring), (0, 0, 0));
    assert_eq!(somebody.mail().await, []);
}

/// A child of a missing parent is never spawned; a missing watcher receives nothing.
#[tokio::test]
async fn spawn_link_under_a_missing_parent_never_runs_the_body() {
    let rt = Runtime::new();
    for nobody in nobodies(&rt).await {
        let child = rt.spawn_link(nobody, |_| async { unreachable!("a child of nobody") });
        assert_eq!(child.join().await, ExitReason::NoProc);
        let (watched, reference) = rt.spawn_monitor(nobody, |_| async {});
        assert_eq!(watched.join().await, ExitReason::Normal);
        assert!(!rt.demonitor(reference));
    }
    assert_eq!(rt.spawned(), rt.finished());
    assert_eq!(rt.leftovers(), Leftovers::default());
}

/// A timer for a missing process is never pending.
#[tokio::test(start_paused = true)]
async fn timers_for_a_missing_process_are_never_pending() {
    let rt = Runtime::new();
    let soon = Duration::from_millis(10);
    for nobody in nobodies(&rt).await {
        let timers = [
            rt.send_after(nobody, soon, b"x".to_vec()),
            rt.send_interval(nobody, soon, b"x".to_vec()),
            rt.exit_after(nobody, soon, crash("x")),
            rt.kill_after(nobody, soon),
        ];
        for timer in timers {
            assert_eq!(timer.remaining(), None);
            assert!(!timer.cancel());
        }
    }
    tokio::time::sleep(soon * 5).await;
    let mut alive = TestProcess::new(&rt);
    rt.send_after(alive.pid(), soon, b"later ones still work".to_vec());
    assert_eq!(alive.next().await, support::text("later ones still work"));
}

/// A process of one runtime is current only there, and a name is one of its own runtime.
#[tokio::test]
async fn two_runtimes_do_not_share_processes() {
    let (here, there) = (Runtime::new(), Runtime::new());
    let (one, mut other) = (TestProcess::trapping(&here), TestProcess::trapping(&there));
    assert_ne!(one.pid(), other.pid());
    let (pid, from_here) = (other.pid(), there.clone());
    one.ask(move |_| from_here.exit(pid, crash("from another runtime"))).await;
    let expected = exit(Pid::OUTSIDE, crash("from another runtime"));
    assert_eq!(other.mail().await, [expected]);
    assert!(here.register("n", one.pid()) && there.register("n", other.pid()));
    one.finish();
    one.ended().await;
    assert_eq!((here.whereis("n"), there.whereis("n")), (None, Some(pid)));
    assert!(other.lives().await);
}

#[test]
#[should_panic(expected = "room for at least one message")]
fn a_mailbox_capacity_of_zero_panics() {
    Runtime::with_mailbox_capacity(0);
}

#[test]
#[should_panic(expected = "room for at least one chunk")]
fn a_stream_capacity_of_zero_panics() {
    regrow::stream_with_capacity(0);
}

#[tokio::test]
#[should_panic(expected = "a period above zero")]
async fn an_interval_of_zero_panics() {
    let rt = Runtime::new();
    rt.send_interval(support::idler(&rt).pid(), Duration::ZERO, vec![]);
}

/// A spawn outside tokio panics, because the runtime does not know a tokio runtime yet. No entry is
/// left after the panic.
#[test]
fn a_spawn_without_tokio_panics_and_leaves_nothing() {
    let rt = Runtime::new();
    let refused = |act: &dyn Fn()| {
        let payload = catch_unwind(AssertUnwindSafe(act)).unwrap_err();
        let text = payload.downcast_ref::<String>().cloned();
        let text = text.or(payload.downcast_ref::<&str>().map(ToString::to_string)).unwrap();
        assert!(text.contains("inside a tokio runtime"), "{text}");
    };
    refused(&|| drop(rt.spawn(|_| async {})));
    refused(&|| drop(rt.spawn_fallible(|_| async { Ok(()) })));
    refused(&|| drop(rt.spawn_link(Pid::OUTSIDE, |_| async {})));
    refused(&|| drop(rt.spawn_monitor(Pid::OUTSIDE, |_| async {})));
    refused(&|| assert_ne!(rt.whereis_or_spawn("n", |_| async {}), Pid::OUTSIDE));
    refused(&|| drop(rt.send_after("n", Duration::ZERO, vec![])));
    assert_eq!((rt.spawned(), rt.whereis("n")), (0, None));
    assert_eq!(rt.leftovers(), Leftovers::default());
}

/// A runtime knows its tokio runtime after its first use inside tokio. From then on, threads
/// outside tokio can spawn.
#[test]
fn a_thread_outside_tokio_can_spawn_after_the_first_spawn_inside() {
    let rt = Runtime::new();
    let tokio = tokio::runtime::Runtime::new().unwrap();
    tokio.block_on(async { rt.spawn(|_| async {}).join().await });
    let foreign = rt.clone();
    let process = std::thread::spawn(move || foreign.spawn(|_| async { panic!("boom") }));
    let reason = tokio.block_on(process.join().unwrap().join());
    assert_eq!(reason.crash().unwrap().message(), "boom");
}

/// `message()` and `stream()` return `None` for items of another kind.
#[test]
fn a_received_item_converts_only_to_its_own_kind() {
    let (_writer, reader) = regrow::stream();
    assert_eq!(Received::Stream(reader).message(), None);
    assert_eq!(exit(Pid::OUTSIDE, ExitReason::Normal).message(), None);
    assert_eq!(support::text("x").stream(), None);
    let (_writer, reader) = regrow::stream();
    assert!(Received::Stream(reader).stream().is_some());
}
