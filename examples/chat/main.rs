//! A chat server that will not stay down.
//!
//! You learn how the parts of the book go together: a process for each connection, a server
//! for each room, rooms found by name or opened, users who leave by the door or by a crash,
//! who are silent or can't keep up, and a tree that grows back and stops in order.
//!
//! ```text
//! cargo run --example chat                    then, more than once: nc 127.0.0.1 7000
//! cargo run --example chat -- 0.0.0.0:9000    at another address
//! cargo run --example chat -- --selftest      against itself; exits with 0 or 1
//! ```
//!
//! You will see yourself in a room called lobby. `/help` tells the rest; try `/crash`, which
//! crashes your connection and nobody else's, and `/topple`, which crashes the room you are
//! in. Ctrl-C stops the chat in order, and tells how each part of it stopped.

mod client;
mod connection;
mod listener;
mod room;
mod selftest;

use std::process::ExitCode;
use std::time::Duration;

use regrow::{
    ChildSpec, DynamicSupervisor, Exhausted, Keep, LogLevel, Program, Run, Supervisor,
    SupervisorSpec,
};
use tokio::net::TcpListener;

/// What may differ from one chat to another.
#[derive(Clone)]
struct Settings {
    /// Who says nothing for so long is shown out.
    patience: Duration,
    /// A room that nobody is in closes after so long.
    empty: Duration,
}

fn main() -> ExitCode {
    let argument = std::env::args().nth(1);
    if argument.as_deref() == Some("--selftest") {
        return selftest();
    }
    regrow::log::init(LogLevel::Warn);
    let address = argument.unwrap_or_else(|| "127.0.0.1:7000".into());
    println!("The chat is at {address}.");
    let port = Keep::new(move || TcpListener::bind(address.clone()));
    let settings = Settings { patience: Duration::from_secs(300), empty: Duration::from_secs(60) };
    let run = Run::new(tree(port, settings)).deadline(Duration::from_secs(2));
    Program::new().run(async || Ok(run))
}

#[tokio::main]
async fn selftest() -> ExitCode {
    selftest::run().await
}

// ANCHOR: tree
/// Started from the top, stopped from the bottom: first nobody comes in any more, then all are
/// seen out, then the rooms are closed.
fn tree(port: Keep<TcpListener>, settings: Settings) -> SupervisorSpec {
    let rooms = DynamicSupervisor::new()
        .named("rooms")
        // A room that always crashes is given up alone.
        .child_intensity(3, Duration::from_secs(5), Exhausted::GiveUp);
    let connections = DynamicSupervisor::new().named("connections").max_children(10_000);
    let listener = ChildSpec::task("listener", move |ctx| listener::listen(ctx, port, settings));
    // Who is below needs who is above.
    Supervisor::rest_for_one().named("chat").child(rooms).child(connections).child(listener)
}
// ANCHOR_END: tree
