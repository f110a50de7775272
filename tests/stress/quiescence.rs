//! Waiting until the system is idle: no message and no signal is in transit.

use std::sync::atomic::Ordering;
use std::time::Duration;

use regrow::{Received, Runtime};

use crate::messages::Order;
use crate::shared_state::{Field, Soldier};

/// Waits until the system is idle; returns the live processes.
///
/// A round first waits until the ended processes have sent all notifications, then asks each of the
/// other processes for an answer. If no process was spawned, ended or received anything meanwhile,
/// nothing was in transit: a message sent before the question would have been received before the
/// answer.
pub(crate) async fn rest(field: &Field) -> Vec<Soldier> {
    timers_are_done(field).await;
    let mut soldiers = Vec::new();
    for round in 1.. {
        let before = counters(field);
        soldiers.append(&mut field.notes().soldiers);
        let mut standing = Vec::new();
        for soldier in soldiers {
            if field.rt.is_alive(soldier.handle.pid()) {
                standing.push(soldier);
            } else {
                soldier.handle.join().await;
            }
        }
        soldiers = answering(&field.rt, standing, round).await;
        if counters(field) == before && soldiers.len() == field.rt.process_count() {
            break;
        }
    }
    soldiers
}

fn counters(field: &Field) -> (u64, u64, u64) {
    (field.rt.spawned(), field.rt.finished(), field.handled.load(Ordering::SeqCst))
}

async fn answering(rt: &Runtime, soldiers: Vec<Soldier>, round: u32) -> Vec<Soldier> {
    for soldier in &soldiers {
        rt.send(soldier.handle.pid(), Order::Answer { round }.bytes());
    }
    let mut standing = Vec::new();
    for mut soldier in soldiers {
        if soldier.answered.wait_for(|&answered| answered >= round).await.is_ok() {
            standing.push(soldier);
        } else {
            soldier.handle.join().await;
        }
    }
    standing
}

/// Cancels all timers, and waits until every timer that was due has fired. Timers fire one after
/// another, so this function waits for one that is set later.
async fn timers_are_done(field: &Field) {
    let timers = std::mem::take(&mut field.notes().timers);
    for timer in timers {
        timer.cancel();
    }
    let rt = &field.rt;
    let probe = rt.spawn(|mut ctx| async move {
        assert!(matches!(ctx.recv().await, Received::Message(_)));
    });
    rt.send_after(probe.pid(), Duration::from_millis(1), Vec::new());
    probe.join().await;
}
