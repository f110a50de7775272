//! Workers that do not prove usable, and the pauses before they are replaced.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use regrow::{
    ExitReason, FailurePolicy, GenServer, Pool, PoolError, PoolRef, Restart, Result, Runtime,
    ServerContext,
};

use super::{Connection, SECOND, Site, counts, number, pool_of};
use crate::support::settled;

/// A worker that ends soon after its `init`, as the first of them do.
struct Brief;

struct Plan {
    /// The number of starts that have such an end.
    brief: usize,
    reason: fn() -> ExitReason,
    /// How long such a worker lives. With `None` it ends before its start has returned.
    lifetime: Option<Duration>,
    starts: AtomicUsize,
}

impl Plan {
    fn new(brief: usize, reason: fn() -> ExitReason) -> Arc<Self> {
        Self::living(None, brief, reason)
    }

    fn living(lifetime: Option<Duration>, brief: usize, reason: fn() -> ExitReason) -> Arc<Self> {
        Arc::new(Plan { brief, reason, lifetime, starts: AtomicUsize::new(0) })
    }

    fn pool(self: &Arc<Self>) -> Pool<Brief> {
        let plan = self.clone();
        Pool::new("pool", move || plan.clone()).size(1).intensity(1_000_000, SECOND)
    }
}

impl GenServer for Brief {
    type Args = Arc<Plan>;
    type Call = ();
    type Cast = ExitReason;

    async fn init(plan: Arc<Plan>, ctx: &mut ServerContext<Self>) -> Result<Self> {
        if plan.starts.fetch_add(1, Ordering::SeqCst) < plan.brief {
            match plan.lifetime {
                None => ctx.continue_with((plan.reason)()),
                Some(lifetime) => drop(ctx.cast_after(lifetime, (plan.reason)())),
            }
        }
        Ok(Brief)
    }

    async fn handle_call(&mut self, (): (), _: &mut ServerContext<Self>) -> Result {
        Ok(())
    }

    async fn handle_cast(&mut self, reason: ExitReason, _: &mut ServerContext<Self>) -> Result {
        Err(reason)
    }
}

/// The number of starts within ten seconds, in which one client after the other wants a worker.
async fn starts_in_ten_seconds(pool: &PoolRef<Brief>, plan: &Plan) -> usize {
    let before = plan.starts.load(Ordering::SeqCst);
    let clients = async {
        loop {
            let _ = pool.checkout_within(SECOND).await.map(drop);
        }
    };
    let _ = tokio::time::timeout(10 * SECOND, clients).await;
    plan.starts.load(Ordering::SeqCst) - before
}

/// The supervisor knows a child by its first process and by its last one. The pool has seen neither
/// here: the first process ended before its start had returned, and the second one is not the last.
#[tokio::test(start_paused = true)]
async fn a_worker_whose_first_process_ended_at_once_can_be_discarded() {
    let rt = Runtime::new();
    let plan = Plan::new(1, || ExitReason::crashed("just after the init"));
    let pool = plan.pool().start(&rt).await.unwrap();
    let second = pool.checkout().await.unwrap();
    second.cast(ExitReason::crashed("while it is lent"));
    settled().await;
    drop(second);
    assert_eq!(plan.starts.load(Ordering::SeqCst), 3);
    pool.checkout().await.unwrap().discard();
    drop(pool.checkout().await.unwrap());
    assert_eq!(plan.starts.load(Ordering::SeqCst), 4);
    assert_eq!(pool.status().await.unwrap().stopping, 0);
}

/// Each of these workers counts as ready before it ends: idle, or in the hands of its first client.
#[tokio::test(start_paused = true)]
async fn workers_that_end_before_they_were_returned_are_started_after_growing_pauses() {
    for are_lent in [false, true] {
        let rt = Runtime::new();
        let lifetime = Some(Duration::from_millis(1));
        let plan = Plan::living(lifetime, usize::MAX, || ExitReason::Normal);
        let pool = plan.pool().worker(|worker| worker.restart(Restart::Transient));
        let pool = pool.start(&rt).await.unwrap();
        let clients = async {
            loop {
                if !are_lent {
                    settled().await;
                } else if let Ok(checkout) = pool.checkout_within(SECOND).await {
                    checkout.ended().await;
                }
            }
        };
        let _ = tokio::time::timeout(10 * SECOND, clients).await;
        let starts = plan.starts.load(Ordering::SeqCst);
        assert!((5..40).contains(&starts), "{are_lent}: {starts} starts in ten seconds");
    }
}

#[tokio::test(start_paused = true)]
async fn workers_that_all_fail_their_check_are_started_after_growing_pauses() {
    let (rt, site) = (Runtime::new(), Arc::new(Site::default()));
    let pool = pool_of(&site).size(2).check_on_checkout(|_| async { false });
    let pool = pool.start(&rt).await.unwrap();
    let checkouts = (0..4).map(|_| pool.checkout_within(10 * SECOND));
    for error in futures_util::future::join_all(checkouts).await {
        assert!(matches!(error, Err(PoolError::Timeout { .. })), "{error:?}");
    }
    let starts = site.starts.load(Ordering::SeqCst);
    assert!((10..40).contains(&starts), "{starts} starts in ten seconds");
}

#[tokio::test(start_paused = true)]
async fn workers_that_end_just_after_their_init_are_started_after_growing_pauses() {
    let rt = Runtime::new();
    let transient = Plan::new(usize::MAX, || ExitReason::Normal);
    let pool = transient.pool().worker(|worker| worker.restart(Restart::Transient));
    let pool = pool.lazy().start(&rt).await.unwrap();
    let starts = starts_in_ten_seconds(&pool, &transient).await;
    assert!((5..40).contains(&starts), "{starts} starts in ten seconds");
    pool.stop().await.unwrap();

    let stopped = Plan::new(usize::MAX, || ExitReason::crashed("just after the init"));
    let pool = stopped.pool().worker(|worker| worker.on_failure(|_| FailurePolicy::Stop));
    let pool = pool.lazy().start(&rt).await.unwrap();
    let starts = starts_in_ten_seconds(&pool, &stopped).await;
    assert!((5..40).contains(&starts), "{starts} starts in ten seconds");
}

#[tokio::test(start_paused = true)]
async fn starts_that_fail_together_cause_one_pause() {
    let (rt, site) = (Runtime::new(), Arc::new(Site::default()));
    let pool = pool_of(&site).size(10).lazy().start(&rt).await.unwrap();
    site.is_down.store(true, Ordering::SeqCst);
    let site_is_up = async {
        tokio::time::sleep(Duration::from_millis(5)).await;
        site.is_down.store(false, Ordering::SeqCst);
    };
    let checkouts = (0..10).map(|_| pool.checkout_within(Duration::from_millis(50)));
    let (checkouts, ()) = tokio::join!(futures_util::future::join_all(checkouts), site_is_up);
    assert!(checkouts.iter().all(|checkout| checkout.is_ok()), "{checkouts:?}");
    assert_eq!(counts(&pool).await, [0, 10, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_is_returned_ends_the_growth_of_the_pauses() {
    let (rt, site) = (Runtime::new(), Arc::new(Site::default()));
    let pool = pool_of(&site).size(1).start(&rt).await.unwrap();
    for _ in 0..8 {
        pool.checkout().await.unwrap().discard();
    }
    drop(pool.checkout().await.unwrap());
    pool.checkout().await.unwrap().discard(); // returned before, so no failure
    pool.checkout_within(Duration::from_millis(5)).await.unwrap().discard();
    let next: regrow::Checkout<Connection> =
        pool.checkout_within(Duration::from_millis(20)).await.unwrap();
    assert_eq!(number(&next).await, 11);
}
