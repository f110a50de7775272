//! The metrics of a tree in Prometheus, with a dashboard for Grafana and four alerts.
//!
//! You learn how a tree exports its metrics, how a route has them fresh at each scrape, and which
//! queries show a restart storm, a mailbox that falls behind, and lost messages.
//!
//! ```text
//! cargo run --manifest-path examples/metrics/Cargo.toml          then curl http://127.0.0.1:9464/metrics
//! prometheus --config.file examples/metrics/prometheus.yml       scrapes it, with the alerts
//! cargo run --manifest-path examples/metrics/Cargo.toml -- --selftest
//! ```
//!
//! `grafana.json` is the dashboard, to be imported. `--selftest` starts a Prometheus of its own on
//! loopback, lets 10,000 processes crash, and asserts that its counters equal the truth, that each
//! query of the dashboard has data, and that the alerts work. Without Prometheus it says so and ends.

mod checks;
mod prometheus;
mod selftest;
mod shop;
mod web;

use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use regrow::{PanicText, Program, Run, Runtime, install_panic_hook_with};

fn main() -> ExitCode {
    install_panic_hook_with(PanicText::LeftOut);
    let rendered = web::install_recorder();
    let rt = Runtime::with_mailbox_depth();
    let program = Program::new();
    if std::env::args().any(|argument| argument == "--selftest") {
        return selftest::main(rt, rendered);
    }
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 9464));
    println!("The metrics are at http://{address}/metrics");
    let shop = shop::tree(&rt, rendered, address, Duration::from_secs(1));
    program.run(async || Ok(Run::new(shop).on(&rt)))
}
