//! The three strategies, side by side.
//!
//! You learn which children are restarted with a child that crashes, and in which order: under
//! `one_for_one` no other, under `rest_for_one` the children that were started after it, under
//! `one_for_all` all of them.
//!
//! ```text
//! cargo run --example supervision
//! ```
//!
//! For each strategy you will see a tree of the same three children, the events after the crash of
//! the middle one, and the tree again, with new pids and the reason of each restart. The stop in
//! reverse order is asserted.

use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use regrow::testing::await_restart;
use regrow::{ExitReason, GenServer, Result, Runtime, ServerContext, Supervisor, SupervisorSpec};

/// The starts and ends of children, in order.
type Records = Arc<Mutex<Vec<String>>>;

/// A child that records its start and its end, and crashes on a cast.
struct Child {
    name: &'static str,
    records: Records,
}

impl GenServer for Child {
    type Args = (&'static str, Records);
    type Call = ();
    type Cast = ();

    async fn init((name, records): Self::Args, ctx: &mut ServerContext<Self>) -> Result<Self> {
        ctx.trap_exit(true); // so that `terminate` runs when it is stopped
        record(&records, format!("{name} starts"));
        Ok(Child { name, records })
    }

    async fn handle_call(&mut self, (): (), _: &mut ServerContext<Self>) -> Result {
        Ok(())
    }

    async fn handle_cast(&mut self, (): (), _: &mut ServerContext<Self>) -> Result {
        Err(ExitReason::crashed("out of memory"))
    }

    async fn terminate(&mut self, reason: &ExitReason) {
        record(&self.records, format!("{} ends: {reason}", self.name));
    }
}

fn record(records: &Records, line: String) {
    records.lock().unwrap_or_else(PoisonError::into_inner).push(line);
}

fn take(records: &Records) -> Vec<String> {
    std::mem::take(&mut *records.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Three children, each of which depends on the one before.
fn tree(spec: SupervisorSpec, records: &Records) -> SupervisorSpec {
    ["database", "cache", "website"].into_iter().fold(spec, |spec, name| {
        spec.child(Child::child((name, records.clone())).with_id(name).named(name))
    })
}

/// Crashes the cache, and returns the starts and ends that follow.
async fn show(name: &str, spec: SupervisorSpec) -> Result<Vec<String>, Box<dyn Error>> {
    let (rt, records) = (Runtime::new(), Records::default());
    let tree = tree(spec.named("shop"), &records).start(&rt).await?;
    println!("== {name}\n\n{}\n", tree.tree().await?);
    take(&records);

    let restarted = await_restart(&rt, "cache");
    rt.server::<Child>("cache").cast(());
    restarted.await;
    let children = tree.which_children().await?; // answered when all of them are back
    assert!(children.iter().all(|child| child.pid().is_some()));
    let events = take(&records);
    println!("  the cache crashes …\n    {}\n", events.join("\n    "));
    println!("{}\n", tree.tree().await?);

    tree.stop().await?;
    let ends = take(&records);
    assert_eq!(ends.iter().map(|end| &end[..2]).collect::<String>(), "wecada"); // in reverse
    assert_eq!(rt.process_count(), 0);
    Ok(events)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let crash = "cache ends: out of memory";
    let window = Duration::from_secs(5);

    let events = show("one_for_one", Supervisor::one_for_one().intensity(3, window)).await?;
    assert_eq!(events, [crash, "cache starts"]);

    let events = show("rest_for_one", Supervisor::rest_for_one().intensity(3, window)).await?;
    assert_eq!(events, [crash, "website ends: shutdown", "cache starts", "website starts"]);

    let events = show("one_for_all", Supervisor::one_for_all().intensity(3, window)).await?;
    let down = [crash, "website ends: shutdown", "database ends: shutdown"];
    let up = ["database starts", "cache starts", "website starts"];
    assert_eq!(events, [down, up].concat());

    println!("All strategies restarted what they should.");
    Ok(())
}
