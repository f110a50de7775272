//! Keys of a registry under which processes are started: `via`.

use crate::support;

use std::future::pending;
use std::time::Duration;

use regrow::{
    Backoff, ChildSpec, DynamicSupervisor, ExitReason, GenServer, KeyedError, KeyedServers, Name,
    Registry, RegistryChange, RegistryError, Reply, Restart, Result, Runtime, ServerContext,
    ServerSpec, StartError, Supervisor,
};
use support::{assert_nothing_left, idle, killed, settled};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

const LIMIT: Duration = Duration::from_secs(60);

/// Reports in its `init` how many processes hold its key, if it has a place to report to.
struct Echo(u32);

type Args = Option<(Registry<u32, &'static str>, UnboundedSender<usize>)>;

impl GenServer for Echo {
    type Args = Args;
    type Call = Reply<u32>;
    type Cast = ();

    async fn init(args: Args, ctx: &mut ServerContext<Self>) -> Result<Self> {
        if let Some((registry, report)) = args {
            report.send(registry.keys(ctx.pid()).len()).unwrap();
        }
        Ok(Echo(ctx.start_cause().restarts()))
    }

    /// Answers with the number of restarts.
    async fn handle_call(&mut self, reply: Reply<u32>, _: &mut ServerContext<Self>) -> Result {
        reply.send(self.0);
        Ok(())
    }

    async fn handle_cast(&mut self, (): (), _: &mut ServerContext<Self>) -> Result {
        Err("as asked".into())
    }
}

fn echo() -> ServerSpec<Echo> {
    Echo::spec(None)
}

fn child(registry: &Registry<u32, &'static str>) -> ChildSpec {
    ChildSpec::from(echo()).via(registry, 7, "seven")
}

/// A delay of ten seconds before each restart.
fn delayed() -> Backoff {
    Backoff::new().first(Duration::from_secs(10)).factor(1.0).jitter(0.0)
}

#[tokio::test(start_paused = true)]
async fn a_server_holds_its_key_from_its_init_to_its_end() {
    let rt = Runtime::new();
    let registry = Registry::unique(&rt);
    let mut changes = registry.changes();
    let (report, mut held) = unbounded_channel();
    let spec = Echo::spec(Some((registry.clone(), report))).via(&registry, 7, "seven");
    let server = spec.start(&rt).await.unwrap();
    assert_eq!(held.recv().await, Some(1));
    let (pid, key, value) = (server.pid().unwrap(), 7, "seven");
    assert_eq!(registry.lookup(&7), [(pid, "seven")]);
    assert_eq!(registry.server::<Echo>(&7).unwrap().call(|reply| reply).await, Ok(0));
    server.stop(ExitReason::Normal).await.unwrap();
    assert_eq!(registry.count(), 0);
    assert_eq!(changes.next().await, Some(RegistryChange::Registered { key, pid, value }));
    assert_eq!(changes.next().await, Some(RegistryChange::Unregistered { key, pid, value }));
    assert_nothing_left(&rt).await;
}

#[tokio::test(start_paused = true)]
async fn a_start_under_a_held_key_is_refused_and_leaves_nothing() {
    let rt = Runtime::new();
    let registry = Registry::unique(&rt);
    let holder = idle(&rt);
    registry.register(holder, 7, "holder").unwrap();
    let spawned = rt.spawned();
    let refused = StartError::AlreadyStarted { name: "7".to_owned(), pid: holder };
    let (report, mut inits) = unbounded_channel();
    let spec = Echo::spec(Some((registry.clone(), report))).via(&registry, 7, "server");
    assert_eq!(spec.start(&rt).await.unwrap_err(), refused);
    assert!(inits.recv().await.is_none(), "`init` has run");
    let task = ChildSpec::task("task", |_| pending()).via(&registry, 7, "task");
    let dynamic = DynamicSupervisor::new().start(&rt).await.unwrap();
    assert_eq!(dynamic.start_child(task).await.unwrap_err(), refused);
    assert_eq!(registry.lookup(&7), [(holder, "holder")]);
    assert_eq!(rt.spawned(), spawned + 1); // the supervisor
    // With a name as well: the name is free after the refusal.
    const ECHO: Name<Echo> = Name::new("echo");
    let named = echo().named(ECHO).via(&registry, 7, "named").start(&rt).await;
    assert_eq!(named.unwrap_err(), refused);
    assert_eq!(rt.whereis("echo"), None);
    // `get_or_start` looks a name up again if another process has taken it, but not for a key.
    let again = dynamic.get_or_start("echo", child(&registry)).await;
    assert_eq!(again.unwrap_err(), refused);
    dynamic.stop().await.unwrap();
    assert_nothing_left(&rt).await;
}

#[tokio::test(start_paused = true)]
async fn processes_started_under_one_key_of_a_duplicate_registry_share_it() {
    let rt = Runtime::new();
    let registry = Registry::duplicate(&rt);
    let tree = Supervisor::one_for_one().child(child(&registry).with_id("a"));
    let tree = tree.child(child(&registry).with_id("b")).start(&rt).await.unwrap();
    assert_eq!(registry.lookup(&7).len(), 2);
    let pid = registry.whereis(&7).unwrap();
    killed(&rt, pid).await;
    settled().await;
    assert_eq!(registry.lookup(&7).len(), 2);
    assert!(registry.keys(pid).is_empty());
    tree.stop().await.unwrap();
    assert_eq!(registry.count(), 0);
}

/// Starts a permanent child under the key, which waits for its restart.
async fn restarting(rt: &Runtime, registry: &Registry<u32, &'static str>) -> regrow::SupervisorRef {
    let child = child(registry).with_id("echo").backoff(delayed());
    let tree = Supervisor::one_for_one().child(child).start(rt).await.unwrap();
    killed(rt, registry.whereis(&7).unwrap()).await;
    settled().await;
    assert_eq!(registry.whereis(&7), None);
    tree
}

#[tokio::test(start_paused = true)]
async fn a_key_is_reserved_while_its_child_is_restarted() {
    let rt = Runtime::new();
    let registry = Registry::unique(&rt);
    let tree = restarting(&rt, &registry).await;
    let (other, supervisor) = (idle(&rt), tree.pid().unwrap());
    let reserved = RegistryError::Reserved { child: "echo".to_owned(), supervisor };
    assert_eq!(registry.register(other, 7, "other"), Err(reserved));
    registry.register(other, 8, "other").unwrap();
    let refused =
        StartError::NameReserved { name: "7".to_owned(), child: "echo".to_owned(), supervisor };
    let started = echo().via(&registry, 7, "other").start(&rt).await;
    assert_eq!(started.unwrap_err(), refused);
    tokio::time::sleep(Duration::from_secs(10)).await;
    settled().await;
    assert_eq!(registry.lookup(&7)[0].1, "seven");
    assert_eq!(registry.server::<Echo>(&7).unwrap().call(|reply| reply).await, Ok(1));
    tree.stop().await.unwrap();
    registry.register(other, 7, "other").unwrap();
    assert_nothing_left(&rt).await;
}

#[tokio::test(start_paused = true)]
async fn a_reserved_key_is_free_when_no_restart_follows() {
    for how in ["stop", "terminate", "kill"] {
        let rt = Runtime::new();
        let registry = Registry::unique(&rt);
        let tree = restarting(&rt, &registry).await;
        match how {
            "stop" => drop(tree.stop().await.unwrap()),
            "terminate" => tree.terminate_child("echo").await.unwrap(),
            _ => killed(&rt, tree.pid().unwrap()).await,
        }
        registry.register(idle(&rt), 7, "other").unwrap_or_else(|error| panic!("{how}: {error}"));
        assert_nothing_left(&rt).await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_key_of_a_dynamic_child_is_reserved_until_the_child_is_given_up() {
    let rt = Runtime::new();
    let registry = Registry::unique(&rt);
    let dynamic = DynamicSupervisor::new().start(&rt).await.unwrap();
    let pid = dynamic.start_child(child(&registry).backoff(delayed())).await.unwrap();
    killed(&rt, pid).await;
    settled().await;
    let other = idle(&rt);
    assert!(matches!(registry.register(other, 7, ""), Err(RegistryError::Reserved { .. })));
    dynamic.terminate_child(pid).await.unwrap();
    registry.register(other, 7, "").unwrap();
    // A child that is not restarted reserves nothing.
    let temporary = child(&registry).restart(Restart::Temporary).via(&registry, 8, "");
    killed(&rt, dynamic.start_child(temporary).await.unwrap()).await;
    registry.register(other, 8, "").unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_call_by_key_waits_for_the_restart_of_a_supervised_server() {
    let rt = Runtime::new();
    let dynamic = DynamicSupervisor::new().start(&rt).await.unwrap();
    let keyed: KeyedServers<u32, Echo> = KeyedServers::new(&dynamic);
    let child = ChildSpec::from(echo()).via(keyed.registry(), 7, ()).backoff(delayed());
    let tree = Supervisor::one_for_one().child(child).start(&rt).await.unwrap();
    let no_spec = || -> ServerSpec<Echo> { panic!("a specification was built") };
    keyed.server(&7).unwrap().cast(());
    settled().await;
    let call = keyed.call_or_start(&7, no_spec, |reply| reply, Duration::from_secs(1));
    let not_ready = KeyedError::NotReady { key: 7, limit: Duration::from_secs(1) };
    assert_eq!(call.await, Err(not_ready));
    assert_eq!(keyed.call_or_start(&7, no_spec, |reply| reply, LIMIT).await, Ok(1));

    // If the child is not restarted after all, the waiting call starts a server.
    killed(&rt, keyed.whereis(&7).unwrap()).await;
    settled().await;
    let call = keyed.call_or_start(&7, echo, |reply| reply, LIMIT);
    let (answer, stopped) = tokio::join!(call, tree.stop());
    assert_eq!(answer, Ok(0));
    stopped.unwrap();
    assert_eq!(dynamic.count_children().await.unwrap().active, 1);
}

#[tokio::test(start_paused = true)]
async fn the_successor_of_a_group_restart_takes_its_key_again() {
    let rt = Runtime::new();
    let registry = Registry::unique(&rt);
    let other = ChildSpec::task("other", |_| pending()).named("other");
    let tree = Supervisor::one_for_all().child(child(&registry)).child(other);
    let tree = tree.start(&rt).await.unwrap();
    for restarts in 1..3 {
        killed(&rt, rt.whereis("other").unwrap()).await;
        settled().await;
        let server = registry.server::<Echo>(&7).unwrap();
        assert_eq!(server.call(|reply| reply).await, Ok(restarts));
    }
    tree.stop().await.unwrap();
    assert_nothing_left(&rt).await;
}
