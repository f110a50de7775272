//! A gateway for devices, which loses no reading that it has acknowledged.
//!
//! Devices send readings over TCP. Each device has a server, a store writes the readings to SQLite in
//! batches, an upstream gets all of them, and axum answers requests. The book walks through the code.
//!
//! ```text
//! cargo run -p gateway -- examples/gateway/gateway.json
//! cargo run -p gateway -- --selftest
//! nc 127.0.0.1 7000                         then type: boiler 1 20.5
//! curl 127.0.0.1:7080/devices/boiler        also: /healthz, /readyz, /tree
//! ```
//!
//! SIGHUP reads the configuration again, SIGTERM stops in order. Two faults are there on purpose: the
//! value `inf` crashes its device, and `NaN` the store, in the middle of a transaction.

mod device;
mod edge;
mod selftest;
mod store;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use regrow::{
    ChildSpec, DynamicSupervisor, Keep, LogLevel, Phases, Program, Readiness, Restart, Result, Run,
    Runtime, Supervisor, WatchdogPing,
};
use tokio::net::TcpListener;
use tokio::sync::watch;

/// The configuration that was valid last.
type Settings = watch::Receiver<Config>;

/// How long a reading may take until it is on disk.
const LIMIT: Duration = Duration::from_secs(5);

#[derive(serde_derive::Deserialize)]
struct Config {
    listen: SocketAddr,
    web: SocketAddr,
    upstream: String,
    database: String,
    /// The server of a device ends after this time without a reading.
    idle_ms: u64,
    /// A row waits this long for others, to be written with them.
    window_ms: u64,
}

impl Config {
    fn read(path: &str) -> Result<Config> {
        let text = std::fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?;
        Ok(serde_json::from_str(&text)?)
    }
}

// ANCHOR: tree
/// Everything else needs the storage, so it starts first and stops last.
fn gateway(rt: &Runtime, config: &Settings, web: TcpListener) -> Result<Phases> {
    let (current, web_address) = (config.clone(), web.local_addr()?);
    let upstream = Supervisor::with_init(move |_| async move {
        Ok(Supervisor::one_for_one().child(edge::upstream(current.borrow().upstream.clone())))
    });
    let listener = device::listener(rt, config.clone());
    let address = listener.address();
    let announce = ChildSpec::task("announce", move |_| async move {
        let devices = address.bound().await.ok_or("the listener has ended")?;
        println!("devices: {devices} web: {web_address}");
        Ok(())
    });
    let storage = Supervisor::one_for_one().child(store::child(config.clone()));
    let edge = Supervisor::one_for_one()
        .child(DynamicSupervisor::new().named("devices"))
        .child(ChildSpec::from(upstream.with_id("upstream")).readiness(Readiness::Ignored))
        .child(edge::web(rt, Keep::of(web)))
        .child(listener)
        .child(announce.restart(Restart::Temporary));
    Ok(Phases::new("gateway").phase("storage", storage).phase("edge", edge))
}
// ANCHOR_END: tree

// ANCHOR: program
fn run(path: String) -> ExitCode {
    regrow::log::init(LogLevel::Info);
    Program::new().run(async move || {
        let rt = Runtime::new();
        rt.propagate_deadlines(true);
        let (valid, config) = watch::channel(Config::read(&path)?);
        let address = config.borrow().web;
        let gateway = gateway(&rt, &config, TcpListener::bind(address).await?)?;
        let reload = async move || {
            valid.send_replace(Config::read(&path)?);
            Ok(())
        };
        let run = Run::from(gateway).on(&rt).deadline(Duration::from_secs(20));
        let run = run.on_hangup(reload).restart_on_hangup("edge/upstream");
        Ok(run.systemd(WatchdogPing::WhileAlive))
    })
}
// ANCHOR_END: program

fn main() -> Result<ExitCode> {
    match std::env::args().nth(1) {
        Some(flag) if flag == "--selftest" => selftest::run(),
        path => Ok(run(path.unwrap_or_else(|| "gateway.json".into()))),
    }
}
