//! Process information: lists, snapshots, labels and counts.

use crate::support;

use std::collections::BTreeMap;

use regrow::{Leftovers, Pid, Received, Runtime};
use support::{Listener, dead, idle, killed, settled};
use tokio::sync::oneshot;

fn counts<const N: usize>(expected: [(&str, usize); N]) -> BTreeMap<String, usize> {
    expected.into_iter().map(|(name, count)| (name.to_owned(), count)).collect()
}

/// SYS-001.
#[tokio::test]
async fn list_returns_the_live_processes_oldest_first() {
    let rt = Runtime::new();
    assert!(rt.list().is_empty());
    let (a, b) = (idle(&rt), idle(&rt));
    assert_eq!(rt.list(), [a, b]);
    killed(&rt, a).await;
    assert_eq!(rt.list(), [b]);
    assert_eq!((rt.spawned(), rt.finished(), rt.process_count()), (2, 1, 1));
}

/// SYS-002.
#[tokio::test]
async fn info_has_links_names_groups_label_and_mailbox_depth() {
    let rt = Runtime::with_mailbox_depth();
    let (p, peer) = (idle(&rt), idle(&rt));
    rt.register("second", p);
    rt.register("first", p);
    rt.register_tag("workers", p);
    rt.link(p, peer);
    rt.set_label(p, "the label");
    rt.set_trap_exit(p, true);
    rt.send(p, b"1".to_vec());
    rt.send(p, b"2".to_vec());

    let info = rt.info(p).unwrap();
    assert_eq!((info.pid, info.links, info.monitors, info.monitoring), (p, 1, 0, 0));
    assert_eq!(info.names, ["first", "second"]);
    assert_eq!(info.tags, ["workers"]);
    assert_eq!(info.label.as_deref(), Some("the label"));
    assert_eq!(info.mailbox_depth, 2);
    assert!(info.trap_exit);
}

/// SYS-002. A new process has no relations, and a runtime without mailbox depth counts no messages.
#[tokio::test]
async fn the_info_of_a_new_process_is_empty() {
    let rt = Runtime::new();
    let p = idle(&rt);
    rt.send(p, b"not counted".to_vec());
    let info = rt.info(p).unwrap();
    assert_eq!((info.links, info.monitors, info.monitoring, info.mailbox_depth), (0, 0, 0, 0));
    assert!(info.names.is_empty() && info.tags.is_empty());
    assert_eq!((info.label, info.trap_exit), (None, false));
}

/// SYS-003.
#[tokio::test]
async fn an_ended_process_has_no_info_and_takes_no_label() {
    let rt = Runtime::new();
    for pid in [dead(&rt).await, Pid::from_raw(777), Pid::OUTSIDE] {
        assert_eq!(rt.info(pid), None);
        assert!(!rt.set_label(pid, "x"));
        assert_eq!(rt.set_trap_exit(pid, true), None);
    }
    assert!(rt.census().labels.is_empty());
}

/// A label is free text. It can be replaced, and several processes may have the same label.
#[tokio::test]
async fn a_label_can_be_replaced_and_shared() {
    let rt = Runtime::new();
    let (a, b) = (idle(&rt), idle(&rt));
    assert!(rt.set_label(a, "old") && rt.set_label(a, "new") && rt.set_label(b, "new"));
    assert_eq!(rt.info(a).unwrap().label.as_deref(), Some("new"));
    assert_eq!(rt.census().labels, counts([("new", 2)]));
}

/// The info that a process reads of itself is the info that others read.
#[tokio::test]
async fn a_process_can_read_its_own_info() {
    let rt = Runtime::new();
    let (tell, told) = oneshot::channel();
    let p = rt.spawn(|ctx| async move {
        let rt = ctx.runtime();
        rt.set_label(ctx.pid(), "me");
        tell.send(rt.info(ctx.pid())).unwrap();
    });
    let info = told.await.unwrap().unwrap();
    assert_eq!((info.pid, info.label.as_deref()), (p.pid(), Some("me")));
}

/// Returns the numbers of links of a process, of monitors that watch it, and of monitors that it
/// holds.
fn ties(rt: &Runtime, pid: Pid) -> (usize, usize, usize) {
    let info = rt.info(pid).unwrap();
    (info.links, info.monitors, info.monitoring)
}

/// SYS-004.
#[tokio::test]
async fn info_counts_links_and_monitors_as_they_change() {
    let rt = Runtime::new();
    let (a, b, c) = (idle(&rt), idle(&rt), idle(&rt));
    rt.link(a, b);
    rt.link(b, a);
    rt.link(a, c);
    let first = rt.monitor(a, b);
    let second = rt.monitor(a, b);
    rt.monitor(c, b);
    assert_eq!((ties(&rt, a), ties(&rt, b), ties(&rt, c)), ((2, 0, 2), (1, 3, 0), (1, 0, 1)));
    rt.unlink(b, a);
    assert!(rt.demonitor(first));
    assert_eq!((ties(&rt, a), ties(&rt, b), ties(&rt, c)), ((1, 0, 1), (0, 2, 0), (1, 0, 1)));
    assert!(rt.demonitor_flush(second));
    rt.unlink(a, c);
    assert_eq!((ties(&rt, a), ties(&rt, b), ties(&rt, c)), ((0, 0, 0), (0, 1, 0), (0, 0, 1)));
}

/// SYS-004. No relation to an ended peer is counted, on either side. A queued `Down` is not counted
/// as a monitor.
#[tokio::test(start_paused = true)]
async fn info_does_not_count_relations_to_an_ended_peer() {
    let rt = Runtime::new();
    let survivor = idle(&rt);
    rt.set_trap_exit(survivor, true);
    let (watched, watcher, linked) = (idle(&rt), idle(&rt), idle(&rt));
    rt.monitor(survivor, watched);
    rt.monitor(watcher, survivor);
    rt.monitor_group(watcher, "g");
    rt.link(linked, survivor);
    assert_eq!(ties(&rt, survivor), (1, 1, 1));
    assert_eq!(ties(&rt, watcher), (0, 0, 2));
    for pid in [watched, watcher, linked] {
        killed(&rt, pid).await;
    }
    settled().await;
    assert_eq!(ties(&rt, survivor), (0, 0, 0));
    killed(&rt, survivor).await;
    assert_eq!(rt.leftovers(), Leftovers::default());
}

/// SYS-004.
#[tokio::test]
async fn a_thousand_links_and_monitors_are_counted_and_cleaned_up() {
    let rt = Runtime::new();
    let hub = Listener::trapping(&rt);
    let spokes: Vec<Pid> = (0..1_000).map(|_| idle(&rt)).collect();
    for &spoke in &spokes {
        rt.link(hub.pid, spoke);
        rt.monitor(spoke, hub.pid);
        rt.monitor(hub.pid, spoke);
    }
    assert_eq!(ties(&rt, hub.pid), (1_000, 1_000, 1_000));
    for &spoke in &spokes[..500] {
        killed(&rt, spoke).await;
    }
    assert_eq!(ties(&rt, hub.pid), (500, 500, 500));
    killed(&rt, hub.pid).await;
    for &spoke in &spokes[500..] {
        rt.ended(spoke).await;
    }
    assert_eq!(rt.leftovers(), Leftovers::default());
}

/// The depth counts all queued items, signals included, and the messages that a selective receive
/// has saved.
#[tokio::test]
async fn the_mailbox_depth_counts_signals_and_saved_messages() {
    let rt = Runtime::with_mailbox_depth();
    let (tell, told) = oneshot::channel();
    let (go, gone) = oneshot::channel::<()>();
    let gone_already = dead(&rt).await;
    let p = rt.spawn(move |mut ctx| async move {
        gone.await.unwrap();
        let rt = ctx.runtime();
        let depth = || rt.info(rt.whereis("p").unwrap()).unwrap().mailbox_depth;
        let full = depth();
        ctx.recv_match(|item| matches!(item, Received::Down { .. })).await;
        tell.send((full, depth())).unwrap();
        std::future::pending().await
    });
    rt.register("p", p.pid());
    rt.send(p.pid(), b"a".to_vec());
    rt.send(p.pid(), b"b".to_vec());
    rt.monitor(p.pid(), gone_already);
    go.send(()).unwrap();
    assert_eq!(told.await, Ok((3, 2)));
}

/// SYS-012.
#[tokio::test]
async fn the_census_counts_live_processes_by_label() {
    let rt = Runtime::new();
    let [a1, a2, b, _unlabelled] = [idle(&rt), idle(&rt), idle(&rt), idle(&rt)];
    rt.set_label(a1, "alpha");
    rt.set_label(a2, "alpha");
    rt.set_label(b, "beta");
    assert_eq!(rt.census().labels, counts([("alpha", 2), ("beta", 1)]));
    killed(&rt, a2).await;
    assert_eq!(rt.census().labels, counts([("alpha", 1), ("beta", 1)]));
}

/// SYS-012. Members are counted by tag. A group without members is not listed.
#[tokio::test]
async fn the_census_counts_members_by_tag() {
    let rt = Runtime::new();
    let (a, b, watcher) = (idle(&rt), idle(&rt), idle(&rt));
    rt.register_tag("g", a);
    rt.register_tag("g", b);
    rt.register_tag("h", b);
    rt.monitor_group(watcher, "watched by somebody, joined by nobody");
    assert_eq!(rt.census().tags, counts([("g", 2), ("h", 1)]));
    killed(&rt, b).await;
    assert_eq!(rt.census().tags, counts([("g", 1)]));
    assert!(rt.census().labels.is_empty());
}

#[tokio::test]
async fn an_uncounted_mailbox_depth_is_none_and_an_empty_counted_one_is_0() {
    let depth = |rt: &Runtime, pid| {
        let info = rt.info(pid).unwrap();
        (info.mailbox_depth, info.depth())
    };
    let (uncounted, counted) = (Runtime::new(), Runtime::with_mailbox_depth());
    let bounded = Runtime::with_mailbox_capacity(8);
    for (rt, before, after) in [
        (uncounted, (0, None), (0, None)),
        (counted, (0, Some(0)), (2, Some(2))),
        (bounded, (0, Some(0)), (2, Some(2))),
    ] {
        let pid = support::idle(&rt);
        assert_eq!(depth(&rt, pid), before);
        for _ in 0..2 {
            rt.send(pid, b"to do".to_vec());
        }
        assert_eq!(depth(&rt, pid), after);
    }
}
