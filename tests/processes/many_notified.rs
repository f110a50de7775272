//! Ends that many processes are notified of. Such an end is announced in slices, and other tasks run
//! in between.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use crate::support;

use futures_util::FutureExt;
use regrow::{
    ChildSpec, Context, ExitReason, MonitorRef, Pid, ProcessHandle, Received, Runtime, Supervisor,
};
use support::{idler, settled};
use tokio::sync::oneshot;

/// More than several slices.
const MANY: usize = 1_000;

/// A watched process, and the processes that watch it.
struct Watched {
    rt: Runtime,
    target: ProcessHandle,
    watchers: Vec<(ProcessHandle, MonitorRef)>,
    /// What each watcher has received.
    received: Arc<Mutex<Vec<(Pid, Received)>>>,
}

impl Watched {
    /// The first watcher that receives something runs `first`.
    fn new(first: impl FnOnce() + Send + 'static) -> Self {
        let rt = Runtime::new();
        let target = idler(&rt);
        rt.register("watched", target.pid());
        let received: Arc<Mutex<Vec<(Pid, Received)>>> = Arc::default();
        let first = Arc::new(Mutex::new(Some(first)));
        let watcher = |_| {
            let (log, first) = (Arc::clone(&received), Arc::clone(&first));
            let watcher = rt.spawn(async move |mut ctx: Context| {
                loop {
                    let item = ctx.recv().await;
                    log.lock().unwrap().push((ctx.pid(), item));
                    let first = first.lock().unwrap().take();
                    first.into_iter().for_each(|first| first());
                }
            });
            rt.set_trap_exit(watcher.pid(), true);
            let reference = rt.monitor(watcher.pid(), target.pid());
            (watcher, reference)
        };
        let watchers = (0..MANY).map(watcher).collect();
        Watched { rt, target, watchers, received }
    }

    /// The watchers whose `Down` is neither queued nor received.
    fn unnotified(rt: &Runtime, watchers: &[(Pid, MonitorRef)]) -> Vec<(Pid, MonitorRef)> {
        let waits = |pid| rt.info(pid).is_some_and(|info| info.monitoring == 1);
        watchers.iter().copied().filter(|(pid, _)| waits(*pid)).collect()
    }

    fn pids(&self) -> Vec<(Pid, MonitorRef)> {
        self.watchers.iter().map(|(watcher, reference)| (watcher.pid(), *reference)).collect()
    }

    /// Takes what the watchers have received.
    fn take_received(&self) -> Vec<(Pid, Received)> {
        std::mem::take(&mut *self.received.lock().unwrap())
    }

    fn count_received(&self) -> usize {
        self.received.lock().unwrap().len()
    }
}

/// What the first notified watcher does in a test.
type Action = Box<dyn FnOnce() + Send>;

/// Makes a watched process, and lets the first notified watcher run what `action` returns.
async fn watched_with(action: impl FnOnce(&Watched) -> Action) -> Watched {
    let slot: Arc<Mutex<Option<Action>>> = Arc::default();
    let chosen = Arc::clone(&slot);
    let watched = Watched::new(move || {
        if let Some(action) = chosen.lock().unwrap().take() {
            action();
        }
    });
    settled().await;
    *slot.lock().unwrap() = Some(action(&watched));
    watched
}

/// A watcher runs before the last one is notified, and finds the name free by then. Code that waits
/// for the end continues after the last notification.
#[tokio::test(start_paused = true)]
async fn watchers_run_between_two_slices_and_the_end_comes_last() {
    let (found, finds) = oneshot::channel();
    let watched = watched_with(|watched| {
        let (rt, pids) = (watched.rt.clone(), watched.pids());
        Box::new(move || {
            let left = Watched::unnotified(&rt, &pids).len();
            found.send((left, rt.whereis("watched"), rt.register("watched", pids[0].0))).unwrap();
        })
    })
    .await;
    watched.target.kill();
    assert_eq!(watched.target.join().await, ExitReason::Killed);
    assert_eq!(Watched::unnotified(&watched.rt, &watched.pids()), []);
    let (left, holder, is_registered) = finds.await.unwrap();
    assert!(left > 0 && left < MANY, "{left}");
    assert_eq!((holder, is_registered), (None, true));
    settled().await;
    assert_eq!(watched.count_received(), MANY);
}

/// Each process that is linked and monitors receives its `Down` before its `Exit`, and each once.
#[tokio::test(start_paused = true)]
async fn each_of_many_is_notified_of_its_monitor_and_then_of_its_link() {
    let watched = watched_with(|_| Box::new(|| ())).await;
    for (watcher, _) in &watched.watchers {
        assert!(watched.rt.link(watcher.pid(), watched.target.pid()));
    }
    watched.target.kill();
    assert_eq!(watched.target.join().await, ExitReason::Killed);
    settled().await;
    let target = watched.target.pid();
    let mut all: HashMap<Pid, Vec<Received>> = HashMap::new();
    for (watcher, item) in watched.take_received() {
        all.entry(watcher).or_default().push(item);
    }
    for (watcher, reference) in watched.pids() {
        let own = all.remove(&watcher).unwrap_or_default();
        let reason = ExitReason::Killed;
        let down = Received::Down { reference, pid: target, reason: reason.clone() };
        assert_eq!(own, [down, Received::Exit { from: target, reason }]);
    }
}

/// A monitor and a link that are removed between two slices report nothing.
#[tokio::test(start_paused = true)]
async fn a_watcher_that_lets_go_between_two_slices_is_not_notified() {
    let removed = Arc::new(Mutex::new(Vec::new()));
    let watched = watched_with(|watched| {
        let (rt, pids, removed) = (watched.rt.clone(), watched.pids(), Arc::clone(&removed));
        let target = watched.target.pid();
        for (watcher, _) in &watched.watchers {
            assert!(rt.link(watcher.pid(), target));
        }
        Box::new(move || {
            for (watcher, reference) in Watched::unnotified(&rt, &pids) {
                assert!(rt.demonitor(reference), "its Down was not queued");
                rt.unlink(watcher, target);
                removed.lock().unwrap().push(watcher);
            }
        })
    })
    .await;
    watched.target.kill();
    watched.target.join().await;
    settled().await;
    let removed = removed.lock().unwrap();
    assert!(!removed.is_empty());
    let all = watched.take_received();
    assert_eq!(all.len(), 2 * (MANY - removed.len()));
    assert!(all.iter().all(|(pid, _)| !removed.contains(pid)));
}

/// Links of many: those that don't trap exits end, and the end of the peer is reported after all of
/// them have received the signal.
#[tokio::test(start_paused = true)]
async fn many_linked_processes_end_with_their_peer() {
    let rt = Runtime::new();
    let target = idler(&rt);
    let linked: Vec<_> = (0..MANY).map(|_| idler(&rt)).collect();
    linked.iter().for_each(|peer| assert!(rt.link(peer.pid(), target.pid())));
    settled().await;
    target.kill();
    target.join().await;
    assert!(linked.iter().all(|peer| rt.info(peer.pid()).is_none_or(|info| info.links == 0)));
    for peer in &linked {
        assert_eq!(peer.join().await, ExitReason::Killed);
    }
    assert_eq!(rt.process_count(), 0);
}

/// Code that begins to wait for the end between two slices gets the reason.
#[tokio::test(start_paused = true)]
async fn a_join_between_two_slices_gets_the_reason() {
    let (joined, reason) = oneshot::channel();
    let watched = watched_with(|watched| {
        let target = watched.target.clone();
        Box::new(move || {
            assert_eq!(target.join().now_or_never(), None);
            tokio::spawn(async move { joined.send(target.join().await) });
        })
    })
    .await;
    watched.target.kill();
    assert_eq!(reason.await.unwrap(), ExitReason::Killed);
    assert_eq!(Watched::unnotified(&watched.rt, &watched.pids()), []);
}

/// tokio shuts down between two slices: the rest of the announcement is made at once.
#[test]
fn the_end_of_tokio_between_two_slices_completes_the_announcement() {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let tokio = builder.enable_all().start_paused(true).build().unwrap();
    let (notified, is_notified) = oneshot::channel();
    let watched = tokio.block_on(async move {
        let watched = watched_with(|_| Box::new(move || notified.send(()).unwrap())).await;
        watched.target.kill();
        is_notified.await.unwrap();
        watched
    });
    assert_ne!(Watched::unnotified(&watched.rt, &watched.pids()), []);
    assert_eq!(watched.target.join().now_or_never(), None);
    drop(tokio);
    assert_eq!(watched.target.join().now_or_never(), Some(ExitReason::Killed));
    assert_eq!(watched.rt.process_count(), 0);
}

/// Demonitors race with the slices, on several threads: each watcher either gets its `Down`, or its
/// demonitor returns true.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn demonitors_that_race_with_slices_are_exact() {
    for _ in 0..20 {
        let watched = Watched::new(|| ());
        let (rt, pids) = (watched.rt.clone(), watched.pids());
        let thread = std::thread::spawn(move || {
            let removes = |(_, reference): &(Pid, MonitorRef)| rt.demonitor(*reference);
            pids.iter().rev().filter(|entry| removes(entry)).count()
        });
        watched.target.kill();
        watched.target.join().await;
        let removed = thread.join().unwrap();
        for (watcher, _) in &watched.watchers {
            // The message comes after the `Down`, if there is one.
            watched.rt.send(watcher.pid(), Vec::new());
        }
        while watched.count_received() < 2 * MANY - removed {
            tokio::task::yield_now().await;
        }
        assert_eq!(watched.count_received(), 2 * MANY - removed);
        watched.rt.shutdown();
    }
}

/// The supervisor is notified before the watchers, so a restart does not wait for their handlers.
#[tokio::test(start_paused = true)]
async fn a_child_is_restarted_before_all_of_its_watchers_are_notified() {
    let rt = Runtime::new();
    let notified = Arc::new(AtomicUsize::new(0));
    let starts: Arc<Mutex<Vec<usize>>> = Arc::default();
    let (seen, log) = (Arc::clone(&notified), Arc::clone(&starts));
    let child = ChildSpec::task("watched", move |_| {
        log.lock().unwrap().push(seen.load(Ordering::SeqCst));
        std::future::pending()
    });
    let tree = Supervisor::one_for_one().child(child.named("watched")).start(&rt).await.unwrap();
    let watched = rt.whereis("watched").unwrap();
    for _ in 0..MANY {
        let notified = Arc::clone(&notified);
        let watcher = rt.spawn(async move |mut ctx: Context| {
            ctx.recv().await;
            notified.fetch_add(1, Ordering::SeqCst);
        });
        rt.monitor(watcher.pid(), watched);
    }
    settled().await;
    rt.kill(watched);
    settled().await;
    assert_eq!(notified.load(Ordering::SeqCst), MANY);
    let starts = std::mem::take(&mut *starts.lock().unwrap());
    assert!(starts.len() == 2 && starts[1] < MANY / 2, "the starts came after {starts:?} Downs");
    tree.stop().await.unwrap();
}
