//! A shop with faults, to be looked at in a browser.
//!
//! You learn how a tree serves its own observer page, and how crashes, restarts, a growing mailbox,
//! a child that is given up and a hostile id look on it.
//!
//! ```text
//! cargo run --features observer --example observer            then open http://127.0.0.1:8090
//! cargo run --features observer --example observer -- 9000    on another port
//! cargo run --features observer --example observer -- --control    the page can restart and kill
//! ```
//!
//! Ctrl-C stops the shop. Open the screen *Stopping* before that: one child takes its time.

use std::future::pending;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use regrow::observer::Observer;
use regrow::{
    Backoff, ChildSpec, DynamicSupervisor, DynamicSupervisorRef, Exhausted, GenServer, Health,
    LogLevel, Name, Program, Restart, Result, Run, Runtime, ServerContext, Shutdown, Supervisor,
    SupervisorSpec, TaskContext,
};
use tokio::time::sleep;

const ORDERS: Name<Orders> = Name::new("orders");

/// Handles an order in a second.
struct Orders;

impl GenServer for Orders {
    type Args = ();
    type Call = ();
    type Cast = u64;

    async fn init((): (), _: &mut ServerContext<Self>) -> Result<Self> {
        Ok(Orders)
    }

    async fn handle_cast(&mut self, order: u64, _: &mut ServerContext<Self>) -> Result {
        sleep(Duration::from_secs(1)).await;
        match order % 30 {
            29 => Err(format!("order {order}: the card was declined").into()),
            _ => Ok(()),
        }
    }
}

/// Sends orders a little faster than they are handled.
async fn customers(ctx: TaskContext) -> Result {
    for order in 1.. {
        sleep(Duration::from_millis(700)).await;
        ctx.runtime().server(ORDERS).cast(order);
    }
    Ok(())
}

/// Loses its connection after a while.
async fn feed(_: TaskContext) -> Result {
    sleep(Duration::from_secs(4)).await;
    Err("the exchange closed the connection".into())
}

/// Opens a session for each of sixty visitors. Every tenth crashes again and again.
async fn visitors(ctx: TaskContext) -> Result {
    let sessions = DynamicSupervisorRef::named(&ctx.runtime(), "sessions");
    for number in 1..=60 {
        let session = ChildSpec::task(format!("visitor {number}"), move |_| async move {
            match number % 10 {
                0 => {
                    sleep(Duration::from_secs(2)).await;
                    panic!("the cart of visitor {number} is empty")
                }
                _ => pending().await,
            }
        });
        sessions.start_child(session.restart(Restart::Transient)).await?;
        sleep(Duration::from_millis(20)).await;
    }
    pending().await
}

/// Needs three seconds to stop.
async fn ledger(mut ctx: TaskContext) -> Result {
    ctx.cancellation_token().cancelled().await;
    sleep(Duration::from_secs(3)).await;
    Ok(())
}

/// The page is the first child, so it is stopped last, and shows the stop of the others.
fn shop(address: SocketAddr, page: Observer) -> SupervisorSpec {
    let prices = Supervisor::one_for_one()
        .with_id("prices")
        .intensity(20, Duration::from_secs(60))
        .child(ChildSpec::task("feed", feed).backoff(Backoff::new()))
        .child(ChildSpec::task("cache", |ctx| async move {
            ctx.set_health(Health::Degraded("prices are 4 s old".into()));
            pending().await
        }));
    let sessions = DynamicSupervisor::new().named("sessions").child_intensity(
        3,
        Duration::from_secs(60),
        Exhausted::GiveUp,
    );
    Supervisor::one_for_one()
        .named("shop")
        .child(page.track_mailboxes().serve(address))
        .child(
            ChildSpec::task("ledger", ledger).shutdown(Shutdown::Timeout(Duration::from_secs(5))),
        )
        .child(Orders::child(()).named(ORDERS))
        .child(prices)
        .child(sessions)
        .child(ChildSpec::task("visitors", visitors))
        .child(ChildSpec::task("customers", customers))
        .child(ChildSpec::task("<img src=x onerror=alert(1)>", |_| pending()))
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let port = arguments.iter().find_map(|port| port.parse().ok()).unwrap_or(8090);
    let page = match arguments.iter().any(|argument| argument == "--control") {
        true => Observer::new().allow_control(),
        false => Observer::new(),
    };
    regrow::log::init(LogLevel::Warn);
    println!("The observer is at http://127.0.0.1:{port}");
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let runtime = Runtime::with_mailbox_depth();
    let run = Run::new(shop(address, page)).on(&runtime).deadline(Duration::from_secs(10));
    Program::new().run(async || Ok(run))
}
