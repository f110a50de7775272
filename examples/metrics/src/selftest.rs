//! The selftest: a storm of 10,000 crashes under the eyes of a real Prometheus.

use std::net::SocketAddr;
use std::process::{Command, ExitCode, Stdio};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use metrics_exporter_prometheus::PrometheusHandle;
use regrow::{Runtime, SupervisorRef};
use tokio::net::TcpListener;
use tokio::time::{sleep, timeout};

use crate::checks;
use crate::prometheus::{Prometheus, Result};
use crate::shop::{self, CRASHED, HANDLED};

/// The number of crashes of the storm.
const CRASHES: u32 = 10_000;

/// How long the storm may take.
const LIMIT: Duration = Duration::from_secs(60);

/// Runs the selftest, if Prometheus is installed.
pub(crate) fn main(rt: Runtime, rendered: PrometheusHandle) -> ExitCode {
    let is_installed = |program: &str| {
        let mut version = Command::new(program);
        version.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
        version.status().is_ok_and(|status| status.success())
    };
    if !["prometheus", "promtool"].into_iter().all(is_installed) {
        println!("!!! SKIPPED: `prometheus` and `promtool` are not installed (Debian: prometheus)");
        return ExitCode::SUCCESS;
    }
    let tokio = tokio::runtime::Runtime::new().expect("tokio starts");
    match tokio.block_on(selftest(rt, rendered)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("the selftest failed: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn selftest(rt: Runtime, rendered: PrometheusHandle) -> Result<()> {
    let began = Instant::now();
    let step = |text: &str| println!("{:4.1} s  {text}", began.elapsed().as_secs_f64());
    let address = free_address().await?;
    let tree = shop::tree(&rt, rendered, address, Duration::from_millis(50)).start(&rt).await?;
    let prometheus = Prometheus::start(address).await?;
    step("Prometheus scrapes the shop");

    tree.start_child(shop::storm(CRASHES)).await?;
    let crashes = u64::from(CRASHES);
    timeout(LIMIT, async {
        while CRASHED.load(Ordering::SeqCst) < crashes {
            sleep(Duration::from_millis(10)).await;
        }
    })
    .await?;
    let scrapes = prometheus.query("count_over_time(regrow_processes[10m])").await?;
    let scrapes = scrapes.first().map_or(0.0, |scrapes| scrapes.value);
    step(&format!("{crashes} processes have crashed; {scrapes} scrapes so far"));

    let queries = checks::dashboard(&prometheus).await?;
    step(&format!("each of the {queries} queries of the dashboard has data"));
    checks::alerts(&prometheus).await?;
    step("the alerts are loaded, and those of the storm fire");

    end_the_work(&tree).await?;
    let restarts = prometheus
        .wait("sum(regrow_restarts_total{path=~\"shop/storm/.*\"})", |found| {
            found.iter().any(|found| found.value == f64::from(CRASHES))
        });
    restarts.await?;
    let counters = checks::exact(&prometheus, &rt).await?;
    let handled = HANDLED.load(Ordering::SeqCst) as f64;
    let count = "regrow_handling_seconds_count{path=\"shop/work/orders\"}";
    prometheus.wait(count, |found| matches!(found, [one] if one.value == handled)).await?;
    step(&format!("{counters} counters and a histogram of {handled} orders equal the truth"));

    checks::promtool().await?;
    tree.stop().await?;
    step("done");
    Ok(())
}

/// Stops everything but the exporter and the web, so that nothing more happens.
async fn end_the_work(tree: &SupervisorRef) -> Result<()> {
    tree.terminate_child("storm").await?;
    tree.terminate_child("work").await?;
    Ok(())
}

async fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0").await?.local_addr()?)
}
