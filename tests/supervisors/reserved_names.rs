//! The name in a child's specification is reserved for the child's successor.

use crate::support;

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use regrow::{
    Backoff, CallError, ChildError, ChildSpec, DynamicSupervisor, Exhausted, ExitReason, GenServer,
    Name, PartitionSupervisor, Pid, Received, RegisterError, Reply, Restart, Result, Runtime,
    ServerContext, StartChild, StartContext, StartError, Started, Supervisor, SupervisorRef,
    TaskSupervisor,
};
use support::{Listener, assert_nothing_left, crash, idle, killed, settled, until};

const WAIT: Duration = Duration::from_secs(10);

/// The code that the `init` of a [`Desk`] runs first.
type First = Arc<dyn Fn(&mut ServerContext<Desk>) -> Result + Send + Sync>;

/// A server that answers a call with its pid.
struct Desk;

impl GenServer for Desk {
    type Args = First;
    type Call = Reply<Pid>;
    type Cast = ();

    async fn init(first: First, ctx: &mut ServerContext<Self>) -> Result<Self> {
        first(ctx).map(|()| Desk)
    }

    async fn handle_call(&mut self, reply: Reply<Pid>, ctx: &mut ServerContext<Self>) -> Result {
        reply.send(ctx.pid());
        Ok(())
    }

    async fn handle_cast(&mut self, (): (), _: &mut ServerContext<Self>) -> Result {
        Ok(())
    }
}

/// Returns a child `"desk"` under the name `"n"`.
fn desk(first: impl Fn(&mut ServerContext<Desk>) -> Result + Send + Sync + 'static) -> ChildSpec {
    let first: First = Arc::new(first);
    Desk::child_with(move || first.clone()).with_id("desk").named("n")
}

fn plain() -> ChildSpec {
    desk(|_| Ok(()))
}

/// Gives the child a backoff, so that its restart takes exactly ten seconds.
fn later(child: impl Into<ChildSpec>) -> ChildSpec {
    child.into().backoff(Backoff::new().first(WAIT).factor(1.0).jitter(0.0))
}

fn forever(id: &str) -> ChildSpec {
    ChildSpec::task(id, |_| pending())
}

async fn tree(rt: &Runtime, child: ChildSpec) -> SupervisorRef {
    let spec = Supervisor::one_for_one().intensity(1_000, WAIT);
    spec.child(child).start(rt).await.unwrap()
}

fn reserved(name: &str, child: &str, supervisor: Pid) -> RegisterError {
    RegisterError::Reserved { name: name.into(), child: child.into(), supervisor }
}

/// Checks that a stranger can't register the name: the name is reserved, or the successor already
/// holds it.
#[track_caller]
fn assert_refused(rt: &Runtime, name: &str, child: &str, supervisor: Pid, stranger: Pid) {
    let refused = rt.try_register(name, stranger).unwrap_err();
    let held = matches!(&refused, RegisterError::Held { pid, .. } if *pid != stranger);
    assert!(held || refused == reserved(name, child, supervisor), "{refused:?}");
}

/// Kills the holder of a name, and waits for its end.
async fn strike(rt: &Runtime, name: &str) {
    killed(rt, rt.whereis(name).unwrap()).await;
}

/// Checks that no operation gives the name to a process other than the successor of this child.
async fn assert_reserved(
    rt: &Runtime,
    name: &'static str,
    child: &str,
    supervisor: Pid,
    what: &str,
) {
    let stranger = idle(rt);
    let refused = rt.try_register(name, stranger).unwrap_err();
    assert_eq!(refused, reserved(name, child, supervisor), "{what}");
    let said = refused.to_string();
    assert!(said.contains("reserved") && said.contains(&format!("{child:?}")), "{said}");
    assert!(!rt.register(name, stranger), "{what}");
    let error = Desk::start_named(rt, Name::new(name), Arc::new(|_| Ok(()))).await.unwrap_err();
    let (name, child) = (name.to_owned(), child.to_owned());
    let expected = StartError::NameReserved { name: name.clone(), child, supervisor };
    assert_eq!(error, expected, "{what}");
    let error = Supervisor::one_for_one().named(name.clone()).start(rt).await.unwrap_err();
    assert_eq!(error, expected, "{what}");
    let unborn = rt.whereis_or_spawn(name.clone(), |_| async { unreachable!("it is reserved") });
    assert!(!rt.is_alive(unborn), "{what}");
    assert!(!rt.unregister(&name) && rt.whereis(&name).is_none(), "{what}");
    killed(rt, stranger).await;
}

fn assert_free(rt: &Runtime, name: &str, what: &str) {
    let stranger = idle(rt);
    assert_eq!(rt.try_register(name, stranger), Ok(()), "{what}");
    assert!(rt.unregister(name));
    rt.kill(stranger);
}

/// Returns one child of each kind that can have a name.
fn kinds() -> Vec<(&'static str, ChildSpec)> {
    let job = |id: &str| forever(id).named("n");
    vec![
        ("server", plain()),
        ("task", job("job")),
        ("serve", ChildSpec::serve("serve", |_| pending::<Result>()).named("n")),
        ("blocking", {
            ChildSpec::blocking("blocking", |mut ctx| {
                ctx.recv();
                Ok(())
            })
            .named("n")
        }),
        ("supervisor", Supervisor::one_for_one().child(forever("a")).named("n").into()),
        ("dynamic supervisor", DynamicSupervisor::new().named("n").into()),
        ("task supervisor", TaskSupervisor::new().named("n").into()),
    ]
}

#[tokio::test(start_paused = true)]
async fn the_name_of_a_child_in_backoff_is_reserved() {
    for (what, child) in kinds() {
        let rt = Runtime::new();
        let tree = Supervisor::one_for_one().child(later(child)).start(&rt).await.unwrap();
        let id = tree.which_children().await.unwrap().remove(0).id;
        for _ in 0..2 {
            let before = rt.whereis("n");
            strike(&rt, "n").await;
            assert_reserved(&rt, "n", &id, tree.pid().unwrap(), what).await;
            settled().await; // the supervisor has drawn the delay by now
            assert_reserved(&rt, "n", &id, tree.pid().unwrap(), what).await;
            tokio::time::sleep(WAIT).await;
            assert!(rt.whereis("n").is_some() && rt.whereis("n") != before, "{what}");
        }
        tree.stop().await.unwrap();
        assert_free(&rt, "n", what);
        assert_nothing_left(&rt).await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_name_of_a_dynamic_child_in_backoff_is_reserved() {
    for (what, child) in kinds() {
        let rt = Runtime::new();
        let pool = DynamicSupervisor::new().start(&rt).await.unwrap();
        let pid = pool.start_child(later(child.clone())).await.unwrap();
        let id = pool.which_children().await.unwrap().remove(0).id;
        strike(&rt, "n").await;
        settled().await;
        assert_reserved(&rt, "n", &id, pool.pid().unwrap(), what).await;
        let second = pool.start_child(child).await.unwrap_err();
        assert!(matches!(second, StartError::NameReserved { .. }), "{what}: {second:?}");
        tokio::time::sleep(WAIT).await;
        assert!(rt.whereis("n").is_some(), "{what}");

        strike(&rt, "n").await;
        settled().await;
        pool.terminate_child(pid).await.unwrap();
        assert_free(&rt, "n", what);
        pool.stop().await.unwrap();
        assert_nothing_left(&rt).await;
    }
}

/// The name of a partition is reserved although its supervisor restarts it at once.
#[tokio::test(start_paused = true)]
async fn the_name_of_a_partition_is_reserved_during_its_restart() {
    let rt = Runtime::new();
    let desks =
        PartitionSupervisor::<Desk>::new("desks", |_| Arc::new(|_: &mut _| Ok(())) as First);
    let desks = desks.partitions(2).start(&rt).await.unwrap();
    let stranger = idle(&rt);
    for _ in 0..3 {
        strike(&rt, "desks/1").await;
        assert_refused(&rt, "desks/1", "1", desks.supervisor().pid().unwrap(), stranger);
        settled().await;
        assert_eq!(desks.at(1).call(|reply| reply).await.ok(), rt.whereis("desks/1"));
    }
}

/// A stranger on other threads tries to register the name without a pause, while the holder is
/// killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_registrations_never_take_a_reserved_name() {
    let rt = Runtime::new();
    let spec = Supervisor::one_for_one().unlimited_restarts().child(plain());
    let tree = spec.start(&rt).await.unwrap();
    let pool = DynamicSupervisor::new().unlimited_restarts().start(&rt).await.unwrap();
    pool.start_child(plain().named("d")).await.unwrap();
    let (over, taken) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let asks = |name: &'static str| {
        let (rt, over, taken) = (rt.clone(), over.clone(), taken.clone());
        std::thread::spawn(move || {
            let stranger = rt.spawn(|_| pending()).pid();
            while !over.load(Ordering::SeqCst) {
                taken.fetch_add(usize::from(rt.register(name, stranger)), Ordering::SeqCst);
            }
        })
    };
    let strangers = ["n", "d"].map(asks);
    for _ in 0..500 {
        for name in ["n", "d"] {
            until("it is back", || rt.whereis(name).is_some()).await;
            let pid = rt.whereis(name).unwrap();
            let ended = rt.ended(pid);
            rt.kill(pid);
            ended.await;
        }
    }
    until("both are back", || rt.whereis("n").is_some() && rt.whereis("d").is_some()).await;
    over.store(true, Ordering::SeqCst);
    strangers.into_iter().for_each(|stranger| stranger.join().unwrap());
    assert_eq!(taken.load(Ordering::SeqCst), 0);
    tree.stop().await.unwrap();
    pool.stop().await.unwrap();
    assert_nothing_left(&rt).await;
}

#[tokio::test(start_paused = true)]
async fn a_name_that_a_child_registered_itself_is_free_before_its_end_is_announced() {
    let rt = Runtime::new();
    let own = |ctx: &mut ServerContext<Desk>| {
        ctx.runtime().register("own", ctx.pid());
        Ok(())
    };
    let tree = tree(&rt, later(desk(own))).await;
    let heir = rt.clone();
    let heir = rt.spawn(move |mut ctx| async move {
        heir.monitor_name(ctx.pid(), "own");
        assert!(matches!(ctx.recv().await, Received::DownName { .. }));
        assert_eq!(heir.try_register("own", ctx.pid()), Ok(()));
        assert!(matches!(heir.try_register("n", ctx.pid()), Err(RegisterError::Reserved { .. })));
    });
    settled().await;
    strike(&rt, "n").await;
    assert_eq!(heir.join().await, ExitReason::Normal);
    tree.stop().await.unwrap();
}

/// Every way in which a reserved name becomes free without a successor.
#[tokio::test(start_paused = true)]
async fn a_name_is_free_when_its_child_is_not_restarted() {
    let rt = Runtime::new();
    let tree = tree(&rt, later(plain())).await;

    let stopped = rt.whereis("n").unwrap();
    tree.terminate_child("desk").await.unwrap();
    assert!(!rt.is_alive(stopped));
    assert_free(&rt, "n", "terminated while it ran, though it may be restarted by hand");
    let stranger = idle(&rt);
    assert!(rt.register("n", stranger));
    let refused = tree.restart_child("desk").await;
    assert!(matches!(refused, Err(ChildError::NotStarted(_))), "{refused:?}");
    killed(&rt, stranger).await;
    tree.restart_child("desk").await.unwrap();

    strike(&rt, "n").await;
    settled().await;
    tree.terminate_child("desk").await.unwrap();
    assert_free(&rt, "n", "terminated while it waited");
    tree.delete_child("desk").await.unwrap();

    for (restart, exit) in [
        (Restart::Temporary, ExitReason::Killed),
        (Restart::Transient, ExitReason::Shutdown),
        (Restart::Temporary, crash("x")),
    ] {
        let pid = tree.start_child(plain().restart(restart)).await.unwrap();
        let ended = rt.ended(pid);
        rt.exit(pid, exit);
        ended.await;
        assert_free(&rt, "n", &format!("{restart:?}"));
        settled().await;
        tree.delete_child("desk").await.ok();
    }
    assert_eq!(tree.start_child(desk(|ctx| Err(ctx.ignore()))).await, Err(StartError::Ignored));
    assert_free(&rt, "n", "it chose not to run");
    tree.stop().await.unwrap();
    assert_nothing_left(&rt).await;
}

#[tokio::test(start_paused = true)]
async fn a_name_is_free_when_its_child_is_given_up() {
    let rt = Runtime::new();
    let once = Supervisor::one_for_one().intensity(0, WAIT).child(plain());
    let once = once.start(&rt).await.unwrap();
    strike(&rt, "n").await;
    once.ended().await;
    assert_free(&rt, "n", "the supervisor has no restart left");

    let pool = DynamicSupervisor::new().child_intensity(0, WAIT, Exhausted::GiveUp);
    let pool = pool.start(&rt).await.unwrap();
    pool.start_child(plain()).await.unwrap();
    strike(&rt, "n").await;
    settled().await;
    assert_free(&rt, "n", "the child has no restart left");
    pool.stop().await.unwrap();
    assert_nothing_left(&rt).await;
}

/// Two children had ended before their supervisor was killed, and waited for their restart. A
/// third, the nested supervisor with its child, ends after it.
#[tokio::test(start_paused = true)]
async fn a_killed_supervisor_releases_reserved_names_before_its_end_is_announced() {
    let rt = Runtime::new();
    let inner = Supervisor::one_for_one().named("inner").child(plain().named("deep"));
    let other = later(forever("other").named("other"));
    let spec = Supervisor::one_for_one().child(later(plain())).child(inner).child(other);
    let tree = spec.start(&rt).await.unwrap();
    let deep = rt.ended(rt.whereis("deep").unwrap());
    let inner = rt.ended(rt.whereis("inner").unwrap());
    strike(&rt, "n").await;
    strike(&rt, "other").await;
    settled().await;
    let (runtime, pid) = (rt.clone(), tree.pid().unwrap());
    let heir = rt.spawn(move |mut ctx| async move {
        runtime.monitor(ctx.pid(), pid);
        assert!(matches!(ctx.recv().await, Received::Down { .. }));
        assert_eq!(runtime.try_register("n", ctx.pid()), Ok(()));
    });
    settled().await;
    rt.kill(tree.pid().unwrap());
    assert_eq!(heir.join().await, ExitReason::Normal);
    inner.await;
    assert_free(&rt, "inner", "its supervisor had ended before it");
    deep.await;
    assert_free(&rt, "deep", "so had this one");
    assert_eq!(rt.leftovers().names, 0, "also of a name without a request");
    assert_nothing_left(&rt).await;
}

/// The name becomes free, or the registering process gets it; it is never lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_registration_during_a_supervisor_kill_gets_the_name_in_the_end() {
    for round in 0..300 {
        let rt = Runtime::new();
        let spec = Supervisor::one_for_one().unlimited_restarts().child(plain());
        let tree = spec.start(&rt).await.unwrap();
        let (child, ended) = (rt.whereis("n").unwrap(), tree.ended());
        let stranger = idle(&rt);
        let asks = {
            let rt = rt.clone();
            std::thread::spawn(move || {
                while !rt.register("n", stranger) {
                    std::thread::yield_now();
                }
            })
        };
        if round % 2 == 0 {
            rt.kill(child);
        }
        rt.kill(tree.pid().unwrap());
        ended.await;
        until("the stranger has it", || rt.whereis("n") == Some(stranger)).await;
        asks.join().unwrap();
        assert_nothing_left(&rt).await;
    }
}

/// The child gave the name up, so another process may hold it. Meanwhile the successors of the
/// child fail to start, as in OTP.
#[tokio::test(start_paused = true)]
async fn a_name_that_its_child_unregisters_may_be_taken_while_the_child_lives() {
    let rt = Runtime::new();
    let tree = tree(&rt, later(plain())).await;
    let (child, stranger) = (rt.whereis("n").unwrap(), idle(&rt));
    assert!(rt.unregister("n"));
    assert_eq!(rt.try_register("n", stranger), Ok(()));
    killed(&rt, child).await;
    tokio::time::sleep(WAIT * 3).await;
    let desk = tree.which_child("desk").await.unwrap();
    assert!(desk.pid().is_none() && desk.restarts >= 2, "{desk:?}");
    assert_eq!(rt.whereis("n"), Some(stranger));
    killed(&rt, stranger).await;
    tokio::time::sleep(WAIT).await;
    assert_eq!(rt.whereis("n"), tree.which_child("desk").await.unwrap().pid());
    assert!(rt.whereis("n").is_some());
}

#[tokio::test(start_paused = true)]
async fn a_name_that_its_child_unregistered_is_reserved_again_from_its_end() {
    let rt = Runtime::new();
    let tree = tree(&rt, later(plain())).await;
    let child = rt.whereis("n").unwrap();
    rt.unregister("n");
    killed(&rt, child).await;
    settled().await;
    assert_reserved(&rt, "n", "desk", tree.pid().unwrap(), "given up").await;
    let call = rt.server(Name::<Desk>::new("n")).call(|reply| reply).await;
    assert!(matches!(call, Err(CallError::Restarting { .. })), "{call:?}");
    tokio::time::sleep(WAIT).await;
    assert!(rt.whereis("n").is_some());
}

#[tokio::test(start_paused = true)]
async fn a_child_that_registers_its_own_name_again_keeps_it_reserved() {
    let rt = Runtime::new();
    let again = |ctx: &mut ServerContext<Desk>| {
        let (rt, pid) = (ctx.runtime(), ctx.pid());
        assert_eq!(
            rt.try_register("n", pid),
            Err(RegisterError::Held { name: "n".into(), pid }),
            "it has it from the first moment on"
        );
        assert!(rt.unregister("n") && rt.register("n", pid));
        Ok(())
    };
    let tree = tree(&rt, later(desk(again))).await;
    for _ in 0..2 {
        strike(&rt, "n").await;
        settled().await;
        assert_reserved(&rt, "n", "desk", tree.pid().unwrap(), "registered again").await;
        tokio::time::sleep(WAIT).await;
        assert!(rt.whereis("n").is_some());
    }
}

/// The helper holds the name like any other process: nothing is reserved for it.
#[tokio::test(start_paused = true)]
async fn a_name_that_an_init_moves_to_another_process_belongs_to_it() {
    let rt = Runtime::new();
    let moves = |ctx: &mut ServerContext<Desk>| {
        let rt = ctx.runtime();
        let helper = rt.spawn_link(ctx.pid(), |_| pending()).pid();
        assert!(rt.unregister("n") && rt.register("n", helper));
        rt.register("moved", ctx.pid());
        Ok(())
    };
    let tree = tree(&rt, later(desk(moves))).await;
    let (helper, child) = (rt.whereis("n").unwrap(), rt.whereis("moved").unwrap());
    assert_ne!(helper, child);
    killed(&rt, child).await;
    settled().await;
    assert!(!rt.is_alive(helper), "it is linked");
    assert_free(&rt, "moved", "the child had registered that itself");
    tokio::time::sleep(WAIT).await;
    assert!(rt.whereis("n").is_some_and(|pid| pid != helper));
    tree.stop().await.unwrap();
    assert_nothing_left(&rt).await;
}

#[tokio::test(start_paused = true)]
async fn of_two_specs_with_one_name_the_running_child_keeps_it() {
    let rt = Runtime::new();
    let first = tree(&rt, later(plain())).await;
    let second = Supervisor::one_for_one().start(&rt).await.unwrap();
    let holder = rt.whereis("n").unwrap();
    let held = second.start_child(plain()).await.unwrap_err();
    assert!(!matches!(held, StartError::NameReserved { .. }), "{held:?}");
    killed(&rt, holder).await;
    let (name, child) = ("n".into(), "desk".into());
    let refused = second.start_child(plain()).await;
    assert_eq!(
        refused,
        Err(StartError::NameReserved { name, child, supervisor: first.pid().unwrap() })
    );
    tokio::time::sleep(WAIT).await;
    assert_eq!(rt.whereis("n"), first.which_child("desk").await.unwrap().pid());

    first.stop().await.unwrap();
    second.start_child(plain()).await.unwrap();
    assert!(rt.whereis("n").is_some());
}

/// A stranger tries to register each name as soon as the `Down` of its holder arrives.
#[tokio::test(start_paused = true)]
async fn the_names_of_a_group_are_reserved_during_its_restart() {
    for strategy in [Supervisor::one_for_all, Supervisor::rest_for_one] {
        let rt = Runtime::new();
        let slow = |id: &str| {
            ChildSpec::task(id, |mut ctx| async move {
                ctx.shutdown().await;
                tokio::time::sleep(Duration::from_secs(1)).await;
                Ok(())
            })
            .named(id)
        };
        let first = ChildSpec::task("first", |mut ctx| async move {
            ctx.recv().await;
            Err(crash("as asked"))
        });
        let spec = strategy().child(first.named("first")).child(slow("b")).child(slow("c"));
        let tree = spec.start(&rt).await.unwrap();
        let mut stranger = Listener::new(&rt);
        for name in ["first", "b", "c"] {
            rt.monitor_name(stranger.pid, name);
        }
        assert!(rt.send_named("first", b"crash".to_vec()));
        for name in ["first", "c", "b"] {
            let told = stranger.next().await;
            let Received::DownName { name: ended, .. } = told else { panic!("{told:?}") };
            assert_eq!(ended, name);
            assert_refused(&rt, name, name, tree.pid().unwrap(), stranger.pid);
        }
        tokio::time::sleep(WAIT).await;
        let names = ["b", "c", "first"];
        assert_eq!(rt.registered(), names);
        tree.stop().await.unwrap();
        assert_nothing_left(&rt).await;
    }
}

/// The restart fails in the `init`, or in the start function before a process exists.
#[tokio::test(start_paused = true)]
async fn a_name_stays_reserved_while_restarts_fail() {
    /// A start function that fails at its second and third call.
    struct Second(AtomicUsize);

    #[async_trait::async_trait]
    impl StartChild for Second {
        async fn start(&self, ctx: &mut StartContext) -> Result<Started, StartError> {
            match self.0.fetch_add(1, Ordering::SeqCst) {
                1 | 2 => Err(StartError::Failed(crash("no disk"))),
                _ => ctx.task(|_| pending()).await,
            }
        }
    }

    let starts = AtomicUsize::new(0);
    let flaky = desk(move |_| match starts.fetch_add(1, Ordering::SeqCst) {
        1 | 2 => Err(crash("no disk")),
        _ => Ok(()),
    });
    let by_function = ChildSpec::new("desk", Second(AtomicUsize::new(0))).named("n");
    for child in [flaky, by_function] {
        let rt = Runtime::new();
        let tree = tree(&rt, later(child)).await;
        strike(&rt, "n").await;
        for _ in 0..3 {
            settled().await;
            assert_reserved(&rt, "n", "desk", tree.pid().unwrap(), "a restart fails").await;
            tokio::time::sleep(WAIT).await;
        }
        assert!(rt.whereis("n").is_some());
    }
}

/// A child that ignores its restart is not restarted again.
#[tokio::test(start_paused = true)]
async fn a_child_that_ignores_its_restart_releases_its_name() {
    let rt = Runtime::new();
    let starts = AtomicUsize::new(0);
    let child = desk(move |ctx| match starts.fetch_add(1, Ordering::SeqCst) {
        0 => Ok(()),
        _ => Err(ctx.ignore()),
    });
    let tree = tree(&rt, child).await;
    strike(&rt, "n").await;
    settled().await;
    assert!(tree.which_child("desk").await.unwrap().pid().is_none());
    assert_free(&rt, "n", "it is known, and does not run");
}

/// `get_or_start` is called with the name of another supervisor's child, and returns that child.
#[tokio::test(start_paused = true)]
async fn get_or_start_waits_for_the_child_with_the_reserved_name() {
    let rt = Runtime::new();
    let tree = tree(&rt, later(plain())).await;
    let pool = DynamicSupervisor::new().start(&rt).await.unwrap();
    strike(&rt, "n").await;
    settled().await;
    let found = pool.get_or_start("n", plain()).await.unwrap();
    assert_eq!(Some(found), tree.which_child("desk").await.unwrap().pid());
    assert_eq!(pool.count_children().await.unwrap().specs, 0);
}

/// A member that ended by itself, either before the crash or just before it was to be stopped, is
/// restarted with its group.
#[tokio::test(start_paused = true)]
async fn a_waiting_group_reserves_the_names_of_all_children_it_restarts() {
    for earlier in [true, false] {
        let rt = Runtime::new();
        let done = ChildSpec::task("done", |mut ctx| async move {
            ctx.recv().await;
            Ok(())
        });
        let done = done.named("done").restart(Restart::Transient);
        let spec = Supervisor::one_for_all().child(later(forever("job").named("n"))).child(done);
        let tree = spec.start(&rt).await.unwrap();
        let (first, stranger) = (rt.whereis("done").unwrap(), idle(&rt));
        let ended = rt.ended(first);
        rt.send_named("done", b"end".to_vec());
        if earlier {
            ended.await;
            settled().await;
            assert_free(&rt, "done", "it ended for good");
            strike(&rt, "n").await;
        } else {
            rt.kill(rt.whereis("n").unwrap());
            ended.await;
        }
        settled().await;
        let supervisor = tree.pid().unwrap();
        let refused = rt.try_register("done", stranger);
        assert_eq!(refused, Err(reserved("done", "done", supervisor)), "earlier: {earlier}");
        tokio::time::sleep(WAIT).await;
        let pids = ["done", "n"].map(|name| rt.whereis(name));
        assert!(pids.iter().all(Option::is_some), "{pids:?}, earlier: {earlier}");
        tree.stop().await.unwrap();
        assert_nothing_left(&rt).await;
    }
}
