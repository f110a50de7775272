//! Every number that a lint prints matches the behaviour of the running tree.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use regrow::{
    Backoff, ChildSpec, Exhausted, ExitReason, Finding, Restart, Runtime, Shutdown, Supervisor,
    SupervisorSpec,
};
use tokio::time::{Instant, sleep};

const SECOND: Duration = Duration::from_secs(1);

/// Counts the starts of one child that always fails at once.
#[derive(Clone, Default)]
struct Starts(Arc<AtomicU64>);

impl Starts {
    fn child(&self, id: &str) -> ChildSpec {
        let starts = self.clone();
        ChildSpec::task(id, move |_| async move {
            starts.0.fetch_add(1, Ordering::SeqCst);
            Err(ExitReason::crashed("no luck"))
        })
    }

    fn count(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

/// Returns a child that uses its whole shutdown time when it is asked to stop.
fn slow(id: &str) -> ChildSpec {
    ChildSpec::task(id, |mut ctx| async move {
        ctx.cancellation_token();
        std::future::pending().await
    })
}

fn idle(id: &str) -> ChildSpec {
    ChildSpec::task(id, |_| std::future::pending())
}

async fn starts_until_its_end(spec: SupervisorSpec, starts: &Starts) -> u64 {
    let tree = spec.start(&Runtime::new()).await.unwrap();
    tree.ended().await;
    starts.count()
}

/// Without a backoff, the number is the product of the starts that each level allows.
#[tokio::test(start_paused = true)]
async fn most_starts_equals_the_starts_that_the_budgets_allow() {
    let inner = |child| Supervisor::one_for_one().with_id("inner").child(child);
    let three = |child| Supervisor::rest_for_one().intensity(2, SECOND).child(inner(child));
    for (most, tree) in [
        (4, &(|child| Supervisor::one_for_one().child(child)) as &dyn Fn(_) -> SupervisorSpec),
        (1, &|child| Supervisor::one_for_all().intensity(0, SECOND).child(child)),
        (16, &|child| Supervisor::one_for_one().child(inner(child))),
        (48, &|child| Supervisor::one_for_one().child(three(child).with_id("middle"))),
        (4, &|child| Supervisor::one_for_all().child(idle("other")).child(child)),
    ] {
        let starts = Starts::default();
        let spec = tree(starts.child("failing"));
        assert_eq!(spec.lint().most_starts, Some(most));
        assert_eq!(starts_until_its_end(spec, &starts).await, most);
    }
}

/// A child with a budget of its own is started as often as that budget allows, and restarts of its
/// group that it causes count for the others.
#[tokio::test(start_paused = true)]
async fn most_starts_with_an_own_budget_equals_the_starts_that_it_allows() {
    let own = |child: ChildSpec| child.restart_budget(6, SECOND, Exhausted::Escalate);
    let starts = Starts::default();
    let spec = Supervisor::one_for_one().child(own(starts.child("failing")));
    assert_eq!(spec.lint().most_starts, Some(7));
    assert_eq!(starts_until_its_end(spec, &starts).await, 7);

    let counted = Starts::default();
    let other = counted.clone();
    let other = ChildSpec::task("other", move |_| async move {
        other.0.fetch_add(1, Ordering::SeqCst);
        std::future::pending().await
    });
    let spec = Supervisor::one_for_all().intensity(0, SECOND).child(other);
    let spec = spec.child(own(Starts::default().child("failing")));
    assert_eq!(spec.lint().most_starts, Some(7));
    assert_eq!(starts_until_its_end(spec, &counted).await, 7);

    // A child that is given up and started again by hand starts anew; a lint counts no requests.
    let spec = Supervisor::one_for_one().unlimited_restarts().child(own(idle("a")));
    assert_eq!(spec.lint().most_starts, Some(7));
    let burst = own(idle("a")).restart_budget(200, SECOND, Exhausted::GiveUp);
    let lint = Supervisor::one_for_one().child(burst).lint();
    assert!(matches!(&lint.findings[..], [Finding::ManyStarts { starts: Some(201), .. }]));
}

/// With a backoff, the number is that of the starts that fit into the time without a healthy run.
/// In a group, the restarts that a sibling causes are added.
#[tokio::test(start_paused = true)]
async fn most_starts_with_backoff_equals_the_starts_within_the_give_up_time() {
    let exact = Backoff::new().jitter(0.0);
    let short = Backoff::new().first(SECOND / 5).give_up_after(100 * SECOND).jitter(0.0);
    for backoff in [exact, short, exact.give_up_after(31 * SECOND)] {
        let starts = Starts::default();
        let spec = Supervisor::one_for_one().backoff(backoff).child(starts.child("failing"));
        let most = spec.lint().most_starts.unwrap();
        assert_eq!(starts_until_its_end(spec, &starts).await, most, "{backoff:?}");
    }
    // With jitter the number is an upper limit, because most of the drawn delays are longer than
    // the shortest possible ones.
    for seed in 0..20 {
        let starts = Starts::default();
        let spec = Supervisor::one_for_one().backoff(Backoff::new()).jitter_seed(seed);
        let spec = spec.child(starts.child("failing"));
        let most = spec.lint().most_starts.unwrap();
        let counted = starts_until_its_end(spec, &starts).await;
        assert!(counted <= most && counted > most / 2, "{counted} of {most}");
    }
}

/// Unlimited restarts with a backoff, which the book recommends, are no finding. The lint then
/// gives no largest number of starts.
#[test]
fn unlimited_restarts_with_a_backoff_are_not_a_lint_finding() {
    let failing = || Starts::default().child("failing");
    let spec = Supervisor::one_for_one().unlimited_restarts().backoff(Backoff::new());
    let lint = spec.child(failing()).lint();
    assert_eq!((lint.most_starts, &lint.findings[..]), (None, &[][..]));

    let child = failing().backoff(Backoff::new());
    let lint = Supervisor::one_for_one().unlimited_restarts().child(child).lint();
    assert_eq!((lint.most_starts, &lint.findings[..]), (None, &[][..]));

    // The nested supervisor restarts its child without a delay until its own budget is used up. The
    // backoff above then delays its restart.
    let inner = Supervisor::one_for_one().with_id("inner").child(failing());
    let spec = Supervisor::one_for_one().unlimited_restarts().backoff(Backoff::new());
    assert_eq!(spec.child(inner).lint().findings, []);

    // A child without a backoff is restarted without a delay, even if its supervisor sets a backoff
    // for all others.
    let spec = Supervisor::one_for_one().unlimited_restarts().backoff(Backoff::new());
    let lint = spec.with_id("app").child(failing().backoff(Backoff::none())).lint();
    let path = "app/failing".to_owned();
    assert_eq!(lint.findings, [Finding::ManyStarts { path, starts: None }]);
}

/// A group restart does not start a temporary child again. A temporary supervisor does not delay
/// the restarts below it, and neither does a backoff above a large budget.
#[tokio::test(start_paused = true)]
async fn lint_finds_restarts_without_a_delay_at_any_level() {
    let starts = Starts::default();
    let inner = Supervisor::one_for_one().with_id("inner").child(starts.child("failing"));
    let inner = ChildSpec::from(inner).restart(Restart::Temporary);
    let spec = Supervisor::one_for_all().child(inner).child(idle("worker"));
    assert_eq!(spec.lint().most_starts, Some(4));
    let tree = spec.start(&Runtime::new()).await.unwrap();
    sleep(100 * SECOND).await;
    assert_eq!((starts.count(), tree.count_children().await.unwrap().specs), (4, 1));

    let endless = Supervisor::one_for_one().with_id("inner").unlimited_restarts();
    let endless = ChildSpec::from(endless.child(starts.child("failing")));
    let lint = Supervisor::one_for_one().with_id("app").child(endless.restart(Restart::Temporary));
    let path = "app/inner/failing".to_owned();
    assert_eq!(lint.lint().findings, [Finding::ManyStarts { path: path.clone(), starts: None }]);

    let many = Supervisor::one_for_one().with_id("inner").intensity(10_000, SECOND);
    let many = ChildSpec::from(many.child(starts.child("failing"))).backoff(Backoff::new());
    let lint = Supervisor::one_for_one().with_id("app").child(many).lint();
    assert_eq!(lint.findings, [Finding::ManyStarts { path, starts: Some(10_001) }]);
}

/// While one child waits for its delay, the restarts of another child of its group leave the
/// window.
#[tokio::test(start_paused = true)]
async fn a_mixed_group_with_and_without_backoff_stays_below_most_starts() {
    let (one, other) = (Starts::default(), Starts::default());
    let backoff = Backoff::new().jitter(0.0).give_up_after(100 * SECOND);
    let spec = Supervisor::one_for_all().child(one.child("one"));
    let spec = spec.child(other.child("other").backoff(backoff));
    let most = spec.lint().most_starts.unwrap();
    assert!(starts_until_its_end(spec, &one).await <= most);
    assert!(other.count() <= most);
}

/// A stop takes longer than the period, so the budget is never used up: the child starts 720 times
/// an hour, not 4 times.
#[tokio::test(start_paused = true)]
async fn a_stop_slower_than_the_intensity_window_is_a_lint_finding() {
    let starts = Starts::default();
    let patient = slow("patient").shutdown(Shutdown::Timeout(5 * SECOND));
    let spec = Supervisor::one_for_all().with_id("app").child(patient);
    let spec = spec.child(starts.child("failing"));
    let lint = spec.lint();
    let (takes, restarts, period) = (5 * SECOND, 3, 5 * SECOND);
    let slow_stop = Finding::SlowStop { path: "app".into(), takes, restarts, period };
    assert_eq!(lint.findings, [slow_stop], "{lint}");
    assert_eq!(lint.most_starts, None);
    let tree = spec.start(&Runtime::new()).await.unwrap();
    sleep(3_600 * SECOND).await;
    assert!(starts.count() >= 719, "{}", starts.count());
    assert!(tree.count_children().await.is_ok());
}

/// A stop just fast enough and one just too slow for the window. The slow child is a sibling in the
/// group, or a child that a supervisor must stop when it gives up.
#[tokio::test(start_paused = true)]
async fn the_slow_stop_threshold_is_exact() {
    let group = |stop: Duration, failing| {
        let patient = slow("patient").shutdown(Shutdown::Timeout(stop));
        Supervisor::one_for_all().intensity(2, 10 * SECOND).child(patient).child(failing)
    };
    let nested = |stop: Duration, failing: ChildSpec| {
        let patient = slow("patient").shutdown(Shutdown::Timeout(stop));
        let none = Supervisor::one_for_one().intensity(0, SECOND).child(patient).child(failing);
        Supervisor::one_for_one().intensity(2, 10 * SECOND).child(none.with_id("inner"))
    };
    let shapes: [&dyn Fn(Duration, ChildSpec) -> SupervisorSpec; 2] = [&group, &nested];
    for tree in shapes {
        for (stop, most) in [(SECOND * 49 / 10, Some(3)), (5 * SECOND, None)] {
            let starts = Starts::default();
            let spec = tree(stop, starts.child("failing"));
            assert_eq!(spec.lint().most_starts, most, "{stop:?}");
            let tree = spec.start(&Runtime::new()).await.unwrap();
            sleep(1_000 * SECOND).await;
            assert_eq!(tree.count_children().await.is_err(), most.is_some(), "{stop:?}");
            assert!(most.is_none_or(|most| most == starts.count()) && starts.count() >= 3);
        }
    }
}

/// The worst stop is the time of a stop in which every child uses its whole shutdown time.
#[tokio::test(start_paused = true)]
async fn worst_stop_equals_the_duration_of_the_slowest_stop() {
    let two = |a, b| {
        let first = slow("first").shutdown(Shutdown::Timeout(a * SECOND));
        Supervisor::one_for_one().child(first).child(slow("second").shutdown(b))
    };
    let hurried = ChildSpec::from(two(20, Shutdown::BrutalKill).with_id("hurried"));
    for spec in [
        two(1, Shutdown::default()),
        two(3, Shutdown::BrutalKill),
        two(2, Shutdown::Timeout(SECOND)).child(two(7, Shutdown::default()).with_id("inner")),
        two(2, Shutdown::BrutalKill).child(hurried.shutdown(Shutdown::Timeout(4 * SECOND))),
        two(0, Shutdown::BrutalKill).child(slow("third").restart(Restart::Temporary)),
    ] {
        let worst = spec.lint().worst_stop.unwrap();
        let tree = spec.start(&Runtime::new()).await.unwrap();
        tokio::task::yield_now().await;
        let began = Instant::now();
        sleep(Duration::from_millis(1)).await;
        let ended = tree.ended();
        tree.stop().await.unwrap();
        ended.await;
        let took = began.elapsed();
        assert!((worst..worst + Duration::from_millis(50)).contains(&took), "{took:?} {worst:?}");
    }
}
