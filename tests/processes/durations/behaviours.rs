//! Zero and `Duration::MAX` for the durations of agents, event managers, state machines, limits,
//! pipelines, pools, failure policies, log lines and services.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use futures_util::{StreamExt, stream};
use regrow::{
    Agent, BreakerError, BreakerRules, BreakerState, CallError, CircuitBreaker, DynamicSupervisor,
    Event, EventHandler, EventManager, ExitReason, FailurePolicy, GenServer, HandlerContext,
    HandlerError, MachineContext, Next, Pipeline, Pool, PoolError, RateLimit, Removal, Reply,
    Result, Runtime, StartError, StateMachine, Supervisor, TokenBucket,
};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::time::{Instant, sleep, timeout};

use super::{Cast, Clerk, MAX, MS, SECOND, ZERO, args, same};
use crate::support::settled;

const HOUR: Duration = Duration::from_secs(3_600);

fn is_invalid(error: &StartError) -> bool {
    match error {
        StartError::Invalid(_) => true,
        StartError::Child { error, .. } => is_invalid(error),
        _ => false,
    }
}

#[tokio::test(start_paused = true)]
async fn a_zero_request_to_an_agent_times_out_and_a_max_one_waits_for_ever() {
    let rt = Runtime::new();
    let agent = Agent::start(&rt, || 7).await.unwrap();
    agent.server().suspend().await.unwrap();
    assert_eq!(agent.get_timeout(|n| *n, ZERO).await, Err(CallError::Timeout));
    assert_eq!(agent.update_timeout(|n| *n, ZERO).await, Err(CallError::Timeout));
    assert_eq!(agent.get_waiting(|n| *n, ZERO).await, Err(CallError::Timeout));
    assert_eq!(agent.update_waiting(|n| *n, ZERO).await, Err(CallError::Timeout));
    let resume = async {
        sleep(HOUR).await;
        agent.server().resume().await
    };
    let answers = async {
        tokio::join!(
            agent.get_timeout(|n| *n, MAX),
            agent.update_timeout(|n| *n, MAX),
            agent.get_waiting(|n| *n, MAX),
            agent.update_waiting(|n| *n, MAX),
        )
    };
    let (resumed, answers) = tokio::join!(resume, answers);
    assert_eq!((resumed, answers), (Ok(()), (Ok(7), Ok(7), Ok(7), Ok(7))));

    let ended = agent.ended();
    assert_eq!(agent.stop_timeout(ExitReason::Normal, ZERO).await, Err(CallError::Timeout));
    assert_eq!(ended.await, ExitReason::Normal, "it was asked all the same");
    let other = Agent::start(&rt, || 7).await.unwrap();
    assert_eq!(other.stop_timeout(ExitReason::Normal, MAX).await, Ok(ExitReason::Normal));
}

/// A handler that takes an hour for each event.
struct Slow;

impl EventHandler<()> for Slow {
    type Args = ();
    type Call = Reply<u8>;
    type RemoveArg = ();
    type Output = ();

    async fn init((): (), _: &mut HandlerContext<()>) -> Result<Self> {
        Ok(Slow)
    }

    async fn handle_event(&mut self, (): &(), _: &mut HandlerContext<()>) -> Result {
        sleep(HOUR).await;
        Ok(())
    }

    async fn handle_call(&mut self, call: Reply<u8>, _: &mut HandlerContext<()>) -> Result {
        call.send(7);
        Ok(())
    }

    async fn terminate(self, _: Removal<()>) {}
}

#[tokio::test(start_paused = true)]
async fn a_zero_call_of_an_event_handler_times_out_and_a_max_one_waits_for_ever() {
    let manager = EventManager::start(&Runtime::new(), Default::default()).await.unwrap();
    let slow = manager.add_handler::<Slow>("slow", ()).await.unwrap();
    let late = Err(HandlerError::Manager(CallError::Timeout));
    for (limit, expected) in [(ZERO, late), (MAX, Ok(7))] {
        assert!(manager.notify(()));
        assert_eq!(slow.call_timeout(same, limit).await, expected);
    }
}

/// A machine that sets time-outs on request, and reports those that fire.
struct Clock(UnboundedSender<&'static str>);

type Set = fn(&mut MachineContext<'_, Clock>, Duration);

impl StateMachine for Clock {
    type Args = UnboundedSender<&'static str>;
    type State = ();
    type Call = Reply<u8>;
    type Cast = (Set, Duration);
    type Payload = &'static str;

    async fn init(tell: Self::Args, _: &mut MachineContext<'_, Self>) -> Result<((), Self)> {
        Ok(((), Clock(tell)))
    }

    async fn handle_event(
        &mut self,
        (): &(),
        event: Event<Self>,
        ctx: &mut MachineContext<'_, Self>,
    ) -> Result<Next<()>> {
        match event {
            Event::Call(reply) => reply.send(7),
            Event::Cast((set, after)) => set(ctx, after),
            Event::StateTimeout(word) | Event::EventTimeout(word) | Event::Timeout(_, word) => {
                self.0.send(word)?;
            }
            event => return event.unhandled(&()),
        }
        Ok(Next::Keep)
    }

    fn state_name((): &()) -> &'static str {
        "on"
    }
}

#[tokio::test(start_paused = true)]
async fn a_zero_time_out_of_a_machine_fires_at_once_and_a_max_one_never() {
    let (tell, mut fired) = unbounded_channel();
    let clock = Clock::start(&Runtime::new(), tell).await.unwrap();
    let sets: [(&str, Set); 3] = [
        ("state", |ctx, after| ctx.state_timeout(after, "state")),
        ("event", |ctx, after| ctx.event_timeout(after, "event")),
        ("named", |ctx, after| ctx.timeout("name", after, "named")),
    ];
    for (word, set) in sets {
        let start = Instant::now();
        assert!(clock.cast((set, ZERO)));
        assert_eq!((fired.recv().await, start.elapsed()), (Some(word), ZERO));
        for never in [MAX, MAX - Duration::from_nanos(1)] {
            assert!(clock.cast((set, SECOND)) && clock.cast((set, never)));
            sleep(HOUR).await;
            assert!(fired.try_recv().is_err(), "{word} {never:?}");
        }
        assert_eq!(clock.call(|reply| reply).await, Ok(7));
    }
}

#[tokio::test(start_paused = true)]
async fn a_zero_run_of_a_breaker_only_looks_and_a_max_one_waits_for_ever() {
    let breaker = CircuitBreaker::new("breaker", BreakerRules::new());
    let hour = || async {
        sleep(HOUR).await;
        Ok::<u8, ()>(7)
    };
    assert_eq!(breaker.run_within(ZERO, async { Ok::<u8, ()>(7) }).await, Ok(7));
    assert_eq!(breaker.run_within(ZERO, hour()).await, Err(BreakerError::Timeout(ZERO)));
    assert_eq!(breaker.run_within(MAX, hour()).await, Ok(7));
}

#[tokio::test(start_paused = true)]
async fn in_a_zero_window_each_failure_is_alone_and_in_a_max_one_all_count() {
    for (within, state) in [(ZERO, BreakerState::Closed), (MAX, BreakerState::Open)] {
        let breaker = CircuitBreaker::new("breaker", BreakerRules::new().failures(3, within));
        breaker.melt();
        breaker.melt();
        sleep(HOUR).await;
        breaker.melt();
        assert_eq!(breaker.state(), state, "{within:?}");
    }
    let breaker = CircuitBreaker::new("breaker", BreakerRules::new().failures(1, ZERO));
    breaker.melt();
    assert_eq!(breaker.state(), BreakerState::Open);
}

#[tokio::test(start_paused = true)]
async fn a_zero_period_of_tokens_is_refused_and_a_max_one_gives_no_second_token() {
    assert!(catch_unwind(|| RateLimit::new(1, ZERO)).is_err(), "documented");
    for limit in [RateLimit::new(1, MAX), RateLimit::new(u32::MAX, MAX).burst(1)] {
        let bucket = TokenBucket::new(limit);
        assert_eq!(bucket.try_acquire(), Ok(()));
        let refused = bucket.try_acquire().unwrap_err();
        assert!(refused.retry_in > HOUR, "{refused:?}");
        assert!(timeout(HOUR, bucket.acquire()).await.is_err());
        assert!(bucket.acquire_until(Instant::now() + HOUR).await.is_err());
    }
    let full = TokenBucket::new(RateLimit::new(u32::MAX, MAX));
    for _ in 0..1_000 {
        assert_eq!(full.try_acquire(), Ok(()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_zero_drain_of_a_pipeline_finishes_nothing_and_a_max_one_everything() {
    for (limit, took, finished) in [(ZERO, ZERO, 0), (MAX, 2 * HOUR, 2)] {
        let source = || stream::iter([1, 2]).chain(stream::pending());
        let nap = |_| async {
            sleep(HOUR).await;
            Ok(())
        };
        let spec = Pipeline::from_stream("naps", source).for_each("nap", nap).drain_within(limit);
        let counts = spec.counts();
        let tree = spec.start(&Runtime::new()).await.unwrap();
        settled().await;
        let start = Instant::now();
        assert_eq!(tree.stop().await, Ok(ExitReason::Shutdown));
        let elapsed = start.elapsed(); // the first nap began before `settled`
        assert!(elapsed <= took && took <= elapsed + MS, "{elapsed:?}");
        assert_eq!(counts.stage("nap").unwrap().finished, finished);
    }
}

#[tokio::test(start_paused = true)]
async fn a_zero_batch_waits_for_no_further_item_and_a_max_one_until_it_is_full() {
    for (within, expected) in [(ZERO, Some(vec![1])), (MAX, None)] {
        let (tell, mut told) = unbounded_channel();
        let source = || stream::iter([1]).chain(stream::pending());
        let batches = Pipeline::from_stream("batches", source).batch(2, within);
        let spec = batches.for_each("collect", move |batch| {
            let tell = tell.clone();
            async move { Ok(tell.send(batch)?) }
        });
        let tree = spec.start(&Runtime::new()).await.unwrap();
        let wait = if within.is_zero() { MS } else { HOUR };
        assert_eq!(timeout(wait, told.recv()).await.ok().flatten(), expected);
        tree.stop().await.unwrap();
    }
    let (tell, mut told) = unbounded_channel();
    let pipeline = Pipeline::from_stream("batches", || stream::iter([1, 2, 3])).batch(2, MAX);
    let spec = pipeline.for_each("collect", move |batch| {
        let tell = tell.clone();
        async move { Ok(tell.send(batch)?) }
    });
    let _tree = spec.start(&Runtime::new()).await.unwrap();
    assert_eq!(told.recv().await, Some(vec![1, 2]));
    assert_eq!(told.recv().await, Some(vec![3]));
}

#[tokio::test(start_paused = true)]
async fn a_zero_window_of_restarts_or_resumes_is_refused_and_a_max_one_is_accepted() {
    for (period, fine) in [(ZERO, false), (MAX, true)] {
        let rt = Runtime::new();
        let pipeline = Pipeline::from_stream("numbers", stream::pending::<u8>);
        let pipeline = pipeline.for_each("each", |_| async { Ok(()) }).intensity(1, period);
        let pool = pool().intensity(1, period);
        let on_failure = |_: &ExitReason| FailurePolicy::Resume;
        let child = Clerk::child_with(|| args(ZERO)).on_failure(on_failure);
        let tree = Supervisor::one_for_one().child(child.resume_budget(1, period));
        let dynamic = DynamicSupervisor::new().start(&rt).await.unwrap();
        let once = Clerk::child_once(args(ZERO)).on_failure(on_failure).resume_budget(1, period);
        let once = dynamic.start_once(once).await.map_err(|refused| refused.to_string());
        assert_eq!(once.is_ok(), fine, "{once:?}");
        let errors = [
            pipeline.start(&rt).await.err(),
            pool.start(&rt).await.err(),
            tree.start(&rt).await.err(),
        ];
        for error in errors {
            match error {
                None => assert!(fine),
                Some(error) => assert!(!fine && is_invalid(&error), "{error}"),
            }
        }
    }
}

/// The handler of each `Say` fails: there is no receiver.
#[tokio::test(start_paused = true)]
async fn a_max_window_of_resumes_forgets_no_failure() {
    let rt = Runtime::new();
    let child = Clerk::child_with(|| args(ZERO)).named("clerk");
    let child = child.on_failure(|_| FailurePolicy::Resume).resume_budget(1, MAX);
    let _tree = Supervisor::one_for_one().child(child).start(&rt).await.unwrap();
    let first = rt.whereis("clerk").unwrap();
    let ended = rt.ended(first);
    assert!(rt.server::<Clerk>("clerk").cast(Cast::Say("fails")));
    sleep(HOUR).await;
    assert_eq!(rt.whereis("clerk"), Some(first));
    assert!(rt.server::<Clerk>("clerk").cast(Cast::Say("fails")));
    assert!(ended.await.is_abnormal());
}

fn pool() -> Pool<Clerk> {
    Pool::new("pool", || args(ZERO)).size(1)
}

#[tokio::test(start_paused = true)]
async fn a_zero_checkout_only_looks_and_a_max_one_waits_for_ever() {
    let pool = pool().start(&Runtime::new()).await.unwrap();
    let lent = pool.checkout().await.unwrap();
    let late = pool.checkout_within(ZERO).await.unwrap_err();
    assert!(matches!(late, PoolError::Timeout { limit: ZERO, .. }), "{late}");
    let give_back = async {
        sleep(HOUR).await;
        drop(lent);
    };
    let (got, ()) = tokio::join!(pool.checkout_within(MAX), give_back);
    drop(got.unwrap());
    settled().await;
    assert!(pool.checkout_within(ZERO).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_zero_period_of_checks_is_refused_and_a_max_one_checks_nothing() {
    let checks = Arc::new(AtomicUsize::new(0));
    let count = |period| {
        let checks = checks.clone();
        pool().check_every(period, move |_| {
            checks.fetch_add(1, SeqCst);
            async { true }
        })
    };
    assert!(catch_unwind(AssertUnwindSafe(|| drop(count(ZERO)))).is_err(), "documented");
    let _pool = count(MAX).start(&Runtime::new()).await.unwrap();
    sleep(HOUR).await;
    assert_eq!(checks.load(SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn a_zero_lifetime_of_workers_is_refused_and_a_max_one_replaces_none() {
    type SetLimit = fn(Pool<Clerk>, Duration) -> Pool<Clerk>;
    let limits: [SetLimit; 2] = [Pool::max_lifetime, Pool::max_idle];
    for set in limits {
        for pool in [set(pool(), ZERO), set(pool().lazy(), ZERO)] {
            let error = pool.start(&Runtime::new()).await.unwrap_err();
            assert!(matches!(error, StartError::Invalid(_)), "{error}");
        }
        let pool = set(pool(), MAX).start(&Runtime::new()).await.unwrap();
        let first = pool.checkout().await.unwrap().pid();
        sleep(HOUR).await;
        assert_eq!(pool.checkout().await.unwrap().pid(), first);
    }
}

#[tokio::test(start_paused = true)]
async fn with_a_zero_idle_time_a_surplus_worker_ends_at_once_and_with_a_max_one_never() {
    for (limit, left) in [(ZERO, 1), (MAX, 2)] {
        let pool = pool().overflow(1).overflow_idle(limit).start(&Runtime::new()).await.unwrap();
        let both = (pool.checkout().await.unwrap(), pool.checkout().await.unwrap());
        drop(both);
        sleep(if limit.is_zero() { MS } else { HOUR }).await;
        assert_eq!(pool.status().await.unwrap().workers(), left);
    }
}

/// With a window of zero, log lines are not limited; a window of `MAX` never ends.
#[tokio::test(start_paused = true)]
async fn a_zero_window_of_log_lines_limits_nothing_and_a_max_one_for_ever() {
    for (max, within, left_out) in [(0, ZERO, 0), (1, ZERO, 0), (1, MAX, 2), (0, MAX, 3)] {
        let rt = Runtime::new();
        rt.limit_log_lines(max, within);
        for _ in 0..3 {
            let ended = rt.spawn_fallible(|_| async { Err("no luck")? }).join().await;
            assert!(ended.is_abnormal(), "{ended:?}");
            sleep(HOUR).await;
        }
        assert_eq!(rt.left_out_log_lines(), left_out, "{max} {within:?}");
    }
}

#[cfg(feature = "tower")]
#[tokio::test(start_paused = true)]
async fn a_zero_time_out_of_a_service_fails_and_a_max_one_waits_for_ever() {
    use tower::ServiceExt;
    let clerk = Clerk::start(&Runtime::new(), args(ZERO)).await.unwrap();
    for (limit, expected) in [(ZERO, Err(CallError::Timeout)), (MAX, Ok(7))] {
        assert!(clerk.cast(Cast::Sleep(HOUR)));
        let service = clerk.service(|(), reply| reply).timeout(limit);
        assert_eq!(service.oneshot(()).await, expected);
    }
}
