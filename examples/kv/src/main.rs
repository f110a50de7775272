//! A key-value service that loses nothing it has acknowledged.
//!
//! axum in front, SQLite behind, both children of one tree. You learn how blocking code lives in
//! a tree (`ChildSpec::blocking`, a thread of its own), how an existing server does
//! (`ChildSpec::serve`), how questions wait for a store that is being restarted (`Keep`), and
//! when a client has to hear 503 and `Retry-After`; and how a load balancer asks (`/readyz`).
//!
//! ```text
//! cargo run -p kv -- [127.0.0.1:4000] [kv.db]
//! cargo run -p kv -- --selftest
//!
//! curl -X PUT -d 3 localhost:4000/kv/milk
//! curl localhost:4000/kv/milk
//! curl -X POST localhost:4000/crash         the store dies in the middle of a write
//! curl localhost:4000/readyz                also: /healthz, /tree
//! ```
//!
//! It is a package of its own: to compile SQLite takes a C compiler, which nothing else in this
//! repository needs.
//!
//! You will see the tree, and on SIGTERM or Ctrl-C the report of the stop: the front first,
//! with its last answers, the store behind it. The selftest writes from many clients while it
//! crashes the store again and again, then asks for everything that was acknowledged; it exits
//! with 1 if anything is missing.

mod http;
mod selftest;
mod store;

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use regrow::{
    ChildSpec, Keep, LogLevel, Restart, Result, Run, Runtime, Supervisor, SupervisorRef,
    SupervisorSpec,
};

/// The store first, since the front needs it; so the front stops first.
fn tree(rt: &Runtime, port: http::Port, file: &Path) -> SupervisorSpec {
    let (store, ask) = store::child(file);
    Supervisor::one_for_one()
        .named("kv")
        .intensity(100, Duration::from_secs(10))
        .child(store)
        .child(http::child(rt, port, ask))
}

/// Says where it serves and what the tree is, when all of it is there: the root answers once it
/// has started its children.
fn herald(says: String) -> ChildSpec {
    let herald = ChildSpec::task("herald", |ctx| async move {
        println!("{}", SupervisorRef::named(&ctx.runtime(), "kv").tree().await?);
        println!("{says}");
        Ok(())
    });
    herald.restart(Restart::Temporary)
}

/// Binds once, whatever is restarted later.
fn port(address: String) -> http::Port {
    Keep::new(move || {
        let bound = TcpListener::bind(&address).and_then(|socket| {
            socket.set_nonblocking(true)?;
            Ok(Arc::new(socket))
        });
        async { bound }
    })
}

async fn serve(address: String, file: PathBuf) -> Result<ExitCode> {
    regrow::log::init(LogLevel::Info);
    let (rt, port) = (Runtime::new(), port(address));
    let address = port.get().await?.local_addr()?;
    let herald = herald(format!("http://{address}, {}", file.display()));
    let report = Run::new(tree(&rt, port, &file).child(herald)).on(&rt).run().await?;
    println!("{report}");
    Ok(report.exit_code())
}

#[tokio::main]
async fn main() -> ExitCode {
    // The log tells of every crash; the default hook would say it twice.
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
