//! Races around the stop of a group: its members, its supervisor and foreign signals end processes
//! while the end of each member begins the stop of the next.

use crate::support;

use regrow::{ChildSpec, Pid, Runtime, Supervisor, SupervisorRef};
use support::race::{ROUNDS, on_workers};
use support::{assert_nothing_left, until};
use tokio::task::yield_now;

const MEMBERS: usize = 8;

/// A child that stops when it is asked, or crashes when it receives a message.
fn member(id: usize) -> ChildSpec {
    ChildSpec::task(format!("{id}"), async move |mut ctx| {
        let stop = ctx.cancellation_token();
        tokio::select! {
            () = stop.cancelled() => Ok(()),
            _ = ctx.recv() => Err("as asked")?,
        }
    })
}

async fn start(rt: &Runtime) -> SupervisorRef {
    let members = (0..MEMBERS).map(member);
    let tree = members
        .fold(Supervisor::one_for_all().unlimited_restarts(), |tree, member| tree.child(member));
    tree.start(rt).await.unwrap()
}

async fn pids(tree: &SupervisorRef) -> Vec<Pid> {
    let children = tree.which_children().await.unwrap();
    children.iter().filter_map(|child| child.pid()).collect()
}

/// Sends each of these processes a message or a kill, in an order that depends on the round.
async fn disturb(rt: Runtime, pids: Vec<Pid>, round: usize) {
    for step in 0..pids.len() {
        let pid = pids[(step * 3 + round) % pids.len()];
        match (step + round) % 3 {
            0 => drop(rt.send(pid, Vec::new())),
            1 => drop(rt.kill(pid)),
            _ => yield_now().await,
        }
    }
}

/// Members crash and are killed while their group is stopped and started. In the end all run, and a
/// stop ends all.
#[test]
fn a_group_whose_members_end_during_its_restart_runs_again() {
    on_workers(async |rt| {
        for round in 0..ROUNDS / 40 {
            let tree = start(&rt).await;
            let running = pids(&tree).await;
            let others = tokio::spawn(disturb(rt.clone(), running.clone(), round));
            rt.send(running[round % MEMBERS], Vec::new());
            others.await.unwrap();
            // Every end that was caused before is handled before this request, or has its exit
            // queued before it.
            while pids(&tree).await.len() < MEMBERS {
                yield_now().await;
            }
            tree.stop().await.unwrap();
        }
        assert_nothing_left(&rt).await;
    });
}

/// The supervisor is killed while it stops its children, or while it restarts them: none is left.
#[test]
fn a_supervisor_that_is_killed_during_a_group_stop_leaves_no_member() {
    on_workers(async |rt| {
        for round in 0..ROUNDS / 40 {
            let tree = start(&rt).await;
            let running = pids(&tree).await;
            let top = tree.pid().unwrap();
            let ended = tree.ended();
            let (rt2, which) = (rt.clone(), running[round % MEMBERS]);
            let killer = tokio::spawn(async move {
                // Some of the members have stopped.
                while rt2.is_alive(which) {
                    yield_now().await;
                }
                rt2.kill(top);
            });
            if round % 2 == 0 {
                rt.send(running[MEMBERS - 1], Vec::new());
            } else {
                let _ = tree.stop().await;
            }
            killer.await.unwrap();
            ended.await;
            until("no process is left", || rt.process_count() == 0).await;
        }
        assert_nothing_left(&rt).await;
    });
}
