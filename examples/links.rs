//! Links: processes that share their fate, and one that only wants to hear of it.
//!
//! You learn what a link does when one side ends, normally and otherwise; what trapping
//! changes; and that a kill can't be trapped.
//!
//! ```text
//! cargo run --example links
//! ```
//!
//! You will see who falls with whom, and why each says it fell. It ends by itself.

use regrow::{Context, ExitReason, ProcessHandle, Received, Runtime};

/// Lives until it is sent something: then it ends, as the text says.
async fn obey(mut ctx: Context) {
    match ctx.recv().await.message().as_deref() {
        Some(b"return") => {}
        other => panic!("was told to: {}", String::from_utf8_lossy(other.unwrap_or_default())),
    }
}

fn pair(rt: &Runtime) -> (ProcessHandle, ProcessHandle) {
    let one = rt.spawn(obey);
    let other = rt.spawn_link(one.pid(), obey); // linked before it first runs
    (one, other)
}

#[tokio::main]
async fn main() {
    std::panic::set_hook(Box::new(|_| {})); // the panics are on purpose, and told below
    let rt = Runtime::new();

    let (one, other) = pair(&rt);
    rt.send(one.pid(), b"crash".to_vec());
    let (one, other) = (one.join().await, other.join().await);
    println!("one crashed:            {one}");
    println!("the other fell with it: {other}");
    assert_eq!(one, other);

    let (one, other) = pair(&rt);
    rt.send(one.pid(), b"return".to_vec());
    println!("one returned:           {}", one.join().await);
    println!("the other lives:        {}", rt.is_alive(other.pid()));
    assert!(rt.is_alive(other.pid()));
    other.kill();

    // ANCHOR: trap
    // One that traps is told instead.
    let (one, _) = pair(&rt);
    let doomed = one.pid();
    let (told, hear) = tokio::sync::oneshot::channel();
    let keeper = rt.spawn(move |mut ctx| async move {
        let rt = ctx.runtime();
        rt.set_trap_exit(ctx.pid(), true);
        assert!(rt.link(ctx.pid(), doomed));
        rt.send(doomed, b"crash".to_vec());
        let Received::Exit { from, reason } = ctx.recv().await else { panic!("only an exit") };
        println!("the keeper was told:    {reason}");
        assert_eq!(from, doomed);
        told.send(()).expect("somebody waits for this");
        std::future::pending().await
    });
    // ANCHOR_END: trap
    hear.await.expect("it lives, and tells");
    rt.exit(keeper.pid(), ExitReason::Shutdown); // trapped, too
    assert!(rt.is_alive(keeper.pid()));
    keeper.kill(); // this is not
    println!("the keeper's own end:   {}", keeper.join().await);
    assert_eq!(keeper.join().await, ExitReason::Killed);
}
