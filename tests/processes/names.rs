//! Names: each has at most one live holder, and is free before the end of the holder is announced.

use crate::support;

use std::future::pending;
use std::sync::{Arc, Barrier};

use regrow::{ExitReason, Pid, Received, Runtime};
use support::{Listener, dead, idle, killed, message};

/// REG-001.
#[tokio::test]
async fn a_name_resolves_to_its_holder_until_the_holder_ends() {
    let rt = Runtime::new();
    let mut holder = Listener::new(&rt);
    assert!(rt.register("n", holder.pid));
    assert_eq!(rt.whereis("n"), Some(holder.pid));
    assert!(rt.send_named("n", b"hello".to_vec()));
    assert_eq!(holder.next().await, message("hello"));

    killed(&rt, holder.pid).await;
    assert_eq!(rt.whereis("n"), None);
    assert!(!rt.send_named("n", b"anybody?".to_vec()));
}

/// REG-002.
#[tokio::test]
async fn registering_a_held_name_fails_also_for_its_holder() {
    let rt = Runtime::new();
    let (holder, other) = (idle(&rt), idle(&rt));
    assert!(rt.register("n", holder));
    assert!(!rt.register("n", other));
    assert!(!rt.register("n", holder));
    assert_eq!(rt.whereis("n"), Some(holder));
    assert_eq!(rt.info(holder).unwrap().names, ["n"]);
    assert!(rt.info(other).unwrap().names.is_empty());
}

/// REG-003.
#[tokio::test]
async fn an_unregistered_name_can_be_registered_again() {
    let rt = Runtime::new();
    let (first, next) = (idle(&rt), idle(&rt));
    rt.register("n", first);
    assert!(rt.unregister("n"));
    assert!(!rt.unregister("n"));
    assert_eq!(rt.whereis("n"), None);
    assert!(rt.info(first).unwrap().names.is_empty());
    assert!(rt.register("n", next));
    assert_eq!(rt.whereis("n"), Some(next));
}

/// REG-004. A pid that never existed is treated as ended.
#[tokio::test]
async fn an_ended_process_cannot_register_a_name() {
    let rt = Runtime::new();
    for pid in [dead(&rt).await, Pid::from_raw(12_345), Pid::OUTSIDE] {
        assert!(!rt.register("n", pid));
        assert_eq!(rt.whereis("n"), None);
    }
    assert!(rt.registered().is_empty());
    assert_eq!(rt.leftovers(), regrow::Leftovers::default());
}

/// REG-005.
#[tokio::test]
async fn all_names_of_a_process_are_free_when_its_down_arrives() {
    let rt = Runtime::new();
    let holder = idle(&rt);
    let mut watcher = Listener::new(&rt);
    let names: Vec<String> = (0..40).map(|n| format!("name {n:02}")).collect();
    assert!(names.iter().all(|name| rt.register(name.as_str(), holder)));
    assert_eq!(rt.info(holder).unwrap().names, names);

    rt.monitor(watcher.pid, holder);
    rt.kill(holder);
    assert!(matches!(watcher.next().await, Received::Down { .. }));
    assert!(names.iter().all(|name| rt.whereis(name).is_none()));
    assert!(names.iter().all(|name| rt.register(name.as_str(), watcher.pid)));
}

/// REG-007.
#[tokio::test]
async fn whereis_or_spawn_returns_a_live_holder_and_spawns_nothing() {
    let rt = Runtime::new();
    let incumbent = idle(&rt);
    rt.register("svc", incumbent);
    let before = rt.spawned();
    assert_eq!(rt.whereis_or_spawn("svc", |_| async { unreachable!() }), incumbent);
    assert_eq!(rt.spawned(), before);
    assert_eq!(rt.process_count(), 1);
}

/// A process that is spawned with a name holds the name before its body first runs.
#[tokio::test]
async fn whereis_or_spawn_registers_the_name_before_the_body_runs() {
    let rt = Runtime::new();
    let pid = rt.whereis_or_spawn("svc", |mut ctx| async move {
        assert_eq!(ctx.runtime().whereis("svc"), Some(ctx.pid()));
        assert_eq!(ctx.recv().await, message("at once"));
    });
    assert!(rt.send_named("svc", b"at once".to_vec()));
    assert_eq!(rt.ended(pid).await, ExitReason::Normal);
    assert_eq!(rt.whereis("svc"), None);
}

/// REG-008. T47: only the body of the winner ever runs.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_whereis_or_spawn_calls_run_one_body() {
    for _ in 0..50 {
        let rt = Runtime::new();
        let (tell, mut ran) = tokio::sync::mpsc::unbounded_channel();
        let race = || {
            let (rt, tell) = (rt.clone(), tell.clone());
            tokio::spawn(async move {
                rt.whereis_or_spawn("svc", move |ctx| async move {
                    tell.send(ctx.pid()).unwrap();
                    drop(tell);
                    pending().await
                })
            })
        };
        let racers: Vec<_> = (0..32).map(|_| race()).collect();
        drop(tell);
        let winner = ran.recv().await.unwrap();
        for racer in racers {
            assert_eq!(racer.await.unwrap(), winner);
        }
        assert_eq!((rt.whereis("svc"), rt.list()), (Some(winner), vec![winner]));
        assert_eq!(ran.recv().await, None, "every other body was dropped unrun");
    }
}

/// T47. The holder of a name is killed while others race for the name. Afterwards the new holder is
/// the only live process, or no process is alive.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn whereis_or_spawn_during_a_kill_leaves_one_holder_or_none() {
    let rt = Runtime::new();
    for _ in 0..500 {
        let incumbent = rt.whereis_or_spawn("svc", |_| pending());
        let killer = tokio::spawn({
            let rt = rt.clone();
            async move { rt.kill(incumbent) }
        });
        let racers = [0, 1].map(|_| {
            let rt = rt.clone();
            tokio::spawn(async move { rt.whereis_or_spawn("svc", |_| pending()) })
        });
        assert!(killer.await.unwrap());
        for racer in racers {
            racer.await.unwrap();
        }
        rt.ended(incumbent).await;
        assert_eq!(rt.list(), Vec::from_iter(rt.whereis("svc")));
    }
}

/// REG-010.
#[tokio::test]
async fn concurrent_registrations_of_one_name_have_one_winner() {
    let rt = Runtime::new();
    for _ in 0..50 {
        let start = Arc::new(Barrier::new(16));
        let threads: Vec<_> = (0..16)
            .map(|_| {
                let (rt, start, pid) = (rt.clone(), start.clone(), idle(&rt));
                std::thread::spawn(move || {
                    start.wait();
                    rt.register("n", pid).then_some(pid)
                })
            })
            .collect();
        let winners: Vec<_> = threads.into_iter().filter_map(|t| t.join().unwrap()).collect();
        assert_eq!(winners, Vec::from_iter(rt.whereis("n")));
        assert_eq!(winners.len(), 1);
        assert!(rt.unregister("n"));
    }
}

/// REG-013.
#[tokio::test]
async fn registered_lists_each_held_name_once() {
    let rt = Runtime::new();
    let (a, b) = (idle(&rt), idle(&rt));
    rt.register("two", a);
    rt.register("one", a);
    rt.register("three", b);
    assert_eq!(rt.registered(), ["one", "three", "two"]);
    killed(&rt, b).await;
    assert_eq!(rt.registered(), ["one", "two"]);
}

/// REG-014, T14.
#[tokio::test]
async fn the_exit_of_a_former_holder_does_not_free_the_name() {
    let rt = Runtime::new();
    let (old, new) = (idle(&rt), idle(&rt));
    rt.register("n", old);
    rt.unregister("n");
    assert!(rt.register("n", new));
    assert_eq!(rt.whereis("n"), Some(new));
    killed(&rt, old).await;
    assert_eq!(rt.whereis("n"), Some(new));
    assert_eq!(rt.info(new).unwrap().names, ["n"]);
}

/// T14. The old holder is being torn down, and has hundreds of names to free. The teardown never
/// frees a name that another process holds by then.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_name_reassigned_during_a_teardown_stays_with_the_new_holder() {
    let rt = Runtime::new();
    let heir = idle(&rt);
    let names: Vec<String> = (0..200).map(|n| format!("name {n}")).collect();
    for _ in 0..200 {
        let old = idle(&rt);
        assert!(names.iter().all(|name| rt.register(name.as_str(), old)));
        let ended = rt.ended(old);
        rt.kill(old);
        for name in &names {
            rt.unregister(name);
            assert!(rt.register(name.as_str(), heir), "no other process registers the name");
        }
        ended.await;
        for name in &names {
            assert_eq!(rt.whereis(name), Some(heir));
            assert!(rt.unregister(name));
        }
    }
    assert_eq!(rt.leftovers().names, 0);
}

/// REG-018.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_send_by_name_during_a_kill_never_reaches_a_later_holder() {
    let rt = Runtime::new();
    let mut current = Listener::new(&rt);
    assert!(rt.register("svc", current.pid));
    for round in 0..1_000 {
        let text = format!("round {round}");
        let sender = std::thread::spawn({
            let (rt, text) = (rt.clone(), text.clone());
            move || rt.send_named("svc", text.into())
        });
        killed(&rt, current.pid).await;
        let said_delivered = sender.join().expect("a send never panics");
        let heard = current.so_far();
        assert!(heard.is_empty() || said_delivered && heard == [message(&text)]);

        let mut later = Listener::new(&rt);
        assert!(rt.register("svc", later.pid));
        assert!(rt.send(later.pid, b"fence".to_vec()));
        assert_eq!(later.next().await, message("fence"), "round {round} went to a later holder");
        current = later;
    }
}

/// For a linked process that traps exits, the name is free when the `Exit` arrives.
#[tokio::test]
async fn a_name_is_free_before_linked_processes_receive_the_exit() {
    let rt = Runtime::new();
    let mut peer = Listener::trapping(&rt);
    let holder = rt.spawn_link(peer.pid, |_| pending()).pid();
    rt.register("n", holder);
    rt.kill(holder);
    assert_eq!(peer.next().await, Received::Exit { from: holder, reason: ExitReason::Killed });
    assert!(!rt.is_alive(holder));
    assert!(rt.register("n", peer.pid));
}

/// A name may have any length, and belongs to one runtime.
#[tokio::test]
async fn two_runtimes_do_not_share_names() {
    let (one, other) = (Runtime::new(), Runtime::new());
    let (here, there) = (idle(&one), idle(&other));
    for name in ["", "naïve café", &"long ".repeat(1_000)] {
        assert!(one.register(name, here));
        assert_eq!(other.whereis(name), None);
        assert!(other.register(name, there));
        assert!(one.unregister(name));
        assert_eq!(other.whereis(name), Some(there));
    }
}
