//! A shop with faults: orders that are refused, sessions that crash, a feed that loses its
//! connection, and a child that is given up.

use std::future::pending;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusHandle;
use regrow::metrics::Metrics;
use regrow::{
    ChildSpec, DynamicSupervisor, DynamicSupervisorRef, Exhausted, GenServer, Name, Overflow,
    Restart, Result, Runtime, ServerContext, Supervisor, SupervisorSpec, TaskContext,
};
use tokio::time::sleep;

use crate::web;

const ORDERS: Name<Orders> = Name::new("orders");

/// The orders that were handled.
pub(crate) static HANDLED: AtomicU64 = AtomicU64::new(0);

/// The crashes of the storm.
pub(crate) static CRASHED: AtomicU64 = AtomicU64::new(0);

/// Handles orders one at a time, each for two milliseconds. Twenty may wait.
struct Orders;

impl GenServer for Orders {
    type Args = ();
    type Call = ();
    type Cast = u64;

    async fn init((): (), _: &mut ServerContext<Self>) -> Result<Self> {
        Ok(Orders)
    }

    async fn handle_cast(&mut self, _: u64, _: &mut ServerContext<Self>) -> Result {
        sleep(Duration::from_millis(2)).await;
        HANDLED.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
}

/// Sends thirty orders at once: some are refused.
async fn customers(ctx: TaskContext, pause: Duration) -> Result {
    loop {
        for order in 0..30 {
            ctx.runtime().server(ORDERS).cast(order);
        }
        sleep(pause).await;
    }
}

/// Opens a session in each pause. Every fifth crashes, and is restarted; the others end.
async fn visitors(ctx: TaskContext, pause: Duration) -> Result {
    let sessions = DynamicSupervisorRef::named(&ctx.runtime(), "sessions");
    for number in 0_u32.. {
        let session = ChildSpec::task(format!("session {number}"), move |ctx| async move {
            sleep(pause * 4).await;
            assert!(number % 5 > 0 || ctx.start_cause().restarts() > 0, "the cart is empty");
            Ok(())
        });
        sessions.start_child(session.restart(Restart::Transient)).await?;
        sleep(pause).await;
    }
    Ok(())
}

/// Crashes in each pause.
async fn feed(pause: Duration) -> Result {
    sleep(pause * 4).await;
    Err("the exchange closed the connection".into())
}

/// Specifies everything that works in the shop. Its events are `pause` apart.
fn work(pause: Duration) -> SupervisorSpec {
    let minute = Duration::from_secs(60);
    let orders = Orders::child(()).with_id("orders").named(ORDERS);
    // Given up after two restarts.
    let broken = ChildSpec::task("broken", move |_| async move {
        sleep(pause).await;
        Err("no such file".into())
    });
    Supervisor::one_for_one()
        .named("work")
        .unlimited_restarts()
        .child(orders.mailbox_capacity(20, Overflow::Reject))
        .child(DynamicSupervisor::new().named("sessions").intensity(1_000, minute))
        .child(ChildSpec::task("feed", move |_| feed(pause)))
        .child(broken.restart_budget(2, minute, Exhausted::GiveUp))
        .child(ChildSpec::task("visitors", move |ctx| visitors(ctx, pause)))
        .child(ChildSpec::task("customers", move |ctx| customers(ctx, pause)))
}

/// Specifies the shop. The exporter is the first child, so its last write has the ends of the others.
pub(crate) fn tree(
    rt: &Runtime,
    rendered: PrometheusHandle,
    address: SocketAddr,
    pause: Duration,
) -> SupervisorSpec {
    let exporter = Metrics::new().track_handlers().exporter(rt);
    Supervisor::one_for_one()
        .named("shop")
        .child(exporter.child())
        .child(web::upkeep(rendered.clone()))
        .child(web::child(exporter, rendered, address))
        .child(work(pause))
}

/// Specifies four children that crash `crashes` times together: two by a panic, two by an error.
pub(crate) fn storm(crashes: u32) -> SupervisorSpec {
    let crashing = |id: &'static str| {
        ChildSpec::task(id, move |ctx| async move {
            if ctx.start_cause().restarts() >= crashes / 4 {
                pending::<()>().await;
            }
            CRASHED.fetch_add(1, Ordering::SeqCst);
            assert!(id.starts_with("fails"), "as planned");
            Err("as planned".into())
        })
    };
    ["panics 1", "panics 2", "fails 1", "fails 2"]
        .into_iter()
        .fold(Supervisor::one_for_one().with_id("storm").unlimited_restarts(), |storm, id| {
            storm.child(crashing(id))
        })
}
