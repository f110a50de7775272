//! A tree whose faults happen on request, with texts that attack the page.

use std::error::Error;
use std::future::pending;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use regrow::observer::Observer;
use regrow::{
    Backoff, ChildSpec, DynamicSupervisor, DynamicSupervisorRef, Exhausted, GenServer, Health,
    Keep, Name, Pid, Reply, Restart, Result, Runtime, ServerContext, Shutdown, Supervisor,
    SupervisorRef,
};
use tokio::net::TcpListener;
use tokio::sync::Notify;

/// An id that is a script, if it is taken for HTML.
pub(crate) const HOSTILE_ID: &str = "<img src=x onerror=window.hacked=1>";
/// A label that ends an attribute, a script and a comment.
pub(crate) const HOSTILE_LABEL: &str = "\"'><script>window.hacked=2</script>-->\u{202e}txt.exe";
/// The text of a panic, with escape codes of terminals.
pub(crate) const HOSTILE_PANIC: &str = "\u{1b}[31mred\u{1b}]0;title\u{7}</span><svg onload=window.hacked=3>\u{0}\r\n{{7*7}}${7*7}\u{61c}\u{ad}\u{2060}\u{180e}\u{e0041}\u{3164}";

/// A status line that ends an element, and turns the direction of the text.
pub(crate) const HOSTILE_STATUS: &str =
    "open</dd><img src=x onerror=window.hacked=4>\u{202e}\u{1b}[2J";

pub(crate) const TILL: Name<Till> = Name::new("till");

/// A server that crashes, or waits, on request.
pub(crate) struct Till;

pub(crate) enum Order {
    Crash,
    Wait(Duration),
    /// Calls the server of this name, which does not reply.
    Ask(Name<Till>),
    /// Does nothing.
    Count,
}

impl GenServer for Till {
    type Args = ();
    type Call = Reply<()>;
    type Cast = Order;

    async fn init((): (), _: &mut ServerContext<Self>) -> Result<Self> {
        Ok(Till)
    }

    async fn handle_call(&mut self, _: Reply<()>, _: &mut ServerContext<Self>) -> Result {
        pending().await
    }

    async fn handle_cast(&mut self, order: Order, ctx: &mut ServerContext<Self>) -> Result {
        match order {
            Order::Crash => Err("the card was declined".into()),
            Order::Wait(time) => Ok(tokio::time::sleep(time).await),
            Order::Ask(name) => {
                let server = ctx.runtime().server(name);
                Ok(server.call_timeout(|reply| reply, Duration::from_secs(3600)).await?)
            }
            Order::Count => Ok(()),
        }
    }

    fn format_status(&self) -> Option<String> {
        Some(HOSTILE_STATUS.to_owned())
    }
}

pub(crate) struct Shop {
    pub(crate) rt: Runtime,
    pub(crate) tree: SupervisorRef,
    /// The address of the page that may control.
    pub(crate) control: SocketAddr,
    /// The address of the page that only reads.
    pub(crate) reading: SocketAddr,
    hostile: Arc<Notify>,
    feed: Arc<Notify>,
    courier: Arc<Notify>,
}

/// Returns a listener on a free port of loopback, kept for an observer.
pub(crate) async fn listener() -> std::io::Result<(Keep<TcpListener>, SocketAddr)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    Ok((Keep::of(listener), address))
}

fn idle(id: &str) -> ChildSpec {
    ChildSpec::task(id, |_| pending())
}

/// A child that fails each time when it is notified.
fn failing(id: &str, notify: &Arc<Notify>, fail: fn() -> Result) -> ChildSpec {
    let notify = notify.clone();
    ChildSpec::task(id, move |_| {
        let notify = notify.clone();
        async move {
            notify.notified().await;
            fail()
        }
    })
}

impl Shop {
    pub(crate) async fn start() -> Result<Shop, Box<dyn Error>> {
        let rt = Runtime::with_mailbox_depth();
        rt.detect_deadlocks(true);
        let (control_port, control) = listener().await?;
        let (reading_port, reading) = listener().await?;
        let (hostile, feed) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let courier = Arc::new(Notify::new());
        let page = || Observer::new().track_mailboxes();
        let prices = Supervisor::one_for_one()
            .with_id("prices")
            .intensity(20, Duration::from_secs(600))
            .child(
                failing("feed", &feed, || Err("the exchange closed the connection".into()))
                    .backoff(Backoff::new()),
            )
            .child(ChildSpec::task("cache", |ctx| async move {
                ctx.set_health(Health::Degraded("prices are 4 s old".into()));
                pending().await
            }));
        let sessions = DynamicSupervisor::new().named("sessions").child_intensity(
            2,
            Duration::from_secs(600),
            Exhausted::GiveUp,
        );
        // The pages are the first children, so they are stopped last.
        let tree = Supervisor::one_for_one()
            .named("shop")
            .intensity(50, Duration::from_secs(600))
            .child(page().allow_control().serve_on(control_port))
            .child(page().serve_on(reading_port).with_id("observer, read only"))
            .child(
                ChildSpec::task("ledger", |mut ctx| async move {
                    ctx.cancellation_token().cancelled().await;
                    pending().await
                })
                .shutdown(Shutdown::Timeout(Duration::from_secs(20))),
            )
            .child(Till::child(()).with_id("till").named(TILL))
            .child(Till::child(()).with_id("stock").named(Name::<Till>::new("stock")))
            .child(Till::child(()).with_id("journal").named(Name::<Till>::new("journal")))
            .child(
                failing("courier", &courier, || Err("the van broke down".into()))
                    .named("courier")
                    .backoff(
                        Backoff::new()
                            .first(Duration::from_secs(600))
                            .max(Duration::from_secs(600)),
                    ),
            )
            .child(prices)
            .child(sessions)
            .child(failing(HOSTILE_ID, &hostile, || panic!("{HOSTILE_PANIC}")).named(HOSTILE_ID))
            .child(idle("").named(HOSTILE_LABEL))
            .start(&rt)
            .await?;
        let shop = Shop { rt, tree, control, reading, hostile, feed, courier };
        shop.open_sessions().await?;
        if let Some(pid) = shop.rt.whereis(HOSTILE_LABEL) {
            shop.rt.set_label(pid, HOSTILE_LABEL);
        }
        Ok(shop)
    }

    /// Opens sixty sessions. Three of them crash until they are given up.
    async fn open_sessions(&self) -> Result<(), Box<dyn Error>> {
        let sessions = DynamicSupervisorRef::named(&self.rt, "sessions");
        for number in 1..=60 {
            let session = ChildSpec::task(format!("visitor {number}"), move |_| async move {
                match number % 20 {
                    0 => panic!("the cart of visitor {number} is empty"),
                    _ => pending().await,
                }
            });
            sessions.start_child(session.restart(Restart::Transient)).await?;
        }
        Ok(())
    }

    /// Crashes the server `till`.
    pub(crate) fn crash_till(&self) {
        self.rt.server(TILL).cast(Order::Crash);
    }

    pub(crate) fn crash_feed(&self) {
        self.feed.notify_one();
    }

    /// Crashes the child `courier`, which then waits ten minutes for its restart.
    pub(crate) fn crash_courier(&self) {
        self.courier.notify_one();
    }

    pub(crate) fn crash_hostile(&self) {
        self.hostile.notify_one();
    }

    pub(crate) fn till(&self) -> Option<Pid> {
        self.rt.whereis("till")
    }

    /// Fills the mailbox of `stock`, which handles one message for a long time.
    pub(crate) fn congest(&self) {
        let stock = self.rt.server(Name::<Till>::new("stock"));
        stock.cast(Order::Wait(Duration::from_secs(3600)));
        for _ in 0..37 {
            stock.cast(Order::Count);
        }
    }

    /// Lets `journal` wait for `stock`.
    pub(crate) fn wait_for_stock(&self) {
        self.rt.server(Name::<Till>::new("journal")).cast(Order::Ask(Name::new("stock")));
    }
}
