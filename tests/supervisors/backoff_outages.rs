//! A backoff survives an outage for any number of children. A child that never recovers is given up
//! after a time limit. Fixed and dynamic supervisors make the same decisions.

use crate::support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use regrow::{
    Backoff, ChildSpec, ChildState, DynamicSupervisor, Exhausted, ExitReason, Leftovers, Limit,
    RestartLimitReached, Runtime, Supervisor,
};
use support::scripted_children::limit;
use support::settled;
use tokio::time::{Instant, sleep};

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Returns a child that fails at once while the outage lasts, and runs afterwards.
fn needs_the_service(id: String, over: Instant) -> ChildSpec {
    ChildSpec::task(id, move |_| async move {
        match Instant::now() < over {
            true => Err(ExitReason::crashed("connection refused")),
            false => std::future::pending().await,
        }
    })
}

/// Draws a number of a range by a seed, so that a failing seed can be run alone.
fn drawn(seed: u64, salt: u64, range: std::ops::Range<u64>) -> u64 {
    let mixed = (seed ^ (salt << 32)).wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    range.start
        + ((mixed ^ (mixed >> 31)).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 33)
            % (range.end - range.start)
}

/// Checks that every child of both kinds of supervisors runs after the outage, and that no
/// supervisor gave up.
async fn survives(seed: u64, children: u64, outage: Duration, backoff: Backoff) {
    let rt = Runtime::new();
    let over = Instant::now() + outage;
    let child = |n| needs_the_service(format!("child {n}"), over);
    let what = format!("seed {seed}, {children} children, {outage:?}, {backoff:?}");
    let states: Vec<ChildState> = if seed.is_multiple_of(2) {
        let spec = Supervisor::one_for_one().backoff(backoff).jitter_seed(seed);
        let tree = (0..children).map(child).fold(spec, |spec, child| spec.child(child));
        let tree = tree.start(&rt).await.unwrap();
        sleep(outage + seconds(31)).await;
        let children = tree.which_children().await.expect(&what);
        tree.stop().await.unwrap();
        children.iter().map(|child| child.state).collect()
    } else {
        let pool = DynamicSupervisor::new().backoff(backoff).jitter_seed(seed);
        let pool = pool.start(&rt).await.unwrap();
        for n in 0..children {
            pool.start_child(child(n)).await.unwrap();
        }
        sleep(outage + seconds(31)).await;
        let children = pool.which_children().await.expect(&what);
        pool.stop().await.unwrap();
        children.iter().map(|child| child.state).collect()
    };
    assert_eq!(states.len() as u64, children, "{what}");
    assert!(
        states.iter().all(|state| matches!(state, ChildState::Running(_))),
        "{what}: {states:?}"
    );
}

/// Returns the number of seeds, which is larger in a proof of full size.
fn seeds() -> u64 {
    if std::env::var("REGROW_PROOF").is_ok_and(|size| size == "full") { 1_000 } else { 40 }
}

#[tokio::test(start_paused = true)]
async fn one_to_twenty_children_with_backoff_survive_a_ten_minute_outage() {
    for seed in 0..seeds() {
        let outage = Duration::from_millis(drawn(seed, 1, 1..600_001));
        survives(seed, drawn(seed, 2, 1..21), outage, Backoff::new()).await;
    }
}

/// When delayed restarts still counted against the budget, two children gave up after two seconds,
/// and five after less than one.
#[tokio::test(start_paused = true)]
async fn short_first_delays_do_not_exhaust_the_budget_of_twenty_children() {
    for seed in 0..seeds() {
        let first = Duration::from_millis(drawn(seed, 3, 1..1_000));
        let backoff = Backoff::new().first(first).jitter(drawn(seed, 4, 0..101) as f64 / 100.0);
        survives(seed, 20, seconds(drawn(seed, 5, 1..60)), backoff).await;
    }
}

/// A child that has no healthy run within 15 minutes ends its supervisor, and the reason says so. A
/// healthy sibling does not prevent this; a healthy run of the child does.
#[tokio::test(start_paused = true)]
async fn a_child_without_a_healthy_run_ends_its_supervisor_with_no_healthy_run() {
    let (rt, begin) = (Runtime::new(), Instant::now());
    let spec = Supervisor::one_for_one().backoff(Backoff::new());
    let spec = spec.child(ChildSpec::task("healthy", |_| std::future::pending()));
    let tree = spec.child(needs_the_service("lost".into(), begin + seconds(1 << 20)));
    let tree = tree.start(&rt).await.unwrap();
    let reason = tree.ended().await;
    let RestartLimitReached { child, limit: which, restarts, period, .. } = limit(&reason);
    assert_eq!((child.as_str(), *which, *period), ("lost", Limit::NoHealthyRun, seconds(15 * 60)));
    assert!((30..70).contains(restarts), "{restarts}");
    assert!((seconds(900)..seconds(931)).contains(&begin.elapsed()), "{:?}", begin.elapsed());
    let text = reason.to_string();
    assert!(text.contains("\"lost\" had no healthy run for 900s"), "{text}");
    assert_eq!(rt.leftovers(), Leftovers::default());
}

/// Thirty runs of 30 s, healthy by the default, together exceed 15 minutes and do not end the
/// supervisor. Runs that are one second shorter do.
#[tokio::test(start_paused = true)]
async fn one_healthy_run_resets_the_give_up_time() {
    for (run, gives_up) in [(29, true), (30, false)] {
        let rt = Runtime::new();
        let child = ChildSpec::task("feed", move |_| async move {
            sleep(seconds(run)).await;
            Err(ExitReason::crashed("lost"))
        });
        let tree = Supervisor::one_for_one().child(child.backoff(Backoff::new()));
        let tree = tree.start(&rt).await.unwrap();
        sleep(seconds(3_600)).await;
        assert_eq!(tree.count_children().await.is_err(), gives_up, "{run}");
        rt.shutdown();
    }
}

#[tokio::test(start_paused = true)]
async fn give_up_after_and_never_give_up_set_the_give_up_time() {
    let (rt, begin) = (Runtime::new(), Instant::now());
    let lost = |backoff| {
        let never = begin + seconds(1 << 30);
        Supervisor::one_for_one().child(needs_the_service("lost".into(), never).backoff(backoff))
    };
    let minute = Backoff::new().give_up_after(seconds(60));
    let reason = lost(minute).start(&rt).await.unwrap().ended().await;
    assert_eq!((limit(&reason).limit, limit(&reason).period), (Limit::NoHealthyRun, seconds(60)));
    assert!(begin.elapsed() < seconds(91), "{:?}", begin.elapsed());

    let tree = lost(Backoff::new().never_give_up()).start(&rt).await.unwrap();
    sleep(seconds(24 * 3_600)).await;
    let child = tree.which_child("lost").await.unwrap();
    assert!(matches!(child.state, ChildState::Restarting { .. }), "{child:?}");

    // A supervisor with unlimited restarts never gives up by default. A time limit that is set
    // applies to it too.
    let tree = lost(Backoff::new()).unlimited_restarts().start(&rt).await.unwrap();
    sleep(seconds(3_600)).await;
    assert!(tree.count_children().await.is_ok());
    let reason = lost(minute).unlimited_restarts().start(&rt).await.unwrap().ended().await;
    assert_eq!(limit(&reason).limit, Limit::NoHealthyRun);
}

/// Delayed restarts use nothing of the budget of children without a backoff.
#[tokio::test(start_paused = true)]
async fn a_delayed_restart_does_not_count_against_the_budget() {
    let (rt, over) = (Runtime::new(), Instant::now() + seconds(100));
    let lost = needs_the_service("lost".into(), over).backoff(Backoff::new().jitter(0.0));
    let sibling = ChildSpec::task("sibling", |_| std::future::pending()).named("sibling");
    let tree = Supervisor::one_for_one().intensity(2, seconds(1_000)).child(lost).child(sibling);
    let tree = tree.start(&rt).await.unwrap();
    sleep(seconds(50)).await;
    assert!(tree.which_child("lost").await.unwrap().restarts > 4);
    for left in [1, 0] {
        rt.kill(rt.whereis("sibling").unwrap());
        settled().await;
        let regrow::NodeKind::Supervisor { budget: Some(budget), .. } =
            tree.tree().await.unwrap().root.kind
        else {
            panic!()
        };
        assert_eq!(budget.left, left);
    }
    let ended = tree.ended();
    rt.kill(rt.whereis("sibling").unwrap());
    let reason = ended.await;
    let RestartLimitReached { child, limit: which, .. } = limit(&reason);
    assert_eq!((child.as_str(), *which), ("sibling", Limit::Budget));
}

/// A dynamic supervisor whose children have their own budgets gives up only the child that has no
/// healthy run for too long.
#[tokio::test(start_paused = true)]
async fn a_dynamic_child_with_its_own_budget_is_given_up_alone_by_time() {
    let rt = Runtime::new();
    let pool = DynamicSupervisor::new().backoff(Backoff::new());
    let pool = pool.child_intensity(1, seconds(60), Exhausted::GiveUp).start(&rt).await.unwrap();
    let never = Instant::now() + seconds(1 << 20);
    pool.start_child(needs_the_service("lost".into(), never)).await.unwrap();
    pool.start_child(ChildSpec::task("healthy", |_| std::future::pending())).await.unwrap();
    sleep(seconds(890)).await;
    let active = async || pool.count_children().await.unwrap().active;
    let waits = |child: &regrow::ChildInfo| matches!(child.state, ChildState::Restarting { .. });
    assert_eq!(pool.which_children().await.unwrap().iter().filter(|c| waits(c)).count(), 1);
    sleep(seconds(60)).await;
    assert_eq!(pool.which_children().await.unwrap().iter().filter(|c| waits(c)).count(), 0);
    assert_eq!(active().await, 1);
}

/// The times of the starts of a child that always fails, in milliseconds since its supervisor
/// started.
type Starts = Arc<Mutex<Vec<u128>>>;

fn failing(starts: &Starts) -> ChildSpec {
    let (starts, begin) = (starts.clone(), Instant::now());
    ChildSpec::task("failing", move |_| async move {
        starts.lock().unwrap().push(begin.elapsed().as_millis());
        Err(ExitReason::crashed("no luck"))
    })
}

/// Both kinds of supervisors use the same restart state: they start the child at the same times,
/// and end in the same way.
#[tokio::test(start_paused = true)]
async fn fixed_and_dynamic_supervisors_make_the_same_restart_decisions() {
    let backoffs = [
        None,
        Some(Backoff::none()),
        Some(Backoff::new()),
        Some(Backoff::new().first(Duration::from_millis(200)).give_up_after(seconds(120))),
    ];
    for backoff in backoffs {
        for (restarts, period) in [(0, seconds(1)), (3, seconds(5)), (1, seconds(1))] {
            let (fixed, dynamic) = (Starts::default(), Starts::default());
            let tree = Supervisor::one_for_one().intensity(restarts, period).jitter_seed(11);
            let tree = match backoff {
                Some(backoff) => tree.backoff(backoff),
                None => tree,
            };
            let tree = tree.child(failing(&fixed)).start(&Runtime::new()).await.unwrap();
            let one = tree.ended().await;

            let pool = DynamicSupervisor::new().intensity(restarts, period).jitter_seed(11);
            let pool = match backoff {
                Some(backoff) => pool.backoff(backoff),
                None => pool,
            };
            let pool = pool.start(&Runtime::new()).await.unwrap();
            let ended = pool.ended();
            drop(pool.start_child(failing(&dynamic)).await);
            let other = ended.await;

            assert_eq!(limit(&one), limit(&other), "{backoff:?} {restarts} in {period:?}");
            let (fixed, dynamic) = (fixed.lock().unwrap(), dynamic.lock().unwrap());
            // The test clock is exact to the millisecond, and each timer may round up.
            let alike = fixed.iter().zip(&*dynamic).all(|(one, other)| one.abs_diff(*other) <= 5);
            assert!(alike && fixed.len() == dynamic.len(), "{fixed:?} {dynamic:?}");
            if restarts == 0 {
                assert_eq!(fixed[..], [0], "where no restart is allowed, none waits either");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_start_by_hand_resets_the_give_up_time() {
    let (rt, begin) = (Runtime::new(), Instant::now());
    let lost = needs_the_service("lost".into(), begin + seconds(1 << 20));
    let tree =
        Supervisor::one_for_one().child(lost.backoff(Backoff::new())).start(&rt).await.unwrap();
    for _ in 0..3 {
        sleep(seconds(600)).await;
        tree.terminate_child("lost").await.unwrap();
        assert!(tree.restart_child("lost").await.is_ok());
    }
    sleep(seconds(600)).await;
    assert!(tree.count_children().await.is_ok(), "it had forty minutes in all, never fifteen");
}
