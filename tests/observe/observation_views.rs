//! What an observation of one tree, or of a part of it, delivers, and in which turn.

use crate::support;

use std::future::pending;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt;
use regrow::{
    ChildSpec, DynamicSupervisor, Health, Observation, Observed, Picture, Restart, Runtime,
    Supervisor,
};
use support::settled;

const SECOND: Duration = Duration::from_secs(1);

fn idle(id: &str) -> ChildSpec {
    ChildSpec::task(id, |_| pending())
}

async fn picture(observation: &mut Observation) -> Picture {
    match observation.next().await {
        Some(Observed::Picture(picture)) => picture,
        other => panic!("{other:?}"),
    }
}

fn paths(picture: &Picture) -> Vec<&str> {
    picture.nodes.iter().map(|node| node.path.as_str()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_tree_with_the_same_path_is_not_observed() {
    let rt = Runtime::new();
    let one = Supervisor::one_for_one().child(idle("a")).start(&rt).await.unwrap();
    let other = Supervisor::one_for_one().child(idle("a")).start(&rt).await.unwrap();
    let mut observation = one.observe().unwrap();
    let shown = picture(&mut observation).await;
    assert_eq!(paths(&shown), ["Supervisor", "Supervisor/a"]);
    assert_eq!(shown.nodes[0].pid, one.pid());
    let of_other = other.which_child("a").await.unwrap().pid().unwrap();
    rt.set_health(of_other, Health::Starting);
    rt.kill(of_other);
    other.stop().await.unwrap();
    assert_eq!(observation.next().now_or_never(), None);
    rt.kill(shown.nodes[1].pid.unwrap());
    let Some(Observed::Change(change)) = observation.next().await else { panic!() };
    assert_eq!((change.supervisor, change.kind.name()), (one.pid(), "ended"));
}

#[tokio::test(start_paused = true)]
async fn a_view_below_one_of_many_dynamic_children_shows_it() {
    let rt = Runtime::new();
    let conns = DynamicSupervisor::new().named("conns").start(&rt).await.unwrap();
    for n in 0..300 {
        let room = Supervisor::one_for_one().with_id(format!("room/{n}")).child(idle("chat"));
        conns.start_child(room).await.unwrap();
    }
    let below = |path: &str, listed| rt.observe().below(path).list_children(listed);
    let shown = below("conns/room%2F250", 100).picture().await;
    assert_eq!(paths(&shown), ["conns/room%2F250", "conns/room%2F250/chat"]);
    let shown = below("conns/room%2F250/chat", 0).picture().await;
    assert_eq!(paths(&shown), ["conns/room%2F250/chat"]);
    assert!(below("conns/room", 100).picture().await.nodes.is_empty());
}

/// Blocks the thread that drops it, until it is released.
struct Blocks(Mutex<(Sender<()>, Receiver<()>)>);

impl Drop for Blocks {
    fn drop(&mut self) {
        let (blocks, release) = &*self.0.lock().expect("no holder of the lock panics");
        let _ = blocks.send(());
        let _ = release.recv();
    }
}

/// Starts a dynamic supervisor with the child `kept` that handles nothing until the result is used.
async fn blocked(rt: &Runtime) -> mpsc::Sender<()> {
    let conns = DynamicSupervisor::new().named("conns").start(rt).await.unwrap();
    conns.start_child(idle("kept")).await.unwrap();
    let ((blocks, blocked), (release, released)) = (mpsc::channel(), mpsc::channel());
    let blocks = Arc::new(Blocks(Mutex::new((blocks, released))));
    // The supervisor drops the specification of a child that has ended for good.
    let child = ChildSpec::task("done", move |_| {
        let _kept = &blocks;
        async { Ok::<(), regrow::ExitReason>(()) }
    });
    conns.start_child(child.restart(Restart::Transient)).await.unwrap();
    blocked.recv().unwrap();
    release
}

/// However many readers ask a supervisor that does not answer, its mailbox stays small.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pictures_leave_at_most_eight_requests_in_the_mailbox_of_a_supervisor() {
    let rt = Runtime::with_mailbox_depth();
    let release = blocked(&rt).await;
    let conns = rt.whereis("conns").unwrap();
    let queued = || rt.process_detail(conns).unwrap().mailbox.queued.unwrap();
    let before = queued();
    let pictures = (0..20).map(|_| {
        let mut observation = rt.observe();
        async move { observation.picture().await.nodes.len() }
    });
    futures_util::future::join_all(pictures).await;
    assert_eq!(queued() - before, 8);
    release.send(()).unwrap();
    let mut observation = rt.observe();
    let answered = async {
        while picture(&mut observation).await.nodes[0].supervision.as_ref().unwrap().last_known {}
    };
    tokio::time::timeout(20 * SECOND, answered).await.expect("the requests are handled");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_picture_follows_if_a_supervisor_above_the_view_did_not_answer() {
    let rt = Runtime::new();
    let release = blocked(&rt).await;
    let mut observation = rt.observe().below("conns/kept");
    assert!(picture(&mut observation).await.nodes.is_empty(), "the supervisor is blocked");
    release.send(()).unwrap();
    let next = tokio::time::timeout(20 * SECOND, picture(&mut observation)).await;
    assert_eq!(paths(&next.expect("another picture follows")), ["conns/kept"]);
}

/// Another picture is due each second, and puts no sample off.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn samples_come_while_a_supervisor_does_not_answer() {
    let rt = Runtime::new();
    let release = blocked(&rt).await;
    let mut observation = rt.observe().sample_every(SECOND);
    let sample = async { while !matches!(observation.next().await, Some(Observed::Sample(_))) {} };
    tokio::time::timeout(20 * SECOND, sample).await.expect("a sample comes");
    release.send(()).unwrap();
}

#[tokio::test(start_paused = true)]
async fn samples_do_not_hold_changes_back() {
    let rt = Runtime::new();
    let app = Supervisor::one_for_one().named("app").child(idle("a").named("a"));
    let app = app.start(&rt).await.unwrap();
    let mut observation = app.observe().unwrap().sample_every(Duration::from_millis(10));
    picture(&mut observation).await;
    rt.kill(rt.whereis("a").unwrap());
    settled().await;
    let mut turns = Vec::new();
    for _ in 0..8 {
        // A reader that is slower than the interval.
        tokio::time::sleep(Duration::from_millis(20)).await;
        turns.push(match observation.next().await.unwrap() {
            Observed::Sample(_) => "sample",
            Observed::Change(change) => change.kind.name(),
            other => panic!("{other}"),
        });
    }
    let expected =
        ["sample", "ended", "sample", "restarting", "sample", "starting", "sample", "started"];
    assert_eq!(turns, expected);
}

#[tokio::test(start_paused = true)]
async fn samples_have_the_budget_of_a_dynamic_supervisor() {
    let rt = Runtime::new();
    let conns = DynamicSupervisor::new().named("conns").intensity(5, 60 * SECOND);
    let conns = conns.start(&rt).await.unwrap();
    conns.start_child(idle("a").named("a")).await.unwrap();
    let mut observation = conns.observe().unwrap().sample_every(SECOND);
    picture(&mut observation).await;
    rt.kill(rt.whereis("a").unwrap());
    loop {
        let Some(Observed::Sample(sample)) = observation.next().await else { continue };
        assert_eq!(sample.supervisors[0].budget.unwrap().left, 4);
        break;
    }
}

/// A reader that waits beside something else drops the wait each time that the other is ready.
#[tokio::test(start_paused = true)]
async fn a_sample_whose_wait_is_dropped_again_and_again_is_continued_and_loses_nothing() {
    const MANY: usize = 1_000;
    let rt = Runtime::with_mailbox_depth();
    let mut app = Supervisor::one_for_one().named("app");
    for number in 0..MANY {
        app = app.child(ChildSpec::task(format!("{number}"), |_| pending()));
    }
    let app = app.start(&rt).await.unwrap();
    let mut observation = app.observe().unwrap().sample_every(Duration::from_secs(1));
    let picture = observation.picture().await;
    for node in &picture.nodes[1..] {
        rt.send(node.pid.unwrap(), b"to do".to_vec());
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let mut dropped = 0;
    let sample = loop {
        match observation.next().now_or_never() {
            Some(Some(Observed::Sample(sample))) => break sample,
            Some(other) => panic!("{other:?}"),
            None => dropped += 1,
        }
        assert!(dropped < MANY, "a dropped wait begins the sample again");
    };
    assert!(dropped > 10, "a sample is taken in slices");
    assert_eq!((sample.processes.len(), sample.supervisors.len()), (MANY, 1));
}
