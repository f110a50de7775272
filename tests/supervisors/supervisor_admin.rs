//! The administration calls of a supervisor.

use crate::support;

use std::time::Duration;

use regrow::{
    CallError, ChildError, ChildSpec, ChildState, DynamicSupervisor, DynamicSupervisorRef,
    ExitReason, GenServer, Restart, Result, Runtime, ServerContext, StartError, Supervisor,
    SupervisorRef, SupervisorSpec, TaskSupervisor, TaskSupervisorRef,
};
use support::log::Log;
use support::reporter::counts;
use support::scripted_children::{ScriptedChildren, ScriptedServer, Start, pids, states};
use support::{crash, settled};

/// SUP-009: after the failed start, a call by the child's name returns `NoProc`, not `Restarting`.
#[tokio::test(start_paused = true)]
async fn a_child_that_fails_to_start_is_not_kept() {
    let mut t = ScriptedChildren::new();
    let tree = Supervisor::one_for_one().start(&t.rt).await.unwrap();
    t.next_starts("a", [Start::Fails]);
    let error = tree.start_child(t.child("a")).await.unwrap_err();
    assert_eq!(error, StartError::Failed(crash("a has no luck")));
    assert_eq!(counts(&tree.count_children().await.unwrap()), (0, 0, 0, 0));
    assert_eq!(t.server("a").call(|reply| reply).await, Err(CallError::NoHolder("a".into())));
    let pid = tree.start_child(t.child("a")).await.unwrap();
    assert_eq!(t.server("a").call(|reply| reply).await, Ok(pid));
    assert_eq!(t.reports().await, ["a fails", "a starts"]);
}

/// SUP-010, SUP-011.
#[tokio::test(start_paused = true)]
async fn a_child_id_can_be_used_once() {
    let mut t = ScriptedChildren::new();
    let tree = Supervisor::one_for_one().child(t.child("a")).start(&t.rt).await.unwrap();
    let pid = t.rt.whereis("a").unwrap();
    let error = tree.start_child(t.child("a")).await.unwrap_err();
    assert_eq!(error, StartError::AlreadyRunning { id: "a".into(), pid });
    assert_eq!(t.reports().await, ["a starts"]);
    assert_eq!(t.server("a").call(|reply| reply).await, Ok(pid));
    tree.terminate_child("a").await.unwrap();
    let error = tree.start_child(t.child("a")).await.unwrap_err();
    assert_eq!(error, StartError::AlreadyPresent("a".into()));
}

/// A used id concerns this supervisor only. A held name may belong to any process.
#[tokio::test(start_paused = true)]
async fn a_used_child_id_and_a_held_name_are_different_errors() {
    let t = ScriptedChildren::new();
    let tree = Supervisor::one_for_one().child(t.child("a")).start(&t.rt).await.unwrap();
    let pid = t.rt.whereis("a").unwrap();
    let same_id = tree.start_child(t.child("a").named("free")).await.unwrap_err();
    assert_eq!(same_id, StartError::AlreadyRunning { id: "a".into(), pid });
    let stranger = t.rt.spawn(|_| std::future::pending()).pid();
    t.rt.register("held", stranger);
    for (name, pid) in [("a", pid), ("held", stranger)] {
        let same_name = tree.start_child(t.child("b").named(name)).await.unwrap_err();
        assert_eq!(same_name, StartError::AlreadyStarted { name: name.into(), pid });
        assert!(same_name.to_string().contains(&format!("the name {name:?}")), "{same_name}");
    }
    assert!(same_id.to_string().contains("a child \"a\" runs under this supervisor"), "{same_id}");
}

/// A generic server.
struct Cache<T>(std::marker::PhantomData<fn() -> T>);

impl<T: 'static> GenServer for Cache<T> {
    type Args = ();
    type Call = ();
    type Cast = ();

    async fn init((): (), _: &mut ServerContext<Self>) -> Result<Self> {
        Ok(Cache(std::marker::PhantomData))
    }

    async fn handle_call(&mut self, (): (), _: &mut ServerContext<Self>) -> Result {
        Ok(())
    }

    async fn handle_cast(&mut self, (): (), _: &mut ServerContext<Self>) -> Result {
        Ok(())
    }
}

mod one {
    pub(crate) struct Key;
}

mod other {
    pub(crate) struct Key;
}

#[tokio::test(start_paused = true)]
async fn the_default_ids_of_a_generic_server_differ_by_its_types() {
    let children = [
        Cache::<String>::child(()),
        Cache::<Vec<String>>::child(()),
        Cache::<(String, [u8; 4])>::child(()),
        Cache::<one::Key>::child(()),
        Cache::<other::Key>::child(()),
    ];
    let ids: Vec<String> = children.iter().map(|child| child.id().to_owned()).collect();
    let known = ["Cache<String>", "Cache<Vec<String>>", "Cache<(String, [u8; 4])>"];
    assert_eq!(ids[..3], known);
    assert!(ids[3].ends_with("one::Key>") && ids[4].ends_with("other::Key>"), "{ids:?}");
    let tree = children.into_iter().fold(Supervisor::one_for_one(), SupervisorSpec::child);
    let tree = tree.start(&Runtime::new()).await.unwrap();
    assert_eq!(tree.count_children().await.unwrap().active, 5);
}

/// A name that was set is registered, or the start fails with the reason.
#[tokio::test(start_paused = true)]
async fn two_names_for_one_supervisor_are_refused() {
    let rt = Runtime::new();
    let named = |one: &str| {
        [
            ChildSpec::from(Supervisor::one_for_one().named(one)),
            ChildSpec::from(DynamicSupervisor::new().named(one)),
            ChildSpec::from(TaskSupervisor::new().named(one)),
        ]
    };
    let says_both = |error: StartError| {
        let StartError::Invalid(what) = error else { panic!("{error:?}") };
        assert!(what.contains("\"one\"") && what.contains("\"two\""), "{what}");
    };
    let tree = Supervisor::one_for_one().start(&rt).await.unwrap();
    let pool = DynamicSupervisor::new().start(&rt).await.unwrap();
    for child in named("one") {
        let two = || child.clone().named("two");
        says_both(tree.start_child(two()).await.unwrap_err());
        says_both(pool.start_child(two()).await.unwrap_err());
        says_both(pool.get_or_start("two", child.clone()).await.unwrap_err());
        says_both(Supervisor::one_for_one().child(two()).start(&rt).await.unwrap_err());
        let pid = pool.start_child(two().named("one")).await.unwrap();
        assert_eq!(rt.whereis("one"), Some(pid));
        assert_eq!(pool.get_or_start("one", child.clone()).await, Ok(pid));
        pool.terminate_child(pid).await.unwrap();
    }
    let job = ChildSpec::task("job", |_| std::future::pending());
    let init = Supervisor::with_init(|_| async { Ok(Supervisor::one_for_one().named("one")) });
    says_both(init.clone().named("two").start(&rt).await.unwrap_err());
    assert!(matches!(init.clone().start(&rt).await, Err(StartError::Invalid(_))));
    assert!(init.named("one").start(&rt).await.is_ok());

    // If one setting is set twice in one place, the last one applies.
    let found = pool.get_or_start("key", job.clone().named("any")).await.unwrap();
    assert_eq!((rt.whereis("key"), rt.whereis("any")), (Some(found), None));
    let twice = tree.start_child(job.named("one more").named("two")).await.unwrap();
    assert_eq!((rt.whereis("two"), rt.whereis("one more")), (Some(twice), None));
}

/// Every kind of handle returns `None` as its pid if no process has the name.
#[tokio::test(start_paused = true)]
async fn a_handle_by_a_free_name_has_no_pid() {
    let rt = Runtime::new();
    let (fixed, dynamic) = (SupervisorRef::named(&rt, "x"), DynamicSupervisorRef::named(&rt, "x"));
    let (tasks, server) = (TaskSupervisorRef::named(&rt, "x"), rt.server::<ScriptedServer>("x"));
    let pids = || [fixed.pid(), dynamic.pid(), tasks.pid(), server.pid()];
    assert_eq!(pids(), [None; 4]);
    let started = Supervisor::one_for_one().named("x").start(&rt).await.unwrap();
    let pid = started.pid();
    assert!(pid.is_some());
    assert_eq!(pids(), [pid; 4]);
    started.stop().await.unwrap();
    assert_eq!((pids(), started.pid()), ([None; 4], pid));
}

/// SUP-006: the child is known as stopped, unless it is temporary, and can be started by hand
/// later.
#[tokio::test(start_paused = true)]
async fn a_child_that_ignores_its_start_by_hand_is_listed_as_stopped() {
    let t = ScriptedChildren::new();
    let tree = Supervisor::one_for_one().start(&t.rt).await.unwrap();
    t.next_starts("a", [Start::Ignores]);
    assert_eq!(tree.start_child(t.child("a")).await, Err(StartError::Ignored));
    t.next_starts("x", [Start::Ignores]);
    let temporary = t.child("x").restart(Restart::Temporary);
    assert_eq!(tree.start_child(temporary).await, Err(StartError::Ignored));
    assert_eq!(states(&tree).await, ["a stopped"]);
    let pid = tree.restart_child("a").await.unwrap();
    assert_eq!(t.server("a").call(|reply| reply).await, Ok(pid));
}

/// SUP-010, SUP-011: a specification is checked before its id is looked up, as in OTP.
#[tokio::test(start_paused = true)]
async fn an_invalid_spec_is_refused_before_its_id_is_looked_up() {
    let t = ScriptedChildren::new();
    let tree = Supervisor::one_for_one().child(t.child("a")).start(&t.rt).await.unwrap();
    let never = || t.child("a").restart(Restart::Permanent).significant(true);
    for _ in 0..2 {
        let error = tree.start_child(never()).await.unwrap_err();
        assert!(
            matches!(&error, StartError::Invalid(why) if why.contains("significant")),
            "{error}"
        );
        tree.terminate_child("a").await.unwrap();
    }
}

/// SUP-016, SUP-017, INT-010: terminations never count against the budget.
#[tokio::test(start_paused = true)]
async fn a_terminated_child_stays_listed_as_stopped() {
    let mut t = ScriptedChildren::new();
    let spec = Supervisor::one_for_one().intensity(0, Duration::from_secs(3600));
    let tree = spec.child(t.child("a")).start(&t.rt).await.unwrap();
    for _ in 0..10 {
        let ended = t.rt.ended(t.rt.whereis("a").unwrap());
        assert_eq!(tree.terminate_child("a").await, Ok(()));
        assert_eq!(ended.await, ExitReason::Shutdown);
        assert_eq!(t.reports().await, ["a starts", "a stops: shutdown"]);
        assert_eq!(states(&tree).await, ["a stopped"]);
        assert_eq!(counts(&tree.count_children().await.unwrap()), (1, 0, 0, 1));
        assert_eq!(tree.terminate_child("a").await, Ok(()));
        assert_eq!(t.server("a").call(|reply| reply).await, Err(CallError::NoHolder("a".into())));
        tree.restart_child("a").await.unwrap();
    }
    let unknown = Err(ChildError::NotFound("nobody".into()));
    assert_eq!(tree.terminate_child("nobody").await, unknown);
}

/// SUP-018, SUP-019, SUP-015.
#[tokio::test(start_paused = true)]
async fn only_a_stopped_child_can_be_restarted_or_deleted_by_hand() {
    let t = ScriptedChildren::new();
    let tree = Supervisor::one_for_one().child(t.child("a")).start(&t.rt).await.unwrap();
    let pid = t.rt.whereis("a").unwrap();
    let running = ChildError::Running { id: "a".into(), pid };
    assert_eq!(tree.restart_child("a").await, Err(running.clone()));
    assert_eq!(tree.delete_child("a").await, Err(running));
    tree.terminate_child("a").await.unwrap();
    let new = tree.restart_child("a").await.unwrap();
    assert_ne!(pid, new);
    assert_eq!(tree.which_child("a").await.unwrap().state, ChildState::Running(new));
    tree.terminate_child("a").await.unwrap();
    assert_eq!(tree.delete_child("a").await, Ok(()));
    assert!(tree.which_children().await.unwrap().is_empty());
    let unknown = ChildError::NotFound("a".into());
    assert_eq!(tree.restart_child("a").await, Err(unknown.clone()));
    assert_eq!(tree.delete_child("a").await, Err(unknown.clone()));
    assert_eq!(tree.which_child("a").await, Err(unknown.clone()));
    assert_eq!(tree.child_spec("a").await.unwrap_err(), unknown);
    tree.start_child(t.child("a")).await.unwrap();
}

/// SUP-018: a restart by hand that fails or is ignored leaves the child stopped.
#[tokio::test(start_paused = true)]
async fn a_failed_restart_by_hand_leaves_the_child_stopped() {
    let t = ScriptedChildren::new();
    let spec = Supervisor::one_for_one().intensity(0, Duration::from_secs(1));
    let tree = spec.child(t.child("a")).start(&t.rt).await.unwrap();
    tree.terminate_child("a").await.unwrap();
    t.next_starts("a", [Start::Fails, Start::Ignores]);
    let failed = StartError::Failed(crash("a has no luck"));
    assert_eq!(tree.restart_child("a").await, Err(ChildError::NotStarted(failed)));
    assert_eq!(states(&tree).await, ["a stopped"]);
    assert_eq!(t.server("a").call(|reply| reply).await, Err(CallError::NoHolder("a".into())));
    let ignored = Err(ChildError::NotStarted(StartError::Ignored));
    assert_eq!(tree.restart_child("a").await, ignored);
    assert!(tree.restart_child("a").await.is_ok());
}

/// SUP-023.
#[tokio::test(start_paused = true)]
async fn counts_follow_one_child_through_its_life() {
    let t = ScriptedChildren::new();
    let tree = Supervisor::one_for_one().start(&t.rt).await.unwrap();
    let count = async || counts(&tree.count_children().await.unwrap());
    tree.start_child(t.child("a")).await.unwrap();
    assert_eq!(count().await, (1, 1, 0, 1));
    tree.terminate_child("a").await.unwrap();
    assert_eq!(count().await, (1, 0, 0, 1));
    tree.restart_child("a").await.unwrap();
    assert_eq!(count().await, (1, 1, 0, 1));
    tree.terminate_child("a").await.unwrap();
    assert_eq!(count().await, (1, 0, 0, 1));
    tree.delete_child("a").await.unwrap();
    assert_eq!(count().await, (0, 0, 0, 0));
}

/// SUP-024.
#[tokio::test(start_paused = true)]
async fn count_children_counts_supervisors_separately() {
    let t = ScriptedChildren::new();
    let inner = |id| Supervisor::one_for_one().with_id(id);
    let spec = Supervisor::one_for_one().child(t.child("a")).child(inner("b")).child(inner("c"));
    let tree = spec.start(&t.rt).await.unwrap();
    tree.terminate_child("b").await.unwrap();
    assert_eq!(counts(&tree.count_children().await.unwrap()), (3, 2, 2, 1));
}

/// SUP-025.
#[tokio::test(start_paused = true)]
async fn requests_to_an_ended_or_unknown_supervisor_fail_at_once() {
    let t = ScriptedChildren::new();
    let dead = Supervisor::one_for_one().child(t.child("a")).start(&t.rt).await.unwrap();
    dead.stop().await.unwrap();
    let unknown = SupervisorRef::named(&t.rt, "nobody");
    for (tree, error) in
        [(dead, CallError::NoProc), (unknown, CallError::NoHolder("nobody".into()))]
    {
        let unreachable = ChildError::Unreachable(error.clone());
        let not_started = StartError::Unreachable(error.clone());
        assert_eq!(tree.start_child(t.child("a")).await, Err(not_started));
        assert_eq!(tree.terminate_child("a").await, Err(unreachable.clone()));
        assert_eq!(tree.restart_child("a").await, Err(unreachable.clone()));
        assert_eq!(tree.delete_child("a").await, Err(unreachable.clone()));
        assert_eq!(tree.which_child("a").await, Err(unreachable.clone()));
        assert_eq!(tree.child_spec("a").await.unwrap_err(), unreachable);
        assert_eq!(tree.which_children().await, Err(error.clone()));
        assert_eq!(tree.count_children().await, Err(error.clone()));
        assert_eq!(tree.stop().await, Err(error.clone()));
        assert_eq!(tree.stop_with(ExitReason::Normal).await, Err(error));
    }
}

/// SUP-028: a message, the exit signal of a stranger, and the end of a linked process that is no
/// child.
#[tokio::test(start_paused = true)]
async fn a_supervisor_drops_unexpected_messages_and_exits() {
    let mut t = ScriptedChildren::new();
    let tree = Supervisor::one_for_one().child(t.child("a")).start(&t.rt).await.unwrap();
    let before = pids(&tree).await;
    t.reports().await;
    let log = Log::listen();
    t.rt.send(tree.pid().unwrap(), b"hello".to_vec());
    t.rt.exit(tree.pid().unwrap(), crash("a stranger's"));
    let stranger = t.rt.spawn(|_| std::future::pending());
    t.rt.link(stranger.pid(), tree.pid().unwrap());
    stranger.kill();
    let server = t.rt.server_at::<ScriptedServer>(tree.pid().unwrap());
    assert_eq!(server.err(), Some(CallError::WrongType));
    settled().await;
    let heads = log.heads();
    let dropped = heads.iter().filter(|head| *head == "WARN unexpected message dropped");
    assert_eq!(dropped.count(), 3, "{heads:?}");
    assert_eq!(pids(&tree).await, before);
    assert!(t.reports().await.is_empty());
}

/// Other nodes can send terms without an end: the log gets few lines of them.
#[cfg(feature = "cluster")]
#[tokio::test(start_paused = true)]
async fn a_supervisor_logs_few_of_the_terms_that_it_drops() {
    let t = ScriptedChildren::new();
    let tree = Supervisor::one_for_one().start(&t.rt).await.unwrap();
    let log = Log::listen();
    for _ in 0..10 {
        let term = regrow::cluster::EncodedTerm::new("hello").unwrap();
        assert!(t.rt.send_term(tree.pid().unwrap(), term));
    }
    settled().await;
    let heads = log.heads();
    let dropped = heads.iter().filter(|head| *head == "WARN unexpected message dropped");
    assert_eq!(dropped.count(), 4, "{heads:?}"); // the 1st, the 2nd, the 4th and the 8th
}

/// SUP-037, ONE-004.
#[tokio::test(start_paused = true)]
async fn a_temporary_child_is_removed_after_every_exit() {
    let t = ScriptedChildren::new();
    let spec = Supervisor::one_for_one().intensity(0, Duration::from_secs(1));
    let tree = spec.start(&t.rt).await.unwrap();
    let temporary = t.child("x").restart(Restart::Temporary);
    let reasons = [
        ExitReason::Normal,
        ExitReason::Shutdown,
        ExitReason::shutdown_with("done"),
        crash("boom"),
        ExitReason::Killed,
    ];
    for reason in reasons {
        let pid = tree.start_child(temporary.clone()).await.unwrap();
        match reason {
            ExitReason::Killed => drop(t.rt.kill(pid)),
            reason => t.end("x", reason),
        }
        settled().await;
        assert_eq!(counts(&tree.count_children().await.unwrap()), (0, 0, 0, 0));
    }
    tree.start_child(temporary.clone()).await.unwrap();
    tree.terminate_child("x").await.unwrap();
    assert_eq!(tree.terminate_child("x").await, Err(ChildError::NotFound("x".into())));
    tree.start_child(temporary).await.unwrap();
}

/// The history records each incarnation: pid, times, exit reason, and failed starts.
#[tokio::test(start_paused = true)]
async fn a_child_has_a_history_of_its_exits() {
    let mut t = ScriptedChildren::new();
    let spec = Supervisor::one_for_one().intensity(20, Duration::from_secs(5));
    let tree = spec.child(t.child("a")).start(&t.rt).await.unwrap();
    let first = t.rt.whereis("a");
    t.next_starts("a", [Start::Fails]);
    settled().await;
    t.crash("a");
    t.reports().await;
    let info = tree.which_child("a").await.unwrap();
    assert_eq!(info.restarts, 2);
    let [crashed, failed] = &info.history[..] else { panic!("{info:?}") };
    assert_eq!((crashed.pid, failed.pid), (first, None));
    assert_eq!((&crashed.reason, &failed.reason), (&crash("boom"), &crash("a has no luck")));
    assert_eq!((crashed.attempt, failed.attempt), (0, 1));
    assert_eq!(crashed.ended - crashed.started, Duration::from_millis(1));
    assert_eq!(info.since, Some(failed.ended));
    for _ in 0..10 {
        t.crash("a");
        settled().await;
    }
    let info = tree.which_child("a").await.unwrap();
    let attempts: Vec<_> = info.history.iter().map(|past| past.attempt).collect();
    assert_eq!((attempts, info.restarts), ((4..12).collect(), 12));
}

/// Starts by hand have their own counter, so that a growing number of restarts is a sign of
/// trouble.
#[tokio::test(start_paused = true)]
async fn a_start_by_hand_is_not_counted_as_a_restart() {
    let t = ScriptedChildren::new();
    let spec = Supervisor::one_for_one().intensity(20, Duration::from_secs(5));
    let tree = spec.child(t.child("a")).start(&t.rt).await.unwrap();
    let counted = async || {
        let (info, tree) = (tree.which_child("a").await.unwrap(), tree.tree().await.unwrap());
        assert_eq!(tree.find("a").unwrap().restarts, info.restarts);
        (info.restarts, info.starts_by_hand, info.history.last().map(|past| past.attempt))
    };
    assert_eq!(counted().await, (0, 0, None));
    t.crash("a");
    settled().await;
    assert_eq!(counted().await, (1, 0, Some(0)));
    for by_hand in 1..=3 {
        tree.terminate_child("a").await.unwrap();
        tree.restart_child("a").await.unwrap();
        assert_eq!(counted().await, (1, by_hand, Some(by_hand)));
    }
    t.next_starts("a", [Start::Fails]);
    tree.terminate_child("a").await.unwrap();
    assert!(tree.restart_child("a").await.is_err());
    assert_eq!(counted().await, (1, 4, Some(5)), "in vain or not");
    tree.restart_child("a").await.unwrap();
    settled().await;
    t.crash("a");
    settled().await;
    assert_eq!(counted().await, (2, 5, Some(6)));
}
