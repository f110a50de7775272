//! Dynamic supervisors on real threads: races for one name, and very many children.

mod support;

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::join_all;
use regrow::{ChildSpec, DynamicSupervisor, ExitReason, Restart, Runtime};
use support::race::on_workers;

/// A child that counts how many of it run at once.
fn room(alive: &Arc<AtomicUsize>, most: &Arc<AtomicUsize>) -> ChildSpec {
    let (alive, most) = (alive.clone(), most.clone());
    let body = move |_| async move {
        most.fetch_max(alive.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        let _gone = support::OnDrop::new(|| {
            alive.fetch_sub(1, Ordering::SeqCst);
        });
        std::future::pending().await
    };
    ChildSpec::task("room", body).restart(Restart::Temporary)
}

/// 32 ask for one name at once, again and again, while its holders are killed: there is
/// never more than one, and everybody gets one.
#[test]
fn racers_for_one_name_share_one_holder() {
    on_workers(async |rt| {
        let (alive, most) = (Arc::default(), Arc::default());
        let rooms = DynamicSupervisor::new().start(&rt).await.unwrap();
        for round in 0..100 {
            let racers = (0..32).map(|_| {
                let (rooms, room) = (rooms.clone(), room(&alive, &most));
                tokio::spawn(async move { rooms.get_or_start("room", room).await.unwrap() })
            });
            let killer = async {
                if let Some(holder) = rt.whereis("room").filter(|_| round % 2 == 0) {
                    rt.kill(holder);
                }
            };
            let (found, ()) = tokio::join!(join_all(racers), killer);
            let found: HashSet<_> = found.into_iter().map(Result::unwrap).collect();
            assert!(found.len() <= 3, "{found:?}");
            if let Some(holder) = rt.whereis("room") {
                assert!(found.contains(&holder) || !rt.is_alive(holder));
            }
        }
        assert!(most.load(Ordering::SeqCst) <= 1, "two at once");
        support::assert_nothing_left(&rt).await;
    });
}

/// Starts, ends, stops and a stop of all, at once: nobody is left.
#[test]
fn children_that_come_and_go_while_all_stops_are_all_gone() {
    on_workers(async |rt| {
        for _ in 0..50 {
            let jobs = DynamicSupervisor::new().start(&rt).await.unwrap();
            let busy = (0..16).map(|n| {
                let (jobs, rt) = (jobs.clone(), rt.clone());
                tokio::spawn(async move {
                    while let Ok(pid) = jobs.start_child(job(n)).await {
                        match n % 3 {
                            0 => drop(jobs.terminate_child(pid).await),
                            1 => drop(rt.kill(pid)),
                            _ => {}
                        }
                    }
                })
            });
            let busy: Vec<_> = busy.collect();
            tokio::task::yield_now().await;
            assert_eq!(jobs.stop().await, Ok(ExitReason::Shutdown));
            for one in busy {
                one.await.unwrap();
            }
            assert_eq!(rt.process_count(), 0);
        }
        support::assert_nothing_left(&rt).await;
    });
}

fn job(n: usize) -> ChildSpec {
    ChildSpec::task(format!("job {n}"), |_| std::future::pending()).restart(Restart::Temporary)
}

/// T46: a hundred thousand at once. None is looked for by walking over the others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_thousand_children_are_no_trouble() {
    let rt = Runtime::new();
    let jobs = DynamicSupervisor::new().start(&rt).await.unwrap();
    let mut some = None;
    for n in 0..100_000 {
        let pid = jobs.start_child(job(0)).await.unwrap();
        some = some.or((n == 50_000).then_some(pid));
    }
    assert_eq!(jobs.count_children().await.unwrap().active, 100_000);
    assert_eq!(jobs.terminate_child(some.unwrap()).await, Ok(()));
    assert_eq!(jobs.count_children().await.unwrap().active, 99_999);
    assert_eq!(jobs.stop().await, Ok(ExitReason::Shutdown));
    assert_eq!(rt.leftovers(), regrow::Leftovers::default());
}
