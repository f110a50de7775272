//! Groups: sets of processes under a tag, and their monitors.

use crate::support;

use regrow::{GroupChange, Leftovers, MonitorRef, Pid, Received, Runtime};
use support::{Listener, dead, idle, killed, settled};

use GroupChange::{Joined, Left};

/// GRP-001.
#[tokio::test]
async fn whereis_tag_returns_the_members_of_a_group() {
    let rt = Runtime::new();
    let (a, b, c) = (idle(&rt), idle(&rt), idle(&rt));
    assert!(rt.register_tag("g1", b) && rt.register_tag("g1", a) && rt.register_tag("g2", c));
    assert_eq!(rt.whereis_tag("g1"), [a, b]);
    assert_eq!(rt.whereis_tag("g2"), [c]);
    assert!(rt.whereis_tag("unknown").is_empty());
    assert_eq!(rt.tags(), ["g1", "g2"], "asking for a group doesn't make one");
}

/// GRP-002.
#[tokio::test]
async fn joining_a_group_twice_counts_as_one_membership() {
    let rt = Runtime::new();
    let p = idle(&rt);
    assert!(rt.register_tag("x", p) && rt.register_tag("y", p) && rt.register_tag("x", p));
    assert_eq!(rt.whereis_tag("x"), [p]);
    assert!(rt.unregister_tag("x", p));
    assert!(rt.whereis_tag("x").is_empty());
    assert_eq!(rt.whereis_tag("y"), [p]);
    assert_eq!(rt.info(p).unwrap().tags, ["y"]);
    assert!(!rt.unregister_tag("x", p), "it is no member any more");
}

/// GRP-003.
#[tokio::test]
async fn an_ended_process_is_in_no_group_and_cannot_join_one() {
    let rt = Runtime::new();
    let p = idle(&rt);
    let mut watcher = Listener::new(&rt);
    rt.register_tag("g", p);
    rt.monitor(watcher.pid, p);
    rt.kill(p);
    assert!(matches!(watcher.next().await, Received::Down { .. }));
    assert!(rt.whereis_tag("g").is_empty());
    assert!(rt.tags().is_empty());
    for gone in [p, dead(&rt).await, Pid::from_raw(9_999)] {
        assert!(!rt.register_tag("g", gone));
        assert!(!rt.unregister_tag("g", gone));
    }
    assert!(rt.tags().is_empty());
    assert_eq!(rt.leftovers().groups, 0);
}

/// GRP-004.
#[tokio::test]
async fn kill_tag_kills_the_members_of_the_group_only() {
    let rt = Runtime::new();
    let (a, b, other) = (idle(&rt), idle(&rt), idle(&rt));
    rt.set_trap_exit(a, true);
    rt.register_tag("g", a);
    rt.register_tag("g", b);
    rt.register_tag("h", other);
    let ends = (rt.ended(a), rt.ended(b));
    assert_eq!(rt.kill_tag("g"), 2);
    assert_eq!(ends.0.await, regrow::ExitReason::Killed);
    assert_eq!(ends.1.await, regrow::ExitReason::Killed);
    assert_eq!(rt.list(), [other]);
    assert!(rt.whereis_tag("g").is_empty());
    assert_eq!((rt.kill_tag("g"), rt.kill_tag("unknown")), (0, 0));
    assert_eq!(rt.tags(), ["h"]);
}

#[tokio::test]
async fn a_member_that_kills_its_own_group_ends_with_it() {
    let rt = Runtime::new();
    let other = idle(&rt);
    let member = rt.spawn(move |mut ctx| async move {
        let rt = ctx.runtime();
        assert!(rt.register_tag("g", ctx.pid()) && rt.register_tag("g", other));
        assert_eq!(rt.kill_tag("g"), 2);
        ctx.recv().await;
        unreachable!("nothing is received after a kill");
    });
    let ended = rt.ended(other);
    assert_eq!(member.join().await, regrow::ExitReason::Killed);
    assert_eq!(ended.await, regrow::ExitReason::Killed);
}

/// GRP-005.
#[tokio::test]
async fn a_group_is_listed_while_it_has_members() {
    let rt = Runtime::new();
    let (a, b) = (idle(&rt), idle(&rt));
    assert!(rt.tags().is_empty());
    rt.register_tag("g", a);
    rt.register_tag("g", b);
    assert_eq!(rt.tags(), ["g"]);
    rt.unregister_tag("g", a);
    assert_eq!(rt.tags(), ["g"]);
    rt.unregister_tag("g", b);
    assert!(rt.tags().is_empty());
    assert_eq!(rt.leftovers().groups, 0);
}

/// GRP-007.
#[tokio::test]
async fn a_process_has_left_all_groups_before_its_down_arrives() {
    let rt = Runtime::new();
    let (p, stays) = (idle(&rt), idle(&rt));
    let mut watcher = Listener::new(&rt);
    let groups: Vec<String> = (0..20).map(|n| format!("g{n}")).collect();
    for group in &groups {
        assert!(rt.register_tag(group.as_str(), p) && rt.register_tag(group.as_str(), stays));
    }
    rt.monitor(watcher.pid, p);
    rt.kill(p);
    assert!(matches!(watcher.next().await, Received::Down { .. }));
    assert!(groups.iter().all(|group| rt.whereis_tag(group) == [stays]));
}

/// A group with thousands of members works like a small one.
#[tokio::test]
async fn a_group_may_have_thousands_of_members() {
    let rt = Runtime::new();
    let members: Vec<Pid> = (0..2_000).map(|_| idle(&rt)).collect();
    assert!(members.iter().all(|&pid| rt.register_tag("all", pid)));
    assert_eq!(rt.whereis_tag("all"), members);
    let ends: Vec<_> = members.iter().map(|&pid| rt.ended(pid)).collect();
    assert_eq!(rt.kill_tag("all"), 2_000);
    for ended in ends {
        ended.await;
    }
    assert_eq!(rt.leftovers(), Leftovers::default());
}

fn change(reference: MonitorRef, pid: Pid, change: GroupChange) -> Received {
    Received::Group { reference, group: "g".into(), pid, change }
}

/// GRP-009.
#[tokio::test(start_paused = true)]
async fn a_group_monitor_receives_each_join_and_leave_in_order() {
    let rt = Runtime::new();
    let (a, b) = (idle(&rt), idle(&rt));
    let mut watcher = Listener::new(&rt);
    let (g, members) = rt.monitor_group(watcher.pid, "g");
    assert!(members.is_empty());
    assert!(rt.tags().is_empty(), "being watched makes no group");
    rt.register_tag("g", a);
    rt.register_tag("g", b);
    rt.unregister_tag("g", a);
    killed(&rt, b).await;
    settled().await;
    let expected =
        [change(g, a, Joined), change(g, b, Joined), change(g, a, Left), change(g, b, Left)];
    assert_eq!(watcher.so_far(), expected);
}

/// GRP-011.
#[tokio::test(start_paused = true)]
async fn a_group_monitor_does_not_report_the_initial_members_again() {
    let rt = Runtime::new();
    let (a, b, c) = (idle(&rt), idle(&rt), idle(&rt));
    rt.register_tag("g", a);
    rt.register_tag("g", b);
    let mut watcher = Listener::new(&rt);
    let (g, members) = rt.monitor_group(watcher.pid, "g");
    assert_eq!(members, [a, b]);
    rt.register_tag("g", c);
    settled().await;
    assert_eq!(watcher.so_far(), [change(g, c, Joined)]);
}

/// GRP-012.
#[tokio::test(start_paused = true)]
async fn a_group_monitor_reports_a_double_join_once() {
    let rt = Runtime::new();
    let a = idle(&rt);
    let mut watcher = Listener::new(&rt);
    let (g, _) = rt.monitor_group(watcher.pid, "g");
    rt.register_tag("g", a);
    rt.register_tag("g", a);
    killed(&rt, a).await;
    settled().await;
    assert_eq!(watcher.so_far(), [change(g, a, Joined), change(g, a, Left)]);
}

/// Each monitor of a group is independent. Releasing one also removes its queued events.
#[tokio::test(start_paused = true)]
async fn a_released_group_monitor_reports_nothing_more() {
    let rt = Runtime::new();
    let a = idle(&rt);
    let mut watcher = Listener::new(&rt);
    let (first, _) = rt.monitor_group(watcher.pid, "g");
    let (second, _) = rt.monitor_group(watcher.pid, "g");
    assert_ne!(first, second);
    rt.register_tag("g", a);
    assert!(rt.demonitor(first));
    assert!(!rt.demonitor(first));
    settled().await;
    assert_eq!(watcher.so_far(), [change(second, a, Joined)]);
    assert!(rt.demonitor(second));
    killed(&rt, a).await;
    settled().await;
    assert!(watcher.so_far().is_empty());
    assert_eq!(rt.leftovers().groups, 0);
}

/// The group monitors of a process are removed when it ends, and an ended process cannot set one.
#[tokio::test]
async fn the_group_monitors_of_an_ended_process_are_removed() {
    let rt = Runtime::new();
    let watcher = idle(&rt);
    rt.monitor_group(watcher, "g");
    assert_eq!(rt.leftovers().groups, 1);
    killed(&rt, watcher).await;
    rt.monitor_group(watcher, "g");
    assert_eq!(rt.leftovers(), Leftovers::default());
}

/// A process may monitor a group that it is a member of, and is notified of its own join.
#[tokio::test(start_paused = true)]
async fn a_member_may_monitor_its_own_group() {
    let rt = Runtime::new();
    let mut member = Listener::new(&rt);
    let (g, _) = rt.monitor_group(member.pid, "g");
    rt.register_tag("g", member.pid);
    settled().await;
    assert_eq!(member.so_far(), [change(g, member.pid, Joined)]);
    killed(&rt, member.pid).await;
    assert_eq!(rt.leftovers(), Leftovers::default());
}

/// Processes join, leave and end on several threads. No ended process remains a member, and the
/// events that a watcher received add up to the members that remain.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn group_membership_stays_exact_under_concurrent_joins_and_exits() {
    let rt = Runtime::new();
    let mut watcher = Listener::new(&rt);
    let (_, members) = rt.monitor_group(watcher.pid, "g");
    assert!(members.is_empty());
    let churn = |rt: Runtime| async move {
        for n in 0..250 {
            let pid = idle(&rt);
            assert!(rt.register_tag("g", pid));
            match n % 3 {
                0 => assert!(rt.unregister_tag("g", pid)),
                1 => killed(&rt, pid).await,
                _ => {}
            }
        }
    };
    let tasks: Vec<_> = (0..4).map(|_| tokio::spawn(churn(rt.clone()))).collect();
    for task in tasks {
        task.await.unwrap();
    }
    let stayed = rt.whereis_tag("g");
    assert_eq!(stayed.len(), 4 * 83);
    assert!(stayed.iter().all(|&pid| rt.is_alive(pid)));
    let mut heard = std::collections::BTreeSet::new();
    for _ in 0..4 * (250 + 84 + 83) {
        match watcher.next().await {
            Received::Group { pid, change: Joined, .. } => assert!(heard.insert(pid)),
            Received::Group { pid, change: Left, .. } => assert!(heard.remove(&pid)),
            other => panic!("{other:?}"),
        }
    }
    assert!(heard.into_iter().eq(stayed));
}
