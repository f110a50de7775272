//! The restart budget, and the effect of exceeding it.

use crate::support;

use std::future::pending;
use std::time::Duration;

use regrow::{
    ChildSpec, DynamicSupervisor, ExitReason, Leftovers, Restart, RestartLimitReached, Runtime,
    Supervisor, SupervisorSpec,
};
use support::scripted_children::{ScriptedChildren, Start, limit, states};
use support::{crash, settled};
use tokio::time::{Instant, sleep};

const HOUR: Duration = Duration::from_secs(3600);

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn over<const N: usize>(spec: SupervisorSpec, children: [ChildSpec; N]) -> SupervisorSpec {
    children.into_iter().fold(spec, SupervisorSpec::child)
}

/// INT-001, INT-002, INT-006, T43: the siblings are stopped in reverse order, and the reason
/// contains the child, the budget and the last end.
#[tokio::test(start_paused = true)]
async fn exceeding_the_intensity_stops_all_children_in_reverse_order() {
    for restarts in [0, 2] {
        let mut t = ScriptedChildren::new();
        let spec = Supervisor::one_for_one().intensity(restarts, HOUR);
        let tree = over(spec, t.children(["a", "b", "c"])).start(&t.rt).await.unwrap();
        t.reports().await;
        for _ in 0..restarts {
            t.crash("b");
            assert_eq!(t.reports().await, ["b stops: boom", "b starts"]);
        }
        let ended = tree.ended();
        t.crash("b");
        let reason = ended.await;
        assert_eq!(t.reports().await, ["b stops: boom", "c stops: shutdown", "a stops: shutdown"]);
        let RestartLimitReached { child, restarts: told, period, last, .. } = limit(&reason);
        assert_eq!((child.as_str(), *told, *period, last), ("b", restarts, HOUR, &crash("boom")));
        assert!(!reason.is_clean());
        assert_eq!(t.rt.leftovers(), Leftovers::default());
    }
}

/// INT-003: a restart counts until it is exactly one period old.
#[tokio::test(start_paused = true)]
async fn the_intensity_window_slides() {
    let t = ScriptedChildren::new();
    let spec = Supervisor::one_for_one().intensity(1, ms(1_000)).child(t.child("a"));
    let tree = spec.start(&t.rt).await.unwrap();
    for _ in 0..4 {
        t.crash("a");
        sleep(ms(2_100)).await;
        assert_eq!(states(&tree).await, ["a runs"]);
    }
    t.crash("a");
    settled().await;
    let second = Instant::now() + ms(998);
    tokio::time::sleep_until(second).await;
    let ended = tree.ended();
    t.crash("a");
    assert_eq!(limit(&ended.await).restarts, 1);
}

/// T54: no period is too long for the supervisor.
#[tokio::test(start_paused = true)]
async fn an_intensity_period_of_max_covers_the_whole_lifetime() {
    let t = ScriptedChildren::new();
    let spec = Supervisor::one_for_one().intensity(1, Duration::MAX).child(t.child("a"));
    let tree = spec.start(&t.rt).await.unwrap();
    t.crash("a");
    sleep(365 * 24 * HOUR).await;
    let ended = tree.ended();
    t.crash("a");
    assert_eq!(limit(&ended.await).period, Duration::MAX);
}

/// INT-008, T33: a supervisor that gives up ends with a failure. So its parent restarts even a
/// transient one, and gives up itself when its own budget is used up.
#[tokio::test(start_paused = true)]
async fn giving_up_escalates_to_the_parent_supervisor() {
    let t = ScriptedChildren::new();
    let inner = Supervisor::one_for_one().named("inner").intensity(0, HOUR).child(t.child("a"));
    let inner = ChildSpec::from(inner).restart(Restart::Transient);
    let top = Supervisor::one_for_one().intensity(1, HOUR).child(inner);
    let tree = top.start(&t.rt).await.unwrap();
    let ended = tree.ended();
    t.crash("a");
    settled().await;
    assert_eq!(states(&tree).await, ["inner runs"]);
    t.crash("a");
    let reason = ended.await;
    assert_eq!(limit(&reason).child, "inner");
    assert_eq!(limit(&limit(&reason).last).child, "a");
    assert_eq!(limit(&limit(&reason).last).last, crash("boom"));
}

/// INT-010.
#[tokio::test(start_paused = true)]
async fn only_restarts_count_against_the_intensity() {
    let t = ScriptedChildren::new();
    let spec = Supervisor::one_for_one().intensity(0, HOUR);
    let tree = spec.child(t.child("t").restart(Restart::Transient)).start(&t.rt).await.unwrap();
    for _ in 0..10 {
        let temporary = t.child("x").restart(Restart::Temporary);
        tree.start_child(temporary).await.unwrap();
        t.crash("x");
        t.end("t", ExitReason::Normal);
        settled().await;
        tree.restart_child("t").await.unwrap();
        tree.terminate_child("t").await.unwrap();
        tree.delete_child("t").await.unwrap();
        tree.start_child(t.child("t").restart(Restart::Transient)).await.unwrap();
    }
    assert_eq!(states(&tree).await, ["t runs"]);
}

/// INT-011.
#[tokio::test(start_paused = true)]
async fn normal_exits_of_a_permanent_child_count_against_the_intensity() {
    let t = ScriptedChildren::new();
    let tree = Supervisor::one_for_one().child(t.child("a")).start(&t.rt).await.unwrap();
    let ended = tree.ended();
    for _ in 0..4 {
        t.end("a", ExitReason::Normal);
        settled().await;
    }
    let reason = ended.await;
    assert_eq!((limit(&reason).restarts, &limit(&reason).last), (3, &ExitReason::Normal));
}

/// T38: under one_for_one, each of the children that end together counts as a restart.
#[tokio::test(start_paused = true)]
async fn all_children_share_one_restart_budget() {
    let t = ScriptedChildren::new();
    let spec = Supervisor::one_for_one().intensity(2, HOUR);
    let tree = over(spec, t.children(["a", "b", "c"])).start(&t.rt).await.unwrap();
    let ended = tree.ended();
    for id in ["a", "b", "c"] {
        t.crash(id);
    }
    assert_eq!(limit(&ended.await).child, "c");
}

/// Returns the counts of each id: the number of children and of restarts.
fn counts(limit: &RestartLimitReached) -> Vec<(&str, u32, u32)> {
    let count = |count: &regrow::RestartCount| (count.children, count.restarts);
    let counts = limit.counts.iter().map(|each| (each.child.as_str(), count(each)));
    counts.map(|(child, (children, restarts))| (child, children, restarts)).collect()
}

/// Four children end once each. The ends count together, and exceed the default budget of three
/// restarts.
#[tokio::test(start_paused = true)]
async fn restart_limit_reached_lists_the_restarts_per_child() {
    let t = ScriptedChildren::new();
    let ids = ["a", "b", "c", "d"];
    let tree = over(Supervisor::one_for_one(), t.children(ids)).start(&t.rt).await.unwrap();
    let ended = tree.ended();
    ids.iter().for_each(|id| t.crash(id));
    let reason = ended.await;
    let limit = limit(&reason);
    assert_eq!(counts(limit), ids.map(|id| (id, 1, 1)));
    assert_eq!((limit.child.as_str(), limit.restarts, &limit.last), ("d", 3, &crash("boom")));
    assert_eq!(
        limit.to_string(),
        "more than 3 restarts within 5s: 1 of \"a\", 1 of \"b\", 1 of \"c\", 1 of \"d\"; \
         the last end was that of child \"d\": boom"
    );
    assert!(reason.to_string().contains(&limit.to_string()));
}

/// Restarts that are older than the period are not listed, failed starts are, and the highest count
/// comes first.
#[tokio::test(start_paused = true)]
async fn only_restarts_within_the_window_are_listed() {
    let t = ScriptedChildren::new();
    let spec = Supervisor::one_for_one().intensity(3, HOUR);
    let tree = over(spec, t.children(["a", "b", "c"])).start(&t.rt).await.unwrap();
    t.crash("a");
    sleep(HOUR).await;
    let ended = tree.ended();
    t.crash("b");
    settled().await;
    t.next_starts("c", [Start::Fails; 2]);
    t.crash("c");
    let reason = ended.await;
    assert_eq!(counts(limit(&reason)), [("c", 1, 3), ("b", 1, 1)]);
    assert_eq!(limit(&reason).last, crash("c has no luck"));
}

/// Children of a dynamic supervisor may share an id. The reason then contains the number of these
/// children.
#[tokio::test(start_paused = true)]
async fn a_dynamic_supervisor_that_gives_up_lists_children_and_restarts_per_id() {
    let rt = Runtime::new();
    let jobs = DynamicSupervisor::new().start(&rt).await.unwrap();
    let ended = jobs.ended();
    for id in ["job", "job", "other", "job"] {
        let pid = jobs.start_child(ChildSpec::task(id, |_| pending())).await.unwrap();
        rt.kill(pid);
    }
    let reason = ended.await;
    assert_eq!(counts(limit(&reason)), [("job", 3, 3), ("other", 1, 1)]);
    let text = limit(&reason).to_string();
    assert!(text.contains(": 3 of 3 children \"job\", 1 of \"other\"; "), "{text}");
}

/// The text is bounded for any number of children and any length of their ids.
#[tokio::test(start_paused = true)]
async fn the_text_of_restart_limit_reached_is_bounded() {
    let rt = Runtime::new();
    let spec = Supervisor::one_for_one().intensity(19, HOUR);
    let long = |at: u32| format!("{at}\n{}", "ä".repeat(100_000));
    let child = |at| ChildSpec::task(long(at), |_| pending());
    let tree = (0..20).map(child).fold(spec, SupervisorSpec::child).start(&rt).await.unwrap();
    let ended = tree.ended();
    for child in tree.which_children().await.unwrap() {
        rt.kill(child.pid().unwrap());
    }
    let reason = ended.await;
    let limit = limit(&reason);
    assert_eq!((limit.counts.len(), limit.uncounted), (8, 12));
    assert_eq!((limit.child.len(), &limit.last), (long(10).len(), &ExitReason::Killed));
    let text = limit.to_string();
    assert!(text.chars().count() < 1_000 && !text.contains('\n'), "{text}");
    assert!(text.contains(", 12 of others; the last end was that of child \"19\\n"), "{text}");
}

/// The error is the source of the reason, and is displayed once in the whole chain.
#[tokio::test(start_paused = true)]
async fn the_error_of_the_last_child_is_the_source_of_restart_limit_reached() {
    let rt = Runtime::new();
    let full = || Err(std::io::Error::other("disk full"))?;
    let inner = Supervisor::one_for_one().with_id("inner").intensity(0, HOUR);
    let inner = inner.child(ChildSpec::task("log", move |_| async move { full() }));
    let tree = Supervisor::one_for_one().intensity(1, HOUR).child(inner);
    let reason = tree.start(&rt).await.unwrap().ended().await;
    let outer = limit(&reason);
    let text = outer.to_string();
    assert!(text.starts_with("more than 1 restart within 3600s: 2 of \"inner\"; "), "{text}");
    let inner = std::error::Error::source(outer).unwrap();
    assert!(!text.contains(&inner.to_string()), "{text}");
    assert_eq!(std::error::Error::source(inner).unwrap().to_string(), "disk full");
    let story = format!("{reason:#}");
    assert_eq!(story.matches("disk full").count(), 1, "{story}");
    assert_eq!(story.matches("of child \"log\"").count(), 1, "{story}");
}

/// Only `unlimited_restarts` makes a budget unlimited.
#[tokio::test(start_paused = true)]
async fn unlimited_restarts_never_give_up() {
    let mut t = ScriptedChildren::new();
    let spec = Supervisor::one_for_one().unlimited_restarts().child(t.child("a"));
    let tree = spec.start(&t.rt).await.unwrap();
    t.next_starts("a", [Start::Fails; 1_000]);
    t.crash("a");
    let told = t.reports().await;
    assert_eq!(told.iter().filter(|line| *line == "a fails").count(), 1_000);
    assert_eq!(told.last().unwrap(), "a starts");
    assert_eq!(tree.which_child("a").await.unwrap().restarts, 1_001);
    tree.stop().await.unwrap();
}
