//! Links: processes that end together, and a process that traps exits.
//!
//! You learn the effect of a link when one side ends, normally or with a crash; the effect of
//! trapping exits; and that a kill can't be trapped.
//!
//! ```text
//! cargo run --example links
//! ```
//!
//! You will see which processes end together, and the exit reason of each. The example ends by
//! itself.

use regrow::{Context, ExitReason, ProcessHandle, Received, Runtime};

/// Waits for one message, and then ends as the message says.
async fn obey(mut ctx: Context) {
    match ctx.recv().await.message().as_deref() {
        Some(b"return") => {}
        other => panic!("as requested: {}", String::from_utf8_lossy(other.unwrap_or_default())),
    }
}

fn pair(rt: &Runtime) -> (ProcessHandle, ProcessHandle) {
    let one = rt.spawn(obey);
    let other = rt.spawn_link(one.pid(), obey); // linked before it first runs
    (one, other)
}

#[tokio::main]
async fn main() {
    std::panic::set_hook(Box::new(|_| {})); // the panics are on purpose; their reasons are printed below
    let rt = Runtime::new();

    let (one, other) = pair(&rt);
    rt.send(one.pid(), b"crash".to_vec());
    let (one, other) = (one.join().await, other.join().await);
    println!("one crashed:            {one}");
    println!("the linked one ended:   {other}");
    assert_eq!(one, other);

    let (one, other) = pair(&rt);
    rt.send(one.pid(), b"return".to_vec());
    println!("one returned:           {}", one.join().await);
    println!("the other is alive:     {}", rt.is_alive(other.pid()));
    assert!(rt.is_alive(other.pid()));
    other.kill();

    // ANCHOR: trap
    // A process that traps exits receives a message instead.
    let (one, _) = pair(&rt);
    let crashing = one.pid();
    let (received, wait) = tokio::sync::oneshot::channel();
    let keeper = rt.spawn(move |mut ctx| async move {
        let rt = ctx.runtime();
        rt.set_trap_exit(ctx.pid(), true);
        assert!(rt.link(ctx.pid(), crashing));
        rt.send(crashing, b"crash".to_vec());
        let Received::Exit { from, reason } = ctx.recv().await else { panic!("only an exit") };
        println!("the keeper received:    {reason}");
        assert_eq!(from, crashing);
        received.send(()).expect("main waits for this");
        std::future::pending().await
    });
    // ANCHOR_END: trap
    wait.await.expect("the keeper received the exit");
    rt.exit(keeper.pid(), ExitReason::Shutdown); // an exit signal: trapped, too
    assert!(rt.is_alive(keeper.pid()));
    keeper.kill(); // a kill can't be trapped
    println!("the keeper's own end:   {}", keeper.join().await);
    assert_eq!(keeper.join().await, ExitReason::Killed);
}
