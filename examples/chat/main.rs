//! A chat server that recovers from crashes.
//!
//! You learn how the parts of the book work together: a process for each connection, a server for
//! each room, rooms that are looked up by name or started, users that leave, crash, are silent or
//! read too slowly, and a tree that restarts crashed processes and stops in order.
//!
//! ```text
//! cargo run --features net --example chat                    then, more than once: nc 127.0.0.1 7000
//! cargo run --features net --example chat -- 0.0.0.0:9000    at another address
//! cargo run --features net --example chat -- --selftest      against itself; exits with 0 or 1
//! ```
//!
//! After you give a name, you are in the room `lobby`. `/help` lists the commands. `/crash` crashes
//! your connection and no other; `/topple` crashes the room that you are in. Ctrl-C stops the chat
//! in order and prints the report of the stop.

mod client;
mod connection;
mod room;
mod selftest;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use regrow::{
    ChildSpec, DynamicSupervisor, Exhausted, GenServer, ListenerSpec, LogLevel, Overflow, Program,
    Run, Supervisor, SupervisorSpec, TcpPort,
};
use tokio::net::TcpStream;

use connection::{Arrival, Connection};

/// How many lines may be queued for one client. A client that exceeds them is disconnected.
const QUEUED_LINES: usize = 64;

/// The settings of a chat.
#[derive(Clone)]
struct Settings {
    /// A user that is silent for this long is disconnected.
    patience: Duration,
    /// A room without members closes after this time.
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
    let settings = Settings { patience: Duration::from_secs(300), empty: Duration::from_secs(60) };
    let run = Run::new(tree(TcpPort::bind(address), settings)).deadline(Duration::from_secs(2));
    Program::new().run(async || Ok(run))
}

#[tokio::main]
async fn selftest() -> ExitCode {
    selftest::run().await
}

// ANCHOR: tree
/// The children start in this order and stop in reverse: first the listener, which accepts no client
/// any more and then ends its connections, then the rooms.
fn tree(port: TcpPort, settings: Settings) -> SupervisorSpec {
    let rooms = DynamicSupervisor::new()
        .named("rooms")
        // A room that crashes again and again is given up; the other rooms go on.
        .child_intensity(3, Duration::from_secs(5), Exhausted::GiveUp);
    // Each child needs the children before it.
    Supervisor::rest_for_one().named("chat").child(rooms).child(listener(port, settings))
}
// ANCHOR_END: tree

// ANCHOR: listen
/// Accepts clients. Each gets a connection, a process of its own.
fn listener(port: TcpPort, settings: Settings) -> ListenerSpec<TcpStream> {
    let number = AtomicU64::new(1);
    let connection = move |stream, _: SocketAddr| {
        let number = number.fetch_add(1, Ordering::Relaxed);
        Connection::child_once(Arrival { stream, settings: settings.clone() })
            .with_id(format!("connection {number}"))
            .mailbox_capacity(QUEUED_LINES, Overflow::Reject)
    };
    ChildSpec::tcp_listener_with("listener", port, connection)
        .max_connections(10_000)
        .refuse_with("The house is full.\n")
}
// ANCHOR_END: listen
