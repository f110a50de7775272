//! Dynamic supervisors on real threads: races for one name, and very many children.

use crate::support;

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::join_all;
use regrow::{
    ChangeKind, ChildSpec, DynamicSupervisor, ExitReason, GenServer, Health, Observed, Pid,
    Restart, Runtime, ServerContext, StartError,
};
use support::race::on_workers;
use tokio::time::timeout;

/// Returns a child that records how many children of this kind run at once.
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

/// 32 tasks ask for one name at once, in many rounds, while its holders are killed. There is never
/// more than one holder, and each task gets one.
#[test]
fn concurrent_get_or_start_calls_share_one_holder() {
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

/// A server whose `init` yields a few times, and that records the end of its `init`.
struct Room;

type Ready = Arc<Mutex<HashSet<Pid>>>;

impl GenServer for Room {
    type Args = Ready;
    type Call = ();
    type Cast = ();

    async fn init(ready: Ready, ctx: &mut ServerContext<Self>) -> regrow::Result<Self> {
        for _ in 0..5 {
            tokio::task::yield_now().await;
        }
        ready.lock().unwrap().insert(ctx.pid());
        Ok(Room)
    }

    async fn handle_call(&mut self, (): (), _: &mut ServerContext<Self>) -> regrow::Result {
        Ok(())
    }

    async fn handle_cast(&mut self, (): (), _: &mut ServerContext<Self>) -> regrow::Result {
        Ok(())
    }
}

/// 32 requests to two supervisors arrive one after the other, while holders are killed during
/// `init` or later. No request returns a process before the end of its `init`.
#[test]
fn get_or_start_never_returns_a_holder_whose_init_is_not_over() {
    on_workers(async |rt| {
        let ready = Ready::default();
        let one = DynamicSupervisor::new().start(&rt).await.unwrap();
        let two = DynamicSupervisor::new().start(&rt).await.unwrap();
        for round in 0..100 {
            let room = Room::child(ready.clone()).restart(Restart::Temporary);
            let racers = (0..32).map(|n| {
                let rooms = if n % 2 == 0 { one.clone() } else { two.clone() };
                let (room, ready) = (room.clone(), ready.clone());
                tokio::spawn(async move {
                    for _ in 0..n % 7 {
                        tokio::task::yield_now().await;
                    }
                    match rooms.get_or_start("room", room).await {
                        Ok(pid) => assert!(ready.lock().unwrap().contains(&pid), "{pid}"),
                        Err(StartError::Failed(ExitReason::Killed)) => {}
                        Err(error) => panic!("{error}"),
                    }
                })
            });
            let killer = async {
                for _ in 0..round % 10 {
                    tokio::task::yield_now().await;
                }
                rt.whereis("room").map(|holder| rt.kill(holder))
            };
            let (racers, _) = tokio::join!(join_all(racers), killer);
            racers.into_iter().for_each(|racer| racer.unwrap());
        }
        support::assert_nothing_left(&rt).await;
    });
}

/// Children start, end and are stopped concurrently, and then their supervisor is stopped: no
/// process is left.
#[test]
fn concurrent_starts_and_stops_leave_no_child_after_a_supervisor_stop() {
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

/// A server whose `init` never ends, and whose teardown takes some time.
struct HalfStarted;

/// The value of the body that is dropped last.
struct Body(Arc<AtomicUsize>);

impl Drop for Body {
    fn drop(&mut self) {
        std::hint::black_box((0..20_000u64).fold(0, |sum, n| sum ^ std::hint::black_box(n)));
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl GenServer for HalfStarted {
    type Args = Arc<AtomicUsize>;
    type Call = ();
    type Cast = ();

    async fn init(alive: Self::Args, _: &mut ServerContext<Self>) -> regrow::Result<Self> {
        alive.fetch_add(1, Ordering::SeqCst);
        let _body = Body(alive);
        std::future::pending().await
    }

    async fn handle_call(&mut self, (): (), _: &mut ServerContext<Self>) -> regrow::Result {
        Ok(())
    }

    async fn handle_cast(&mut self, (): (), _: &mut ServerContext<Self>) -> regrow::Result {
        Ok(())
    }
}

/// A stop of the supervisor also waits for the complete end of children that are still starting.
#[test]
fn a_stop_waits_for_children_that_are_still_starting() {
    on_workers(async |rt| {
        for _ in 0..200 {
            let alive = Arc::new(AtomicUsize::new(0));
            let jobs = DynamicSupervisor::new().start(&rt).await.unwrap();
            for n in 0..8 {
                let (jobs, alive) = (jobs.clone(), alive.clone());
                let child = HalfStarted::child(alive).named(format!("half {n}"));
                tokio::spawn(async move { jobs.start_child(child).await });
            }
            support::until("inits", || alive.load(Ordering::SeqCst) == 8).await;
            assert_eq!(jobs.stop().await, Ok(ExitReason::Shutdown));
            assert_eq!((alive.load(Ordering::SeqCst), rt.process_count()), (0, 0));
        }
        support::assert_nothing_left(&rt).await;
    });
}

/// T46: twenty thousand children run at once; with `REGROW_PROOF=full` a hundred thousand. The
/// supervisor finds a child without a search through all others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn very_many_children_start_and_stop() {
    let is_full = std::env::var("REGROW_PROOF").is_ok_and(|proof| proof == "full");
    let count = if is_full { 100_000 } else { 20_000 };
    let rt = Runtime::new();
    let jobs = DynamicSupervisor::new().start(&rt).await.unwrap();
    let mut some = None;
    for n in 0..count {
        let pid = jobs.start_child(job(0)).await.unwrap();
        some = some.or((n == count / 2).then_some(pid));
    }
    assert_eq!(jobs.count_children().await.unwrap().active, count);
    assert_eq!(jobs.terminate_child(some.unwrap()).await, Ok(()));
    assert_eq!(jobs.count_children().await.unwrap().active, count - 1);
    assert_eq!(jobs.stop().await, Ok(ExitReason::Shutdown));
    assert_eq!(rt.leftovers(), regrow::Leftovers::default());
}

/// The child reports its health while its supervisor reports that it runs. The last report that an
/// observation receives has the last health.
#[test]
fn the_start_of_a_child_does_not_report_an_older_health_than_the_child_itself() {
    on_workers(async |rt| {
        let rooms = DynamicSupervisor::new().named("rooms").start(&rt).await.unwrap();
        let mut observation = rooms.observe().unwrap();
        observation.next().await;
        for round in 0..1_000 {
            let child = ChildSpec::task("room", |ctx| async move {
                ctx.set_health(Health::Degraded("small".into()));
                std::future::pending().await
            });
            let pid = rooms.start_child(child.restart(Restart::Temporary)).await.unwrap();
            let (mut reported, mut has_started) = (Health::Ready, false);
            // The child reports its health once, before or after its start was reported.
            while !has_started || rt.health(pid) != Some(reported.clone()) {
                let next = timeout(Duration::from_secs(10), observation.next()).await;
                let Ok(Some(Observed::Change(change))) = next else {
                    panic!("round {round}: the last report was {reported}");
                };
                match change.kind {
                    ChangeKind::Started { health, .. } => (reported, has_started) = (health, true),
                    ChangeKind::Health { health } => reported = health,
                    _ => {}
                }
            }
            rooms.terminate_child(pid).await.unwrap();
        }
        drop(observation);
        rooms.stop().await.unwrap();
        support::assert_nothing_left(&rt).await;
    });
}
