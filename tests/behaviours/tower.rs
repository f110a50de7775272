//! Servers as services of tower, services as servers, and handles of servers in routes of axum.

use crate::support;

use std::future::{pending, poll_fn};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::Poll;
use std::time::Duration;

use futures_util::FutureExt;
use regrow::{
    CallError, ExitReason, GenServer, MakeService, Overflow, Reply, Restart, Result, Runtime,
    ServerContext, ServerRef, ServiceServer, Supervisor,
};
use support::{assert_nothing_left, settled};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep};
use tower::load_shed::error::Overloaded;
use tower::retry::Policy;
use tower::timeout::error::Elapsed;
use tower::util::BoxCloneService;
use tower::{BoxError, Service, ServiceBuilder, ServiceExt, service_fn};

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Handles each call once it gets a permit, and counts the calls.
struct Gated {
    gate: Arc<Semaphore>,
    handled: u32,
}

enum Call {
    Add(u32, Reply<u32>),
    Crash(Reply<u32>),
}

impl GenServer for Gated {
    type Args = Arc<Semaphore>;
    type Call = Call;
    type Cast = ();

    async fn init(gate: Arc<Semaphore>, _: &mut ServerContext<Self>) -> Result<Self> {
        Ok(Gated { gate, handled: 0 })
    }

    async fn handle_call(&mut self, call: Call, _: &mut ServerContext<Self>) -> Result {
        self.gate.acquire().await?.forget();
        self.handled += 1;
        match call {
            Call::Add(n, reply) => reply.send(n + self.handled),
            Call::Crash(reply) => Err(format!("as asked by {:?}", reply.caller()))?,
        }
        Ok(())
    }

    async fn handle_cast(&mut self, (): (), _: &mut ServerContext<Self>) -> Result {
        Ok(())
    }
}

/// Starts a server that handles one call for each permit, and whose mailbox holds one message.
async fn gated(rt: &Runtime, overflow: Overflow) -> (ServerRef<Gated>, Arc<Semaphore>) {
    let gate = Arc::new(Semaphore::new(0));
    let server = Gated::spec(gate.clone()).mailbox_capacity(1, overflow).start(rt).await.unwrap();
    (server, gate)
}

/// A service that adds, of a server that is held in its handler and whose mailbox is full.
async fn full(
    rt: &Runtime,
    overflow: Overflow,
) -> (ServerRef<Gated>, Arc<Semaphore>, [tokio::task::JoinHandle<u32>; 2]) {
    let (server, gate) = gated(rt, overflow).await;
    let mut tasks = Vec::new();
    for _ in 0..2 {
        let server = server.clone();
        let call = async move { server.call_unlimited(|reply| Call::Add(0, reply)).await.unwrap() };
        tasks.push(tokio::spawn(call));
        settled().await;
    }
    assert_eq!(rt.info(server.pid().unwrap()).unwrap().mailbox_depth, 1);
    (server, gate, tasks.try_into().unwrap())
}

fn is_ready<Req>(service: &mut impl Service<Req>) -> bool {
    poll_fn(|cx| service.poll_ready(cx)).now_or_never().is_some()
}

#[tokio::test(start_paused = true)]
async fn a_service_calls_its_server_and_returns_the_error_of_the_call() {
    let rt = Runtime::new();
    let (server, gate) = gated(&rt, Overflow::Wait).await;
    gate.add_permits(2);
    let mut add = server.service(Call::Add);
    assert_eq!(add.ready().await.unwrap().call(41).await, Ok(42));
    let crash = server.service(|(), reply| Call::Crash(reply));
    assert!(matches!(crash.oneshot(()).await, Err(CallError::Exited(_))));
    assert_eq!(add.ready().await.unwrap().call(0).await, Err(CallError::NoProc));
    assert_nothing_left(&rt).await;
}

#[tokio::test(start_paused = true)]
async fn the_deadline_of_a_service_is_that_of_each_call() {
    let rt = Runtime::new();
    let (server, _gate) = gated(&rt, Overflow::Wait).await;
    let start = Instant::now();
    let late = server.service(Call::Add).timeout(ms(300)).oneshot(0).await;
    assert_eq!((late, start.elapsed()), (Err(CallError::Timeout), ms(300)));
    rt.kill(server.pid().unwrap());
    server.ended().await;
    assert_nothing_left(&rt).await;
}

#[tokio::test(start_paused = true)]
async fn a_service_of_a_full_mailbox_is_pending_until_there_is_room_and_keeps_the_place() {
    for overflow in [Overflow::Wait, Overflow::Reject] {
        let rt = Runtime::new();
        let (server, gate, calls) = full(&rt, overflow).await;
        let mut add = server.service(Call::Add);
        assert!(!is_ready(&mut add));
        let mut other = add.clone();
        let waits = tokio::spawn(async move {
            other.ready().await.unwrap();
            other
        });
        let ready = tokio::spawn(async move {
            add.ready().await.unwrap();
            add
        });
        settled().await;
        assert!(!waits.is_finished() && !ready.is_finished());
        // The server takes the queued call: one place is free, and one service gets it.
        gate.add_permits(1);
        settled().await;
        assert!(!waits.is_finished() && ready.is_finished());
        // The place is kept: a plain call waits behind it, or is refused.
        let plain = server.call_timeout(|reply| Call::Add(0, reply), ms(1)).await;
        assert_eq!(plain, Err(CallError::Overloaded));
        let mut add = ready.await.unwrap();
        let answer = tokio::spawn(add.call(100));
        settled().await;
        gate.add_permits(2);
        assert_eq!(answer.await.unwrap(), Ok(103));
        let mut other = waits.await.unwrap();
        gate.add_permits(1);
        assert_eq!(other.call(200).await, Ok(204));
        for call in calls {
            call.await.unwrap();
        }
        server.stop(ExitReason::Normal).await.unwrap();
        assert_nothing_left(&rt).await;
    }
}

/// The place is given back in the send queue, and in the mailbox.
#[tokio::test(start_paused = true)]
async fn a_service_that_is_dropped_after_poll_ready_keeps_no_place() {
    let rt = Runtime::new();
    let (server, gate, calls) = full(&rt, Overflow::Wait).await;
    let mut waiting = server.service(Call::Add);
    assert!(!is_ready(&mut waiting));
    let mut next = server.service(Call::Add);
    assert!(!is_ready(&mut next));
    drop(waiting);
    gate.add_permits(1);
    settled().await;
    assert!(is_ready(&mut next)); // it moved up
    drop(next); // its place is in the mailbox
    gate.add_permits(1);
    settled().await;
    // The server has skipped the place: it waits for a call, with an empty mailbox.
    assert_eq!(rt.info(server.pid().unwrap()).unwrap().mailbox_depth, 0);
    gate.add_permits(1);
    assert_eq!(server.call(|reply| Call::Add(0, reply)).await, Ok(3));
    for call in calls {
        call.await.unwrap();
    }
    server.stop(ExitReason::Normal).await.unwrap();
    assert_nothing_left(&rt).await;
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_place_the_server_has_passed_is_made_as_any_other() {
    let rt = Runtime::new();
    let (server, gate, calls) = full(&rt, Overflow::Wait).await;
    let mut add = server.service(Call::Add);
    assert!(!is_ready(&mut add));
    gate.add_permits(10);
    settled().await; // the server has handled all, and skipped the place
    assert!(is_ready(&mut add));
    assert_eq!(add.call(0).await, Ok(3));
    for call in calls {
        call.await.unwrap();
    }
    server.stop(ExitReason::Normal).await.unwrap();
    assert_nothing_left(&rt).await;
}

/// The server ends while a place waits for room, while it is reserved, and while its call is queued.
#[tokio::test(start_paused = true)]
async fn a_place_in_the_mailbox_of_a_server_that_ends_is_gone() {
    let rt = Runtime::new();
    let (server, gate, calls) = full(&rt, Overflow::Wait).await;
    let [mut waiting, mut reserved, mut called] = [(); 3].map(|()| server.service(Call::Add));
    assert!(!is_ready(&mut called));
    gate.add_permits(1);
    settled().await;
    assert!(is_ready(&mut called));
    let answer = tokio::spawn(called.call(0));
    assert!(!is_ready(&mut reserved));
    gate.add_permits(1);
    settled().await;
    assert!(is_ready(&mut reserved));
    assert!(!is_ready(&mut waiting));
    rt.kill(server.pid().unwrap());
    server.ended().await;
    assert_eq!(answer.await.unwrap(), Err(CallError::Exited(ExitReason::Killed)));
    assert_eq!(reserved.call(0).await, Err(CallError::NoProc));
    assert!(is_ready(&mut waiting));
    assert_eq!(waiting.call(0).await, Err(CallError::NoProc));
    for call in calls {
        call.await.unwrap();
    }
    assert_nothing_left(&rt).await;
}

#[tokio::test(start_paused = true)]
async fn a_named_service_reaches_the_successor_of_a_server() {
    let rt = Runtime::new();
    let gate = Arc::new(Semaphore::new(100));
    let child = Gated::child(gate).named("gated");
    let tree = Supervisor::one_for_one().child(child).start(&rt).await.unwrap();
    let server: ServerRef<Gated> = rt.server("gated");
    let mut add = server.service(Call::Add);
    assert_eq!(add.ready().await.unwrap().call(0).await, Ok(1));
    rt.kill(server.pid().unwrap());
    let restarting = add.ready().await.unwrap().call(0).await;
    assert_eq!(restarting, Err(CallError::Restarting { retry_in: None }));
    settled().await;
    assert_eq!(add.ready().await.unwrap().call(0).await, Ok(1));
    tree.stop().await.unwrap();
    assert_nothing_left(&rt).await;
}

#[tokio::test(start_paused = true)]
async fn layers_of_tower_shed_load_time_out_and_limit() {
    let rt = Runtime::new();
    let (server, gate, calls) = full(&rt, Overflow::Wait).await;
    let shed = ServiceBuilder::new().load_shed().service(server.service(Call::Add));
    let refused = shed.oneshot(0).await.unwrap_err();
    assert!(refused.is::<Overloaded>());

    gate.add_permits(2);
    for call in calls {
        call.await.unwrap();
    }
    let timely = ServiceBuilder::new().timeout(ms(20)).service(server.service(Call::Add));
    let late = timely.oneshot(0).await.unwrap_err();
    assert!(late.is::<Elapsed>());

    gate.add_permits(10);
    let limited = ServiceBuilder::new().concurrency_limit(1).service(server.service(Call::Add));
    let mut second = limited.clone();
    let mut first = limited;
    let call = first.ready().await.unwrap().call(0);
    assert!(!is_ready(&mut second));
    assert_eq!(call.await, Ok(4));
    assert_eq!(second.ready().await.unwrap().call(0).await, Ok(5));
    server.stop(ExitReason::Normal).await.unwrap();
    assert_nothing_left(&rt).await;
}

/// Retries what was not handled, after a pause.
#[derive(Clone)]
struct IfRestarting(usize);

impl Policy<u32, u32, CallError> for IfRestarting {
    type Future = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

    fn retry(
        &mut self,
        _: &mut u32,
        result: &mut std::result::Result<u32, CallError>,
    ) -> Option<Self::Future> {
        let restarting = matches!(result, Err(CallError::Restarting { .. }));
        self.0 = self.0.checked_sub(1)?;
        restarting.then(|| sleep(ms(10)).boxed())
    }

    fn clone_request(&mut self, request: &u32) -> Option<u32> {
        Some(*request)
    }
}

#[tokio::test(start_paused = true)]
async fn a_retry_of_tower_survives_the_restart_of_a_server() {
    let rt = Runtime::new();
    let child = Gated::child(Arc::new(Semaphore::new(100))).named("gated");
    let tree = Supervisor::one_for_one().child(child).start(&rt).await.unwrap();
    let server: ServerRef<Gated> = rt.server("gated");
    let retried = ServiceBuilder::new().retry(IfRestarting(3)).service(server.service(Call::Add));
    rt.kill(server.pid().unwrap());
    assert_eq!(retried.oneshot(0).await, Ok(1));
    tree.stop().await.unwrap();
    assert_nothing_left(&rt).await;
}

fn doubling() -> BoxCloneService<u64, u64, BoxError> {
    service_fn(|n: u64| async move {
        match n {
            13 => panic!("unlucky"),
            14 => Err("even more unlucky".into()),
            99 => pending().await,
            n => {
                sleep(ms(10)).await;
                Ok(2 * n)
            }
        }
    })
    .boxed_clone()
}

#[tokio::test(start_paused = true)]
async fn a_service_server_answers_concurrently_and_isolates_panics() {
    let rt = Runtime::new();
    let server = ServiceServer::start(&rt, MakeService::new(doubling)).await.unwrap();
    let start = Instant::now();
    let call = |n| server.call(move |reply| (n, reply));
    let (one, two, panics, fails) = tokio::join!(call(1), call(2), call(13), call(14));
    assert_eq!((one.unwrap().unwrap(), two.unwrap().unwrap()), (2, 4));
    assert_eq!(start.elapsed(), ms(10));
    assert!(matches!(panics, Err(CallError::NoReply)), "{panics:?}");
    assert_eq!(fails.unwrap().unwrap_err().into_inner().to_string(), "even more unlucky");
    assert_eq!(call(3).await.unwrap().unwrap(), 6);
    server.stop(ExitReason::Normal).await.unwrap();
    assert_nothing_left(&rt).await;
}

#[tokio::test(start_paused = true)]
async fn a_stop_of_a_service_server_finishes_the_responses_under_way() {
    let rt = Runtime::new();
    let child = ServiceServer::child(MakeService::new(doubling)).named("doubles");
    let tree = Supervisor::one_for_one().child(child).start(&rt).await.unwrap();
    let server: ServerRef<ServiceServer<u64, u64>> = rt.server("doubles");
    let answer = tokio::spawn(async move { server.call(|reply| (4, reply)).await });
    settled().await;
    tree.stop().await.unwrap();
    assert_eq!(answer.await.unwrap().unwrap().unwrap(), 8);
    assert_nothing_left(&rt).await;
}

/// Fails in `poll_ready` once.
#[derive(Clone)]
struct Brittle {
    broken: bool,
}

impl Service<u64> for Brittle {
    type Response = u64;
    type Error = BoxError;
    type Future = std::future::Ready<std::result::Result<u64, BoxError>>;

    fn poll_ready(
        &mut self,
        _: &mut std::task::Context<'_>,
    ) -> Poll<std::result::Result<(), BoxError>> {
        Poll::Ready(if self.broken { Err("the connection is lost".into()) } else { Ok(()) })
    }

    fn call(&mut self, n: u64) -> Self::Future {
        std::future::ready(Ok(n))
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_that_fails_in_poll_ready_is_made_anew() {
    let rt = Runtime::new();
    let made = AtomicUsize::new(0);
    let make = MakeService::new(move || Brittle { broken: made.fetch_add(1, SeqCst) == 0 });
    let child = ServiceServer::child(make).named("brittle");
    let tree = Supervisor::one_for_one().child(child).start(&rt).await.unwrap();
    let server: ServerRef<ServiceServer<u64, u64>> = rt.server("brittle");
    let call = || server.call(|reply| (7, reply));
    let Err(CallError::Exited(reason)) = call().await else { panic!("the service is broken") };
    assert!(reason.to_string().contains("the connection is lost"));
    settled().await;
    assert_eq!(call().await.unwrap().unwrap(), 7);
    tree.stop().await.unwrap();
    assert_nothing_left(&rt).await;
}

/// Does not answer its first request, and breaks at the second one; or, without a `Break`, answers.
/// The flag says whether the first request has come.
struct Pending(Option<Break>, bool);

#[derive(Clone, Copy, Debug)]
enum Break {
    Error,
    CleanError,
    PanicInPollReady,
    PanicInCall,
}

impl Service<u64> for Pending {
    type Response = u64;
    type Error = BoxError;
    type Future = futures_util::future::BoxFuture<'static, std::result::Result<u64, BoxError>>;

    fn poll_ready(
        &mut self,
        _: &mut std::task::Context<'_>,
    ) -> Poll<std::result::Result<(), BoxError>> {
        match self.0.filter(|_| self.1) {
            Some(Break::Error) => Poll::Ready(Err("it broke".into())),
            Some(Break::CleanError) => Poll::Ready(Err(ExitReason::Shutdown.into_error().into())),
            Some(Break::PanicInPollReady) => panic!("it broke"),
            Some(Break::PanicInCall) | None => Poll::Ready(Ok(())),
        }
    }

    fn call(&mut self, n: u64) -> Self::Future {
        match self.0 {
            Some(_) if self.1 => panic!("it broke"),
            Some(_) => {
                self.1 = true;
                pending().boxed()
            }
            None => std::future::ready(Ok(n)).boxed(),
        }
    }
}

/// The child is transient: it is restarted only after a crash.
#[tokio::test(start_paused = true)]
async fn a_service_that_breaks_while_a_response_is_pending_is_made_anew() {
    for broken in [Break::Error, Break::CleanError, Break::PanicInPollReady, Break::PanicInCall] {
        let rt = Runtime::new();
        let made = AtomicUsize::new(0);
        let first = move || (made.fetch_add(1, SeqCst) == 0).then_some(broken);
        let make = MakeService::new(move || Pending(first(), false));
        let child = ServiceServer::child(make).named("breaks").restart(Restart::Transient);
        let tree = Supervisor::one_for_one().child(child).start(&rt).await.unwrap();
        let server: ServerRef<ServiceServer<u64, u64>> = rt.server("breaks");
        let waits = server.clone();
        let waits =
            tokio::spawn(async move { waits.call_unlimited(|reply| (1, reply)).await.map(drop) });
        settled().await;
        let start = Instant::now();
        let breaks = server.call(|reply| (2, reply)).await.map(drop);
        assert!(matches!(breaks, Err(CallError::Exited(_))), "{broken:?}: {breaks:?}");
        let waited = waits.await.unwrap();
        assert!(matches!(waited, Err(CallError::Exited(_))), "{broken:?}: {waited:?}");
        assert_eq!(start.elapsed(), ms(0), "{broken:?}");
        settled().await;
        assert_eq!(server.call(|reply| (3, reply)).await.unwrap().unwrap(), 3);
        tree.stop().await.unwrap();
        assert_nothing_left(&rt).await;
    }
}

/// Calls through services, plain calls, dropped services and kills at the same time: each call has
/// exactly one result, and the mailbox is empty at the end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_load_and_kills_every_call_through_a_service_has_one_result() {
    let rt = Runtime::new();
    let gate = Arc::new(Semaphore::new(Semaphore::MAX_PERMITS));
    let child = Gated::child(gate).named("gated").mailbox_capacity(2, Overflow::Wait);
    let tree =
        Supervisor::one_for_one().unlimited_restarts().child(child).start(&rt).await.unwrap();
    let server: ServerRef<Gated> = rt.server("gated");
    let mut clients = Vec::new();
    for client in 0..8 {
        let mut add = server.service(Call::Add).timeout(Duration::from_secs(20));
        clients.push(tokio::spawn(async move {
            let mut answered = 0;
            for round in 0..500 {
                add.ready().await.unwrap();
                if round % 5 == client % 5 {
                    add = add.clone();
                    continue;
                }
                match add.call(0).await {
                    Ok(_) => answered += 1,
                    Err(CallError::Timeout | CallError::Overloaded) => panic!("a call was lost"),
                    Err(_) => tokio::task::yield_now().await,
                }
            }
            answered
        }));
    }
    for _ in 0..50 {
        if let Some(pid) = server.pid() {
            rt.kill(pid);
        }
        tokio::task::yield_now().await;
    }
    let mut answered = 0;
    for client in clients {
        answered += client.await.unwrap();
    }
    assert!(answered > 0);
    assert!(server.call_waiting(|reply| Call::Add(0, reply), Duration::from_secs(5)).await.is_ok());
    tree.stop().await.unwrap();
    assert_nothing_left(&rt).await;
}

#[cfg(feature = "axum")]
mod live {
    use axum::Router;
    use axum::body::Body;
    use axum::http::{Request, Response};
    use axum::routing::get;
    use regrow::{Backoff, CallFailed, Live};

    use super::*;

    async fn add(Live(server): Live<Gated>) -> std::result::Result<String, CallFailed> {
        Ok(server.call_timeout(|reply| Call::Add(0, reply), ms(100)).await?.to_string())
    }

    async fn ask(routes: &Router) -> Response<Body> {
        let request = Request::get("/add").body(Body::empty()).unwrap();
        routes.clone().oneshot(request).await.unwrap()
    }

    fn retry_after(answer: &Response<Body>) -> Option<&str> {
        answer.headers().get("retry-after").map(|value| value.to_str().unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn a_route_answers_503_with_retry_after_while_its_server_is_restarting() {
        let rt = Runtime::new();
        let gate = Arc::new(Semaphore::new(1));
        let backoff = Backoff::new().first(ms(2_500)).jitter(0.0);
        let child = Gated::child(gate.clone()).named("gated").backoff(backoff);
        let tree = Supervisor::one_for_one().child(child).start(&rt).await.unwrap();
        let server: ServerRef<Gated> = rt.server("gated");
        let routes = Router::new().route("/add", get(add)).with_state(server.clone());
        assert_eq!(ask(&routes).await.status(), 200);
        let late = ask(&routes).await;
        assert_eq!((late.status().as_u16(), retry_after(&late)), (504, None));
        rt.kill(server.pid().unwrap());
        settled().await;
        let restarting = ask(&routes).await;
        assert_eq!((restarting.status().as_u16(), retry_after(&restarting)), (503, Some("3")));
        sleep(ms(2_500)).await;
        gate.add_permits(1);
        assert_eq!(ask(&routes).await.status(), 200);
        tree.stop().await.unwrap();
        let gone = ask(&routes).await;
        assert_eq!((gone.status().as_u16(), retry_after(&gone)), (503, Some("1")));
        assert_nothing_left(&rt).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_route_with_a_direct_handle_answers_503_once_its_server_has_ended() {
        let rt = Runtime::new();
        let (server, _gate) = gated(&rt, Overflow::Wait).await;
        let routes = Router::new().route("/add", get(add)).with_state(server.clone());
        server.stop(ExitReason::Normal).await.unwrap();
        assert_eq!(ask(&routes).await.status(), 503);
        assert_nothing_left(&rt).await;
    }
}
