//! Four kinds of tests: a handler called by hand, a mock of a server, a tree with a crash, its log.
//!
//! You learn to test a server without starting it, the callers of a server, a restart without a
//! sleep, and what is logged.
//!
//! ```text
//! cargo run --example testing
//! ```
//!
//! You will see that all four pass.

use std::time::Duration;

use regrow::testing::{LogLine, Mock, TestContext, await_restart, capture, tree};
use regrow::{
    Backoff, ExitReason, GenServer, LifecycleEvent, Name, Reply, Result, Runtime, ServerContext,
    ServerRef, Supervisor,
};
use tokio::time::Instant;

const MINUTE: Duration = Duration::from_secs(60);

/// Counts the guests that came in.
struct Door(u32);

impl GenServer for Door {
    type Args = ();
    type Call = Reply<u32>;
    type Cast = &'static str;

    async fn init((): (), _: &mut ServerContext<Self>) -> Result<Self> {
        Ok(Door(0))
    }

    async fn handle_call(&mut self, guests: Reply<u32>, _: &mut ServerContext<Self>) -> Result {
        guests.send(self.0);
        Ok(())
    }

    async fn handle_cast(&mut self, guest: &'static str, _: &mut ServerContext<Self>) -> Result {
        assert!(!guest.is_empty(), "a guest without a name");
        self.0 += 1;
        Ok(())
    }
}

// ANCHOR: hand
async fn a_door_counts() -> Result {
    let mut ctx = TestContext::new(&Runtime::new());
    let mut door = Door::init((), &mut ctx).await?;
    door.handle_cast("ada", &mut ctx).await?;
    let (question, answer) = ctx.question(|reply| reply);
    door.handle_call(question, &mut ctx).await?;
    assert_eq!(answer.await?, 1);
    Ok(())
}
// ANCHOR_END: hand

// ANCHOR: mock
async fn sign(door: ServerRef<Door>) -> String {
    door.call(|reply| reply).await.map_or("closed".into(), |guests| format!("{guests} inside"))
}

async fn a_sign_says_when_the_door_is_gone() -> Result {
    let mut door = Mock::<Door>::new(&Runtime::new());
    let says = tokio::spawn(sign(door.server()));
    door.next_call().await.send(7);
    assert_eq!(says.await?, "7 inside");
    let says = tokio::spawn(sign(door.server()));
    let _unanswered = door.next_call().await;
    door.end(ExitReason::crashed("off its hinges")).await;
    assert_eq!(says.await?, "closed");
    Ok(())
}
// ANCHOR_END: mock

// ANCHOR: tree
async fn a_door_that_crashes_is_back_after_a_minute() {
    const DOOR: Name<Door> = Name::new("door");
    let minute = Backoff::new().first(MINUTE).max(MINUTE).jitter(0.0);
    let spec = Supervisor::one_for_one().child(Door::child(()).named(DOOR).backoff(minute));
    tree(spec)
        .run(async |tree| {
            let door = tree.runtime().server(DOOR);
            let (start, back) = (Instant::now(), await_restart(tree.runtime(), DOOR.as_str()));
            door.cast("");
            back.await;
            assert_eq!(start.elapsed(), MINUTE); // exactly; paused time passes at once
            assert_eq!(door.call(|reply| reply).await, Ok(0));
        })
        .await; // the tree is stopped, and nothing is left
}
// ANCHOR_END: tree

// ANCHOR: capture
async fn a_crash_of_the_door_is_logged() {
    const DOOR: Name<Door> = Name::new("door");
    let spec = Supervisor::one_for_one().child(Door::child(()).named(DOOR));
    tree(spec)
        .run(async |tree| {
            let mut captured = capture(tree.runtime());
            tree.runtime().server(DOOR).cast("");
            let is_restart = |event: &_| matches!(event, LifecycleEvent::Restarting { .. });
            captured.await_event(is_restart).await;
            let lines = captured.take_lines();
            let of_door = |line: &&LogLine| line.field("name") == Some("door");
            let exit = lines.iter().find(of_door).and_then(|line| line.field("reason"));
            assert!(exit.is_some_and(|reason| reason.contains("a guest without a name")));
        })
        .await;
}
// ANCHOR_END: capture

#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() -> Result {
    a_door_counts().await?;
    a_sign_says_when_the_door_is_gone().await?;
    a_door_that_crashes_is_back_after_a_minute().await;
    a_crash_of_the_door_is_logged().await;
    println!("all four tests passed");
    Ok(())
}
