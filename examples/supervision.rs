//! The three strategies, side by side.
//!
//! You learn who goes down with a child that crashes, and in which order they come back:
//! under `one_for_one` nobody else, under `rest_for_one` all that were started after it,
//! under `one_for_all` everybody.
//!
//! ```text
//! cargo run --example supervision
//! ```
//!
//! You will see three trees of the same three children; then, for each, what happens from the
//! crash of the middle one on; then the trees again, with fresh pids, and a story behind each
//! child that was restarted; at last their stop, in reverse.

use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use regrow::testing::await_restart;
use regrow::{ExitReason, GenServer, Result, Runtime, ServerContext, Supervisor, SupervisorSpec};

/// What children tell, in the order in which they do.
type Diary = Arc<Mutex<Vec<String>>>;

/// A child that writes down its start and its end, and crashes when it is told to.
struct Child {
    name: &'static str,
    diary: Diary,
}

impl GenServer for Child {
    type Args = (&'static str, Diary);
    type Call = ();
    type Cast = ();

    async fn init((name, diary): Self::Args, ctx: &mut ServerContext<Self>) -> Result<Self> {
        ctx.trap_exit(true); // so that `terminate` runs when it is stopped
        write(&diary, format!("{name} starts"));
        Ok(Child { name, diary })
    }

    async fn handle_call(&mut self, (): (), _: &mut ServerContext<Self>) -> Result {
        Ok(())
    }

    async fn handle_cast(&mut self, (): (), _: &mut ServerContext<Self>) -> Result {
        Err(ExitReason::crashed("out of memory"))
    }

    async fn terminate(&mut self, reason: &ExitReason) {
        write(&self.diary, format!("{} ends: {reason}", self.name));
    }
}

fn write(diary: &Diary, line: String) {
    diary.lock().unwrap_or_else(PoisonError::into_inner).push(line);
}

fn read(diary: &Diary) -> Vec<String> {
    std::mem::take(&mut *diary.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Three children that build on one another.
fn tree(spec: SupervisorSpec, diary: &Diary) -> SupervisorSpec {
    ["database", "cache", "website"].into_iter().fold(spec, |spec, name| {
        spec.child(Child::child((name, diary.clone())).with_id(name).named(name))
    })
}

/// Crashes the cache, and gives what came of it.
async fn show(name: &str, spec: SupervisorSpec) -> Result<Vec<String>, Box<dyn Error>> {
    let (rt, diary) = (Runtime::new(), Diary::default());
    let tree = tree(spec.named("shop"), &diary).start(&rt).await?;
    println!("== {name}\n\n{}\n", tree.tree().await?);
    read(&diary);

    let restarted = await_restart(&rt, "cache");
    rt.server::<Child>("cache").cast(());
    restarted.await;
    let children = tree.which_children().await?; // answered when all of them are back
    assert!(children.iter().all(|child| child.pid().is_some()));
    let told = read(&diary);
    println!("  the cache crashes …\n    {}\n", told.join("\n    "));
    println!("{}\n", tree.tree().await?);

    tree.stop().await?;
    let ends = read(&diary);
    assert_eq!(ends.iter().map(|end| &end[..2]).collect::<String>(), "wecada"); // in reverse
    assert_eq!(rt.process_count(), 0);
    Ok(told)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // The one ERROR line of each crash would stand between the trees.
    let crash = "cache ends: out of memory";
    let window = Duration::from_secs(5);

    let told = show("one_for_one", Supervisor::one_for_one().intensity(3, window)).await?;
    assert_eq!(told, [crash, "cache starts"]);

    let told = show("rest_for_one", Supervisor::rest_for_one().intensity(3, window)).await?;
    assert_eq!(told, [crash, "website ends: shutdown", "cache starts", "website starts"]);

    let told = show("one_for_all", Supervisor::one_for_all().intensity(3, window)).await?;
    let down = [crash, "website ends: shutdown", "database ends: shutdown"];
    let up = ["database starts", "cache starts", "website starts"];
    assert_eq!(told, [down, up].concat());

    println!("All as it should be.");
    Ok(())
}
