//! A supervised service on real sockets, crashed on purpose.
//!
//! You learn how a tree is put together, what a crash looks like on the console, and
//! that whoever wasn't in it doesn't notice.
//!
//! ```text
//! cargo run --example tour               ten seconds, with pauses to read
//! cargo run --example tour -- --fast     the same without the pauses
//! ```
//!
//! You will see a store and a connection crash, each as an exit line with its reason,
//! the store's fresh spawn line with its new pid, and an orderly stop. It exits with 0
//! if everything it says came true, and with 1 if anything did not.

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
    // The log tells of every crash; the default hook would say it twice.
    std::panic::set_hook(Box::new(|_| {}));
    regrow::install_panic_hook();
    let fast = std::env::args().any(|arg| arg == "--fast");
    let narrator = Narrator::new(if fast { Duration::ZERO } else { Duration::from_millis(1_300) });
    match tour(&narrator).await {
        Ok(()) => {
            println!("\nEverything came true.");
            ExitCode::SUCCESS
        }
        Err(broken) => {
            eprintln!("\nA promise was broken: {broken}");
            ExitCode::FAILURE
        }
    }
}

async fn tour(say: &Narrator) -> Outcome {
    let rt = Runtime::new();
    rt.set_log_level(LogLevel::Info);

    say.step("A tree: a store named \"kv\", a supervisor for connections, a TCP listener.").await;
    let (top, address) = plant(&rt).await?;
    let mut alice = Client::connect("alice", address).await?;
    let mut bob = Client::connect("bob", address).await?;

    say.step("Two clients talk to it, each served by a process of its own.").await;
    alice.expect("PUT milk 3", "OK").await?;
    bob.expect("GET milk", "3").await?;

    let store = crash_the_store(&rt, say, &mut alice, &mut bob).await?;
    crash_a_connection(&rt, say, &mut alice, &mut bob).await?;
    say.promise("the store is the same", pid(&alice.ask("WHO").await?)? == store)?;

    say.step("Stop: the listener first, then the connections, the store last.").await;
    let alices = pid(&alice.ask("ME").await?)?;
    top.stop().await?;
    say.saw_in_order(&[("exit", alices), ("exit", store)])?;
    say.promise("nothing is left", rt.leftovers() == regrow::Leftovers::default())?;
    Ok(())
}

async fn crash_the_store(
    rt: &Runtime,
    say: &Narrator,
    alice: &mut Client,
    bob: &mut Client,
) -> Outcome<Pid> {
    say.step("Bob crashes the store. Its supervisor has a new one at once; the name moves on.")
        .await;
    let old = pid(&alice.ask("WHO").await?)?;
    let ended = rt.ended(old);
    bob.expect("CRASH STORE", "OK").await?;
    let reason = ended.await;
    let new = next_store(alice, old).await?;
    say.promise(
        "the store ended by its panic",
        reason.to_string().contains("the store fell over"),
    )?;
    say.promise("a new pid, greater than the old", new > old)?;
    say.saw_in_order(&[("exit", old), ("spawn", new)])?;
    alice.expect("GET milk", "NOTHING").await?;
    alice.expect("PUT milk 4", "OK").await?;
    bob.expect("GET milk", "4").await?;
    Ok(new)
}

async fn crash_a_connection(
    rt: &Runtime,
    say: &Narrator,
    alice: &mut Client,
    bob: &mut Client,
) -> Outcome {
    say.step("Bob crashes his own connection. Alice doesn't notice.").await;
    let bobs = pid(&bob.ask("ME").await?)?;
    let ended = rt.ended(bobs);
    bob.hangs_up_on("CRASH ME").await?;
    let reason = ended.await;
    say.promise(
        "his process ended by its panic",
        reason.to_string().contains("a client did this"),
    )?;
    say.saw_in_order(&[("exit", bobs)])?;
    alice.expect("GET milk", "4").await
}

/// The store first, since the others need it; the listener last, since it needs both.
async fn plant(rt: &Runtime) -> Outcome<(SupervisorRef, std::net::SocketAddr)> {
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

/// Asks until somebody else answers under the store's name.
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
