//! Restarts: which child, how often, and what a caller sees meanwhile.

mod support;

use std::sync::Mutex;
use std::time::Duration;

use regrow::{
    CallError, ChildSpec, ChildState, ExitReason, GenServer, Name, Restart, RestartLimitReached,
    StartChild, StartContext, StartError, Started, Supervisor,
};
use support::reporter::{Fixture, Log, Reporter, Tell, counts, settle};

/// ONE-001, ONE-005, ONE-014, ONE-016.
#[tokio::test]
async fn a_permanent_child_comes_back_alone_under_its_name() {
    let mut f = Fixture::new();
    let spec = Supervisor::one_for_one().intensity(10, Duration::from_secs(5));
    let tree = spec.child(f.child("a")).child(f.child("b")).start(&f.rt).await.unwrap();
    let mut old = f.started("a").await;
    let b = f.started("b").await;
    let reasons = [ExitReason::Normal, ExitReason::Shutdown, ExitReason::crashed("x")];
    for reason in reasons {
        f.tell("a", Tell::End(reason.clone()));
        assert_eq!(f.stopped("a").await, reason);
        let new = f.started("a").await;
        assert_ne!(old, new);
        old = new;
    }
    f.rt.kill(old);
    let new = f.started("a").await;
    let children = tree.which_children().await.unwrap();
    assert_eq!(children.iter().map(|c| c.pid()).collect::<Vec<_>>(), [Some(new), Some(b)]);
    assert_eq!(f.rt.whereis("a"), Some(new));
    assert_eq!(counts(&tree.count_children().await.unwrap()), (2, 2, 0, 2));
}

/// ONE-002, ONE-003, ONE-004, INT-010.
#[tokio::test]
async fn the_restart_type_decides() {
    let mut f = Fixture::new();
    let spec = Supervisor::one_for_one().intensity(1, Duration::from_secs(3600));
    let transient = f.child("t").restart(Restart::Transient);
    let temporary = f.child("x").restart(Restart::Temporary);
    let tree = spec.child(transient).child(temporary).start(&f.rt).await.unwrap();
    f.started("t").await;
    f.started("x").await;
    f.tell("t", Tell::Panic);
    f.stopped("t").await;
    f.started("t").await;
    f.tell("t", Tell::End(ExitReason::shutdown_with("done")));
    f.tell("x", Tell::Panic);
    settle(&tree, (1, 0, 0, 1)).await;
    let [child] = &tree.which_children().await.unwrap()[..] else { panic!() };
    assert_eq!((child.id.as_str(), child.state), ("t", ChildState::Stopped));
    assert_eq!(f.rt.server(Name::<Reporter>::new("t")).call(|r| r).await, Err(CallError::NoProc));
}

/// INT-001, INT-002, INT-006.
#[tokio::test]
async fn one_restart_too_many_stops_everything() {
    for restarts in [0, 2] {
        let mut f = Fixture::new();
        let spec = Supervisor::one_for_one().intensity(restarts, Duration::from_secs(3600));
        let spec = spec.child(f.child("a")).child(f.child("b")).child(f.child("c"));
        let tree = spec.start(&f.rt).await.unwrap();
        for name in ["a", "b", "c"] {
            f.started(name).await;
        }
        for _ in 0..restarts {
            f.tell("b", Tell::Panic);
            f.stopped("b").await;
            f.started("b").await;
        }
        let ended = tree.ended();
        f.tell("b", Tell::Panic);
        f.stopped("b").await;
        assert_eq!(f.stopped("c").await, ExitReason::Shutdown);
        assert_eq!(f.stopped("a").await, ExitReason::Shutdown);
        let reason = ended.await;
        let limit = reason.crash().unwrap().downcast_ref::<RestartLimitReached>().unwrap();
        assert_eq!((limit.child.as_str(), limit.restarts), ("b", restarts));
        assert_eq!(limit.last.crash().unwrap().message(), "told to");
        assert_eq!(f.rt.leftovers(), regrow::Leftovers::default());
    }
}

/// INT-003.
#[tokio::test(start_paused = true)]
async fn the_window_slides() {
    let mut f = Fixture::new();
    let spec = Supervisor::one_for_one().intensity(1, Duration::from_secs(1));
    let tree = spec.child(f.child("a")).start(&f.rt).await.unwrap();
    f.started("a").await;
    for _ in 0..4 {
        f.tell("a", Tell::Panic);
        f.stopped("a").await;
        f.started("a").await;
        tokio::time::sleep(Duration::from_millis(2_100)).await;
    }
    assert_eq!(counts(&tree.count_children().await.unwrap()), (1, 1, 0, 1));
}

/// ONE-009: a restart that keeps failing is tried again until the budget is spent.
#[tokio::test]
async fn a_restart_that_keeps_failing_ends_the_supervisor() {
    let mut f = Fixture::new();
    let mut names = vec!["good"].into_iter();
    let names = Mutex::new(move || names.next().unwrap_or("bad"));
    let log = f.log.clone();
    let flaky = Reporter::child_with(move || (names.lock().unwrap()(), log.clone()));
    let spec = Supervisor::one_for_one().intensity(4, Duration::from_secs(60));
    let spec = spec.child(f.child("sibling")).child(flaky.with_id("flaky"));
    let tree = spec.start(&f.rt).await.unwrap();
    f.started("sibling").await;
    let ended = tree.ended();
    let good = f.started("good").await;
    f.rt.kill(good);
    for _ in 0..4 {
        f.started("bad").await;
    }
    assert_eq!(f.stopped("sibling").await, ExitReason::Shutdown);
    let reason = ended.await;
    let limit = reason.crash().unwrap().downcast_ref::<RestartLimitReached>().unwrap();
    assert_eq!((limit.child.as_str(), &limit.last), ("flaky", &ExitReason::crashed("bad child")));
}

/// A call by name in the gap between two incarnations says so; so does nobody else's
/// name, and none once the supervisor has ended.
#[tokio::test]
async fn a_call_in_the_restart_gap_says_restarting() {
    let mut f = Fixture::new();
    let (open, gate) = tokio::sync::watch::channel(true);
    let slow = ChildSpec::new("slow", Gated(f.log.clone(), gate)).named("a");
    let tree = Supervisor::one_for_one().child(slow).start(&f.rt).await.unwrap();
    let old = f.started("a").await;
    let by_name = f.rt.server(Name::<Reporter>::new("a"));
    let ended = f.rt.ended(old);
    open.send(false).unwrap();
    f.rt.kill(old);
    ended.await;
    let gap = by_name.call(|reply| reply).await;
    assert_eq!(gap, Err(CallError::Restarting { retry_in: None }));
    assert_eq!(f.rt.whereis("a"), None);
    open.send(true).unwrap();
    let new = f.started("a").await;
    assert_eq!(by_name.call(|reply| reply).await, Ok(new));
    open.send(false).unwrap();
    f.rt.kill(new);
    f.rt.kill(tree.pid());
    tree.ended().await;
    assert_eq!(by_name.call(|reply| reply).await, Err(CallError::NoProc));
}

/// Starts its child only while the gate is open.
struct Gated(Log, tokio::sync::watch::Receiver<bool>);

#[async_trait::async_trait]
impl StartChild for Gated {
    async fn start(&self, ctx: &mut StartContext) -> Result<Started, StartError> {
        self.1.clone().wait_for(|open| *open).await.map_err(|_| StartError::Ignored)?;
        ctx.server::<Reporter>(("a", self.0.clone())).await
    }
}
