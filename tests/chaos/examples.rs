//! The trees of the examples under chaos, those without sockets.

use std::sync::Mutex;
use std::time::Duration;

use regrow::testing::{Fault, chaos};
use regrow::{ChildSpec, DynamicSupervisor, GenServer, PoolRef, Supervisor, TaskContext};
use tokio::time::sleep;

use crate::clearing::{CLEARING, Order};
use crate::counters::SECOND;
use crate::disk::{Accident, Shared, Transfer};
use crate::tree::{OWNERS, tree};

#[allow(dead_code)] // the example's `main` uses the rest
#[path = "../../examples/tour/kv.rs"]
mod kv;

#[allow(dead_code)] // the example's `main` uses the rest
#[path = "../../examples/pool/pool.rs"]
mod pool;

// ANCHOR: bank
/// Transfers go on while accounts and the clearing house are killed, hang, and fail to start. At
/// each step all money is somewhere, and in the end no transfer is half done.
#[test]
fn the_bank_loses_no_money() {
    // Each run has a disk of its own, which the tree and the invariants share.
    let disk = Mutex::new(Shared::default());
    let spec = || tree(&disk.lock().unwrap());
    let report = chaos(0..50, spec, |plan| {
        let own = Shared::default();
        *disk.lock().unwrap() = own.clone();
        let every = [Fault::Kill, Fault::Hang, Fault::SlowInit, Fault::FailedStart];
        plan.kinds(every).faults(3..=12).apart(Duration::ZERO);
        plan.workload(|rt| async move {
            for n in 0..60_usize {
                let [from, to] = [n, n + 1 + n / 3 % 2].map(|n| OWNERS[n % 3].0);
                let accident = if n % 7 == 0 { Accident::PayeeCrashes } else { Accident::None };
                let transfer = Transfer { from, to, amount: 1 + u32::try_from(n % 13)?, accident };
                // An order may fail: then its transfer is undone, or is done without an answer.
                let order = |reply| Order(transfer, reply);
                let _ = rt.server(CLEARING).call_waiting(order, SECOND).await;
                sleep(SECOND).await;
            }
            Ok(())
        });
        let total = own.clone();
        plan.always(move |_| match total.lock().unwrap().total() {
            150 => Ok(()),
            other => Err(format!("150 became {other}")),
        });
        plan.finally(|_| async move {
            sleep(60 * SECOND).await;
            assert!(own.lock().unwrap().open.is_empty(), "a transfer is half done");
            Ok(())
        });
    });
    assert!(report.faults() > 200, "{}", report.faults());
}
// ANCHOR_END: bank

/// A store that may crash forgets what it has, but never answers with what was never put.
#[test]
fn the_store_of_the_tour_answers_with_the_last_value_or_with_none() {
    let spec = || {
        Supervisor::one_for_one()
            .with_id("tour")
            .child(kv::Kv::child(()).named(kv::KV))
            .child(DynamicSupervisor::new().named("connections"))
    };
    let report = chaos(0..50, spec, |plan| {
        plan.eventually(Duration::ZERO, |tree| tree.is_up());
        plan.workload(|rt| async move {
            let store = rt.server(kv::KV);
            let key = || "milk".to_owned();
            for n in 0..60 {
                store.cast(kv::Cast::Put { key: key(), value: n.to_string() });
                let get = |reply| kv::Call::Get { key: key(), reply };
                if let Ok(Some(value)) = store.call_waiting(get, SECOND).await {
                    assert_eq!(value, n.to_string());
                }
                sleep(SECOND).await;
            }
            Ok(())
        });
    });
    assert_eq!(report.runs(), 50);
}

/// Clients check connections out, and the pool, its workers and its clients are killed, hang and start
/// late. In the end every connection is idle: none is lost, and none is lent twice.
#[test]
fn the_pool_gets_every_connection_back() {
    let client = |id: &str| {
        ChildSpec::task(id, async |ctx: TaskContext| {
            let pool = PoolRef::<pool::Connection>::named(&ctx.runtime(), pool::POOL);
            for round in 0..30 {
                let checkout = pool.checkout_within(SECOND).await;
                sleep(SECOND * (round % 3)).await;
                drop(checkout);
            }
            std::future::pending().await
        })
    };
    let spec = || {
        let pool = pool::pool().intensity(1_000, SECOND).spec().expect("the settings are valid");
        let tree = Supervisor::one_for_one().intensity(1_000, SECOND);
        ["ann", "bob", "cat"].iter().fold(tree.child(pool), |tree, id| tree.child(client(id)))
    };
    chaos(0..50, spec, |plan| {
        let every = [Fault::Kill, Fault::Hang, Fault::SlowInit, Fault::FailedStart];
        plan.kinds(every).faults(5..=20).apart(Duration::ZERO);
        plan.finally(|rt| async move {
            sleep(300 * SECOND).await; // all rounds are over
            let status = PoolRef::<pool::Connection>::named(&rt, pool::POOL).status().await?;
            assert_eq!((status.idle, status.workers(), status.waiting), (2, 2, 0), "{status}");
            Ok(())
        });
    });
}
