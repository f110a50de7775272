//! Deadlines that travel with calls: what a handler has left, what inherits it, and what a time-out
//! names.

use crate::support;

use std::future::pending;
use std::pin::Pin;
use std::time::Duration;

use regrow::{
    CallError, GenServer, Overflow, Reply, Result, Runtime, ServerContext, ServerRef, StartError,
    Supervisor,
};
use support::ledger::{Init, Ledger, Setup};
use support::{from_one, settled};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{Instant, sleep, timeout};

const SECOND: Duration = Duration::from_secs(1);

fn ms(time: u64) -> Duration {
    Duration::from_millis(time)
}

/// The result of a call.
type Answer = Result<u32, CallError>;

type Acting<'a> = Pin<Box<dyn Future<Output = Result> + Send + 'a>>;
type Act =
    Box<dyn for<'a> FnOnce(Reply<Answer>, &'a mut ServerContext<Actor>) -> Acting<'a> + Send>;

/// A server whose calls and casts say what to do.
struct Actor {
    kept: Vec<Reply<Answer>>,
    terminate: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

enum Call {
    Act(Act, Reply<Answer>),
    /// Keeps the reply and never answers.
    Keep(Reply<Answer>),
    /// Says what to do in `terminate`, and panics.
    Panic(Pin<Box<dyn Future<Output = ()> + Send>>, Reply<Answer>),
}

enum Cast {
    /// Calls this server, and answers the kept call with the result.
    AskFor(ServerRef<Actor>),
    /// Sends the deadline that the handler of this cast has.
    Deadline(UnboundedSender<Option<Duration>>),
}

impl GenServer for Actor {
    type Args = ();
    type Call = Call;
    type Cast = Cast;

    async fn init((): (), _: &mut ServerContext<Self>) -> Result<Self> {
        Ok(Actor { kept: Vec::new(), terminate: None })
    }

    async fn handle_call(&mut self, call: Call, ctx: &mut ServerContext<Self>) -> Result {
        match call {
            Call::Act(act, reply) => act(reply, ctx).await?,
            Call::Keep(reply) => self.kept.push(reply),
            Call::Panic(terminate, _reply) => {
                self.terminate = Some(terminate);
                panic!("as asked");
            }
        }
        Ok(())
    }

    async fn handle_cast(&mut self, cast: Cast, ctx: &mut ServerContext<Self>) -> Result {
        match cast {
            Cast::AskFor(server) => {
                let answer = server.call(Call::Keep).await.and_then(|answer| answer);
                self.kept.remove(0).send(answer);
            }
            Cast::Deadline(to) => drop(to.send(ctx.deadline().time_left())),
        }
        Ok(())
    }

    async fn terminate(&mut self, _: &regrow::ExitReason) {
        if let Some(terminate) = self.terminate.take() {
            terminate.await;
        }
    }
}

/// Returns a call that does this.
fn act<F>(act: F) -> impl FnOnce(Reply<Answer>) -> Call
where
    F: for<'a> FnOnce(Reply<Answer>, &'a mut ServerContext<Actor>) -> Acting<'a> + Send + 'static,
{
    |reply| Call::Act(Box::new(act), reply)
}

/// Returns a call that awaits a future, and answers with its output.
fn answer_with(
    future: impl Future<Output = Answer> + Send + 'static,
) -> impl FnOnce(Reply<Answer>) -> Call {
    act(|reply, _| {
        Box::pin(async move {
            reply.send(future.await);
            Ok(())
        })
    })
}

/// Returns a call that passes these on: the first server calls the second, and so on; the last one
/// never answers.
fn pass_on(servers: Vec<ServerRef<Actor>>) -> impl FnOnce(Reply<Answer>) -> Call {
    answer_with(pass(servers))
}

fn pass(mut servers: Vec<ServerRef<Actor>>) -> Pin<Box<dyn Future<Output = Answer> + Send>> {
    Box::pin(async move {
        if servers.is_empty() {
            return pending().await;
        }
        let next = servers.remove(0);
        next.call(answer_with(pass(servers))).await?
    })
}

fn propagating() -> Runtime {
    let rt = Runtime::new();
    rt.propagate_deadlines(true);
    rt
}

async fn actors(rt: &Runtime) -> [ServerRef<Actor>; 3] {
    let start = async |name| Actor::spec(()).named(name).start(rt).await.unwrap();
    [start("front").await, start("ledger").await, start("store").await]
}

/// Makes a call inside the handler of this server, and sends its result and when it came.
async fn ask_inside<F>(
    server: &ServerRef<Actor>,
    limit: Option<Duration>,
    inside: F,
) -> (Answer, Duration)
where
    F: Future<Output = Answer> + Send + 'static,
{
    let (result, mut results) = unbounded_channel();
    let start = Instant::now();
    let call = answer_with(async move {
        let answer = inside.await;
        drop(result.send((answer.clone(), start.elapsed())));
        answer
    });
    let outer = match limit {
        Some(limit) => server.call_timeout(call, limit).await,
        None => server.call_unlimited(call).await,
    };
    drop(outer);
    results.recv().await.expect("the handler sends a result")
}

const ADVICE: &str = ", and got no reply in time: the servers may still handle the calls, so repeat \
                      only what may be handled twice";

/// The call of the last server in a chain times out together with the first call, and both errors
/// name the chain.
#[tokio::test(start_paused = true)]
async fn a_chain_of_three_servers_ends_at_the_first_deadline_and_names_them() {
    let rt = propagating();
    let [front, ledger, store] = actors(&rt).await;
    let start = Instant::now();
    let call = pass_on(vec![ledger.clone(), store.clone()]);
    let answer = front.call_timeout(call, SECOND).await.and_then(|answer| answer);
    let error = answer.unwrap_err();
    assert_eq!(start.elapsed(), SECOND);
    let chain = "code outside of processes called front #1 called ledger #2 called store #3";
    assert_eq!(from_one(&error), format!("{chain}{ADVICE}"));
    assert!(error.is_timeout());
    let CallError::ChainTimeout { chain } = error else { panic!("another error") };
    let pids: Vec<_> = chain.pids().collect();
    assert_eq!(pids, [None, front.pid(), ledger.pid(), store.pid()]);

    // The two servers that waited are free again, at once.
    for server in [front, ledger] {
        assert_eq!(server.call(answer_with(async { Ok(7) })).await, Ok(Ok(7)));
    }
    assert_eq!(start.elapsed(), SECOND);
}

/// The error inside a handler names the calls above it. A process that calls is named too.
#[tokio::test(start_paused = true)]
async fn the_error_inside_a_handler_names_the_calls_above_it() {
    let rt = propagating();
    let [front, ledger, _] = actors(&rt).await;
    let inside = async move { ledger.call(pass_on(Vec::new())).await? };
    let client = rt.spawn(async move |_| {
        let (answer, after) = ask_inside(&front, Some(SECOND), inside).await;
        assert_eq!(after, SECOND);
        let text = from_one(answer.unwrap_err());
        let chain = "client #4 called front #1 called ledger #2";
        assert_eq!(text, format!("{chain}{ADVICE}"));
    });
    rt.set_label(client.pid(), "client");
    let ended = client.join().await;
    assert!(ended.is_clean(), "{ended:#}");
}

/// A call has its own limit if that is shorter. When it ends, the chain no longer names its server.
#[tokio::test(start_paused = true)]
async fn the_shorter_limit_counts_and_an_ended_call_is_not_named() {
    let rt = propagating();
    let [front, ledger, store] = actors(&rt).await;
    let start = Instant::now();
    let call = answer_with(async move {
        let limit = ms(300);
        let short = ledger.call_timeout(Call::Keep, limit).await.unwrap_err();
        assert!(from_one(&short).contains("called front #1 called ledger #2, "), "{short}");
        assert_eq!(start.elapsed(), limit);
        let dropped = timeout(limit, ledger.call(Call::Keep)).await;
        assert!(dropped.is_err(), "the call is dropped");
        store.call(Call::Keep).await?
    });
    let error = front.call_timeout(call, SECOND).await.unwrap_err();
    assert!(from_one(&error).contains("front #1 called store #3, "), "{error}");
    assert_eq!(start.elapsed(), SECOND);
}

/// The inner call times out first, and its handler goes on without an answer: the first caller, which
/// is polled later, still names the server that it waited for.
#[tokio::test(start_paused = true)]
async fn the_first_caller_names_the_chain_also_if_it_is_polled_last() {
    let rt = propagating();
    let [front, ledger, _] = actors(&rt).await;
    let call = answer_with(async move {
        assert!(ledger.call(Call::Keep).await.is_err_and(|error| error.is_timeout()));
        pending().await
    });
    let mut call = std::pin::pin!(front.call_timeout(call, SECOND));
    assert!(timeout(ms(1), &mut call).await.is_err());
    sleep(SECOND * 2).await;
    let error = call.await.unwrap_err();
    assert!(from_one(&error).contains("called front #1 called ledger #2, "), "{error}");
}

/// A handler that calls nobody: there is no chain to name.
#[tokio::test(start_paused = true)]
async fn a_call_that_involves_one_server_times_out_as_ever() {
    let rt = propagating();
    let [front, ..] = actors(&rt).await;
    let call = front.call_timeout(Call::Keep, SECOND);
    assert_eq!(call.await, Err(CallError::Timeout));
}

/// An unlimited call in a limited handler is limited, by every kind of call. In an unlimited
/// handler it is not.
#[tokio::test(start_paused = true)]
async fn each_kind_of_call_in_a_limited_handler_is_limited() {
    let rt = propagating();
    let [front, ledger, _] = actors(&rt).await;
    let store = ledger.clone();
    let unlimited = async move { store.call_unlimited(Call::Keep).await? };
    let (answer, after) = ask_inside(&front, Some(SECOND), unlimited).await;
    assert!(answer.is_err_and(|error| error.is_timeout()));
    assert_eq!(after, SECOND);

    let store = ledger.clone();
    let typed = async move { store.caller(|(), reply| Call::Keep(reply)).call(()).await? };
    assert_eq!(ask_inside(&front, Some(SECOND), typed).await.1, SECOND);

    let store = ledger.clone();
    let many = async move {
        let servers = [store.clone(), store];
        ServerRef::call_many(&servers, Call::Keep, SECOND * 60).await.remove(0)?
    };
    assert_eq!(ask_inside(&front, Some(SECOND), many).await.1, SECOND);

    let store = ledger.clone();
    let free = async move { store.call_timeout(Call::Keep, SECOND * 60).await? };
    assert_eq!(ask_inside(&front, None, free).await.1, SECOND * 60);
}

/// A wait for a successor, for room in a mailbox, and for a start that a supervisor makes.
#[tokio::test(start_paused = true)]
async fn waits_before_and_around_a_call_are_limited_too() {
    let rt = propagating();
    let [front, ..] = actors(&rt).await;
    let pause = regrow::Backoff::new().first(SECOND * 600).max(SECOND * 600).jitter(0.0);
    let slow = Actor::child(()).named("slow").backoff(pause);
    let tree = Supervisor::one_for_one().child(slow).start(&rt).await.unwrap();
    rt.kill(rt.whereis("slow").unwrap());
    settled().await;
    let named = rt.server::<Actor>("slow");
    let waiting = async move { named.call_waiting(Call::Keep, SECOND * 60).await? };
    let (answer, after) = ask_inside(&front, Some(SECOND), waiting).await;
    assert!(matches!(answer, Err(CallError::Restarting { .. })), "{answer:?}");
    assert_eq!(after, SECOND);

    let full = Actor::spec(()).mailbox_capacity(1, Overflow::Wait).start(&rt).await.unwrap();
    let busy = [full.clone(), full.clone(), full.clone()]
        .map(|full| tokio::spawn(async move { full.call_unlimited(pass_on(Vec::new())).await }));
    settled().await;
    let waiting = async move { full.call_unlimited(Call::Keep).await? };
    let (answer, after) = ask_inside(&front, Some(SECOND), waiting).await;
    assert_eq!((answer, after), (Err(CallError::Overloaded), SECOND));
    busy.iter().for_each(tokio::task::JoinHandle::abort);

    let hung = Ledger::child(Setup { init: Init::Hangs, ..Setup::default() });
    let starting = tree.clone();
    let start = async move {
        let started = starting.start_child(hung).await;
        match started.unwrap_err() {
            StartError::Unreachable(error) => Err(error),
            other => panic!("{other}"),
        }
    };
    let (answer, after) = ask_inside(&front, Some(SECOND), start).await;
    assert!(answer.is_err_and(|error| error.is_timeout()));
    assert_eq!(after, SECOND);
}

/// If no time is left, a call is refused at once: its server receives nothing.
#[tokio::test(start_paused = true)]
async fn a_call_after_the_deadline_is_not_sent() {
    let rt = propagating();
    let [front, ledger, _] = actors(&rt).await;
    let called = ledger.clone();
    let late = async move {
        sleep(SECOND * 2).await;
        let refused = called.call(pass_on(Vec::new())).await;
        refused?
    };
    let (answer, after) = ask_inside(&front, Some(SECOND), late).await;
    let text = from_one(answer.unwrap_err());
    assert!(text.contains("called front #1 called ledger #2, "), "{text}");
    assert_eq!(after, SECOND * 2);
    // Had the call been sent, this server would never answer again.
    assert_eq!(ledger.call(answer_with(async { Ok(1) })).await, Ok(Ok(1)));
}

/// The handler can read the time left, also of a reply that it keeps.
#[tokio::test(start_paused = true)]
async fn a_handler_and_its_reply_know_the_deadline() {
    let rt = propagating();
    let [front, ..] = actors(&rt).await;
    let (kept, mut replies) = unbounded_channel();
    let due = Instant::now() + SECOND;
    let call = act(move |reply, ctx| {
        Box::pin(async move {
            sleep(ms(400)).await;
            assert_eq!((ctx.deadline().at(), reply.deadline().at()), (Some(due), Some(due)));
            assert_eq!(ctx.deadline().time_left(), Some(ms(600)));
            drop(kept.send(reply));
            Ok(())
        })
    });
    let late = tokio::spawn(async move { front.call_timeout(call, SECOND).await });
    let reply: Reply<Answer> = replies.recv().await.unwrap();
    assert_eq!(reply.deadline().time_left(), Some(ms(600)));
    assert!(late.await.unwrap().is_err());
    assert_eq!(reply.deadline().time_left(), Some(Duration::ZERO));
    assert!(!reply.is_awaited());
}

async fn next(results: &mut UnboundedReceiver<Option<Duration>>) -> Option<Duration> {
    results.recv().await.expect("the handler sends its deadline")
}

/// Other callbacks have no deadline, also right after a call, and a deferred reply's calls have
/// their own limits only.
#[tokio::test(start_paused = true)]
async fn casts_tasks_and_deferred_replies_inherit_nothing() {
    let rt = propagating();
    let [front, ledger, _] = actors(&rt).await;
    let (to, mut deadlines) = unbounded_channel();
    let (this, report) = (front.clone(), to.clone());
    let call = answer_with(async move {
        this.cast(Cast::Deadline(report));
        Ok(0)
    });
    assert_eq!(front.call_timeout(call, SECOND).await, Ok(Ok(0)));
    assert_eq!(next(&mut deadlines).await, None);

    let start = Instant::now();
    let deferred = front.call_timeout(Call::Keep, SECOND);
    let (deferred, _) = tokio::join!(deferred, async { front.cast(Cast::AskFor(ledger.clone())) });
    assert_eq!(deferred, Err(CallError::Timeout));
    assert_eq!(start.elapsed(), SECOND);
    front.cast(Cast::Deadline(to));
    assert_eq!(next(&mut deadlines).await, None);
    assert_eq!(start.elapsed(), SECOND * 5, "the deferred call has its own limit");
}

/// A task of a handler has the deadline if it is handed on, and else it has none.
#[tokio::test(start_paused = true)]
async fn a_task_has_the_deadline_that_is_handed_on_to_it() {
    let rt = propagating();
    let [front, ledger, _] = actors(&rt).await;
    let start = Instant::now();
    let (done, mut ends) = unbounded_channel();
    let call = act(move |reply, ctx| {
        Box::pin(async move {
            let work = || {
                let (ledger, done) = (ledger.clone(), done.clone());
                async move {
                    let error = ledger.call(Call::Keep).await.unwrap_err();
                    drop(done.send((start.elapsed(), error.to_string())));
                }
            };
            tokio::spawn(ctx.deadline().hand_on(work()));
            tokio::spawn(work());
            drop(reply);
            Ok(())
        })
    });
    assert_eq!(front.call_timeout(call, SECOND).await, Err(CallError::NoReply));
    let (after, text) = ends.recv().await.unwrap();
    assert_eq!(after, SECOND);
    let chain = "code outside of processes called front #1 called ledger #2";
    assert_eq!(from_one(text), format!("{chain}{ADVICE}"));
    let (after, text) = ends.recv().await.unwrap();
    assert_eq!((after, text), (SECOND * 5, CallError::Timeout.to_string()));
}

/// Makes a call in a task of tokio, and returns its reply, which is not answered.
async fn kept(server: &ServerRef<Actor>, limit: Option<Duration>) -> Reply<Answer> {
    let (kept, mut replies) = unbounded_channel();
    let call = act(move |reply, _| {
        Box::pin(async move {
            drop(kept.send(reply));
            Ok(())
        })
    });
    let server = server.clone();
    tokio::spawn(async move {
        match limit {
            Some(limit) => server.call_timeout(call, limit).await,
            None => server.call_unlimited(call).await,
        }
    });
    replies.recv().await.unwrap()
}

/// Work for a call without a limit has none, also in the handler of a call that has one.
#[tokio::test(start_paused = true)]
async fn the_missing_limit_of_a_call_can_be_handed_on() {
    let rt = Runtime::new();
    let [front, ledger, store] = actors(&rt).await;
    let before = kept(&store, Some(SECOND)).await;
    rt.propagate_deadlines(true);
    let unlimited = kept(&store, None).await;
    for reply in [before, unlimited] {
        let ledger = ledger.clone();
        let work = reply.deadline().hand_on(async move { ledger.call(Call::Keep).await? });
        let (answer, after) = ask_inside(&front, Some(SECOND), work).await;
        assert!(answer.is_err_and(|error| error.is_timeout()));
        assert_eq!(after, SECOND * 5);
    }
}

/// A deadline is one of its runtime: a call to a server of another one has its own limit.
#[tokio::test(start_paused = true)]
async fn a_deadline_that_is_handed_on_does_not_reach_another_runtime() {
    let (rt, other) = (propagating(), propagating());
    let [front, ledger, _] = actors(&rt).await;
    let [foreign, ..] = actors(&other).await;
    let reply = kept(&front, Some(SECOND)).await;
    let work = async {
        let start = Instant::now();
        assert_eq!(foreign.call(Call::Keep).await, Err(CallError::Timeout));
        assert_eq!(start.elapsed(), SECOND * 5);
        let error = ledger.call(Call::Keep).await.unwrap_err();
        assert!(matches!(error, CallError::ChainTimeout { .. }), "{error}");
        assert_eq!(start.elapsed(), SECOND * 5);
    };
    reply.deadline().hand_on(work).await;
}

/// A process that is polled by a future with a deadline has nothing of it.
#[test]
fn a_process_that_is_polled_in_a_future_with_a_deadline_has_nothing_of_it() {
    let mut tokio = tokio::runtime::Builder::new_current_thread();
    let tokio = tokio.enable_time().start_paused(true).build().unwrap();
    let (rt, [front, ledger, _]) = tokio.block_on(async {
        let rt = propagating();
        let actors = actors(&rt).await;
        (rt, actors)
    });
    let reply = tokio.block_on(kept(&front, Some(SECOND)));
    let work = reply.deadline().hand_on(async {
        tokio.block_on(async {
            let (start, (report, mut reported)) = (Instant::now(), unbounded_channel());
            let calls = move |_| async move {
                drop(report.send((ledger.call(Call::Keep).await, start.elapsed())));
            };
            rt.spawn(calls).join().await;
            reported.recv().await.unwrap()
        })
    });
    let result = futures_util::FutureExt::now_or_never(work).unwrap();
    assert_eq!(result, (Err(CallError::Timeout), SECOND * 5));
}

/// A future with a deadline that was handed on may panic: the code around it has its own limit.
#[tokio::test(start_paused = true)]
async fn a_panic_ends_the_handing_on() {
    let rt = propagating();
    let [front, ledger, _] = actors(&rt).await;
    let (kept, mut replies) = unbounded_channel();
    let call = act(move |reply, _| {
        Box::pin(async move {
            drop(kept.send(reply));
            Ok(())
        })
    });
    assert!(front.call_timeout(call, SECOND).await.is_err());
    let reply: Reply<Answer> = replies.recv().await.unwrap();
    let panics = reply.deadline().hand_on(async { panic!("as asked") });
    let caught = futures_util::FutureExt::catch_unwind(std::panic::AssertUnwindSafe(panics));
    assert!(caught.await.is_err());
    let start = Instant::now();
    assert_eq!(ledger.call(Call::Keep).await, Err(CallError::Timeout));
    assert_eq!(start.elapsed(), SECOND * 5);
}

/// A handler that panics has no deadline any more when `terminate` runs.
#[tokio::test(start_paused = true)]
async fn terminate_after_a_panic_has_no_deadline() {
    let rt = propagating();
    let [front, ledger, _] = actors(&rt).await;
    let start = Instant::now();
    let (done, mut ends) = unbounded_channel();
    let last = Box::pin(async move {
        let error = ledger.call(Call::Keep).await.unwrap_err();
        drop(done.send((start.elapsed(), error)));
    });
    let call = front.call_timeout(|reply| Call::Panic(last, reply), SECOND);
    assert!(call.await.is_err());
    assert_eq!(ends.recv().await, Some((SECOND * 5, CallError::Timeout)));
}

/// While the switch is off, nothing is limited and nothing is known. It applies to later calls.
#[tokio::test(start_paused = true)]
async fn deadlines_do_not_travel_while_the_switch_is_off() {
    let rt = Runtime::new();
    let [front, ledger, _] = actors(&rt).await;
    let store = ledger.clone();
    let inside = async move { store.call(Call::Keep).await? };
    let (answer, after) = ask_inside(&front, Some(SECOND), inside).await;
    assert_eq!((answer, after), (Err(CallError::Timeout), SECOND * 5));

    let reads = act(|reply, ctx| {
        Box::pin(async move {
            assert_eq!((ctx.deadline().at(), reply.deadline().time_left()), (None, None));
            reply.send(Ok(0));
            Ok(())
        })
    });
    assert_eq!(front.call(reads).await, Ok(Ok(0)));

    // A call that was made before has no deadline: it begins no chain.
    let (store, on) = (ledger.clone(), rt.clone());
    let inside = async move {
        on.propagate_deadlines(true);
        store.call(Call::Keep).await?
    };
    let (answer, after) = ask_inside(&front, Some(SECOND), inside).await;
    assert_eq!((answer, after), (Err(CallError::Timeout), SECOND * 5));
    rt.propagate_deadlines(false);
    let inside = async move { ledger.call(Call::Keep).await? };
    assert_eq!(ask_inside(&front, Some(SECOND), inside).await.1, SECOND * 5);
}

/// Tracking wraps the queued call, and the detection of deadlocks watches it: both still work.
#[tokio::test(start_paused = true)]
async fn propagation_works_beside_tracking_and_the_detection_of_deadlocks() {
    let rt = propagating();
    rt.track_handlers(true);
    rt.detect_deadlocks(true);
    let [front, ledger, store] = actors(&rt).await;
    let (again, cycle) = (front.clone(), [&ledger, &front, &ledger].map(|server| server.pid()));
    let inner = ledger.clone();
    let inside = async move {
        let call = answer_with(async move { again.call(Call::Keep).await? });
        inner.call(call).await?
    };
    let (answer, after) = ask_inside(&front, Some(SECOND), inside).await;
    let cycle = cycle.into_iter().flatten().collect();
    assert_eq!((answer, after), (Err(CallError::Deadlock { cycle }), Duration::ZERO));

    let call = pass_on(vec![ledger.clone(), store]);
    // Both deadlines pass at the same time, so the front may still answer with its own time-out.
    let answer = front.call_timeout(call, SECOND).await.and_then(|answer| answer);
    assert!(answer.is_err_and(|error| error.is_timeout()));
    let info = rt.info(ledger.pid().unwrap()).unwrap();
    assert_eq!(info.handled, Some(2));
}

/// The calls of a chain leave nothing behind.
#[tokio::test(start_paused = true)]
async fn a_chain_leaves_nothing_behind() {
    let rt = propagating();
    let servers = actors(&rt).await;
    let [front, ledger, store] = servers.clone();
    let call = answer_with(async move {
        for _ in 0..3 {
            let done = ledger.call(answer_with(async { Ok(1) })).await;
            assert_eq!(done, Ok(Ok(1)));
        }
        store.call(answer_with(async { Ok(2) })).await?
    });
    assert_eq!(front.call(call).await, Ok(Ok(2)));
    for server in servers {
        server.stop(regrow::ExitReason::Normal).await.unwrap();
    }
    assert_eq!(rt.leftovers(), regrow::Leftovers::default());
}

/// A call to the server of a key, which may be taken back, has its deadline in the reply, too.
#[tokio::test(start_paused = true)]
async fn a_reply_of_a_call_that_starts_its_server_knows_the_deadline() {
    let rt = Runtime::new();
    rt.propagate_deadlines(true);
    let supervisor = regrow::DynamicSupervisor::new().start(&rt).await.unwrap();
    let actors: regrow::KeyedServers<u8, Actor> = regrow::KeyedServers::new(&supervisor);
    let (sender, mut left) = unbounded_channel();
    for _ in 0..2 {
        let sender = sender.clone();
        let ask = move |reply| {
            let sender = sender.clone();
            let act: Act = Box::new(move |reply: Reply<Answer>, _| {
                Box::pin(async move {
                    sender.send(reply.deadline().time_left())?;
                    reply.send(Ok(1));
                    Ok(())
                })
            });
            Call::Act(act, reply)
        };
        let called = actors.call_or_start(&1, || Actor::spec(()), ask, 3 * SECOND).await;
        assert_eq!(called, Ok(Ok(1)));
        assert_eq!(left.recv().await, Some(Some(3 * SECOND)));
    }
}
