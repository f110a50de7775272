//! Relations between processes of two nodes of this crate that are made, removed and lost by many
//! threads at once. With `--cfg regrow_proof`, failpoints delay the threads.

use std::time::Duration;

use regrow::cluster::EncodedTerm;
use regrow::{ExitReason, Pid, ProcessHandle, Received, Runtime};

use crate::pairs::pair_with;
use crate::rng::Rng;

/// The rounds of each thread. Failpoints widen the windows, so there are more.
const ROUNDS: u64 = if cfg!(regrow_proof) { 400 } else { 40 };

fn trapping(rt: &Runtime) -> ProcessHandle {
    let process = rt.spawn(|_| std::future::pending());
    rt.set_trap_exit(process.pid(), true);
    process
}

/// Links, unlinks, monitors and removes monitors of one process, at random.
async fn act(rt: Runtime, (own, other): (Pid, Pid), seed: u64) {
    let mut random = Rng::new(seed);
    let mut monitors = Vec::new();
    for _ in 0..30 {
        match random.below(6) {
            0 | 1 => drop(rt.link(own, other)),
            2 => rt.unlink(own, other),
            3 => monitors.push(rt.monitor(own, other)),
            4 => {
                if let Some(reference) = monitors.pop() {
                    rt.demonitor(reference);
                }
            }
            _ => tokio::task::yield_now().await,
        }
    }
}

/// Two threads act for a process of each node, a third one cuts the connection, a fourth one kills one
/// of the two processes. When all have ended, no relation is left on either side.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn threads_that_race_leave_no_relation() {
    #[cfg(regrow_proof)]
    regrow::proof::arm_failpoints(regrow::proof::FailPlan { seed: 5, yields: 100, pauses: 20 });
    let (a, b) = pair_with("a@127.0.0.1", "b@127.0.0.1", |node| node).await;
    let relations = || {
        [&a.rt, &b.rt].map(|rt| {
            let left = rt.leftovers();
            (left.links, left.monitors)
        })
    };
    let at_start = relations();
    let there = a.rt.node("b@127.0.0.1");
    for round in 0..ROUNDS {
        there.connect().await.unwrap();
        let (here, other) = (trapping(&a.rt), trapping(&b.rt));
        let known = |at: &Runtime, of: &Runtime, pid| at.pid_of(&of.external_pid(pid).unwrap());
        let to = known(&a.rt, &b.rt, other.pid()).unwrap();
        let from = known(&b.rt, &a.rt, here.pid()).unwrap();
        let mut racers: Vec<_> = (0..4)
            .map(|racer: u64| {
                let seed = round * 10 + racer;
                match racer % 2 {
                    0 => tokio::spawn(act(a.rt.clone(), (here.pid(), to), seed)),
                    _ => tokio::spawn(act(b.rt.clone(), (other.pid(), from), seed)),
                }
            })
            .collect();
        if round % 3 == 0 {
            let there = there.clone();
            racers.push(tokio::spawn(async move {
                tokio::task::yield_now().await;
                there.disconnect().await;
            }));
        }
        if round % 2 == 0 {
            let (rt, pid) = (b.rt.clone(), other.pid());
            racers.push(tokio::spawn(async move {
                tokio::task::yield_now().await;
                rt.kill(pid);
            }));
        }
        for racer in racers {
            racer.await.unwrap();
        }
        here.kill();
        here.join().await;
        other.kill();
        other.join().await;
    }
    // The last signals may have begun another connection.
    let settled = async {
        while relations() != at_start {
            there.disconnect().await;
            tokio::task::yield_now().await;
        }
    };
    let settled = tokio::time::timeout(Duration::from_secs(20), settled).await;
    assert!(settled.is_ok(), "{:?} {at_start:?}", relations());
    #[cfg(regrow_proof)]
    regrow::proof::disarm_failpoints();
}

/// A process links, and its node loses the connection at the same time. In each round, the process gets
/// exactly one exit for the link that it has made, whenever the loss came.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_link_that_races_with_the_loss_gets_one_exit() {
    let (a, b) = pair_with("a@127.0.0.1", "b@127.0.0.1", |node| node).await;
    let there = a.rt.node("b@127.0.0.1");
    for _ in 0..ROUNDS {
        there.connect().await.unwrap();
        let other = trapping(&b.rt);
        let to = a.rt.pid_of(&b.rt.external_pid(other.pid()).unwrap()).unwrap();
        let (sender, mut exits) = tokio::sync::mpsc::unbounded_channel();
        let here = a.rt.spawn(|mut ctx| async move {
            loop {
                match ctx.recv().await {
                    Received::Exit { reason, .. } => drop(sender.send(Some(reason))),
                    _ => drop(sender.send(None)),
                }
            }
        });
        a.rt.set_trap_exit(here.pid(), true);
        let (rt, own) = (a.rt.clone(), here.pid());
        let linking = tokio::spawn(async move { rt.link(own, to) });
        let cutting = tokio::spawn({
            let there = there.clone();
            async move { there.disconnect().await }
        });
        linking.await.unwrap();
        cutting.await.unwrap();
        // The link may be one of the next connection. That one ends with the other process.
        other.kill();
        other.join().await;
        let first = exits.recv().await.unwrap();
        let is_end = matches!(
            first,
            Some(ExitReason::NoConnection | ExitReason::NoProc | ExitReason::Killed)
        );
        assert!(is_end, "{first:?}");
        // Nothing else comes: a message is the next item.
        a.rt.send_term(own, EncodedTerm::new("last").unwrap());
        assert_eq!(exits.recv().await.unwrap(), None);
        here.kill();
        here.join().await;
    }
}
