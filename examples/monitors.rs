//! Monitors: a notification when another process ends.
//!
//! You learn that a monitor delivers one `Down` message with the true exit reason for every kind of
//! end, and that a monitor of a dead process delivers it at once. The monitoring process goes on
//! running.
//!
//! ```text
//! cargo run --example monitors
//! ```
//!
//! You will see five exit reasons, as a monitoring process receives them. The example ends by itself.

use std::collections::HashMap;

use regrow::{Context, ExitReason, MonitorRef, Pid, Received, Runtime};

/// Monitors all these processes, ends them, and prints the exit reasons that it receives.
async fn watch(mut ctx: Context, ends: Vec<(&'static str, Pid)>) {
    let rt = ctx.runtime();
    let monitors: HashMap<MonitorRef, &str> =
        ends.iter().map(|(name, pid)| (rt.monitor(ctx.pid(), *pid), *name)).collect();
    for (name, pid) in &ends {
        match *name {
            "killed" => rt.kill(*pid),
            _ => rt.send(*pid, b"now".to_vec()),
        };
    }

    let mut lines = Vec::new();
    while lines.len() < ends.len() {
        let Received::Down { reference, reason, .. } = ctx.recv().await else {
            panic!("only a `Down` is expected")
        };
        lines.push(format!("{:10} {reason}", monitors[&reference]));
    }
    lines.sort();
    lines.iter().for_each(|line| println!("{line}"));
}

#[tokio::main]
async fn main() {
    std::panic::set_hook(Box::new(|_| {})); // the panics are on purpose; their reasons are printed below
    let rt = Runtime::new();
    let returns = rt.spawn(|mut ctx| async move { drop(ctx.recv().await) });
    let panics = rt.spawn(|mut ctx| async move {
        let Some(_) = ctx.recv().await.message() else { return };
        panic!("out of luck")
    });
    let fails = rt.spawn_fallible(|mut ctx| async move {
        let text = String::from_utf8(ctx.recv().await.message().unwrap_or_default())?;
        text.parse::<u32>()?; // "now" is no number: let it crash with that error
        Ok(())
    });
    let killed = rt.spawn(|_| std::future::pending());
    let gone = rt.spawn(|_| async {});
    gone.join().await;

    let ends = [
        ("returns", returns.pid()),
        ("panics", panics.pid()),
        ("fails", fails.pid()),
        ("killed", killed.pid()),
        ("gone", gone.pid()),
    ];
    let watcher = rt.spawn(move |ctx| watch(ctx, ends.to_vec()));
    assert_eq!(watcher.join().await, ExitReason::Normal); // monitors don't end the watcher
    assert_eq!(rt.process_count(), 0);
}
