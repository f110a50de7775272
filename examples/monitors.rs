//! Monitors: being told of an end, without sharing it.
//!
//! You learn that every end is told, once, with its true reason, whatever kind of end it was;
//! and that whoever watches a process that is gone is told so at once.
//!
//! ```text
//! cargo run --example monitors
//! ```
//!
//! You will see five ends, as a watcher is told of them. It ends by itself.

use std::collections::HashMap;

use regrow::{Context, ExitReason, MonitorRef, Pid, Received, Runtime};

/// Watches one process after another, and collects what it hears.
async fn watch(mut ctx: Context, ends: Vec<(&'static str, Pid)>) {
    let rt = ctx.runtime();
    let watched: HashMap<MonitorRef, &str> =
        ends.iter().map(|(name, pid)| (rt.monitor(ctx.pid(), *pid), *name)).collect();
    for (name, pid) in &ends {
        match *name {
            "killed" => rt.kill(*pid),
            _ => rt.send(*pid, b"now".to_vec()),
        };
    }

    let mut heard = Vec::new();
    while heard.len() < ends.len() {
        let Received::Down { reference, reason, .. } = ctx.recv().await else { panic!("what?") };
        heard.push(format!("{:10} {reason}", watched[&reference]));
    }
    heard.sort();
    heard.iter().for_each(|line| println!("{line}"));
}

#[tokio::main]
async fn main() {
    std::panic::set_hook(Box::new(|_| {})); // the panics are on purpose, and told below
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
    assert_eq!(watcher.join().await, ExitReason::Normal); // none of it was its own end
    assert_eq!(rt.process_count(), 0);
}
