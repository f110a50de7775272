//! Two processes that send messages to each other.
//!
//! You learn to spawn, to send and to receive. Messages from one process to another arrive in the
//! order in which they were sent.
//!
//! ```text
//! cargo run --example ping_pong
//! ```
//!
//! You will see a ball go back and forth three times, until one player drops it. The example ends
//! by itself.

use regrow::{Context, ExitReason, Pid, Runtime};

// ANCHOR: play
/// Sends each ball that it receives back to the partner, until the ball has been hit six times.
async fn play(mut ctx: Context, name: &'static str, partner: Pid) {
    let rt = ctx.runtime();
    while let Some(ball) = ctx.recv().await.message() {
        let hits = ball[0] + 1;
        if hits > 6 {
            println!("{name} lets it drop");
            rt.exit(partner, ExitReason::Shutdown); // the partner waits for a ball
            return;
        }
        println!("{name} {hits}");
        assert!(rt.send(partner, vec![hits]), "a live process accepts messages");
    }
}
// ANCHOR_END: play

#[tokio::main]
async fn main() {
    let rt = Runtime::new();
    let pong = rt.spawn(|mut ctx| async move {
        // The first message is the pid of the partner.
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
