//! The result of a request by name depends on whether a successor of the holder will be started.

use crate::support;

use std::collections::VecDeque;
use std::future::pending;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use regrow::{
    CallError, ChildSpec, DynamicSupervisor, DynamicSupervisorRef, ExitReason, GenServer, Health,
    Name, Reply, Restart, Result, Runtime, ServerContext, ServerRef, StartError, Supervisor,
    SupervisorRef, SupervisorSpec,
};
use support::{crash, settled, until};
use tokio::task::yield_now;

const DESK: Name<Desk> = Name::new("desk");
const RESTARTING: CallError = CallError::Restarting { retry_in: None };
/// The error of a call by the name, which no process holds or is about to hold.
fn gone() -> CallError {
    CallError::NoHolder("desk".into())
}

const PERMANENT: Restart = Restart::Permanent;
const TRANSIENT: Restart = Restart::Transient;
const TEMPORARY: Restart = Restart::Temporary;

/// A server that answers at once, but can be made to block its thread in a handler.
struct Desk;

struct Hold {
    entered: mpsc::Sender<()>,
    leave: mpsc::Receiver<()>,
}

/// Whether each of the next starts hangs in `init`. Later starts do not hang.
#[derive(Clone, Default)]
struct Hangs(Arc<Mutex<VecDeque<bool>>>);

impl GenServer for Desk {
    type Args = Hangs;
    type Call = Reply<u32>;
    type Cast = Option<Hold>;

    async fn init(hangs: Hangs, _: &mut ServerContext<Self>) -> Result<Self> {
        let hangs = hangs.0.lock().unwrap().pop_front();
        match hangs {
            Some(true) => pending().await,
            _ => Ok(Desk),
        }
    }

    async fn handle_call(&mut self, reply: Reply<u32>, _: &mut ServerContext<Self>) -> Result {
        reply.send(42);
        Ok(())
    }

    async fn handle_cast(&mut self, hold: Option<Hold>, _: &mut ServerContext<Self>) -> Result {
        if let Some(hold) = hold {
            hold.entered.send(()).unwrap();
            // If the test has failed, the sender is gone.
            let _ = hold.leave.recv();
        }
        Ok(())
    }
}

fn desk(restart: Restart) -> ChildSpec {
    Desk::child(Hangs::default()).named(DESK).restart(restart)
}

fn patient() -> SupervisorSpec {
    Supervisor::one_for_one().intensity(1_000_000, Duration::from_secs(1))
}

/// Blocks the server in a handler until the returned value is dropped.
async fn held_up(server: &ServerRef<Desk>) -> mpsc::Sender<()> {
    let ((entered, entry), (exit, leave)) = (mpsc::channel(), mpsc::channel());
    assert!(server.cast(Some(Hold { entered, leave })));
    until("the handler runs", || entry.try_recv().is_ok()).await;
    exit
}

/// Returns the results of all kinds of requests by name while the holder handles nothing.
async fn refusals(rt: &Runtime) -> Vec<(&'static str, CallError)> {
    let server = rt.server(DESK);
    let second = Duration::from_secs(1);
    let caller = server.caller(|(), reply| reply);
    let mut told = vec![
        ("call", server.call(|reply| reply).await.unwrap_err()),
        ("call_timeout", server.call_timeout(|reply| reply, second).await.unwrap_err()),
        ("call_unlimited", server.call_unlimited(|reply| reply).await.unwrap_err()),
        ("Caller", caller.call(()).await.unwrap_err()),
        ("try_cast", server.try_cast(None).unwrap_err().reason),
        ("cast_wait", server.cast_wait(None).await.unwrap_err().reason),
        ("stop", server.stop(ExitReason::Normal).await.unwrap_err()),
        ("stop_timeout", server.stop_timeout(ExitReason::Normal, second).await.unwrap_err()),
        ("suspend", server.suspend().await.unwrap_err()),
        ("resume", server.resume().await.unwrap_err()),
        ("get_status", server.get_status().await.unwrap_err()),
    ];
    let many =
        ServerRef::call_many(std::slice::from_ref(&server), |reply: Reply<u32>| reply, second)
            .await;
    told.extend(many.into_iter().map(|told| ("call_many", told.unwrap_err())));
    assert!(!server.cast(None) && !server.sender(|cast| cast).send(None));
    told
}

async fn assert_refused(rt: &Runtime, expected: &CallError, when: &str) {
    for (kind, told) in refusals(rt).await {
        assert_eq!(&told, expected, "{kind}, {when}");
    }
}

/// Returns the cases: a restart type, an accepted reason, and the result of a call, which tells
/// whether a successor is started.
fn table() -> Vec<(Restart, ExitReason, CallError)> {
    vec![
        (PERMANENT, ExitReason::Killed, RESTARTING),
        (PERMANENT, ExitReason::Shutdown, RESTARTING),
        (PERMANENT, crash("x"), RESTARTING),
        (TRANSIENT, ExitReason::Killed, RESTARTING),
        (TRANSIENT, crash("x"), RESTARTING),
        (TRANSIENT, ExitReason::Shutdown, gone()),
        (TRANSIENT, ExitReason::shutdown_with("x"), gone()),
        (TEMPORARY, ExitReason::Killed, gone()),
        (TEMPORARY, ExitReason::Shutdown, gone()),
        (TEMPORARY, crash("x"), gone()),
    ]
}

/// Checks the results by name at two moments: when the exit is accepted but the process has not
/// noticed, and when the process has ended but its supervisor has not noticed.
async fn assert_told_until_the_successor(
    rt: &Runtime,
    reason: ExitReason,
    told: &CallError,
    what: &str,
) {
    let pid = rt.whereis("desk").unwrap();
    let ended = rt.ended(pid);
    assert!(match reason {
        ExitReason::Killed => rt.kill(pid),
        reason => rt.exit(pid, reason),
    });
    assert_refused(rt, told, &format!("{what}: accepted")).await;
    ended.await;
    let later = rt.server(DESK).call(|reply| reply).await;
    assert!(later.as_ref() == Err(told) || (*told == RESTARTING && later == Ok(42)), "{later:?}");
    settled().await;
    let at_last = rt.server(DESK).call(|reply| reply).await;
    assert_eq!(at_last, if *told == RESTARTING { Ok(42) } else { Err(gone()) }, "{what}");
}

#[tokio::test(start_paused = true)]
async fn calls_to_an_exiting_child_fail_with_restarting_by_its_restart_type() {
    for (restart, reason, told) in table() {
        let what = format!("{restart:?}, {reason}");
        let rt = Runtime::new();
        let _tree = patient().child(desk(restart)).start(&rt).await.unwrap();
        assert_told_until_the_successor(&rt, reason, &told, &what).await;
    }
}

#[tokio::test(start_paused = true)]
async fn calls_to_an_exiting_dynamic_child_fail_with_restarting_by_its_type() {
    for (restart, reason, told) in table() {
        let what = format!("dynamic, {restart:?}, {reason}");
        let rt = Runtime::new();
        let desks = DynamicSupervisor::new().start(&rt).await.unwrap();
        desks.start_child(desk(restart)).await.unwrap();
        assert_told_until_the_successor(&rt, reason, &told, &what).await;
    }
}

#[tokio::test(start_paused = true)]
async fn calls_to_a_killed_unsupervised_server_fail_with_noproc() {
    let rt = Runtime::new();
    let alone = Desk::start_named(&rt, DESK, Hangs::default()).await.unwrap();
    rt.kill(alone.pid().unwrap());
    assert_refused(&rt, &gone(), "unsupervised").await;
    alone.ended().await;
    assert_refused(&rt, &gone(), "unsupervised, ended").await;
}

/// A direct handle reaches only its own incarnation.
#[tokio::test(start_paused = true)]
async fn calls_by_a_direct_handle_to_a_killed_child_fail_with_noproc() {
    let rt = Runtime::new();
    let _tree = patient().child(desk(PERMANENT)).start(&rt).await.unwrap();
    let pid = rt.whereis("desk").unwrap();
    let direct = rt.server_at::<Desk>(pid).unwrap();
    rt.kill(pid);
    assert_eq!(direct.call(|reply| reply).await, Err(CallError::NoProc));
    assert_eq!(direct.try_cast(None).unwrap_err().reason, CallError::NoProc);
}

/// The handler of the killed child still blocks its thread. A caller that waits for the successor
/// reaches it.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn calls_to_a_killed_child_with_a_busy_handler_fail_with_restarting() {
    let rt = Runtime::new();
    let _tree = patient().child(desk(PERMANENT)).start(&rt).await.unwrap();
    let server = rt.server(DESK);
    let held = held_up(&server).await;
    assert!(rt.kill(server.pid().unwrap()));
    assert_refused(&rt, &RESTARTING, "busy").await;
    let in_vain = server.call_waiting(|reply| reply, Duration::ZERO).await;
    assert_eq!(in_vain, Err(RESTARTING), "the time was up");
    let waiting = tokio::spawn({
        let server = server.clone();
        async move { server.call_waiting(|reply| reply, Duration::from_secs(3600)).await }
    });
    drop(held);
    assert_eq!(waiting.await.unwrap(), Ok(42));
}

/// A crashed sibling stops the server with the group while the server is in a handler.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn calls_to_a_child_stopped_for_a_group_restart_fail_with_restarting() {
    let told = [(PERMANENT, RESTARTING), (TRANSIENT, RESTARTING), (TEMPORARY, gone())];
    for strategy in [Supervisor::one_for_all, Supervisor::rest_for_one] {
        for (restart, told) in &told {
            let rt = Runtime::new();
            let sibling = ChildSpec::task("sibling", |mut ctx| async move {
                ctx.recv().await;
                Err(crash("boom"))
            });
            let tree = strategy().child(sibling.named("sibling")).child(desk(*restart));
            let _tree = tree.start(&rt).await.unwrap();
            let server = rt.server(DESK);
            let held = held_up(&server).await;
            assert!(rt.send_named("sibling", b"crash".to_vec()));
            until("it is asked to stop", || server.try_cast(None).is_err()).await;
            assert_refused(&rt, told, &format!("group, {restart:?}")).await;
            drop(held);
            if *told == RESTARTING {
                let waited = server.call_waiting(|reply| reply, Duration::from_secs(3600)).await;
                assert_eq!(waited, Ok(42));
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn calls_to_a_terminated_child_fail_with_noproc() {
    let rt = Runtime::new();
    let tree = patient().child(desk(PERMANENT).with_id("desk")).start(&rt).await.unwrap();
    let server = rt.server(DESK);
    let held = held_up(&server).await;
    let stopping = tokio::spawn({
        let tree = tree.clone();
        async move { tree.terminate_child("desk").await }
    });
    until("it is asked to stop", || server.try_cast(None).is_err()).await;
    assert_refused(&rt, &gone(), "terminated").await;
    drop(held);
    assert_eq!(stopping.await.unwrap(), Ok(()));
    assert_refused(&rt, &gone(), "stopped").await;
    tree.restart_child("desk").await.unwrap();
    assert_eq!(server.call(|reply| reply).await, Ok(42), "a later incarnation is another matter");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn calls_to_a_terminated_dynamic_child_fail_with_noproc() {
    let rt = Runtime::new();
    let desks = DynamicSupervisor::new().start(&rt).await.unwrap();
    let pid = desks.start_child(desk(PERMANENT)).await.unwrap();
    let held = held_up(&rt.server(DESK)).await;
    let stopping = tokio::spawn(async move { desks.terminate_child(pid).await });
    until("it is asked to stop", || rt.server(DESK).try_cast(None).is_err()).await;
    assert_refused(&rt, &gone(), "terminated").await;
    drop(held);
    assert_eq!(stopping.await.unwrap(), Ok(()));
}

/// The supervisor waits for one child to stop. The other child is killed before the supervisor
/// stops it. Calls to both return `NoProc`.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn calls_to_a_child_of_a_stopping_supervisor_fail_with_noproc() {
    let rt = Runtime::new();
    let (other, busy) = (Name::<Desk>::new("busy"), Desk::child(Hangs::default()).with_id("busy"));
    let tree = patient().child(desk(PERMANENT)).child(busy.named(other)).start(&rt).await.unwrap();
    let held = held_up(&rt.server(other)).await;
    let stopping = tokio::spawn(async move { tree.stop().await });
    until("it is asked to stop", || rt.server(other).try_cast(None).is_err()).await;
    assert_eq!(rt.server(other).call(|reply| reply).await, Err(CallError::NoHolder("busy".into())));
    let (pid, server) = (rt.whereis("desk").unwrap(), rt.server(DESK));
    assert_eq!(server.call(|reply| reply).await, Ok(42), "it is not asked to stop before");
    let ended = rt.ended(pid);
    rt.kill(pid);
    assert_refused(&rt, &gone(), "stopping").await;
    ended.await;
    assert_refused(&rt, &gone(), "stopping, ended").await;
    drop(held);
    assert_eq!(stopping.await.unwrap(), Ok(ExitReason::Shutdown));
}

/// A dynamic supervisor asks all its children to stop at once, so one busy child stands for all.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn calls_to_a_child_of_a_stopping_dynamic_supervisor_fail_with_noproc() {
    let rt = Runtime::new();
    let desks = DynamicSupervisor::new().start(&rt).await.unwrap();
    desks.start_child(desk(PERMANENT)).await.unwrap();
    let held = held_up(&rt.server(DESK)).await;
    let stopping = tokio::spawn(async move { desks.stop().await });
    until("it is asked to stop", || rt.server(DESK).try_cast(None).is_err()).await;
    assert_refused(&rt, &gone(), "stopping").await;
    drop(held);
    assert_eq!(stopping.await.unwrap(), Ok(ExitReason::Shutdown));
}

/// The child had ended before its supervisor was killed. The name is no longer reserved.
#[tokio::test(start_paused = true)]
async fn calls_to_a_child_in_backoff_fail_with_noproc_once_its_supervisor_stops() {
    let rt = Runtime::new();
    let deaf = ChildSpec::task("deaf", |_| pending());
    let backoff = regrow::Backoff::new();
    let tree = patient().child(desk(PERMANENT).backoff(backoff)).child(deaf.named("deaf"));
    let tree = tree.start(&rt).await.unwrap();
    rt.kill(rt.whereis("desk").unwrap());
    settled().await;
    let waits = rt.server(DESK).call(|reply| reply).await;
    assert!(matches!(waits, Err(CallError::Restarting { retry_in: Some(_) })), "{waits:?}");
    rt.kill(tree.pid().unwrap());
    assert_refused(&rt, &gone(), "its supervisor was killed").await;
    tree.ended().await;
    assert_refused(&rt, &gone(), "its supervisor has ended").await;
}

/// The supervisor and its child are killed at the same moment.
#[tokio::test(start_paused = true)]
async fn calls_to_a_child_of_a_killed_supervisor_fail_with_noproc() {
    let rt = Runtime::new();
    let tree = patient().child(desk(PERMANENT)).start(&rt).await.unwrap();
    let pid = rt.whereis("desk").unwrap();
    rt.kill(tree.pid().unwrap());
    rt.kill(pid);
    assert_refused(&rt, &gone(), "both killed").await;
    tree.ended().await;
    rt.ended(pid).await;
    assert_refused(&rt, &gone(), "both ended").await;
}

/// The child is killed in its `init`: a first start fails, a restart is retried.
#[tokio::test(start_paused = true)]
async fn a_killed_init_fails_calls_with_restarting_only_during_a_restart() {
    let rt = Runtime::new();
    let hangs = Hangs::default();
    hangs.0.lock().unwrap().extend([true, false, true]);
    let child = Desk::child(hangs).named(DESK);
    let tree = patient().start(&rt).await.unwrap();
    let start = |child: ChildSpec| {
        let tree = tree.clone();
        tokio::spawn(async move { tree.start_child(child).await })
    };
    let first = start(child.clone());
    settled().await;
    rt.kill(rt.whereis("desk").unwrap());
    assert_refused(&rt, &gone(), "the first start").await;
    assert_eq!(first.await.unwrap(), Err(StartError::Failed(ExitReason::Killed)));

    start(child).await.unwrap().unwrap();
    rt.kill(rt.whereis("desk").unwrap());
    settled().await;
    rt.kill(rt.whereis("desk").unwrap());
    assert_refused(&rt, &RESTARTING, "a restart").await;
    settled().await;
    assert_eq!(rt.server(DESK).call(|reply| reply).await, Ok(42));
}

/// The `init` of the child has returned, but the child is not ready.
#[tokio::test(start_paused = true)]
async fn a_killed_unready_child_fails_calls_with_restarting_only_during_a_restart() {
    let rt = Runtime::new();
    let child = desk(PERMANENT).ready_within(Duration::from_secs(60));
    let tree = patient().start(&rt).await.unwrap();
    let first = tokio::spawn({
        let (tree, child) = (tree.clone(), child.clone());
        async move { tree.start_child(child).await }
    });
    settled().await;
    rt.kill(rt.whereis("desk").unwrap());
    assert_refused(&rt, &gone(), "the first start").await;
    assert!(first.await.unwrap().is_err());

    let started = tokio::spawn(async move { tree.start_child(child).await });
    settled().await;
    let ready = |rt: &Runtime| rt.set_health(rt.whereis("desk").unwrap(), Health::Ready);
    ready(&rt);
    started.await.unwrap().unwrap();
    rt.kill(rt.whereis("desk").unwrap());
    assert_refused(&rt, &RESTARTING, "ready").await;
    settled().await;
    rt.kill(rt.whereis("desk").unwrap());
    assert_refused(&rt, &RESTARTING, "a restart that is not ready").await;
}

#[tokio::test(start_paused = true)]
async fn requests_by_name_to_a_killed_supervisor_fail_with_restarting() {
    let rt = Runtime::new();
    let job = || ChildSpec::task("job", |_| pending());
    let (fixed, dynamic) =
        (Supervisor::one_for_one().named("fixed"), DynamicSupervisor::new().named("dynamic"));
    let tree = patient().child(fixed).child(dynamic).start(&rt).await.unwrap();

    let fixed = SupervisorRef::named(&rt, "fixed");
    let ended = fixed.ended();
    rt.kill(fixed.pid().unwrap());
    let unreachable = StartError::Unreachable(RESTARTING);
    assert_eq!(fixed.count_children().await, Err(RESTARTING));
    assert_eq!(fixed.which_children().await.unwrap_err(), RESTARTING);
    assert_eq!(fixed.start_child(job()).await, Err(unreachable.clone()));
    assert_eq!(fixed.stop().await, Err(RESTARTING));
    ended.await;
    settled().await;
    assert_eq!(fixed.count_children().await.unwrap().specs, 0);

    let dynamic = DynamicSupervisorRef::named(&rt, "dynamic");
    let ended = dynamic.ended();
    rt.kill(dynamic.pid().unwrap());
    assert_eq!(dynamic.count_children().await, Err(RESTARTING));
    assert_eq!(dynamic.which_children().await.unwrap_err(), RESTARTING);
    assert_eq!(dynamic.start_child(job()).await, Err(unreachable.clone()));
    assert_eq!(dynamic.get_or_start("job", job()).await, Err(unreachable));
    assert_eq!(dynamic.stop().await, Err(RESTARTING));
    ended.await;
    settled().await;
    assert_eq!(dynamic.count_children().await.unwrap().specs, 0);

    tree.stop().await.unwrap();
    assert_eq!(fixed.count_children().await, Err(CallError::NoHolder("fixed".into())));
    assert_eq!(dynamic.count_children().await, Err(CallError::NoHolder("dynamic".into())));
}

/// Counts the results of all calls while the holder is killed again and again.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_call_by_name_fails_with_noproc_during_repeated_kills() {
    let rt = Runtime::new();
    let tree = patient().child(desk(PERMANENT)).start(&rt).await.unwrap();
    let (over, lies) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let caller = |_| {
        let (server, over, lies) = (rt.server(DESK), over.clone(), lies.clone());
        tokio::spawn(async move {
            let mut calls = 0_u32;
            while !over.load(Ordering::SeqCst) {
                let (told, cast) =
                    (server.call(|reply| reply).await, server.try_cast(None).map_err(|e| e.reason));
                let lie = [told.err(), cast.err()].into_iter().flatten().any(|error| {
                    let died = CallError::Exited(ExitReason::Killed);
                    error != died && !matches!(error, CallError::Restarting { .. })
                });
                lies.fetch_add(usize::from(lie), Ordering::SeqCst);
                calls += 1;
                if calls.is_multiple_of(16) {
                    yield_now().await;
                }
            }
        })
    };
    let callers: Vec<_> = (0..4).map(caller).collect();
    let mut kills = 0;
    while kills < 2_000 {
        kills += usize::from(rt.whereis("desk").is_some_and(|pid| rt.kill(pid)));
        yield_now().await;
    }
    over.store(true, Ordering::SeqCst);
    for caller in callers {
        caller.await.unwrap();
    }
    assert_eq!(lies.load(Ordering::SeqCst), 0);
    tree.stop().await.unwrap();
}
