//! The errors of event managers, pools, limits, state machines, stashes and services.

use super::{Disk, Listed, SECOND, disk, listed, start_errors};
use crate::support::kinds::only_end;

use std::future::pending;

use regrow::{
    BreakerError, BreakerOpen, BreakerRules, CallError, ChildSpec, CircuitBreaker, Event,
    ExitReason, GenServer, HandlerError, HandlerId, MachineContext, MemoryLimitReached, Next,
    PoolError, RateLimit, RateLimited, Result, Runtime, ServerContext, StashFull, StateMachine,
    TokenBucket, UnhandledEvent,
};

/// Returns the errors of these parts, each with its type and its variant.
pub(super) async fn errors() -> Vec<Listed> {
    let mut all: Vec<Listed> = listed("HandlerError", handler_errors()).collect();
    all.extend(listed("PoolError", pool_errors()));
    all.extend(listed("BreakerError", breaker_errors().await));
    all.extend(listed("BreakerOpen", vec![("", breaker_open())]));
    all.extend(listed("RateLimited", vec![("", rate_limited())]));
    all.extend(listed("MemoryLimitReached", vec![("", memory_limit().await)]));
    all.extend(listed("StashFull", vec![("", stash_full().await)]));
    all.extend(listed("UnhandledEvent", vec![("", unhandled_event().await)]));
    #[cfg(feature = "tower")]
    all.extend(listed("ServiceError", vec![("", service_error().await)]));
    all
}

fn id() -> HandlerId {
    HandlerId::of::<Disk>("one")
}

pub(super) fn handler_failed(reason: ExitReason) -> HandlerError {
    HandlerError::Failed { handler: id(), reason }
}

fn handler_errors() -> Vec<(&'static str, HandlerError)> {
    vec![
        ("NotFound", HandlerError::NotFound(id())),
        ("AlreadyAdded", HandlerError::AlreadyAdded(id())),
        ("InitFailed", HandlerError::InitFailed { handler: id(), reason: disk() }),
        ("Failed", handler_failed(disk())),
        ("NoOwner", HandlerError::NoOwner(id())),
        ("Manager", CallError::Exited(disk()).into()),
    ]
}

fn pool_errors() -> Vec<(&'static str, PoolError)> {
    let start_error = Some(start_errors().swap_remove(1).1);
    vec![
        ("Timeout", PoolError::Timeout { limit: SECOND, start_error: None, rate_limited: false }),
        ("Timeout", PoolError::Timeout { limit: SECOND, start_error: None, rate_limited: true }),
        ("Timeout", PoolError::Timeout { limit: SECOND, start_error, rate_limited: false }),
        ("QueueFull", PoolError::QueueFull { limit: 1 }),
        ("Invalid", PoolError::Invalid("a setting".into())),
        ("Unavailable", PoolError::Unavailable(CallError::Exited(disk()))),
    ]
}

/// Returns the refusal of a breaker that is open.
fn breaker_open() -> BreakerOpen {
    let breaker = CircuitBreaker::new("store", BreakerRules::new().failures(1, SECOND));
    breaker.melt();
    breaker.ask().expect_err("it is open")
}

async fn breaker_errors() -> Vec<(&'static str, BreakerError<CallError>)> {
    let breaker = CircuitBreaker::new("store", BreakerRules::new());
    let failed = breaker.run(async { Err::<(), _>(CallError::Exited(disk())) }).await.unwrap_err();
    let late = breaker.run_within(SECOND, pending::<Result<(), _>>()).await.unwrap_err();
    vec![("Open", BreakerError::Open(breaker_open())), ("Failed", failed), ("Timeout", late)]
}

fn rate_limited() -> RateLimited {
    let bucket = TokenBucket::new(RateLimit::new(1, SECOND));
    bucket.try_acquire().expect("the bucket is full");
    bucket.try_acquire().expect_err("the bucket is empty")
}

async fn memory_limit() -> MemoryLimitReached {
    let child = ChildSpec::task("a", |ctx| async move {
        ctx.set_memory(2);
        pending().await
    });
    let reason = only_end(&Runtime::new(), child.max_memory(1)).await;
    reason.find_error::<MemoryLimitReached>().unwrap().clone()
}

/// A server that puts each cast aside, up to one, and ends at the second one.
struct Hoarding;

impl GenServer for Hoarding {
    type Args = ();
    type Call = ();
    type Cast = ();

    async fn init((): (), ctx: &mut ServerContext<Self>) -> Result<Self> {
        ctx.stash_capacity(1);
        Ok(Hoarding)
    }

    async fn handle_cast(&mut self, (): (), ctx: &mut ServerContext<Self>) -> Result {
        Ok(ctx.stash_cast(())?)
    }
}

async fn stash_full() -> StashFull<()> {
    let server = Hoarding::start(&Runtime::new(), ()).await.unwrap();
    let ended = server.ended();
    server.cast(());
    server.cast(());
    ended.await.find_error::<StashFull<()>>().unwrap().clone()
}

/// A machine that handles no event.
struct Deaf;

impl StateMachine for Deaf {
    type Args = ();
    type State = ();
    type Call = ();
    type Cast = ();
    type Payload = ();

    async fn init((): (), _: &mut MachineContext<'_, Self>) -> Result<((), Self)> {
        Ok(((), Deaf))
    }

    async fn handle_event(
        &mut self,
        state: &(),
        event: Event<Self>,
        _: &mut MachineContext<'_, Self>,
    ) -> Result<Next<()>> {
        event.unhandled(state)
    }

    fn state_name((): &()) -> &'static str {
        "on"
    }
}

async fn unhandled_event() -> UnhandledEvent {
    let machine = Deaf::start(&Runtime::new(), ()).await.unwrap();
    let ended = machine.ended();
    machine.cast(());
    ended.await.find_error::<UnhandledEvent>().unwrap().clone()
}

/// Returns the response of a service whose request fails.
#[cfg(feature = "tower")]
async fn service_error() -> regrow::ServiceError {
    let failing = || tower::service_fn(|(): ()| async { Err::<(), _>(CallError::Exited(disk())) });
    let make = regrow::MakeService::new(failing);
    let server = regrow::ServiceServer::start(&Runtime::new(), make).await.unwrap();
    server.call(|reply| ((), reply)).await.unwrap().unwrap_err()
}
