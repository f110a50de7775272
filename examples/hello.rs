//! A plain future that panics, and is back.
//!
//! You learn the least that regrow asks of you: a closure, a supervisor, and that's all. No
//! trait, no message type.
//!
//! ```text
//! cargo run --example hello
//! ```
//!
//! You will see the greeting twice, since the first time it panicked half-way (the panic
//! hook tells of that on stderr); then the tree as it stands, with one restart used up. It ends by itself.

use std::error::Error;

use regrow::{ChildSpec, Runtime, Supervisor};
use tokio::sync::mpsc::unbounded_channel;

// ANCHOR: hello
#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (greeted, mut hear) = unbounded_channel();
    let greeter = ChildSpec::task("greeter", |ctx| async move {
        println!("Hello!");
        assert!(ctx.start_cause().restarts() > 0, "stage fright");
        greeted.send("at the second attempt")?;
        std::future::pending().await
    });

    let rt = Runtime::new();
    let tree = Supervisor::one_for_one().with_id("stage").child(greeter).start(&rt).await?;
    assert_eq!(hear.recv().await, Some("at the second attempt"));
    println!("\n{}", tree.tree().await?);
    tree.stop().await?;
    Ok(())
}
// ANCHOR_END: hello
