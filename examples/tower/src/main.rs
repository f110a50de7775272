//! One server over HTTP and over gRPC. You learn how a server becomes a service of tower, how layers of
//! tower apply to it, and what clients get while the server is restarted.
//!
//! * `POST /add/{n}` takes the handle of the server by `Live`: 503 with `Retry-After` while the server is
//!   being restarted.
//! * `totals.Totals/Add` is a method of gRPC, by tonic, without generated code. A call goes through
//!   `load_shed` and `concurrency_limit` into the bounded mailbox of the server.
//! * `POST /crash` ends the server. Its supervisor starts it again after a pause.
//!
//! ```text
//! cargo run --manifest-path examples/tower/Cargo.toml                   until Ctrl-C
//! cargo run --manifest-path examples/tower/Cargo.toml -- --selftest     its own clients, then it ends
//! ```

mod grpc;
mod http;
mod selftest;
mod totals;

use std::process::ExitCode;
use std::time::Duration;

use regrow::{
    Backoff, GenServer, LogLevel, Overflow, Program, Run, Runtime, Supervisor, SupervisorSpec,
};
use tokio::net::TcpListener;

use totals::{TOTALS, Totals};

/// The tree: the server, and the two fronts, which outlive its crashes.
fn tree(rt: &Runtime, web: TcpListener, rpc: TcpListener) -> std::io::Result<SupervisorSpec> {
    let pause = Backoff::new().first(Duration::from_millis(200)).jitter(0.0);
    let totals = Totals::child(()).named(TOTALS).mailbox_capacity(100, Overflow::Wait);
    Ok(Supervisor::one_for_one()
        .named("app")
        .child(totals.backoff(pause))
        .child(http::front(rt, web.into_std()?))
        .child(grpc::front(rt, rpc.into_std()?)))
}

async fn bind(address: &str) -> TcpListener {
    TcpListener::bind(address).await.expect("the port is free")
}

fn main() -> ExitCode {
    regrow::log::init(LogLevel::Warn);
    if std::env::args().any(|argument| argument == "--selftest") {
        return selftest();
    }
    Program::new().run(async || {
        let (web, rpc) = (bind("127.0.0.1:8080").await, bind("127.0.0.1:8081").await);
        println!("HTTP on 8080, gRPC on 8081; Ctrl-C ends.");
        let rt = Runtime::new();
        Ok(Run::new(tree(&rt, web, rpc)?).on(&rt))
    })
}

#[tokio::main]
async fn selftest() -> ExitCode {
    selftest::run().await;
    ExitCode::SUCCESS
}
