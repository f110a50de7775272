//! Processes after the shutdown of their tokio runtime: they end like any other process.

use crate::support;

use std::future::pending;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use regrow::{
    CallError, ChildSpec, DynamicSupervisor, Ended, ExitReason, GenServer, Leftovers,
    PartitionSupervisor, ProcessHandle, Run, RunError, Runtime, ServerRef, StartError, Supervisor,
    SupervisorRef, Task, TaskError, TaskStream, TaskSupervisor,
};
use support::OnDrop;
use support::ledger::{Call, LEDGER, Ledger, Setup};
use support::log::Log;
use tokio::runtime::{Builder, Runtime as Tokio};

/// Returns tokio runtimes: one on the current thread, and one each with 1, 2 and 4 workers.
fn each_tokio() -> impl Iterator<Item = Tokio> {
    let current = || Builder::new_current_thread().enable_all().build().unwrap();
    let workers = |n| Builder::new_multi_thread().worker_threads(n).enable_all().build().unwrap();
    [0, 1, 2, 4].into_iter().map(move |n| if n == 0 { current() } else { workers(n) })
}

/// Awaits a future on a new tokio runtime.
fn elsewhere<T>(future: impl Future<Output = T>) -> T {
    Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// Returns the errors that were logged on this thread.
fn errors(log: &Log) -> Vec<String> {
    log.heads().into_iter().filter(|head| head.starts_with("ERROR")).collect()
}

/// Starts a hundred processes with names, groups, links, monitors and timers. Returns them, and a
/// counter of their values that were dropped.
fn tangle(tokio: &Tokio, rt: &Runtime) -> (Vec<ProcessHandle>, Arc<AtomicUsize>) {
    let _inside = tokio.enter();
    let dropped = Arc::new(AtomicUsize::new(0));
    let (started, mut starts) = tokio::sync::mpsc::unbounded_channel();
    let one = |_| {
        let (started, dropped) = (started.clone(), Arc::clone(&dropped));
        rt.spawn(|mut ctx| async move {
            let _value = OnDrop::new(move || {
                dropped.fetch_add(1, Ordering::SeqCst);
            });
            started.send(()).unwrap();
            loop {
                ctx.recv().await;
            }
        })
    };
    let processes: Vec<_> = (0..100).map(one).collect();
    for (at, process) in processes.iter().enumerate() {
        let (pid, peer) = (process.pid(), processes[(at + 1) % 100].pid());
        assert!(rt.register(format!("n{at}"), pid) && rt.register_tag("g", pid));
        assert!(rt.link(pid, peer));
        rt.monitor(pid, peer);
        rt.monitor_group(pid, "g");
        rt.set_trap_exit(pid, at % 2 == 0);
        rt.send_after(pid, Duration::from_secs(3_600), b"never".to_vec());
    }
    tokio.block_on(async {
        for _ in 0..100 {
            starts.recv().await.unwrap();
        }
    });
    (processes, dropped)
}

/// T50.
#[test]
fn dropping_tokio_kills_every_process() {
    for tokio in each_tokio() {
        let rt = Runtime::new();
        let (processes, dropped) = tangle(&tokio, &rt);
        let ended: Vec<Ended> = processes.iter().map(|process| rt.ended(process.pid())).collect();
        drop(tokio);
        for (process, ended) in processes.iter().zip(ended) {
            assert_eq!(elsewhere(ended), ExitReason::Killed);
            assert_eq!(elsewhere(process.join()), ExitReason::Killed);
        }
        assert_eq!(dropped.load(Ordering::SeqCst), 100);
        assert_eq!((rt.registered(), rt.tags()), (vec![], vec![]));
        assert_eq!((rt.spawned(), rt.finished()), (100, 100));
        assert_eq!(rt.leftovers(), Leftovers::default());
    }
}

/// T50. A process that waits on another tokio runtime is notified while the first one shuts down.
#[test]
fn a_join_in_another_tokio_returns_when_tokio_is_dropped() {
    for tokio in each_tokio() {
        let rt = Runtime::new();
        let (processes, _) = tangle(&tokio, &rt);
        let waiting = processes[7].join();
        let waiter = std::thread::spawn(|| elsewhere(waiting));
        drop(tokio);
        assert_eq!(waiter.join().unwrap(), ExitReason::Killed);
    }
}

/// T50. A body that blocks its thread is dropped when it yields.
#[test]
fn a_blocking_body_is_torn_down_when_it_yields() {
    let tokio = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let inside = tokio.enter();
    let rt = Runtime::new();
    let (started, is_started) = std::sync::mpsc::channel();
    let (release, released) = std::sync::mpsc::channel::<()>();
    let process = rt.spawn(move |_| async move {
        started.send(()).unwrap();
        released.recv().unwrap();
        pending().await
    });
    is_started.recv().unwrap();
    drop(inside);
    tokio.shutdown_background();
    assert!(rt.is_alive(process.pid()));
    release.send(()).unwrap();
    assert_eq!(elsewhere(process.join()), ExitReason::Killed);
}

/// T50. A spawn on a tokio runtime that was dropped returns an ended process.
#[test]
fn a_spawn_on_a_dropped_tokio_returns_an_ended_process() {
    for tokio in each_tokio() {
        let rt = tokio.block_on(async { Runtime::new() });
        drop(tokio);
        let process = rt.spawn(|_| async { unreachable!("nobody polls it") });
        assert_eq!(elsewhere(process.join()), ExitReason::Killed);
        let named = rt.whereis_or_spawn("n", |_| async { unreachable!("nor this") });
        assert!(!rt.is_alive(named));
        assert_eq!(rt.whereis("n"), None);
        assert_eq!(rt.leftovers(), Leftovers::default());
    }
}

/// T50. A destructor that spawns and links while tokio is dropped neither hangs nor leaks.
#[test]
fn a_destructor_that_spawns_while_tokio_is_dropped_leaks_nothing() {
    for tokio in each_tokio() {
        let inside = tokio.enter();
        let rt = Runtime::new();
        let spawner = rt.clone();
        let process = rt.spawn(move |ctx| {
            let own = ctx.pid();
            let value = OnDrop::new(move || {
                let late = spawner.spawn_link(own, |_| pending());
                spawner.register("late", late.pid());
                spawner.monitor(own, late.pid());
            });
            async move {
                let _held = (ctx, value);
                pending().await
            }
        });
        let started = tokio.spawn(async {});
        tokio.block_on(started).unwrap();
        drop(inside);
        drop(tokio);
        assert_eq!(elsewhere(process.join()), ExitReason::Killed);
        assert_eq!(rt.spawned(), rt.finished());
        assert_eq!(rt.leftovers(), Leftovers::default());
    }
}

/// T27. Tokio is dropped while its thread unwinds from an unrelated panic. No process is reported
/// as crashed.
#[test]
fn dropping_tokio_during_a_panic_reports_no_process_as_crashed() {
    for tokio in each_tokio() {
        let log = Log::listen();
        let rt = Runtime::new();
        let (processes, dropped) = tangle(&tokio, &rt);
        for process in &processes {
            rt.set_label(process.pid(), "innocent");
        }
        let unrelated = catch_unwind(AssertUnwindSafe(|| {
            let _dropped_while_unwinding = tokio;
            panic!("unrelated");
        }));
        assert!(unrelated.is_err());
        for process in processes {
            assert_eq!(elsewhere(process.join()), ExitReason::Killed);
        }
        assert_eq!(dropped.load(Ordering::SeqCst), 100);
        assert_eq!(errors(&log), Vec::<String>::new());
        assert_eq!(rt.leftovers(), Leftovers::default());
    }
}

/// T27. The same holds for a spawn that ends at once because tokio was dropped.
#[test]
fn a_process_that_ends_while_its_thread_unwinds_is_not_a_crash() {
    let log = Log::listen();
    let rt = elsewhere(async { Runtime::new() });
    let spawner = rt.clone();
    let unrelated = catch_unwind(AssertUnwindSafe(|| {
        let _while_unwinding = OnDrop::new(move || {
            let process = spawner.spawn(|_| pending());
            assert_eq!(elsewhere(process.join()), ExitReason::Killed);
        });
        panic!("unrelated");
    }));
    assert!(unrelated.is_err());
    assert_eq!((rt.spawned(), rt.finished()), (1, 1));
    assert_eq!(errors(&log), Vec::<String>::new());
}

/// Asserts that an error says what has happened, and how to avoid it.
#[track_caller]
fn assert_says_so(said: &dyn std::fmt::Display) {
    let said = said.to_string();
    let all = ["tokio", "has shut down", "make a `Runtime` in each"];
    assert!(all.iter().all(|part| said.contains(part)), "{said}");
}

/// Returns a runtime after the shutdown of its tokio, with the handles of a server and a tree.
fn left_over(tokio: Tokio) -> (Runtime, ServerRef<Ledger>, SupervisorRef) {
    let rt = Runtime::new();
    let (server, tree) = tokio.block_on(async {
        let server = Ledger::start_named(&rt, LEDGER, Setup::default()).await.unwrap();
        let job = ChildSpec::task("job", |_| pending()).named("job");
        let tree = Supervisor::one_for_one().child(job).start(&rt).await.unwrap();
        (server, tree)
    });
    drop(tokio);
    (rt, server, tree)
}

#[test]
fn a_start_on_a_dropped_tokio_fails_with_tokio_gone() {
    for tokio in each_tokio() {
        let (rt, _, _) = left_over(tokio);
        for _ in 0..2 {
            elsewhere(async {
                let server = || Ledger::spec(Setup::default());
                let second = Duration::from_secs(1);
                let job = || ChildSpec::task("job", |_| pending());
                let tasks = TaskSupervisor::new().start(&rt).await.unwrap_err();
                let desks = PartitionSupervisor::<Ledger>::new("p", |_| Setup::default());
                for error in [
                    server().start(&rt).await.unwrap_err(),
                    server().named(LEDGER).start(&rt).await.unwrap_err(),
                    server().init_timeout(second).start(&rt).await.unwrap_err(),
                    Supervisor::one_for_one().start(&rt).await.unwrap_err(),
                    Supervisor::one_for_all().child(job()).named("t").start(&rt).await.unwrap_err(),
                    DynamicSupervisor::new().start(&rt).await.unwrap_err(),
                    desks.start(&rt).await.unwrap_err(),
                    tasks,
                ] {
                    assert_eq!(error, StartError::TokioGone);
                    assert_says_so(&error);
                }
                let run = Run::new(Supervisor::one_for_one().child(job())).on(&rt);
                let error = run.without_signals().run().await.unwrap_err();
                assert!(matches!(error, RunError::Start(StartError::TokioGone)), "{error}");
            });
        }
        assert_eq!(rt.leftovers(), Leftovers::default());
    }
}

/// The start also fails if no process was left when tokio was dropped.
#[test]
fn the_first_start_on_a_dropped_tokio_fails_with_tokio_gone() {
    for tokio in each_tokio() {
        let rt = tokio.block_on(async { Runtime::new() });
        drop(tokio);
        let error = elsewhere(Ledger::start(&rt, Setup::default())).unwrap_err();
        assert_eq!(error, StartError::TokioGone);
    }
}

#[test]
fn every_request_on_a_dropped_tokio_fails_with_tokio_gone() {
    for tokio in each_tokio() {
        let (rt, direct, tree) = left_over(tokio);
        let second = Duration::from_secs(1);
        for server in [direct, rt.server(LEDGER)] {
            let mut told = elsewhere(async {
                [
                    server.call(Call::Lines).await.unwrap_err(),
                    server.call_timeout(Call::Lines, second).await.unwrap_err(),
                    server.call_waiting(Call::Lines, second).await.unwrap_err(),
                    server.call_unlimited(Call::Lines).await.unwrap_err(),
                    server.get_status().await.unwrap_err(),
                    server.stop(ExitReason::Normal).await.unwrap_err(),
                ]
                .to_vec()
            });
            told.push(server.call_blocking(Call::Lines, second).unwrap_err());
            for error in told {
                assert_eq!(error, CallError::TokioGone);
                assert_says_so(&error);
            }
        }
        elsewhere(async {
            assert_eq!(tree.count_children().await, Err(CallError::TokioGone));
            assert_eq!(tree.stop().await, Err(CallError::TokioGone));
            assert_eq!(tree.tree().await.unwrap_err(), CallError::TokioGone);
            let job = ChildSpec::task("job", |_| pending());
            let unreachable = StartError::Unreachable(CallError::TokioGone);
            assert_eq!(tree.start_child(job).await, Err(unreachable));
        });
        assert_eq!(rt.server_at::<Ledger>(tree.pid().unwrap()).unwrap_err(), CallError::TokioGone);
    }
}

#[test]
fn a_task_on_a_dropped_tokio_fails_with_tokio_gone() {
    for tokio in each_tokio() {
        let (rt, _, _) = left_over(tokio);
        elsewhere(async {
            let task = Task::spawn_nolink(&rt, |_| async { 42 });
            let error = task.join().await.unwrap_err();
            assert_eq!(error, TaskError::TokioGone);
            assert_says_so(&error);
            let items = futures_util::stream::iter(0..3);
            let stream = TaskStream::nolink(&rt, items, async |_| 42);
            let told: Vec<_> = stream.collect().await;
            assert_eq!(told, [const { Err::<i32, _>(TaskError::TokioGone) }; 3]);
        });
    }
}

/// A timer that can never fire is not stored.
#[test]
fn a_timer_on_a_dropped_tokio_is_not_pending() {
    for tokio in each_tokio() {
        let (rt, _, _) = left_over(tokio);
        let unnoticed = elsewhere(async { Runtime::new() });
        for rt in [rt, unnoticed] {
            for _ in 0..3 {
                let timer = rt.send_after("later", Duration::from_secs(1), b"never".to_vec());
                assert_eq!((timer.remaining(), timer.cancel()), (None, false));
                let ticks = rt.send_interval("later", Duration::from_secs(1), b"never".to_vec());
                assert_eq!(ticks.remaining(), None);
            }
            assert_eq!(rt.leftovers(), Leftovers::default());
        }
    }
}

/// A spawn returns no error, so the log warns once. The drop of tokio itself logs no warning.
#[test]
fn a_spawn_on_a_dropped_tokio_logs_one_warning() {
    for tokio in each_tokio() {
        let log = Log::listen();
        let rt = Runtime::new();
        let inside = tokio.enter();
        for _ in 0..10 {
            rt.spawn(|_| pending());
        }
        drop(inside);
        drop(tokio);
        let warnings = || log.heads().into_iter().filter(|head| head.starts_with("WARN")).count();
        assert_eq!(warnings(), 0);
        for _ in 0..3 {
            assert_eq!(elsewhere(rt.spawn(|_| pending()).join()), ExitReason::Killed);
        }
        assert_eq!(warnings(), 1);
    }
}

/// A start whose process is killed while tokio runs fails with `Killed`, not with `TokioGone`.
#[tokio::test]
async fn a_start_that_is_killed_fails_with_killed() {
    let rt = Runtime::new();
    let setup = Setup::default();
    let named = Ledger::spec(setup).named(LEDGER);
    let starts = tokio::spawn({
        let rt = rt.clone();
        async move { named.start(&rt).await.map(drop) }
    });
    while rt.whereis("ledger").is_none() {
        tokio::task::yield_now().await;
    }
    rt.kill(rt.whereis("ledger").unwrap());
    let killed = starts.await.unwrap();
    assert!(matches!(killed, Ok(()) | Err(StartError::Failed(ExitReason::Killed))), "{killed:?}");
}

/// The task that drives the timers ends, and tokio runs on.
#[tokio::test(start_paused = true)]
async fn a_runtime_that_was_shut_down_does_not_say_that_tokio_is_gone() {
    let rt = Runtime::new();
    let server = Ledger::start_named(&rt, LEDGER, Setup::default()).await.unwrap();
    rt.send_after(LEDGER, Duration::from_secs(3_600), b"m".to_vec());
    support::settled().await;
    rt.shutdown();
    support::settled().await;
    assert_eq!(server.call(Call::Lines).await.unwrap_err(), CallError::NoProc);
}
