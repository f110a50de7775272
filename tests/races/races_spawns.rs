//! Races around a spawn: from any thread, under a parent that ends, under a name.

use crate::support;

use std::collections::HashSet;
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use regrow::{ExitReason, Pid, Received, Runtime};
use support::race::race;
use support::{TestProcess, crash, down, exit, idler};

/// T04 and T48. The body may have ended before `spawn` returns. No entry of the process is left.
#[test]
fn a_body_that_ends_before_spawn_returns_leaves_no_entry() {
    race(
        |_| (),
        |rt, ()| rt.spawn(|_| async {}),
        |rt, ()| rt.spawn(|_| async { std::panic::resume_unwind(Box::new("quietly")) }),
        async |rt, (), returned, panicked| {
            assert_eq!(returned.join().await, ExitReason::Normal);
            assert_eq!(panicked.join().await.crash().unwrap().message(), "quietly");
            assert!(!rt.is_alive(returned.pid()) && !rt.is_alive(panicked.pid()));
        },
    );
}

/// T06. A child is monitored and linked before it runs, so its true reason is reported even if the
/// child ends at once.
#[test]
fn a_short_lived_child_reports_its_true_reason() {
    race(
        TestProcess::trapping,
        |rt, parent| {
            rt.spawn_monitor(parent.pid(), |ctx| async move {
                ctx.runtime().exit(ctx.pid(), crash("watched"));
            })
        },
        |rt, parent| {
            rt.spawn_link(parent.pid(), |ctx| async move {
                ctx.runtime().exit(ctx.pid(), crash("linked"));
            })
        },
        async |rt, mut parent, (watched, reference), linked| {
            assert_eq!(watched.join().await, crash("watched"));
            assert_eq!(linked.join().await, crash("linked"));
            let mail = parent.mail().await;
            assert_eq!(mail.len(), 2, "{mail:?}");
            assert!(mail.contains(&down(reference, watched.pid(), crash("watched"))));
            assert!(mail.contains(&exit(linked.pid(), crash("linked"))));
            let info = rt.info(parent.pid()).unwrap();
            assert_eq!((info.links, info.monitors, info.monitoring), (0, 0, 0));
            parent.handle.kill();
        },
    );
}

/// T10. A child that is spawned while its parent ends also ends, or never runs.
#[test]
fn a_child_spawned_while_its_parent_ends_ends_with_it() {
    race(
        idler,
        |rt, parent| assert!(rt.exit(parent.pid(), crash("parent"))),
        |rt, parent| {
            let ran = Arc::new(AtomicUsize::new(0));
            let running = Arc::clone(&ran);
            let child = rt.spawn_link(parent.pid(), move |_| async move {
                running.fetch_add(1, Ordering::SeqCst);
                pending().await
            });
            (child, ran)
        },
        async |_, parent, (), (child, ran)| {
            assert_eq!(parent.join().await, crash("parent"));
            let reason = child.join().await;
            let unborn = reason == ExitReason::NoProc && ran.load(Ordering::SeqCst) == 0;
            assert!(unborn || reason == crash("parent"), "{reason}");
        },
    );
}

/// T10. The same race for a link that a running child makes to its parent.
#[test]
fn a_link_to_an_ending_parent_holds_or_is_refused() {
    race(
        |rt| (idler(rt), TestProcess::new(rt)),
        |rt, (parent, _)| assert!(rt.kill(parent.pid())),
        |rt, (parent, child)| rt.link(child.pid(), parent.pid()),
        async |rt, (parent, child), (), linked| {
            parent.join().await;
            if linked {
                assert!(!rt.send(child.pid(), b"anybody?".to_vec()), "it is still alive");
                assert_eq!(child.ended().await, ExitReason::Killed);
            } else {
                assert!(child.lives().await);
                child.handle.kill();
            }
        },
    );
}

/// T47. Two callers race for a name: both get the pid of the winner, and only the body of the
/// winner runs.
#[test]
fn concurrent_spawns_of_one_name_return_the_one_winner() {
    static NAMES: AtomicUsize = AtomicUsize::new(0);
    type Made = (String, Arc<AtomicUsize>);
    fn racer(rt: &Runtime, (name, ran): &Made) -> Pid {
        let ran = Arc::clone(ran);
        rt.whereis_or_spawn(name.as_str(), |_| async move {
            ran.fetch_add(1, Ordering::SeqCst);
            pending().await
        })
    }
    race(
        |_| (format!("n{}", NAMES.fetch_add(1, Ordering::SeqCst)), Arc::default()),
        racer,
        racer,
        async |rt, (name, ran): Made, left, right| {
            assert_eq!(left, right);
            assert_eq!(rt.whereis(&name), Some(left));
            support::until("the body runs", || ran.load(Ordering::SeqCst) > 0).await;
            let ended = rt.ended(left);
            rt.kill(left);
            ended.await;
            assert_eq!(ran.load(Ordering::SeqCst), 1);
        },
    );
}

/// T47. While the holder of a name ends, the call returns the holder, or a live process with the
/// name.
#[test]
fn whereis_or_spawn_during_an_exit_returns_the_holder_or_a_new_process() {
    static NAMES: AtomicUsize = AtomicUsize::new(0);
    race(
        |rt| {
            let (name, holder) = (format!("n{}", NAMES.fetch_add(1, Ordering::SeqCst)), idler(rt));
            assert!(rt.register(name.as_str(), holder.pid()));
            (name, holder)
        },
        |rt, (_, holder)| assert!(rt.kill(holder.pid())),
        |rt, (name, _)| rt.whereis_or_spawn(name.as_str(), |_| pending()),
        async |rt, (name, holder), (), found| {
            holder.join().await;
            if found == holder.pid() {
                assert_eq!(rt.whereis(&name), None);
            } else {
                assert!(rt.is_alive(found));
                assert_eq!(rt.whereis(&name), Some(found));
            }
        },
    );
}

/// T47. The holders of a name end all the time. Every body that runs belongs to a pid that was
/// returned to a caller.
#[test]
fn every_body_that_runs_under_a_contended_name_was_returned_to_a_caller() {
    support::race::on_workers(async |rt| {
        let ran = Arc::new(AtomicUsize::new(0));
        let racer = |rt: Runtime, ran: Arc<AtomicUsize>| {
            move || {
                let body = |ran: Arc<AtomicUsize>| {
                    move |_| async move {
                        ran.fetch_add(1, Ordering::SeqCst);
                    }
                };
                (0..2_000).map(|_| rt.whereis_or_spawn("n", body(ran.clone()))).collect::<Vec<_>>()
            }
        };
        let threads = [(); 3].map(|()| std::thread::spawn(racer(rt.clone(), Arc::clone(&ran))));
        let mut pids = HashSet::new();
        for thread in threads {
            pids.extend(thread.join().unwrap());
        }
        support::until("all end", || rt.spawned() == rt.finished()).await;
        assert_eq!(pids.len(), ran.load(Ordering::SeqCst));
        assert_eq!((pids.len() as u64, rt.whereis("n")), (rt.spawned(), None));
    });
}

/// PROC-027.
#[test]
fn list_has_each_pid_once_while_four_threads_spawn() {
    support::race::on_workers(async |rt| {
        let spawner = |rt: Runtime| {
            move || {
                for _ in 0..10_000 {
                    rt.spawn(|mut ctx| async move {
                        let rest = std::time::Duration::ZERO;
                        while let Some(Received::Message(_)) = ctx.recv_timeout(rest).await {}
                    });
                }
            }
        };
        let spawners = [(); 4].map(|()| std::thread::spawn(spawner(rt.clone())));
        let mut looks = 0;
        while !spawners.iter().all(std::thread::JoinHandle::is_finished) || looks == 0 {
            let pids = rt.list();
            assert_eq!(pids.iter().collect::<HashSet<_>>().len(), pids.len());
            for pid in pids {
                assert!(rt.info(pid).is_none_or(|info| info.pid == pid));
                rt.send(pid, b"x".to_vec());
            }
            looks += 1;
            tokio::task::yield_now().await;
        }
        support::until("all end", || rt.spawned() == rt.finished()).await;
        assert_eq!((rt.spawned(), rt.process_count()), (40_000, 0));
    });
}
