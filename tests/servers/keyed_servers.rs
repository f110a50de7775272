//! Keyed servers: a call finds the server of its key, or starts it. What becomes of a call if the
//! server ends at any step.

use crate::support;

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use futures_util::future::join_all;
use regrow::{
    CallError, DynamicSupervisor, DynamicSupervisorRef, ExitReason, GenServer, KeyedError,
    KeyedServers, Overflow, Reply, Result, Runtime, ServerContext, ServerSpec, StartError,
};
use support::{idle, settled};
use tokio::sync::{Semaphore, mpsc};

const LIMIT: Duration = Duration::from_secs(5);

/// What the devices of one test share.
struct World {
    /// Opens the `init` of a device. Open unless a test closes it.
    init: Semaphore,
    init_fails: AtomicBool,
    /// Opens the handlers that wait.
    gate: Semaphore,
    inits: AtomicUsize,
    handled: AtomicUsize,
}

impl World {
    fn new() -> Arc<Self> {
        let (inits, handled) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let (init, gate) = (Semaphore::new(Semaphore::MAX_PERMITS), Semaphore::new(0));
        Arc::new(World { init, init_fails: AtomicBool::new(false), gate, inits, handled })
    }

    fn inits(&self) -> usize {
        self.inits.load(Ordering::SeqCst)
    }

    /// The number of `Ping`s that handlers have received.
    fn handled(&self) -> usize {
        self.handled.load(Ordering::SeqCst)
    }
}

/// Polls a future once, and returns whether it is pending.
async fn is_pending(future: &mut (impl Future + Unpin)) -> bool {
    poll_fn(|cx| Poll::Ready(Pin::new(&mut *future).poll(cx).is_pending())).await
}

async fn pass(gate: &Semaphore) {
    gate.acquire().await.unwrap().forget();
}

struct Device {
    world: Arc<World>,
    idle: Option<Duration>,
    kept: Vec<Reply<usize>>,
}

enum Call {
    /// Answers with the number of the incarnation.
    Ping(Reply<usize>),
    /// Waits for the gate, then ends as the `Result` says.
    Wait(Result, Reply<usize>),
    /// Keeps the reply with the state.
    Keep(Reply<usize>),
    /// Gives the reply away.
    Give(mpsc::UnboundedSender<Reply<usize>>, Reply<usize>),
    /// Contains the reply of another call.
    Forward(Option<Reply<usize>>, Reply<usize>),
    Crash(Reply<usize>),
    /// Answers with the milliseconds that the handler has left.
    TimeLeft(Reply<usize>),
    /// Drops the reply.
    Nothing,
    /// Calls the device of this key.
    Ask(KeyedServers<u32, Device>, u32, Reply<Result<usize, KeyedError<u32>>>),
}

enum Cast {
    Ping,
    Wait,
}

impl GenServer for Device {
    type Args = (Arc<World>, Option<Duration>);
    type Call = Call;
    type Cast = Cast;

    async fn init((world, idle): Self::Args, ctx: &mut ServerContext<Self>) -> Result<Self> {
        world.inits.fetch_add(1, Ordering::SeqCst);
        pass(&world.init).await;
        if world.init_fails.load(Ordering::SeqCst) {
            Err("no such device")?;
        }
        if let Some(idle) = idle {
            ctx.idle_timeout(idle);
        }
        Ok(Device { world, idle, kept: Vec::new() })
    }

    async fn handle_call(&mut self, call: Call, ctx: &mut ServerContext<Self>) -> Result {
        match call {
            Call::Ping(reply) => {
                self.world.handled.fetch_add(1, Ordering::SeqCst);
                reply.send(self.world.inits());
            }
            Call::Wait(end, reply) => {
                pass(&self.world.gate).await;
                reply.send(self.world.inits());
                return end;
            }
            Call::Keep(reply) => self.kept.push(reply),
            Call::Give(to, reply) => drop(to.send(reply)),
            Call::Nothing => {}
            Call::Forward(other, reply) => {
                self.kept.extend(other);
                reply.send(0);
            }
            Call::TimeLeft(reply) => {
                let left = ctx.deadline().time_left().map(|left| left.as_millis());
                reply.send(usize::try_from(left.unwrap_or_default()).unwrap());
            }
            Call::Crash(reply) => {
                self.world.handled.fetch_add(1, Ordering::SeqCst);
                self.kept.push(reply);
                panic!("as asked")
            }
            Call::Ask(devices, key, reply) => {
                let spec = || Device::spec((self.world.clone(), None));
                reply.send(devices.call_or_start(&key, spec, Call::Ping, LIMIT).await);
            }
        }
        if let Some(idle) = self.idle {
            ctx.idle_timeout(idle);
        }
        Ok(())
    }

    async fn handle_cast(&mut self, cast: Cast, _: &mut ServerContext<Self>) -> Result {
        match cast {
            Cast::Ping => drop(self.world.handled.fetch_add(1, Ordering::SeqCst)),
            Cast::Wait => pass(&self.world.gate).await,
        }
        Ok(())
    }

    async fn handle_timeout(&mut self, _: &mut ServerContext<Self>) -> Result {
        pass(&self.world.gate).await;
        Err(ExitReason::Normal)
    }
}

struct Devices {
    rt: Runtime,
    world: Arc<World>,
    supervisor: DynamicSupervisorRef,
    keyed: KeyedServers<u32, Device>,
}

impl Devices {
    async fn with(supervisor: DynamicSupervisor) -> Self {
        let rt = Runtime::with_mailbox_depth();
        let supervisor = supervisor.start(&rt).await.unwrap();
        let keyed = KeyedServers::new(&supervisor);
        Devices { rt, world: World::new(), supervisor, keyed }
    }

    async fn new() -> Self {
        Devices::with(DynamicSupervisor::new()).await
    }

    fn spec(&self) -> ServerSpec<Device> {
        Device::spec((self.world.clone(), None))
    }

    /// Calls the device 7.
    fn call<'a>(
        &'a self,
        make: impl Fn(Reply<usize>) -> Call + 'a,
    ) -> impl Future<Output = Result<usize, KeyedError<u32>>> + Unpin + 'a {
        self.call_within(LIMIT, || self.spec(), make)
    }

    fn call_within<'a>(
        &'a self,
        limit: Duration,
        spec: impl Fn() -> ServerSpec<Device> + 'a,
        make: impl Fn(Reply<usize>) -> Call + 'a,
    ) -> impl Future<Output = Result<usize, KeyedError<u32>>> + Unpin + 'a {
        Box::pin(self.keyed.call_or_start(&7, spec, make, limit))
    }

    fn depth(&self) -> usize {
        self.keyed
            .whereis(&7)
            .and_then(|pid| self.rt.info(pid))
            .map_or(0, |info| info.mailbox_depth)
    }

    async fn children(&self) -> usize {
        self.supervisor.count_children().await.unwrap().active
    }
}

fn wait_then_end(reply: Reply<usize>) -> Call {
    Call::Wait(Err(ExitReason::Normal), reply)
}

fn not_started(error: StartError) -> KeyedError<u32> {
    KeyedError::NotStarted { key: 7, error }
}

fn failed(error: CallError) -> KeyedError<u32> {
    KeyedError::Call { key: 7, error }
}

const NOT_READY: KeyedError<u32> = KeyedError::NotReady { key: 7, limit: LIMIT };

#[tokio::test(start_paused = true)]
async fn the_first_call_starts_a_server_and_later_calls_build_no_specification() {
    let devices = Devices::new().await;
    assert_eq!(devices.call(Call::Ping).await, Ok(1));
    let no_spec = || -> ServerSpec<Device> { panic!("a specification was built") };
    for _ in 0..3 {
        assert_eq!(devices.call_within(LIMIT, no_spec, Call::Ping).await, Ok(1));
    }
    let server = devices.keyed.server(&7).unwrap();
    assert_eq!(server.pid(), devices.keyed.whereis(&7));
    assert_eq!(server.call(Call::Ping).await, Ok(1));
    assert!(devices.keyed.server(&8).is_none());
    assert_eq!((devices.children().await, devices.world.handled()), (1, 5));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_lies_unread_when_its_server_stops_for_idleness_starts_the_next_server() {
    let devices = Devices::new().await;
    let spec = || Device::spec((devices.world.clone(), Some(Duration::from_millis(1))));
    assert_eq!(devices.call_within(LIMIT, spec, Call::Ping).await, Ok(1));
    tokio::time::sleep(Duration::from_millis(5)).await; // `handle_timeout` waits for the gate
    let mut call = devices.call(Call::Ping);
    assert!(is_pending(&mut call).await);
    assert_eq!(devices.depth(), 1);
    devices.world.gate.add_permits(1);
    assert_eq!(call.await, Ok(2));
    assert_eq!((devices.world.inits(), devices.world.handled()), (2, 2));
}

/// The reader takes all items of the inbox at once into its own buffer.
#[tokio::test(start_paused = true)]
async fn calls_in_the_buffer_of_the_reader_are_given_back_when_the_server_ends() {
    for rt in [Runtime::new(), Runtime::with_mailbox_depth()] {
        let supervisor = DynamicSupervisor::new().start(&rt).await.unwrap();
        let keyed = KeyedServers::new(&supervisor);
        let devices = Devices { rt, world: World::new(), supervisor, keyed };
        let init = devices.world.init.forget_permits(Semaphore::MAX_PERMITS);
        let mut first = devices.call(Call::Ping);
        assert!(is_pending(&mut first).await);
        settled().await;
        // The server is in its `init`, and both calls are queued before it reads.
        let server = devices.keyed.server(&7).unwrap();
        let ending = tokio::spawn(async move { server.call(wait_then_end).await });
        settled().await;
        let others = [(); 3].map(|()| {
            let (keyed, world) = (devices.keyed.clone(), devices.world.clone());
            tokio::spawn(async move {
                let spec = || Device::spec((world.clone(), None));
                keyed.call_or_start(&7, spec, Call::Ping, LIMIT).await
            })
        });
        settled().await;
        devices.world.init.add_permits(init);
        devices.world.gate.add_permits(1);
        assert_eq!(first.await.unwrap(), 2);
        assert!(ending.await.unwrap().is_ok());
        for other in others {
            assert_eq!(other.await.unwrap(), Ok(2));
        }
        assert_eq!((devices.world.inits(), devices.world.handled()), (2, 4));
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_a_killed_server_refuses_waits_for_the_end_and_starts_the_next_server() {
    let devices = Devices::new().await;
    assert_eq!(devices.call(Call::Ping).await, Ok(1));
    // The process has accepted the exit, and its task has not run since.
    assert!(devices.rt.kill(devices.keyed.whereis(&7).unwrap()));
    assert_eq!(devices.call(Call::Ping).await, Ok(2));
    assert_eq!((devices.world.inits(), devices.world.handled()), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_a_killed_server_has_not_read_starts_the_next_server() {
    let devices = Devices::new().await;
    assert_eq!(devices.call(Call::Ping).await, Ok(1));
    devices.keyed.server(&7).unwrap().cast(Cast::Wait);
    settled().await;
    let mut call = devices.call(Call::Ping);
    assert!(is_pending(&mut call).await);
    assert_eq!(devices.depth(), 1);
    assert!(devices.rt.kill(devices.keyed.whereis(&7).unwrap()));
    assert_eq!(call.await, Ok(2));
    assert_eq!((devices.world.inits(), devices.world.handled()), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_handler_crashes_is_not_made_again() {
    let devices = Devices::new().await;
    let Err(KeyedError::Call { key, error: CallError::Exited(reason) }) =
        devices.call(Call::Crash).await
    else {
        panic!()
    };
    assert_eq!((key, reason.crash().unwrap().message()), (7, "as asked"));
    assert_eq!((devices.world.inits(), devices.world.handled()), (1, 1));
    assert_eq!(devices.call(Call::Ping).await, Ok(2));
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_reply_is_kept_until_the_server_ends_is_not_made_again() {
    let devices = Devices::new().await;
    assert_eq!(devices.call(Call::Ping).await, Ok(1));
    let mut kept = devices.call(Call::Keep);
    assert!(is_pending(&mut kept).await);
    settled().await;
    devices.keyed.server(&7).unwrap().stop(ExitReason::Normal).await.unwrap();
    assert_eq!(kept.await, Err(failed(CallError::Exited(ExitReason::Normal))));
    assert_eq!(devices.world.inits(), 1);
}

/// The reply of a handled call lies in a later call of the same server, which is left unread.
#[tokio::test(start_paused = true)]
async fn a_handled_call_whose_reply_lies_in_an_unread_call_is_not_made_again() {
    let devices = Devices::new().await;
    assert_eq!(devices.call(Call::Ping).await, Ok(1));
    let (replies, mut given) = mpsc::unbounded_channel();
    let mut first = devices.call(move |reply| Call::Give(replies.clone(), reply));
    assert!(is_pending(&mut first).await);
    let handled = Mutex::new(Some(given.recv().await.unwrap()));
    let server = devices.keyed.server(&7).unwrap();
    server.cast(Cast::Wait);
    settled().await;
    let forward = |reply| Call::Forward(handled.lock().unwrap().take(), reply);
    let mut second = devices.call_within(LIMIT, || devices.spec(), forward);
    assert!(is_pending(&mut second).await);
    assert_eq!(devices.depth(), 1);
    assert!(devices.rt.kill(server.pid().unwrap()));
    let (first, second) = tokio::join!(first, second);
    assert_eq!(first, Err(failed(CallError::Exited(ExitReason::Killed))));
    assert_eq!((second, devices.world.inits()), (Ok(0), 2));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_a_live_server_drops_fails_with_no_reply() {
    let devices = Devices::new().await;
    assert_eq!(devices.call(|_| Call::Nothing).await, Err(failed(CallError::NoReply)));
    assert_eq!(devices.world.inits(), 1);
}

#[tokio::test(start_paused = true)]
async fn callers_that_wait_for_one_start_get_one_server_or_one_error() {
    let devices = Devices::new().await;
    let init = devices.world.init.forget_permits(Semaphore::MAX_PERMITS);
    for (fails, inits) in [(true, 1), (false, 2)] {
        devices.world.init_fails.store(fails, Ordering::SeqCst);
        let mut calls = Box::pin(join_all((0..100).map(|_| devices.call(Call::Ping))));
        assert!(is_pending(&mut calls).await);
        settled().await;
        devices.world.init.add_permits(1);
        for answer in calls.await {
            match answer {
                Ok(incarnation) => assert_eq!((fails, incarnation), (false, inits)),
                Err(KeyedError::NotStarted { key, error: StartError::Failed(reason) }) => {
                    assert_eq!((fails, key), (true, 7));
                    assert!(reason.to_string().contains("no such device"));
                }
                Err(other) => panic!("{other}"),
            }
        }
        assert_eq!(devices.world.inits(), inits);
    }
    devices.world.init.add_permits(init - 2);
    assert_eq!((devices.children().await, devices.world.handled()), (1, 100));
}

#[tokio::test(start_paused = true)]
async fn a_start_whose_caller_has_gone_serves_the_callers_that_wait_for_it() {
    let devices = Devices::new().await;
    devices.world.init.forget_permits(Semaphore::MAX_PERMITS);
    for settles in [false, true] {
        let mut leader = devices.call(Call::Ping);
        assert!(is_pending(&mut leader).await);
        let mut others = Box::pin(join_all((0..3).map(|_| devices.call(Call::Ping))));
        assert!(is_pending(&mut others).await);
        if settles {
            settled().await;
        }
        drop(leader);
        assert!(is_pending(&mut others).await);
        settled().await;
        devices.world.init.add_permits(1);
        let inits = devices.world.inits();
        assert_eq!(others.await, [Ok(inits), Ok(inits), Ok(inits)]);
        assert_eq!(devices.children().await, 1);
        support::killed(&devices.rt, devices.keyed.whereis(&7).unwrap()).await;
    }
    assert_eq!(devices.world.inits(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_is_not_polled_delays_no_other_caller_of_its_key() {
    let devices = Devices::new().await;
    let mut unpolled = devices.call(Call::Ping);
    assert!(is_pending(&mut unpolled).await);
    assert_eq!(devices.call(Call::Ping).await, Ok(1));
    assert_eq!(unpolled.await, Ok(1));
    assert_eq!((devices.children().await, devices.world.inits()), (1, 1));
}

/// The start of the call is refused, and the process that holds the key ends before the task of the
/// start runs.
#[tokio::test(start_paused = true)]
async fn a_start_that_is_refused_for_a_holder_that_ends_at_once_is_made_again() {
    let devices = Devices::new().await;
    devices.world.init_fails.store(true, Ordering::SeqCst);
    let mut call = devices.call(Call::Ping);
    assert!(is_pending(&mut call).await);
    let child = devices.spec().via(devices.keyed.registry(), 7, ());
    let mut starting = Box::pin(devices.supervisor.start_child(child));
    assert!(is_pending(&mut starting).await);
    let refused = call.await.unwrap_err();
    let failed =
        |error| matches!(error, KeyedError::NotStarted { error: StartError::Failed(_), .. });
    assert!(failed(refused));
    assert!(starting.await.is_err());
    assert_eq!(devices.world.inits(), 2);
}

#[tokio::test(start_paused = true)]
async fn calls_that_a_failing_init_leaves_unread_get_the_error_of_a_start() {
    let devices = Devices::new().await;
    devices.world.init.forget_permits(Semaphore::MAX_PERMITS);
    devices.world.init_fails.store(true, Ordering::SeqCst);
    // The start is requested without the call, so the call lies in the mailbox of the server.
    let child = devices.spec().via(devices.keyed.registry(), 7, ());
    let starting = devices.supervisor.start_child(child);
    let mut starting = Box::pin(starting);
    assert!(is_pending(&mut starting).await);
    settled().await;
    let mut call = devices.call(Call::Ping);
    assert!(is_pending(&mut call).await);
    assert_eq!(devices.depth(), 1);
    devices.world.init.add_permits(2);
    assert!(starting.await.is_err());
    let Err(KeyedError::NotStarted { error: StartError::Failed(_), .. }) = call.await else {
        panic!()
    };
    assert_eq!((devices.world.inits(), devices.world.handled()), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn a_start_that_is_refused_is_an_error_that_names_the_key() {
    let devices = Devices::with(DynamicSupervisor::new().max_children(1)).await;
    let other = devices.keyed.call_or_start(&8, || devices.spec(), Call::Ping, LIMIT);
    assert_eq!(other.await, Ok(1));
    let refused = devices.call(Call::Ping).await.unwrap_err();
    assert_eq!(refused, not_started(StartError::MaxChildren(1)));
    assert_eq!(refused.key(), &7);
    let text = "no server for the key 7 could be started: the supervisor has 1 children, which is \
                its maximum";
    assert_eq!(refused.to_string(), text);

    devices.supervisor.stop().await.unwrap();
    let gone = StartError::Unreachable(CallError::NoProc);
    assert_eq!(devices.call(Call::Ping).await, Err(not_started(gone)));
    assert_eq!(devices.world.inits(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_a_stopping_supervisor_leaves_unread_fails_as_not_started() {
    let devices = Devices::new().await;
    assert_eq!(devices.call(Call::Ping).await, Ok(1));
    devices.keyed.server(&7).unwrap().cast(Cast::Wait);
    settled().await;
    let mut call = devices.call(Call::Ping);
    assert!(is_pending(&mut call).await);
    devices.supervisor.stop().await.unwrap();
    let Err(KeyedError::NotStarted { key: 7, error: StartError::Unreachable(_) }) = call.await
    else {
        panic!()
    };
    assert_eq!(devices.world.handled(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_still_unread_at_its_time_limit_is_never_handled() {
    let devices = Devices::new().await;
    assert_eq!(devices.call(Call::Ping).await, Ok(1));
    let server = devices.keyed.server(&7).unwrap();
    server.cast(Cast::Wait);
    assert_eq!(devices.call(Call::Ping).await, Err(NOT_READY));
    devices.world.gate.add_permits(1);
    assert_eq!(server.call(Call::Ping).await, Ok(1));
    assert_eq!(devices.world.handled(), 2);

    // The same for a suspended server, and for one that is killed while it is suspended.
    server.suspend().await.unwrap();
    assert_eq!(devices.call(Call::Ping).await, Err(NOT_READY));
    let mut call = devices.call(Call::Ping);
    assert!(is_pending(&mut call).await);
    settled().await;
    devices.rt.kill(server.pid().unwrap());
    assert_eq!(call.await, Ok(2));
    assert_eq!(devices.world.handled(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_a_handler_has_at_its_time_limit_times_out() {
    let devices = Devices::new().await;
    let call = devices.call(|reply| Call::Wait(Ok(()), reply)).await;
    assert_eq!(call, Err(failed(CallError::Timeout)));
}

#[tokio::test(start_paused = true)]
async fn the_time_limit_also_holds_for_a_start() {
    let devices = Devices::new().await;
    devices.world.init.forget_permits(Semaphore::MAX_PERMITS);
    let both = tokio::join!(devices.call(Call::Ping), devices.call(Call::Ping));
    assert_eq!(both, (Err(NOT_READY), Err(NOT_READY)));
    // The start has gone on.
    devices.world.init.add_permits(1);
    assert_eq!(devices.call(Call::Ping).await, Ok(1));
    let zero = devices.call_within(Duration::ZERO, || panic!("a start"), Call::Ping).await;
    assert_eq!(zero, Err(KeyedError::NotReady { key: 7, limit: Duration::ZERO }));
}

#[tokio::test(start_paused = true)]
async fn a_full_mailbox_refuses_a_call_or_lets_it_wait_as_its_policy_says() {
    for overflow in [Overflow::Reject, Overflow::Wait, Overflow::DropOldest] {
        let devices = Devices::new().await;
        let spec = || devices.spec().mailbox_capacity(1, overflow);
        assert_eq!(devices.call_within(LIMIT, spec, Call::Ping).await, Ok(1));
        let server = devices.keyed.server(&7).unwrap();
        server.cast(Cast::Wait);
        settled().await;
        let mut queued = devices.call(Call::Ping);
        assert!(is_pending(&mut queued).await);
        let mut next = devices.call(Call::Ping);
        assert_eq!(is_pending(&mut next).await, overflow != Overflow::Reject);
        assert!(devices.rt.kill(server.pid().unwrap()));
        match overflow {
            Overflow::Reject => assert_eq!(queued.await, Ok(2)),
            Overflow::Wait => assert_eq!(tokio::join!(queued, next), (Ok(2), Ok(2))),
            _ => {
                let evicted = Err(failed(CallError::Overloaded));
                assert_eq!(tokio::join!(queued, next), (evicted, Ok(2)));
            }
        }
    }
}

/// Crashes at its first message, which it sends itself.
struct Crasher;

impl GenServer for Crasher {
    type Args = Arc<World>;
    type Call = Reply<()>;
    type Cast = ();

    async fn init(world: Arc<World>, ctx: &mut ServerContext<Self>) -> Result<Self> {
        world.inits.fetch_add(1, Ordering::SeqCst);
        ctx.continue_with(());
        Ok(Crasher)
    }

    async fn handle_call(&mut self, reply: Reply<()>, _: &mut ServerContext<Self>) -> Result {
        reply.send(());
        Ok(())
    }

    async fn handle_cast(&mut self, (): (), _: &mut ServerContext<Self>) -> Result {
        Err("broken".into())
    }
}

#[tokio::test(start_paused = true)]
async fn servers_that_crash_before_they_read_are_started_after_growing_pauses() {
    let rt = Runtime::new();
    let supervisor = DynamicSupervisor::new().start(&rt).await.unwrap();
    let keyed: KeyedServers<&str, Crasher> = KeyedServers::new(&supervisor);
    let world = World::new();
    let limit = Duration::from_secs(10);
    let call = keyed.call_or_start(&"a", || Crasher::spec(world.clone()), |reply| reply, limit);
    assert_eq!(call.await, Err(KeyedError::NotReady { key: "a", limit }));
    // Twice at once, after 1 ms, 2 ms, …, 512 ms, and then each second.
    let inits = world.inits();
    assert!((18..=22).contains(&inits), "{inits}");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_calls_its_own_key_gets_an_error() {
    let devices = Devices::new().await;
    assert_eq!(devices.call(Call::Ping).await, Ok(1));
    let ask = |key| {
        let (keyed, server) = (devices.keyed.clone(), devices.keyed.server(&7).unwrap());
        async move { server.call(|reply| Call::Ask(keyed, key, reply)).await.unwrap() }
    };
    assert_eq!(ask(7).await, Err(failed(CallError::CallingSelf)));
    assert_eq!(ask(8).await, Ok(2));
    devices.rt.detect_deadlocks(true);
    assert_eq!(ask(8).await, Ok(2));
}

#[tokio::test(start_paused = true)]
async fn a_keyed_call_in_a_handler_has_the_time_that_the_handler_has() {
    let devices = Devices::new().await;
    devices.rt.propagate_deadlines(true);
    assert_eq!(devices.call(Call::Ping).await, Ok(1));
    devices.world.init.forget_permits(Semaphore::MAX_PERMITS);
    let (start, server) = (tokio::time::Instant::now(), devices.keyed.server(&7).unwrap());
    let limit = Duration::from_millis(100);
    let ask = |reply| Call::Ask(devices.keyed.clone(), 8, reply);
    let mut asked = Box::pin(server.call_timeout(ask, limit));
    assert!(is_pending(&mut asked).await);
    settled().await;
    let other = devices.keyed.call_or_start(&8, || panic!("a start"), Call::Ping, LIMIT);
    let mut other = Box::pin(other);
    assert!(is_pending(&mut other).await);
    assert!(asked.await.unwrap_err().is_timeout());
    // The handler is free again, and the start goes on for the other caller.
    assert_eq!(devices.call(Call::Ping).await, Ok(2));
    assert_eq!(start.elapsed(), limit);
    devices.world.init.add_permits(1);
    assert_eq!(other.await, Ok(2));
}

#[tokio::test(start_paused = true)]
async fn the_handler_of_a_keyed_call_has_the_deadline_of_the_call() {
    let devices = Devices::new().await;
    let left = || {
        let limit = Duration::from_millis(100);
        devices.call_within(limit, || devices.spec(), Call::TimeLeft)
    };
    assert_eq!(left().await, Ok(0)); // no deadline
    devices.rt.propagate_deadlines(true);
    assert_eq!(left().await, Ok(100));
}

#[tokio::test(start_paused = true)]
async fn a_process_of_another_type_under_the_key_is_an_error() {
    let devices = Devices::new().await;
    let other = idle(&devices.rt);
    devices.keyed.registry().register(other, 7, ()).unwrap();
    assert_eq!(devices.call(Call::Ping).await, Err(failed(CallError::WrongType)));
    assert!(devices.keyed.server(&7).is_none());
    assert_eq!(devices.keyed.whereis(&7), Some(other));
}

#[tokio::test(start_paused = true)]
async fn a_cast_starts_the_server_and_is_given_back_if_no_mailbox_accepts_it() {
    let devices = Devices::with(DynamicSupervisor::new().max_children(1)).await;
    let cast = |key| devices.keyed.cast_or_start(key, || devices.spec(), Cast::Ping, LIMIT);
    cast(&7).await.unwrap();
    cast(&7).await.unwrap();
    settled().await;
    assert_eq!((devices.world.inits(), devices.world.handled()), (1, 2));

    let refused = cast(&8).await.unwrap_err();
    let full = KeyedError::NotStarted { key: 8, error: StartError::MaxChildren(1) };
    assert!(refused.error == full && matches!(refused.cast, Cast::Ping));
    assert_eq!(KeyedError::from(refused), full);

    // Refused by a server that is ending: accepted by the next one.
    assert!(devices.rt.kill(devices.keyed.whereis(&7).unwrap()));
    cast(&7).await.unwrap();
    settled().await;
    assert_eq!((devices.world.inits(), devices.world.handled()), (2, 3));
}

#[tokio::test(start_paused = true)]
async fn a_cast_to_a_full_mailbox_is_given_back() {
    let devices = Devices::new().await;
    let spec = || devices.spec().mailbox_capacity(1, Overflow::Wait);
    assert_eq!(devices.call_within(LIMIT, spec, Call::Ping).await, Ok(1));
    devices.keyed.server(&7).unwrap().cast(Cast::Wait);
    settled().await;
    devices.keyed.cast_or_start(&7, spec, Cast::Ping, LIMIT).await.unwrap();
    let refused = devices.keyed.cast_or_start(&7, spec, Cast::Ping, LIMIT).await.unwrap_err();
    assert_eq!(refused.error, failed(CallError::Overloaded));
}

/// A server that ends as soon as it has started.
struct Brief;

impl GenServer for Brief {
    type Args = ();
    type Call = Reply<()>;
    type Cast = ();

    async fn init((): (), ctx: &mut ServerContext<Self>) -> Result<Self> {
        ctx.continue_with(());
        Ok(Brief)
    }

    async fn handle_cast(&mut self, (): (), ctx: &mut ServerContext<Self>) -> Result {
        ctx.stop(ExitReason::Normal)
    }
}

async fn briefs(rt: &Runtime) -> KeyedServers<u8, Brief> {
    KeyedServers::new(&DynamicSupervisor::new().start(rt).await.unwrap())
}

/// The pause before the last start would end after the limit.
#[tokio::test(start_paused = true)]
async fn a_pause_between_two_starts_ends_at_the_time_limit() {
    let rt = Runtime::new();
    let briefs = briefs(&rt).await;
    let (begun, limit) = (tokio::time::Instant::now(), Duration::from_millis(1_400));
    let called = briefs.call_or_start(&1, || Brief::spec(()), |reply| reply, limit).await;
    assert_eq!(called, Err(KeyedError::NotReady { key: 1, limit }));
    assert_eq!(begun.elapsed(), limit);
}

#[tokio::test(start_paused = true)]
async fn a_call_without_time_starts_no_server() {
    let rt = Runtime::new();
    let briefs = briefs(&rt).await;
    let spec = || -> ServerSpec<Brief> { panic!("it is not started") };
    let called = briefs.call_or_start(&1, spec, |reply| reply, Duration::ZERO).await;
    assert_eq!(called, Err(KeyedError::NotReady { key: 1, limit: Duration::ZERO }));
}

#[tokio::test(start_paused = true)]
async fn a_specification_that_panics_is_the_callers_panic_and_the_key_stays_free() {
    let rt = Runtime::new();
    let supervisor = DynamicSupervisor::new().start(&rt).await.unwrap();
    let waiting: KeyedServers<u8, Patient> = KeyedServers::new(&supervisor);
    let own = waiting.clone();
    let panics = tokio::spawn(async move {
        let spec = || -> ServerSpec<Patient> { panic!("no arguments") };
        own.call_or_start(&1, spec, |reply| reply, LIMIT).await
    });
    assert!(panics.await.unwrap_err().is_panic());
    let spec = || Patient::spec(());
    assert_eq!(waiting.call_or_start(&1, spec, |reply| reply, LIMIT).await, Ok(()));
}

/// A server whose `init` and whose `terminate` take time.
struct Patient;

impl GenServer for Patient {
    type Args = ();
    type Call = Reply<()>;
    type Cast = ();

    async fn init((): (), ctx: &mut ServerContext<Self>) -> Result<Self> {
        ctx.trap_exit(true);
        tokio::time::sleep(LIMIT / 2).await;
        Ok(Patient)
    }

    async fn handle_call(&mut self, reply: Reply<()>, _: &mut ServerContext<Self>) -> Result {
        reply.send(());
        Ok(())
    }

    async fn terminate(&mut self, _: &ExitReason) {
        tokio::time::sleep(LIMIT / 2).await;
    }
}

#[tokio::test(start_paused = true)]
async fn clones_share_a_start_in_progress() {
    let rt = Runtime::new();
    let supervisor = DynamicSupervisor::new().start(&rt).await.unwrap();
    let first: KeyedServers<u8, Patient> = KeyedServers::new(&supervisor);
    let (second, specs) = (first.clone(), AtomicUsize::new(0));
    let spec = || {
        specs.fetch_add(1, Ordering::SeqCst);
        Patient::spec(())
    };
    let calls = [&first, &second].map(|own| own.call_or_start(&1, spec, |reply| reply, LIMIT));
    assert_eq!(join_all(calls).await, [Ok(()), Ok(())]);
    assert_eq!(specs.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn the_shutdown_of_keyed_servers_is_that_of_each_server() {
    for (brutal, takes) in [(true, Duration::ZERO), (false, LIMIT / 2)] {
        let rt = Runtime::new();
        let supervisor = DynamicSupervisor::new().start(&rt).await.unwrap();
        let mut waiting: KeyedServers<u8, Patient> = KeyedServers::new(&supervisor);
        if brutal {
            waiting = waiting.shutdown(regrow::Shutdown::BrutalKill);
        }
        waiting.call_or_start(&1, || Patient::spec(()), |reply| reply, LIMIT).await.unwrap();
        let begun = tokio::time::Instant::now();
        supervisor.stop().await.unwrap();
        assert_eq!(begun.elapsed(), takes);
    }
}
