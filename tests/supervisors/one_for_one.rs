//! one_for_one: only the child that ended is restarted.

use crate::support;

use std::time::Duration;

use regrow::{
    CallError, ChildError, ChildSpec, ExitReason, GenServer, Name, Reply, Restart, Result,
    ServerContext, StartChild, StartContext, StartError, Started, Supervisor, SupervisorSpec,
};
use support::injected_panics::hush_injected_panics;
use support::reporter::counts;
use support::scripted_children::{
    Script, ScriptedChildren, ScriptedServer, Start, limit, pids, states,
};
use support::{crash, settled};
use tokio::sync::mpsc::unbounded_channel;
use tokio::sync::watch;

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn patient() -> SupervisorSpec {
    Supervisor::one_for_one().intensity(100, Duration::from_secs(3600))
}

/// ONE-001.
#[tokio::test(start_paused = true)]
async fn a_permanent_child_is_restarted_after_every_exit_reason() {
    let mut t = ScriptedChildren::new();
    let tree = patient().child(t.child("a")).start(&t.rt).await.unwrap();
    let mut old = t.rt.whereis("a").unwrap();
    let done = ExitReason::shutdown_with("done");
    let reasons =
        [ExitReason::Normal, ExitReason::Shutdown, done, crash("boom"), ExitReason::Killed];
    t.reports().await;
    for reason in reasons {
        match reason {
            ExitReason::Killed => drop(t.rt.kill(old)),
            reason => t.end("a", reason),
        }
        assert_eq!(t.reports().await.last().unwrap(), "a starts");
        let new = t.rt.whereis("a").unwrap();
        assert!(new > old && !t.rt.is_alive(old));
        assert_eq!(counts(&tree.count_children().await.unwrap()), (1, 1, 0, 1));
        old = new;
    }
}

/// ONE-002, ONE-003: an end without a restart is not counted.
#[tokio::test(start_paused = true)]
async fn a_transient_child_is_restarted_only_after_a_failure() {
    let mut t = ScriptedChildren::new();
    let transient = t.child("a").restart(Restart::Transient);
    let spec = Supervisor::one_for_one().intensity(2, Duration::from_secs(3600));
    let tree = spec.child(transient).start(&t.rt).await.unwrap();
    for reason in [ExitReason::Normal, ExitReason::Shutdown, ExitReason::shutdown_with("done")] {
        t.end("a", reason);
        settled().await;
        assert_eq!(states(&tree).await, ["a stopped"]);
        assert_eq!(counts(&tree.count_children().await.unwrap()), (1, 0, 0, 1));
        tree.restart_child("a").await.unwrap();
    }
    t.reports().await;
    t.crash("a");
    assert_eq!(t.reports().await, ["a stops: boom", "a starts"]);
    t.rt.kill(t.rt.whereis("a").unwrap());
    assert_eq!(t.reports().await, ["a starts"]);
}

/// ONE-005.
#[tokio::test(start_paused = true)]
async fn one_for_one_restarts_only_the_failed_child() {
    let mut t = ScriptedChildren::new();
    let tree = patient().child(t.child("c1")).child(t.child("c2")).start(&t.rt).await.unwrap();
    let before = pids(&tree).await;
    t.reports().await;
    t.crash("c1");
    assert_eq!(t.reports().await, ["c1 stops: boom", "c1 starts"]);
    let after = pids(&tree).await;
    assert!(after[0] > before[0] && after[1] == before[1]);
    assert_eq!(states(&tree).await, ["c1 runs", "c2 runs"]);
}

/// ONE-006.
#[tokio::test(start_paused = true)]
async fn a_child_restarted_by_hand_is_supervised_again() {
    let mut t = ScriptedChildren::new();
    let transient = t.child("a").restart(Restart::Transient);
    let tree = patient().child(transient).start(&t.rt).await.unwrap();
    t.end("a", ExitReason::Normal);
    settled().await;
    tree.restart_child("a").await.unwrap();
    t.reports().await;
    t.crash("a");
    assert_eq!(t.reports().await, ["a stops: boom", "a starts"]);
}

/// ONE-009: each attempt counts, and the siblings are stopped when the supervisor gives up.
#[tokio::test(start_paused = true)]
async fn a_restart_that_keeps_failing_ends_the_supervisor() {
    let mut t = ScriptedChildren::new();
    let spec = Supervisor::one_for_one().intensity(4, Duration::from_secs(60));
    let spec = spec.child(t.child("sibling")).child(t.child("a"));
    let tree = spec.start(&t.rt).await.unwrap();
    t.reports().await;
    t.next_starts("a", [Start::Fails; 9]);
    let ended = tree.ended();
    t.crash("a");
    let reason = ended.await;
    assert_eq!((limit(&reason).child.as_str(), limit(&reason).restarts), ("a", 4));
    assert_eq!(limit(&reason).last, crash("a has no luck"));
    let fails = ["a fails"; 4];
    assert_eq!(
        t.reports().await,
        [&["a stops: boom"], &fails[..], &["sibling stops: shutdown"]].concat()
    );
    assert_eq!(t.rt.leftovers(), regrow::Leftovers::default());
}

/// ONE-010, T35, T51: the supervisor answers requests between two attempts.
#[tokio::test(start_paused = true)]
async fn a_child_whose_restart_keeps_failing_is_restarting() {
    let mut t = ScriptedChildren::new();
    let tree = patient().child(t.child("a")).start(&t.rt).await.unwrap();
    t.next_starts("a", [Start::FailsAfter(ms(1_000)); 50]);
    t.crash("a");
    settled().await;
    assert_eq!(states(&tree).await, ["a restarting"]);
    assert_eq!(counts(&tree.count_children().await.unwrap()), (1, 0, 0, 1));
    let present = Err(StartError::AlreadyPresent("a".into()));
    assert_eq!(tree.start_child(t.child("a")).await, present);
    let restarting = ChildError::Restarting("a".into());
    assert_eq!(tree.restart_child("a").await, Err(restarting.clone()));
    assert_eq!(tree.delete_child("a").await, Err(restarting));

    assert_eq!(tree.terminate_child("a").await, Ok(()));
    assert_eq!(states(&tree).await, ["a stopped"]);
    assert_eq!(t.server("a").call(|reply| reply).await, Err(CallError::NoHolder("a".into())));
    t.forget_starts("a");
    t.reports().await;
    tokio::time::sleep(Duration::from_secs(9)).await;
    assert!(t.reports().await.is_empty(), "it is not tried again");
    tree.restart_child("a").await.unwrap();

    t.next_starts("a", [Start::FailsAfter(ms(1_000)); 50]);
    t.crash("a");
    assert_eq!(tree.stop().await, Ok(ExitReason::Shutdown));
}

/// A full mailbox of the supervisor rejects casts, but accepts its retries, which it sends to
/// itself.
#[tokio::test(start_paused = true)]
async fn a_restart_retry_is_not_lost_to_a_full_supervisor_mailbox() {
    let mut t = ScriptedChildren::on(regrow::Runtime::with_mailbox_capacity(1));
    let tree = patient().child(t.child("a")).start(&t.rt).await.unwrap();
    t.next_starts("a", [Start::FailsAfter(ms(100))]);
    t.crash("a");
    settled().await;
    assert!(t.rt.send(tree.pid().unwrap(), b"noise".to_vec()));
    assert!(!t.rt.send(tree.pid().unwrap(), b"too much".to_vec()), "it is full");
    tokio::time::sleep(ms(200)).await;
    assert_eq!(t.reports().await, ["a starts", "a stops: boom", "a fails", "a starts"]);
}

/// A value whose drop takes time.
struct SlowToDrop;

impl Drop for SlowToDrop {
    fn drop(&mut self) {
        (0..200).for_each(|_| std::thread::yield_now());
    }
}

/// ONE-014.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_is_free_before_its_next_holder_starts() {
    let rt = regrow::Runtime::new();
    let (told, mut hear) = unbounded_channel();
    let child = ChildSpec::task("named", |ctx| async move {
        let _slow = SlowToDrop;
        told.send(ctx.pid())?;
        std::future::pending().await
    });
    let spec = Supervisor::one_for_one().intensity(200, Duration::from_secs(3600));
    let tree = spec.child(child.named("named")).start(&rt).await.unwrap();
    for _ in 0..200 {
        let pid = hear.recv().await.unwrap();
        assert!(rt.kill(pid));
    }
    hear.recv().await.unwrap();
    let info = tree.which_child("named").await.unwrap();
    assert_eq!(info.restarts, 200, "no start failed");
    assert_eq!(rt.whereis("named"), info.pid());
}

/// ONE-015.
#[tokio::test(start_paused = true)]
async fn a_direct_handle_reaches_one_incarnation_and_a_named_one_the_current() {
    let t = ScriptedChildren::new();
    let _tree = patient().child(t.child("a")).start(&t.rt).await.unwrap();
    let old = t.rt.server_at::<ScriptedServer>(t.rt.whereis("a").unwrap()).unwrap();
    t.crash("a");
    settled().await;
    assert_eq!(old.call(|reply| reply).await, Err(CallError::NoProc));
    let new = t.server("a").call(|reply| reply).await.unwrap();
    assert!(new > old.pid().unwrap());
}

/// A name that only the first incarnation registered is free as soon as the next incarnation runs.
#[tokio::test(start_paused = true)]
async fn a_name_that_the_next_incarnation_does_not_register_is_free() {
    let t = ScriptedChildren::new();
    let _tree = patient().child(t.child("a")).start(&t.rt).await.unwrap();
    assert!(t.rt.register("passing", t.rt.whereis("a").unwrap()));
    t.crash("a");
    settled().await;
    assert_eq!(
        t.server("passing").call(|reply| reply).await,
        Err(CallError::NoHolder("passing".into()))
    );
    assert!(t.server("a").call(|reply| reply).await.is_ok());
}

struct Counter(u64);

enum Cast {
    Add(u64),
    Crash,
}

impl GenServer for Counter {
    type Args = u64;
    type Call = Reply<u64>;
    type Cast = Cast;

    async fn init(start: u64, _: &mut ServerContext<Self>) -> Result<Self> {
        Ok(Counter(start))
    }

    async fn handle_call(&mut self, reply: Reply<u64>, _: &mut ServerContext<Self>) -> Result {
        reply.send(self.0);
        Ok(())
    }

    async fn handle_cast(&mut self, cast: Cast, _: &mut ServerContext<Self>) -> Result {
        match cast {
            Cast::Add(n) => self.0 += n,
            Cast::Crash => return Err(crash("boom")),
        }
        Ok(())
    }
}

/// ONE-016.
#[tokio::test(start_paused = true)]
async fn a_restarted_child_starts_with_its_initial_arguments() {
    let rt = regrow::Runtime::new();
    let name = Name::<Counter>::new("counter");
    let tree = patient().child(Counter::child(2).named(name)).start(&rt).await.unwrap();
    let counter = rt.server(name);
    counter.cast(Cast::Add(3));
    assert_eq!(counter.call(|reply| reply).await, Ok(5));
    counter.cast(Cast::Crash);
    counter.cast(Cast::Add(40)); // only the incarnation that it was sent to receives this cast
    settled().await;
    assert_eq!(counter.call(|reply| reply).await, Ok(2));
    tree.stop().await.unwrap();
}

/// A panic of a start function in the supervisor's own process ends the supervisor, which stops its
/// children in order.
#[tokio::test(start_paused = true)]
async fn a_panic_in_a_start_function_ends_the_supervisor_in_order() {
    hush_injected_panics();
    struct Panics;

    #[async_trait::async_trait]
    impl StartChild for Panics {
        async fn start(&self, _: &mut StartContext) -> Result<Started, StartError> {
            std::panic::panic_any("boom in a start".to_owned())
        }
    }

    let mut t = ScriptedChildren::new();
    let tree = patient().child(t.child("a")).start(&t.rt).await.unwrap();
    let asked = tree.start_child(ChildSpec::new("bad", Panics)).await.unwrap_err();
    let StartError::Unreachable(CallError::Exited(reason)) = asked else { panic!("{asked:?}") };
    assert_eq!(reason.crash().unwrap().message(), "boom in a start");
    assert_eq!(t.reports().await, ["a starts", "a stops: shutdown"]);
    assert_eq!(t.rt.leftovers(), regrow::Leftovers::default());
}

/// Starts its child only while the gate is open.
struct Gated(Script, watch::Receiver<bool>);

#[async_trait::async_trait]
impl StartChild for Gated {
    async fn start(&self, ctx: &mut StartContext) -> Result<Started, StartError> {
        self.1.clone().wait_for(|open| *open).await.map_err(|_| StartError::Ignored)?;
        ctx.server::<ScriptedServer>(("a", self.0.clone())).await
    }
}

/// A call by name between two incarnations returns `Restarting`, not `NoProc`, until the supervisor
/// has ended.
#[tokio::test(start_paused = true)]
async fn a_call_between_two_incarnations_fails_with_restarting() {
    let t = ScriptedChildren::new();
    let (open, gate) = watch::channel(true);
    let slow = ChildSpec::new("slow", Gated(t.script.clone(), gate)).named("a");
    let tree = patient().child(slow).start(&t.rt).await.unwrap();
    open.send(false).unwrap();
    t.crash("a");
    settled().await;
    let server = t.server("a");
    let call = || server.call(|reply| reply);
    assert_eq!(call().await, Err(CallError::Restarting { retry_in: None }));
    assert_eq!(t.rt.whereis("a"), None);
    open.send(true).unwrap();
    settled().await;
    assert_eq!(call().await.ok(), t.rt.whereis("a"));
    open.send(false).unwrap();
    t.crash("a");
    settled().await;
    t.rt.kill(tree.pid().unwrap());
    tree.ended().await;
    assert_eq!(call().await, Err(CallError::NoHolder("a".into())));
}
