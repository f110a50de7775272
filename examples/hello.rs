//! A plain future that panics and is restarted.
//!
//! You learn the minimum that supervision takes: a closure and a supervisor. No trait, no message
//! type.
//!
//! ```text
//! cargo run --example hello
//! ```
//!
//! You will see the greeting twice, since the first incarnation panics (the panic hook reports that
//! on stderr); then the tree, with one restart used up. The example ends by itself.

use std::error::Error;

use regrow::{ChildSpec, Runtime, Supervisor};
use tokio::sync::mpsc::unbounded_channel;

// ANCHOR: hello
#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (greeted, mut greetings) = unbounded_channel();
    let greeter = ChildSpec::task("greeter", |ctx| async move {
        println!("Hello!");
        assert!(ctx.start_cause().restarts() > 0, "stage fright");
        greeted.send("at the second attempt")?;
        std::future::pending().await
    });

    let rt = Runtime::new();
    let tree = Supervisor::one_for_one().with_id("stage").child(greeter).start(&rt).await?;
    assert_eq!(greetings.recv().await, Some("at the second attempt"));
    println!("\n{}", tree.tree().await?);
    tree.stop().await?;
    Ok(())
}
// ANCHOR_END: hello
