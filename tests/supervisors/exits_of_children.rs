//! Exits from the pid of a child: the end of the child, or an exit that the child sends while it runs.

use crate::support;

use std::time::Duration;

use regrow::{ChildSpec, ExitReason, Restart, Runtime, Supervisor, SupervisorRef, SupervisorSpec};
use support::log::Log;
use support::scripted_children::{ScriptedChildren, Stop, pids, states};
use support::{crash, idle, settled};

const SECOND: Duration = Duration::from_secs(1);

/// A child that sends its supervisor, which has the name `tree`, an exit at each message. After the
/// message `end` it ends.
fn sender(id: &str) -> ChildSpec {
    let body = |mut ctx: regrow::TaskContext| async move {
        loop {
            let message = ctx.recv().await.message();
            let tree = ctx.runtime().whereis("tree").unwrap();
            ctx.runtime().exit(tree, crash("sent"));
            if message.as_deref() == Some(b"end") {
                return Err(crash("true"));
            }
        }
    };
    ChildSpec::task(id, body).named(id)
}

async fn restarts(tree: &SupervisorRef) -> Vec<u32> {
    tree.which_children().await.unwrap().into_iter().map(|child| child.restarts).collect()
}

fn strategies() -> [SupervisorSpec; 3] {
    [Supervisor::one_for_one(), Supervisor::one_for_all(), Supervisor::rest_for_one()]
}

#[tokio::test(start_paused = true)]
async fn an_exit_that_a_running_child_sends_to_its_supervisor_is_not_its_end() {
    for spec in strategies() {
        let log = Log::listen();
        let rt = Runtime::new();
        let spec = spec.child(sender("a")).child(sender("b").restart(Restart::Temporary));
        let tree = spec.named("tree").start(&rt).await.unwrap();
        let before = pids(&tree).await;
        for name in ["a", "b"] {
            assert!(rt.send_named(name, b"send".to_vec()));
            settled().await;
        }
        assert_eq!((pids(&tree).await, restarts(&tree).await), (before, vec![0, 0]));
        let lines = log.heads();
        assert!(lines.iter().any(|line| line.contains("has not ended")), "{lines:?}");
        tree.stop().await.unwrap();
        assert_eq!(rt.process_count(), 0);
    }
}

/// The child ends after it has sent the exit and before its supervisor takes that exit. The
/// supervisor handles one end, with the true reason.
#[tokio::test(start_paused = true)]
async fn a_child_that_ends_behind_the_exit_that_it_sent_ends_once() {
    for spec in strategies() {
        let log = Log::listen();
        let rt = Runtime::new();
        let tree = spec.child(sender("a")).named("tree").start(&rt).await.unwrap();
        let before = pids(&tree).await;
        assert!(rt.send_named("a", b"end".to_vec()));
        settled().await;
        let after = pids(&tree).await;
        assert!(after != before && after[0] == rt.whereis("a"), "{after:?}");
        let child = &tree.which_children().await.unwrap()[0];
        let reasons: Vec<_> = child.history.iter().map(|run| run.reason.clone()).collect();
        assert_eq!((child.restarts, reasons), (1, vec![crash("true")]));
        assert_eq!(rt.process_count(), 2);
        let lines = log.heads();
        assert!(!lines.iter().any(|line| line.contains("unexpected")), "{lines:?}");
    }
}

/// Another process, the child or the supervisor's owner calls `unlink`.
#[tokio::test(start_paused = true)]
async fn an_unlink_does_not_hide_the_end_of_a_child_from_its_supervisor() {
    let t = ScriptedChildren::new();
    let tree = Supervisor::one_for_one().child(t.child("a")).start(&t.rt).await.unwrap();
    let supervisor = tree.pid().unwrap();
    let child = || t.rt.whereis("a").unwrap();
    for child_first in [true, false] {
        let old = child();
        match child_first {
            true => t.rt.unlink(old, supervisor),
            false => t.rt.unlink(supervisor, old),
        }
        t.crash("a");
        settled().await;
        assert_ne!(child(), old);
        assert_eq!(states(&tree).await, ["a runs"]);
    }
    let (last, other) = (t.rt.ended(child()), idle(&t.rt));
    t.rt.unlink(supervisor, child());
    t.rt.link(other, supervisor);
    t.rt.unlink(other, supervisor);
    t.rt.kill(supervisor);
    assert_eq!(last.await, ExitReason::Killed);
    assert!(t.rt.is_alive(other), "an unlink of another process has an effect");
}

/// The exit of the child is queued in the mailbox of its supervisor, which waits for another child.
#[tokio::test(start_paused = true)]
async fn an_unlink_leaves_the_queued_exit_of_a_child_to_its_supervisor() {
    let t = ScriptedChildren::new();
    t.on_stop("slow", Stop::Takes(SECOND));
    let spec = Supervisor::one_for_one().child(t.child("a")).child(t.child("slow"));
    let tree = spec.start(&t.rt).await.unwrap();
    let old = t.rt.whereis("a").unwrap();
    let unlink = async {
        settled().await;
        t.rt.kill(old);
        t.rt.ended(old).await;
        t.rt.unlink(tree.pid().unwrap(), old);
    };
    let (stopped, ()) = tokio::join!(tree.terminate_child("slow"), unlink);
    assert_eq!(stopped, Ok(()));
    assert_eq!(states(&tree).await, ["a runs", "slow stopped"]);
    assert!(t.rt.whereis("a").is_some_and(|new| new != old), "the exit of the child was revoked");
}
