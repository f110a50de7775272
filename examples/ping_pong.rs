//! Two processes that know each other, and nothing of each other's state.
//!
//! You learn to spawn, to send and to receive, and that what one process sends another
//! arrives in the order it was sent.
//!
//! ```text
//! cargo run --example ping_pong
//! ```
//!
//! You will see a ball go to and fro three times; then one lets it drop. It ends by itself.

use regrow::{Context, ExitReason, Pid, Runtime};

// ANCHOR: play
/// Hits whatever comes back to the other, until it is hit often enough.
async fn play(mut ctx: Context, name: &'static str, partner: Pid) {
    let rt = ctx.runtime();
    while let Some(ball) = ctx.recv().await.message() {
        let hits = ball[0] + 1;
        if hits > 6 {
            println!("{name} lets it drop");
            rt.exit(partner, ExitReason::Shutdown); // the other waits for a ball
            return;
        }
        println!("{name} {hits}");
        assert!(rt.send(partner, vec![hits]), "a live process takes what it is sent");
    }
}
// ANCHOR_END: play

#[tokio::main]
async fn main() {
    let rt = Runtime::new();
    let pong = rt.spawn(|mut ctx| async move {
        // Whom it plays with, it is told first.
        let Some(partner) = ctx.recv().await.message() else { panic!("a partner comes first") };
        let partner = Pid::from_raw(u64::from_le_bytes(partner.try_into().expect("a pid")));
        play(ctx, "     pong", partner).await;
    });
    let partner = pong.pid();
    let ping = rt.spawn(move |ctx| play(ctx, "ping", partner));

    rt.send(pong.pid(), ping.pid().raw().to_le_bytes().to_vec());
    rt.send(ping.pid(), vec![0]);
    assert_eq!(ping.join().await, ExitReason::Normal);
    assert_eq!(pong.join().await, ExitReason::Shutdown);
}
