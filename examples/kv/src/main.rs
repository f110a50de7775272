//! A key-value service that loses nothing it has acknowledged.
//!
//! axum in front, SQLite behind, both children of one tree. You learn how to supervise blocking code
//! (`ChildSpec::blocking`, a thread of its own) and an existing server (`ChildSpec::serve`), how
//! requests wait for a store that is being restarted (`Keep`), when a client gets 503 and
//! `Retry-After`, and what a load balancer polls (`/readyz`).
//!
//! ```text
//! cargo run -p kv -- [127.0.0.1:4000] [kv.db]
//! cargo run -p kv -- --selftest
//!
//! curl -X PUT -d 3 localhost:4000/kv/milk
//! curl localhost:4000/kv/milk
//! curl -X POST localhost:4000/crash         crashes the store in the middle of a write
//! curl localhost:4000/readyz                also: /healthz, /tree
//! ```
//!
//! The example is a package of its own, since compiling SQLite takes a C compiler.
//!
//! You will see the tree, and after SIGTERM or Ctrl-C the report of the stop: the front stops first,
//! after its last answers, and then the store. The self-test writes from many clients while it
//! crashes the store repeatedly, and then reads every key that was acknowledged. It exits with 1 if
//! any is missing.

mod http;
mod selftest;
mod store;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use regrow::{
    ChildSpec, Keep, LogLevel, Restart, Result, Run, Runtime, Supervisor, SupervisorRef,
    SupervisorSpec,
};
use tokio::net::TcpListener;

/// The store starts first, since the front needs it; so the front stops first.
fn tree(rt: &Runtime, port: http::Port, file: &Path) -> SupervisorSpec {
    let (store, requests) = store::child(file);
    Supervisor::one_for_one()
        .named("kv")
        .intensity(100, Duration::from_secs(10))
        .child(store)
        .child(http::child(rt, port, requests))
}

/// Prints the tree and the address when all children have started: the root answers only then.
fn announce(address: String) -> ChildSpec {
    let announce = ChildSpec::task("announce", |ctx| async move {
        println!("{}", SupervisorRef::named(&ctx.runtime(), "kv").tree().await?);
        println!("{address}");
        Ok(())
    });
    announce.restart(Restart::Temporary)
}

/// Binds the socket once; restarts keep it.
fn port(address: String) -> http::Port {
    Keep::new(move || TcpListener::bind(address.clone()))
}

async fn serve(address: String, file: PathBuf) -> Result<ExitCode> {
    regrow::log::init(LogLevel::Info);
    let (rt, port) = (Runtime::new(), port(address));
    let address = port.lend().await?.local_addr()?;
    let announce = announce(format!("http://{address}, {}", file.display()));
    let report = Run::new(tree(&rt, port, &file).child(announce)).on(&rt).run().await?;
    println!("{report}");
    Ok(report.exit_code())
}

#[tokio::main]
async fn main() -> ExitCode {
    // The log has every crash; the default panic hook would print it a second time.
    std::panic::set_hook(Box::new(|_| {}));
    let mut args = std::env::args().skip(1);
    let address = args.next().unwrap_or_else(|| "127.0.0.1:4000".into());
    let outcome = if address == "--selftest" {
        selftest::run().await
    } else {
        let file = args.next().map_or_else(|| std::env::temp_dir().join("kv.db"), PathBuf::from);
        serve(address, file).await
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("{error:?}"); // with all causes
        ExitCode::FAILURE
    })
}
