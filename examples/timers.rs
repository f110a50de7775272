//! Timers: a delayed message, an interval, a cancelled timer, a time limit.
//!
//! You learn to send a message later, to cancel it, to send at an interval, and to give a process a
//! time limit. All timers use tokio's clock. Here the clock is paused (tokio's feature `test-util`):
//! it jumps ahead when all tasks are idle, so an hour takes no time, and all times are exact.
//!
//! ```text
//! cargo run --example timers
//! ```
//!
//! You will see an egg timer, a clock that ticks, and a session that ends after an hour.

use std::time::Duration;

use regrow::{ExitReason, Runtime};
use tokio::time::Instant;

// ANCHOR: main
#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() {
    let rt = Runtime::new();
    let start = Instant::now();

    let cook = rt.spawn(move |mut ctx| async move {
        while let Some(text) = ctx.recv().await.message() {
            let text = String::from_utf8_lossy(&text);
            println!("{:>4} s  {text}", start.elapsed().as_secs());
            if text == "eggs!" {
                return;
            }
        }
    });
    let minute = Duration::from_secs(60);
    let ticks = rt.send_interval(cook.pid(), minute, b"tick".to_vec());
    rt.send_after(cook.pid(), 4 * minute + minute / 2, b"eggs!".to_vec());
    let burnt = rt.send_after(cook.pid(), 4 * minute, b"they are burnt".to_vec());
    assert!(burnt.cancel()); // the timer had not fired yet
    assert_eq!(cook.join().await, ExitReason::Normal);
    assert_eq!(start.elapsed(), Duration::from_secs(270));
    assert_eq!(ticks.remaining(), None); // an interval ends with its target
    // ANCHOR_END: main

    let session = rt.spawn(|_| std::future::pending());
    let limit = rt.exit_after(session.pid(), 60 * minute, ExitReason::Shutdown);
    assert_eq!(limit.remaining(), Some(60 * minute));
    let reason = session.join().await;
    println!("{:>4} s  the session: {reason}", start.elapsed().as_secs());
    assert_eq!(start.elapsed(), 60 * minute + Duration::from_secs(270));
}
