//! A signal that is removed from a mailbox frees its memory, also in a process that never receives.
//! A dropped listener of a registry frees its memory too.
//!
//! This file is a program of its own, because its allocator counts the allocations of the whole
//! program. One test measures at a time.

mod support;

use std::sync::{Mutex, PoisonError};

use peak_alloc::PeakAlloc;
use regrow::{ExitReason, Pid, Registry, Runtime, Task};
use support::{crash, idle, killed};
use tokio::sync::mpsc::unbounded_channel;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

const ROUNDS: usize = 5_000;

/// How much the memory may change without a leak, by tokio's buffers and a few signals.
const SLACK: usize = 32 * 1024;

fn alone(test: impl AsyncFnOnce(&Runtime)) {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let tokio = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    tokio.block_on(async { test(&Runtime::new()).await });
}

/// Runs the rounds twice: buffers grow in the first run, and the second run leaves no memory.
async fn twice(mut rounds: impl AsyncFnMut()) {
    rounds().await;
    let before = ALLOCATOR.current_usage();
    rounds().await;
    let kept = ALLOCATOR.current_usage().saturating_sub(before);
    assert!(kept < SLACK, "{kept} bytes are kept of {ROUNDS} rounds");
}

/// Starts processes that trap exits and never receive: one with an empty mailbox, one with a
/// thousand messages in it.
fn deaf(rt: &Runtime) -> [Pid; 2] {
    let pids = [idle(rt), idle(rt)];
    for pid in pids {
        rt.set_trap_exit(pid, true);
    }
    for _ in 0..1_000 {
        assert!(rt.send(pids[1], b"later".to_vec()));
    }
    pids
}

#[test]
fn joining_crashed_tasks_leaves_no_memory_in_the_mailbox_of_the_caller() {
    alone(async |rt| {
        let (order, mut orders) = unbounded_channel::<()>();
        let (tell, mut told) = unbounded_channel();
        rt.spawn(move |ctx| async move {
            ctx.runtime().set_trap_exit(ctx.pid(), true);
            while orders.recv().await.is_some() {
                for _ in 0..ROUNDS {
                    let task = Task::<()>::spawn(&ctx, |task| async move {
                        task.runtime().exit(task.pid(), crash("as planned"));
                        std::future::pending().await
                    });
                    assert!(task.join().await.is_err());
                }
                tell.send(()).unwrap();
            }
        });
        twice(async || {
            order.send(()).unwrap();
            told.recv().await.unwrap();
        })
        .await;
    });
}

/// All tasks have ended before the first one is joined. The test would take minutes if each join
/// examined all other tasks.
#[test]
fn joining_twenty_thousand_crashed_tasks_leaves_no_memory() {
    alone(async |rt| {
        let (order, mut orders) = unbounded_channel::<()>();
        let (tell, mut told) = unbounded_channel();
        rt.spawn(move |ctx| async move {
            ctx.runtime().set_trap_exit(ctx.pid(), true);
            while orders.recv().await.is_some() {
                let spawn = |_| {
                    Task::<()>::spawn(&ctx, |task| async move {
                        task.runtime().exit(task.pid(), crash("as planned"));
                        std::future::pending().await
                    })
                };
                let tasks: Vec<_> = (0..20_000).map(spawn).collect();
                while ctx.runtime().process_count() > 1 {
                    tokio::task::yield_now().await;
                }
                for task in tasks {
                    assert!(task.join().await.is_err());
                }
                tell.send(()).unwrap();
            }
        });
        twice(async || {
            order.send(()).unwrap();
            told.recv().await.unwrap();
        })
        .await;
    });
}

#[test]
fn an_unlink_frees_the_memory_of_the_queued_exit() {
    alone(async |rt| {
        for pid in deaf(rt) {
            twice(async || {
                for _ in 0..ROUNDS {
                    let peer = idle(rt);
                    assert!(rt.link(pid, peer));
                    killed(rt, peer).await;
                    rt.unlink(pid, peer);
                }
            })
            .await;
        }
    });
}

#[test]
fn a_demonitor_flush_frees_the_memory_of_the_queued_down() {
    alone(async |rt| {
        for pid in deaf(rt) {
            twice(async || {
                for round in 0..ROUNDS {
                    let target = idle(rt);
                    let reference = match round % 2 {
                        0 => rt.monitor(pid, target),
                        _ => rt.monitor_name(pid, "nobody"),
                    };
                    killed(rt, target).await;
                    assert!(!rt.demonitor_flush(reference));
                }
            })
            .await;
        }
    });
}

#[test]
fn a_demonitor_frees_the_memory_of_queued_group_events() {
    alone(async |rt| {
        let member = idle(rt);
        for pid in deaf(rt) {
            twice(async || {
                for _ in 0..ROUNDS / 10 {
                    let (reference, _) = rt.monitor_group(pid, "group");
                    for _ in 0..10 {
                        rt.register_tag("group", member);
                        rt.unregister_tag("group", member);
                    }
                    assert!(rt.demonitor(reference));
                }
            })
            .await;
        }
    });
}

/// The same holds while one listener stays, as in most registries.
#[test]
fn dropped_listeners_leave_no_memory_in_their_registry() {
    alone(async |rt| {
        let registry: Registry<u32> = Registry::unique(rt);
        let mut listeners = Vec::with_capacity(ROUNDS);
        let stays = registry.changes();
        for turn in 0..2 {
            twice(async || {
                listeners.extend((0..ROUNDS).map(|_| registry.changes()));
                match turn {
                    0 => listeners.clear(),
                    _ => (0..ROUNDS).for_each(|_| drop(listeners.pop())),
                }
            })
            .await;
        }
        drop(stays);
    });
}

#[test]
fn dropped_registries_leave_no_memory_with_their_members() {
    alone(async |rt| {
        let member = idle(rt);
        twice(async || {
            for key in 0..ROUNDS {
                let registry: Registry<usize> = Registry::unique(rt);
                registry.register(member, key, ()).unwrap();
            }
        })
        .await;
        let ended = rt.ended(member);
        rt.kill(member);
        assert_eq!(ended.await, ExitReason::Killed);
    });
}
