//! Servers that go on after a failed handler.

use std::time::Duration;

use regrow::FailurePolicy::{Restart, Resume};
use regrow::{
    CallError, ChildSpec, ExitReason, GenServer, Reply, Result, Runtime, ServerContext, Supervisor,
};

use super::{Do, Number, Request, SECOND, as_asked, get, idle};
use crate::support::drained;
use crate::support::scripted_children::states;

fn resumed() -> ChildSpec {
    Number::child(40).with_id("a").named("a").on_failure(|_| Resume)
}

/// The failed handler has added 1 before its error.
#[tokio::test(start_paused = true)]
async fn a_resumed_server_keeps_its_state_as_the_handler_left_it_and_its_queue() {
    let rt = Runtime::new();
    let tree = Supervisor::one_for_one().child(resumed()).start(&rt).await.unwrap();
    let (pid, server) = (rt.whereis("a"), rt.server::<Number>("a"));
    for cast in [Do::Add(1), Do::Fail(Resume), Do::Add(10), Do::Panic, Do::Add(100)] {
        assert!(server.cast(cast));
    }
    assert_eq!(get(&rt, "a").await, 40 + 1 + 1 + 10 + 100);
    assert_eq!(rt.whereis("a"), pid);
    let child = tree.which_child("a").await.unwrap();
    assert_eq!((child.restarts, rt.counters().resumed), (0, 2));
    tree.stop().await.unwrap();
    assert_eq!((rt.process_count(), rt.unhandled_messages()), (0, 0));
}

/// After an error and after a panic.
#[tokio::test(start_paused = true)]
async fn the_caller_of_the_failed_call_gets_no_reply_and_the_server_lives() {
    let rt = Runtime::new();
    let _tree = Supervisor::one_for_one().child(resumed()).start(&rt).await.unwrap();
    let server = rt.server::<Number>("a");
    let failed = server.call(|reply| Request::Fail(Resume, reply)).await;
    assert!(matches!(failed, Err(CallError::NoReply)), "{failed:?}");
    let failed = server.call(Request::Panic).await;
    assert!(matches!(failed, Err(CallError::NoReply)), "{failed:?}");
    assert_eq!(get(&rt, "a").await, 40);
}

/// A poisoned state cannot loop: the fourth failure within five seconds ends the incarnation.
#[tokio::test(start_paused = true)]
async fn beyond_its_resume_budget_a_server_ends_and_is_restarted() {
    let rt = Runtime::new();
    let tree = Supervisor::one_for_one().child(resumed()).start(&rt).await.unwrap();
    let pid = rt.whereis("a");
    let server = rt.server::<Number>("a");
    for _ in 0..3 {
        server.cast(Do::Fail(Resume));
    }
    assert_eq!(get(&rt, "a").await, 43);
    tokio::time::sleep(5 * SECOND).await;
    for _ in 0..3 {
        server.cast(Do::Fail(Resume));
    }
    assert_eq!((get(&rt, "a").await, rt.whereis("a")), (46, pid));
    server.cast(Do::Fail(Resume));
    idle().await;
    assert_ne!(rt.whereis("a"), pid);
    assert_eq!(get(&rt, "a").await, 40, "the state of a new init");
    assert_eq!(tree.which_child("a").await.unwrap().restarts, 1);
    assert_eq!(rt.counters().resumed, 6);
    // The new incarnation has a full budget.
    for _ in 0..3 {
        rt.server::<Number>("a").cast(Do::Fail(Resume));
    }
    assert_eq!(get(&rt, "a").await, 43);
}

#[tokio::test(start_paused = true)]
async fn a_resume_budget_of_zero_resumes_nothing() {
    let rt = Runtime::new();
    let child = resumed().resume_budget(0, SECOND);
    let _tree = Supervisor::one_for_one().child(child).start(&rt).await.unwrap();
    rt.server::<Number>("a").cast(Do::Fail(Resume));
    idle().await;
    assert_eq!((get(&rt, "a").await, rt.counters().resumed), (40, 0));
}

/// `terminate` of a server that ends runs once, with the reason of the failure that ended it.
struct Flushing(tokio::sync::mpsc::UnboundedSender<String>);

impl GenServer for Flushing {
    type Args = tokio::sync::mpsc::UnboundedSender<String>;
    type Call = Reply<()>;
    type Cast = &'static str;

    async fn init(log: Self::Args, ctx: &mut ServerContext<Self>) -> Result<Self> {
        ctx.drain_on_stop(SECOND);
        Ok(Flushing(log))
    }

    async fn handle_cast(&mut self, what: &'static str, ctx: &mut ServerContext<Self>) -> Result {
        if what == "later" {
            ctx.cast_after(SECOND, "timer");
            ctx.continue_with("continued");
        }
        self.0.send(what.to_owned())?;
        Err(ExitReason::crashed(what))
    }

    async fn terminate(&mut self, reason: &ExitReason) {
        let _ = self.0.send(format!("terminate: {reason}"));
    }
}

/// What a failed handler has armed and queued stays, and a stop drains the queue.
#[tokio::test(start_paused = true)]
async fn timers_continued_casts_and_the_drain_outlive_a_failed_handler() {
    let rt = Runtime::new();
    let (log, mut said) = tokio::sync::mpsc::unbounded_channel();
    let child = Flushing::child(log).named("a").on_failure(|_| Resume);
    let child = child.resume_budget(100, SECOND);
    let tree = Supervisor::one_for_one().child(child).start(&rt).await.unwrap();
    let server = rt.server::<Flushing>("a");
    server.cast("later");
    server.cast("queued");
    tokio::time::sleep(2 * SECOND).await;
    for _ in 0..3 {
        server.cast("drained");
    }
    tree.stop().await.unwrap();
    let all = drained(&mut said);
    let expected = ["later", "continued", "queued", "timer", "drained", "drained", "drained"];
    assert_eq!(all[..7], expected);
    assert_eq!(all[7..], ["terminate: shutdown"]);
}

/// A kill that is sent while the closure decides ends the server, whatever the closure says.
#[tokio::test(start_paused = true)]
async fn a_server_that_is_killed_while_its_failure_is_decided_ends() {
    let rt = Runtime::new();
    let other = rt.clone();
    let child = resumed().on_failure(move |reason| {
        if !matches!(reason, ExitReason::Killed)
            && let Some(own) = other.whereis("a")
        {
            other.kill(own);
        }
        Resume
    });
    let tree = Supervisor::one_for_one().child(child).start(&rt).await.unwrap();
    let pid = rt.whereis("a").unwrap();
    let ended = rt.ended(pid);
    rt.server::<Number>("a").cast(Do::Fail(Resume));
    ended.await;
    idle().await;
    assert_eq!(rt.counters().resumed, 0);
    assert_eq!(states(&tree).await, ["a runs"]);
}

/// An exit signal of a linked process ends a server that does not trap exits, also just after a resume.
#[tokio::test(start_paused = true)]
async fn a_resumed_server_still_ends_with_a_linked_process() {
    let rt = Runtime::new();
    let _tree = Supervisor::one_for_one().child(resumed()).start(&rt).await.unwrap();
    let pid = rt.whereis("a").unwrap();
    let peer = rt.spawn(|_| std::future::pending());
    rt.link(peer.pid(), pid);
    rt.server::<Number>("a").cast(Do::Fail(Resume));
    idle().await;
    assert!(rt.is_alive(pid));
    peer.kill();
    idle().await;
    assert!(!rt.is_alive(pid));
}

/// The handler of a watched server is noted as ended, so the next one is not reported as slow.
#[tokio::test(start_paused = true)]
async fn a_watched_server_is_resumed_and_shown_as_idle() {
    let rt = Runtime::new();
    rt.track_handlers(true);
    let child = resumed().warn_after(Duration::from_millis(10));
    let _tree = Supervisor::one_for_one().child(child).start(&rt).await.unwrap();
    rt.server::<Number>("a").cast(Do::Panic);
    idle().await;
    let info = rt.info(rt.whereis("a").unwrap()).unwrap();
    assert!(info.handling.is_none(), "{info:?}");
    assert_eq!(get(&rt, "a").await, 40);
}

/// Makes 400 calls, of which 160 fail in their handlers. Returns how many were answered, and how many
/// failed.
async fn client(rt: Runtime, client: u32) -> (u32, u32) {
    let (mut answered, mut failed) = (0, 0);
    for n in 0..400 {
        let server = rt.server::<Number>(["a", "b"][((n + client) % 2) as usize]);
        let policy = [Resume, Restart][(n % 2) as usize];
        let outcome = match n % 5 {
            0 => server.call(|reply| Request::Fail(policy, reply)).await,
            1 => server.call(Request::Panic).await,
            _ => server.call(Request::Get).await,
        };
        match outcome {
            Ok(_) => answered += 1,
            Err(CallError::Timeout) => panic!("a call without an end"),
            Err(_) => failed += 1,
        }
    }
    (answered, failed)
}

/// Crashes of all policies from many clients: every call is answered or fails, and nothing is left.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_under_failures_of_all_policies_answer_or_fail_every_call() {
    let rt = Runtime::new();
    let child = |id: &'static str| {
        let child = Number::child(0).with_id(id).named(id).on_failure(as_asked);
        child.resume_budget(u32::MAX, Duration::from_secs(1))
    };
    let tree = Supervisor::one_for_one().unlimited_restarts().child(child("a")).child(child("b"));
    let tree = tree.start(&rt).await.unwrap();
    let clients: Vec<_> = (0..8).map(|n| tokio::spawn(client(rt.clone(), n))).collect();
    let (mut all_answered, mut all_failed) = (0, 0);
    for client in clients {
        let (answered, failed) = client.await.unwrap();
        assert_eq!(answered + failed, 400);
        (all_answered, all_failed) = (all_answered + answered, all_failed + failed);
    }
    assert!(all_answered > 0 && all_failed >= 8 * 160, "each failed call fails");
    assert!(rt.counters().resumed > 0);
    tree.stop().await.unwrap();
    assert_eq!(rt.process_count(), 0);
}
