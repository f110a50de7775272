//! Pictures of dynamic supervisors with many children: folded, the worst first.

use crate::support;

use std::future::pending;
use std::time::Duration;

use regrow::{
    ChildSpec, DynamicSupervisor, ExitReason, Health, Observed, PictureState, Restart, Runtime,
    Shutdown, Supervisor, TaskContext,
};
use support::{crash, settled};

const SECOND: Duration = Duration::from_secs(1);

fn child(id: &str) -> ChildSpec {
    ChildSpec::task(id, |_| pending()).restart(Restart::Temporary)
}

#[tokio::test(start_paused = true)]
async fn the_worst_children_are_listed_first_and_all_are_counted() {
    let rt = Runtime::new();
    let conns = DynamicSupervisor::new().named("conns").start(&rt).await.unwrap();
    let mut pids = Vec::new();
    for n in 0..1_000 {
        pids.push(conns.start_child(child(&format!("{n}"))).await.unwrap());
    }
    rt.set_health(pids[700], Health::Unready("no disk".into()));
    assert!((0..3).all(|_| rt.send(pids[800], Vec::new())));
    let picture = conns.observe().unwrap().list_children(4).picture().await;
    let listed: Vec<&str> = picture.nodes[1..].iter().map(|node| node.id.as_str()).collect();
    assert_eq!(listed, ["700", "800", "0", "1"]);
    let folded = picture.nodes[0].supervision.as_ref().unwrap().folded.unwrap();
    assert_eq!((folded.children, folded.running, folded.unhealthy), (1_000, 1_000, 1));
    assert_eq!(picture.nodes[2].mailbox.queued, Some(3));
}

#[tokio::test(start_paused = true)]
async fn the_last_crashed_children_stay_in_the_picture_and_clean_ends_cost_nothing() {
    let rt = Runtime::new();
    let conns = DynamicSupervisor::new().named("conns").start(&rt).await.unwrap();
    for n in 0..40 {
        let reason = if n % 2 == 0 { Ok(()) } else { Err(crash("no luck")) };
        let body = move |_| async move { reason };
        let child = ChildSpec::task(format!("{n}"), body).restart(Restart::Temporary);
        conns.start_child(child).await.unwrap();
        settled().await;
    }
    let picture = conns.observe().unwrap().picture().await;
    let ended: Vec<&str> = picture.nodes[1..].iter().map(|node| node.id.as_str()).collect();
    let expected: Vec<String> = (8..40).filter(|n| n % 2 == 1).map(|n| n.to_string()).collect();
    assert_eq!(ended, expected);
    assert!(picture.nodes[1..].iter().all(|node| node.state == PictureState::Ended));
    let few = conns.observe().unwrap().keep_ended(2).picture().await;
    assert_eq!(few.nodes.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_stopping_dynamic_supervisor_shows_the_child_that_holds_its_stop_up() {
    let rt = Runtime::new();
    let conns = DynamicSupervisor::new().named("conns").start(&rt).await.unwrap();
    let deaf = |mut ctx: TaskContext| async move {
        let _asked = ctx.cancellation_token();
        pending().await
    };
    let deaf = ChildSpec::task("deaf", deaf).shutdown(Shutdown::Timeout(5 * SECOND));
    conns.start_child(deaf).await.unwrap();
    conns.start_child(child("quick")).await.unwrap();
    let mut observation = conns.observe().unwrap();
    observation.next().await;
    let stopping = {
        let conns = conns.clone();
        tokio::spawn(async move { conns.stop().await })
    };
    settled().await;
    let mut told = Vec::new();
    for _ in 0..2 {
        let Some(Observed::Change(change)) = observation.next().await else { panic!() };
        told.push(change.to_string());
    }
    assert_eq!(told[0], format!("conns {} ending", conns.pid().unwrap()));
    assert!(
        told[1].starts_with("conns/") && told[1].contains("holds_stop, killed in "),
        "{told:?}"
    );
    let picture = observation.picture().await;
    assert_eq!(picture.nodes[0].state, PictureState::Stopping);
    assert_eq!(picture.find("conns/deaf").unwrap().state, PictureState::Stopping);
    stopping.await.unwrap().unwrap();
}

/// The time is measured by the bench `observation`; here the bound only has to hold with a margin for
/// a debug build.
#[tokio::test]
async fn a_picture_of_a_hundred_thousand_children_lists_a_hundred() {
    let rt = Runtime::new();
    let conns = DynamicSupervisor::new().named("conns").start(&rt).await.unwrap();
    let children = if cfg!(debug_assertions) { 5_000 } else { 100_000 };
    for _ in 0..children {
        conns.start_child(child("conn")).await.unwrap();
    }
    let began = std::time::Instant::now();
    let picture = conns.observe().unwrap().picture().await;
    println!("a picture of {children} children takes {:?}", began.elapsed());
    assert_eq!(picture.nodes.len(), 101);
    let folded = picture.nodes[0].supervision.as_ref().unwrap().folded.unwrap();
    assert_eq!(folded.children, children);
}

fn ends(id: &str, reason: Result<(), ExitReason>) -> ChildSpec {
    let body = move |_| {
        let reason = reason.clone();
        async move { reason }
    };
    ChildSpec::task(id, body).restart(Restart::Temporary)
}

#[tokio::test(start_paused = true)]
async fn a_child_that_ended_cleanly_lingers_for_a_while_and_one_that_crashed_for_longer() {
    let rt = Runtime::new();
    let conns = DynamicSupervisor::new().named("conns").start(&rt).await.unwrap();
    let mut observation = conns.observe().unwrap();
    observation.next().await;
    conns.start_child(ends("clean", Ok(()))).await.unwrap();
    tokio::time::sleep(SECOND).await;
    conns.start_child(ends("crashed", Err(crash("no luck")))).await.unwrap();
    // The clean ends of others replace no crash, and not the last clean ones.
    for _ in 0..40 {
        conns.start_child(ends("other", Ok(()))).await.unwrap();
    }
    tokio::time::sleep(58 * SECOND).await;
    let picture = observation.picture().await;
    assert_eq!(picture.nodes.len(), 1 + 2 + 40, "{picture}");
    let clean = picture.find("conns/clean").unwrap();
    assert_eq!(clean.state, PictureState::Ended);
    let ago = picture.time.unix_millis() - clean.ended.unwrap().unix_millis();
    assert_eq!(ago, 59_000);
    tokio::time::sleep(SECOND).await;
    let picture = observation.picture().await;
    assert!(picture.find("conns/clean").is_none(), "{picture}");
    assert!(picture.find("conns/other").is_some(), "{picture}");
    tokio::time::sleep(3600 * SECOND).await;
    let picture = observation.picture().await;
    assert_eq!(picture.nodes.len(), 2, "{picture}");
    assert!(picture.find("conns/crashed").unwrap().ended.is_some());
    // A longer time shows them all, and a shorter one none.
    let mut long = conns.observe().unwrap().keep_ended_for(Duration::MAX);
    assert_eq!(long.picture().await.nodes.len(), 1 + 2 + 40);
    let mut few = conns.observe().unwrap().keep_ended_for(Duration::MAX).keep_ended(1);
    assert_eq!(few.picture().await.nodes.len(), 2);
    let mut short = conns.observe().unwrap().keep_ended_for(Duration::ZERO);
    assert_eq!(short.picture().await.nodes.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_child_that_does_not_run_says_since_when() {
    let rt = Runtime::new();
    let app = Supervisor::one_for_one().named("app");
    let app = app.child(ends("done", Ok(())).restart(Restart::Transient)).start(&rt).await.unwrap();
    tokio::time::sleep(2 * SECOND).await;
    let picture = app.observe().unwrap().picture().await;
    let done = picture.find("app/done").unwrap();
    assert_eq!(done.state, PictureState::Stopped);
    assert_eq!(picture.time.unix_millis() - done.ended.unwrap().unix_millis(), 2000);
    assert_eq!(picture.nodes[0].ended, None);
}
