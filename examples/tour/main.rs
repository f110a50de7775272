//! A supervised service on TCP sockets, crashed on purpose.
//!
//! You learn how to build a tree, what a crash looks like in the log, and that a crash does not
//! affect processes that are not restarted with the crashed one.
//!
//! ```text
//! cargo run --example tour               ten seconds, with pauses to read
//! cargo run --example tour -- --fast     the same without the pauses
//! ```
//!
//! You will see the crashes of a store and of a connection, each as an exit line with its reason,
//! the spawn line of the restarted store with its new pid, and a stop in order. The example exits
//! with 0 if all its assertions hold, else with 1.

mod front;
mod kv;
mod narrator;

use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use regrow::{ChildSpec, GenServer, LogLevel, Pid, Runtime, Supervisor, SupervisorRef};
use tokio::net::TcpListener;

use kv::{KV, Kv};
use narrator::{Client, Narrator};

type Outcome<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

#[tokio::main]
async fn main() -> ExitCode {
    // The log has every crash; the default panic hook would print it a second time.
    std::panic::set_hook(Box::new(|_| {}));
    regrow::install_panic_hook();
    let fast = std::env::args().any(|arg| arg == "--fast");
    let narrator = Narrator::new(if fast { Duration::ZERO } else { Duration::from_millis(1_300) });
    match tour(&narrator).await {
        Ok(()) => {
            println!("\nAll assertions held.");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("\nAn assertion failed: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn tour(narrator: &Narrator) -> Outcome {
    let rt = Runtime::new();
    rt.set_log_level(LogLevel::Info);

    narrator
        .step("A tree: a store named \"kv\", a supervisor for connections, a TCP listener.")
        .await;
    let (top, address) = start_tree(&rt).await?;
    let mut alice = Client::connect("alice", address).await?;
    let mut bob = Client::connect("bob", address).await?;

    narrator.step("Two clients talk to it, each served by a process of its own.").await;
    alice.expect("PUT milk 3", "OK").await?;
    bob.expect("GET milk", "3").await?;

    let store = crash_the_store(&rt, narrator, &mut alice, &mut bob).await?;
    crash_a_connection(&rt, narrator, &mut alice, &mut bob).await?;
    narrator.check("the store is the same", pid(&alice.ask("WHO").await?)? == store)?;

    narrator.step("Stop: the listener first, then the connections, the store last.").await;
    let alices = pid(&alice.ask("ME").await?)?;
    top.stop().await?;
    narrator.logged_in_order(&[("exit", alices), ("exit", store)])?;
    narrator.check("nothing is left", rt.leftovers() == regrow::Leftovers::default())?;
    Ok(())
}

async fn crash_the_store(
    rt: &Runtime,
    narrator: &Narrator,
    alice: &mut Client,
    bob: &mut Client,
) -> Outcome<Pid> {
    narrator
        .step("Bob crashes the store. Its supervisor restarts it at once, under the same name.")
        .await;
    let old = pid(&alice.ask("WHO").await?)?;
    let ended = rt.ended(old);
    bob.expect("CRASH STORE", "OK").await?;
    let reason = ended.await;
    let new = next_store(alice, old).await?;
    narrator
        .check("the store ended by its panic", reason.to_string().contains("the store crashed"))?;
    narrator.check("a new pid, greater than the old", new > old)?;
    narrator.logged_in_order(&[("exit", old), ("spawn", new)])?;
    alice.expect("GET milk", "NOTHING").await?;
    alice.expect("PUT milk 4", "OK").await?;
    bob.expect("GET milk", "4").await?;
    Ok(new)
}

async fn crash_a_connection(
    rt: &Runtime,
    narrator: &Narrator,
    alice: &mut Client,
    bob: &mut Client,
) -> Outcome {
    narrator.step("Bob crashes his own connection. Alice doesn't notice.").await;
    let bobs = pid(&bob.ask("ME").await?)?;
    let ended = rt.ended(bobs);
    bob.expect_close("CRASH ME").await?;
    let reason = ended.await;
    narrator.check(
        "his process ended by its panic",
        reason.to_string().contains("a client did this"),
    )?;
    narrator.logged_in_order(&[("exit", bobs)])?;
    alice.expect("GET milk", "4").await
}

/// The store starts first, since the others need it; the listener last, since it needs both.
async fn start_tree(rt: &Runtime) -> Outcome<(SupervisorRef, std::net::SocketAddr)> {
    let listener = Arc::new(TcpListener::bind("127.0.0.1:0").await?);
    let address = listener.local_addr()?;
    let top =
        Supervisor::one_for_one().with_id("tour").child(Kv::child(()).named(KV)).start(rt).await?;
    let connections = Supervisor::one_for_one().with_id("connections").named("connections");
    top.start_child(connections).await?;
    let connections = SupervisorRef::named(rt, "connections");
    let listen = ChildSpec::task("listener", move |_| front::listen(listener, connections));
    top.start_child(listen).await?;
    Ok((top, address))
}

/// Asks until a new process answers under the store's name.
async fn next_store(client: &mut Client, old: Pid) -> Outcome<Pid> {
    loop {
        match pid(&client.ask("WHO").await?) {
            Ok(new) if new != old => return Ok(new),
            _ => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    }
}

fn pid(text: &str) -> Outcome<Pid> {
    Ok(Pid::from_raw(text.trim_start_matches('#').parse()?))
}
