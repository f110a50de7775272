//! A supervisor starts its children in order, stops them in reverse, and leaves nobody.

mod support;

use std::time::Duration;

use regrow::{CallError, ChildSpec, ExitReason, Restart, Shutdown, StartError, Supervisor};
use support::reporter::{Fixture, Said, Tell, counts};

/// SUP-001, SUP-002, SUP-003, SUP-033.
#[tokio::test]
async fn children_start_in_order_and_stop_in_reverse() {
    let mut f = Fixture::new();
    let inner = Supervisor::one_for_one().with_id("inner").child(f.child("b")).child(f.child("c"));
    let spec = Supervisor::one_for_one().child(f.child("a")).child(inner).child(f.child("d"));
    let tree = spec.start(&f.rt).await.unwrap();
    for name in ["a", "b", "c", "d"] {
        f.started(name).await;
    }
    assert_eq!(counts(&tree.count_children().await.unwrap()), (3, 3, 1, 2));
    assert_eq!(tree.stop().await, Ok(ExitReason::Shutdown));
    for name in ["d", "c", "b", "a"] {
        assert_eq!(f.stopped(name).await, ExitReason::Shutdown);
    }
    assert_eq!(f.rt.leftovers(), regrow::Leftovers::default());
    let empty = Supervisor::one_for_one().start(&f.rt).await.unwrap();
    assert_eq!(counts(&empty.count_children().await.unwrap()), (0, 0, 0, 0));
    assert_eq!(empty.stop().await, Ok(ExitReason::Shutdown));
    assert_eq!(empty.count_children().await, Err(CallError::NoProc));
}

/// SUP-004.
#[tokio::test]
async fn a_child_that_fails_stops_the_start() {
    let mut f = Fixture::new();
    let spec = Supervisor::one_for_one().named("top");
    let spec =
        ["a", "b", "bad", "d"].into_iter().fold(spec, |spec, name| spec.child(f.child(name)));
    let error = spec.start(&f.rt).await.unwrap_err();
    let reason = StartError::Failed(ExitReason::crashed("bad child"));
    assert_eq!(error, StartError::Child { id: "bad".into(), error: Box::new(reason) });
    assert_eq!(f.rt.leftovers(), regrow::Leftovers::default());
    for name in ["a", "b", "bad"] {
        f.started(name).await;
    }
    for name in ["b", "a"] {
        assert_eq!(f.stopped(name).await, ExitReason::Shutdown);
    }
    assert!(f.said.try_recv().is_err(), "d was started");
}

/// SUP-012, SUP-013.
#[tokio::test]
async fn what_cannot_work_is_refused_before_any_child_starts() {
    let f = Fixture::new();
    let twice = Supervisor::one_for_one().child(f.child("a")).child(f.child("a"));
    assert_eq!(twice.start(&f.rt).await.unwrap_err(), StartError::DuplicateId("a".into()));
    let zero = Supervisor::one_for_one().intensity(1, Duration::ZERO).child(f.child("a"));
    let StartError::Invalid(what) = zero.start(&f.rt).await.unwrap_err() else { panic!() };
    assert!(what.contains("period"));
    assert_eq!(f.rt.spawned(), 0);
}

/// SHU-001, SHU-002, SHU-006: who doesn't stop in its time is killed, exactly then.
#[tokio::test(start_paused = true)]
async fn a_child_that_ignores_its_shutdown_is_killed_in_time() {
    let f = Fixture::new();
    let deaf = |id: &str| {
        ChildSpec::task(id, |mut ctx| async move {
            let token = ctx.cancellation_token();
            token.cancelled().await;
            std::future::pending().await
        })
    };
    let second = Shutdown::Timeout(Duration::from_secs(1));
    let spec = Supervisor::one_for_one()
        .child(deaf("one").shutdown(second))
        .child(deaf("two").shutdown(second))
        .child(deaf("three").shutdown(Shutdown::BrutalKill));
    let tree = spec.start(&f.rt).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1)).await;
    let start = tokio::time::Instant::now();
    assert_eq!(tree.stop().await, Ok(ExitReason::Shutdown));
    assert_eq!(start.elapsed(), Duration::from_secs(2));
    assert_eq!(f.rt.process_count(), 0);
}

/// SUP-032, T02: a killed supervisor leaves nobody behind, not even who traps.
#[tokio::test(start_paused = true)]
async fn a_killed_supervisor_leaves_nobody_behind() {
    let mut f = Fixture::new();
    let deaf = ChildSpec::task("deaf", |mut ctx| async move {
        ctx.shutdown().await;
        std::future::pending().await
    });
    let inner = Supervisor::one_for_one().with_id("inner").child(f.child("b"));
    let plain = ChildSpec::task("plain", |_| std::future::pending());
    let spec = Supervisor::one_for_one().child(f.child("a")).child(inner).child(plain).child(deaf);
    let tree = spec.start(&f.rt).await.unwrap();
    f.started("a").await;
    f.started("b").await;
    let start = tokio::time::Instant::now();
    f.rt.kill(tree.pid());
    let mut stopped = [f.said.recv().await.unwrap(), f.said.recv().await.unwrap()];
    stopped.sort_by_key(|said| format!("{said:?}"));
    let killed = |name| Said::Stopped(name, ExitReason::Killed);
    assert_eq!(stopped[0], killed("a"));
    assert!(matches!(stopped[1], Said::Stopped("b", _)));
    while f.rt.process_count() > 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(start.elapsed() <= Duration::from_millis(5_001), "{:?}", start.elapsed());
}

/// SUP-009, SUP-010, SUP-011, SUP-016, SUP-017, SUP-037.
#[tokio::test]
async fn children_come_and_go_at_run_time() {
    let mut f = Fixture::new();
    let tree = Supervisor::one_for_one().start(&f.rt).await.unwrap();
    let error = tree.start_child(f.child("bad")).await.unwrap_err();
    assert_eq!(error, StartError::Failed(ExitReason::crashed("bad child")));
    assert_eq!(counts(&tree.count_children().await.unwrap()), (0, 0, 0, 0));
    let pid = tree.start_child(f.child("a")).await.unwrap();
    let again = tree.start_child(f.child("a")).await.unwrap_err();
    assert_eq!(again, StartError::AlreadyStarted { name: "a".into(), pid });
    let ended = f.rt.ended(pid);
    assert_eq!(tree.terminate_child("a").await, Ok(()));
    assert_eq!(ended.await, ExitReason::Shutdown);
    assert_eq!(tree.terminate_child("a").await, Ok(()));
    assert_eq!(counts(&tree.count_children().await.unwrap()), (1, 0, 0, 1));
    let present = tree.start_child(f.child("a")).await.unwrap_err();
    assert_eq!(present, StartError::AlreadyPresent("a".into()));
    let unknown = tree.terminate_child("nobody").await.unwrap_err();
    assert_eq!(unknown.to_string(), "the supervisor has no child \"nobody\"");
    let temporary = f.child("x").restart(Restart::Temporary);
    tree.start_child(temporary.clone()).await.unwrap();
    tree.terminate_child("x").await.unwrap();
    tree.start_child(temporary).await.unwrap();
    f.started("bad").await;
}

/// T01: while the supervisor waits for one child to stop, others end, and none of their
/// ends is lost.
#[tokio::test(start_paused = true)]
async fn ends_that_come_during_a_stop_are_not_lost() {
    let mut f = Fixture::new();
    let slow = ChildSpec::task("slow", |mut ctx| async move {
        ctx.shutdown().await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        Ok(())
    });
    let spec = Supervisor::one_for_one().child(f.child("a")).child(f.child("b")).child(slow);
    let tree = spec.start(&f.rt).await.unwrap();
    f.started("a").await;
    f.started("b").await;
    tokio::time::sleep(Duration::from_millis(1)).await;
    let (stopped, ()) = tokio::join!(tree.terminate_child("slow"), async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        f.tell("a", Tell::Panic);
        f.tell("b", Tell::Panic);
    });
    assert_eq!(stopped, Ok(()));
    f.stopped("a").await;
    f.stopped("b").await;
    f.started("a").await;
    f.started("b").await;
    assert_eq!(counts(&tree.count_children().await.unwrap()), (3, 2, 0, 3));
}

/// T03: a supervisor that is killed while it waits for a child to stop leaves nobody
/// behind, not even that child.
#[tokio::test(start_paused = true)]
async fn a_supervisor_killed_during_a_stop_leaves_nobody_behind() {
    let f = Fixture::new();
    let deaf = ChildSpec::task("deaf", |mut ctx| async move {
        ctx.shutdown().await;
        std::future::pending().await
    });
    let spec = Supervisor::one_for_one().child(deaf.shutdown(Shutdown::Infinity));
    let tree = spec.start(&f.rt).await.unwrap();
    let deaf = tree.which_children().await.unwrap()[0].pid().unwrap();
    let ended = f.rt.ended(deaf);
    tokio::time::sleep(Duration::from_millis(1)).await;
    tokio::select! {
        _ = tree.terminate_child("deaf") => panic!("it ignores that"),
        () = tokio::time::sleep(Duration::from_millis(1)) => f.rt.kill(tree.pid()),
    };
    tree.ended().await;
    assert!(f.rt.is_alive(deaf), "it was asked, and has as long as it takes");
    f.rt.kill(deaf);
    assert_eq!(ended.await, ExitReason::Killed);

    let deaf = ChildSpec::task("deaf", |mut ctx| async move {
        ctx.shutdown().await;
        std::future::pending().await
    });
    let second = Shutdown::Timeout(Duration::from_secs(1));
    let tree = Supervisor::one_for_one().child(deaf.shutdown(second)).start(&f.rt).await.unwrap();
    let ended = f.rt.ended(tree.which_children().await.unwrap()[0].pid().unwrap());
    tokio::time::sleep(Duration::from_millis(1)).await;
    tokio::select! {
        _ = tree.terminate_child("deaf") => panic!("it ignores that"),
        () = tokio::time::sleep(Duration::from_millis(1)) => f.rt.kill(tree.pid()),
    };
    let killed = tokio::time::Instant::now();
    assert_eq!(ended.await, ExitReason::Killed);
    assert_eq!(killed.elapsed(), Duration::from_secs(1));
}
