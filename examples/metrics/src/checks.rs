//! What the selftest asserts of a running Prometheus.

use regrow::{Counters, ExitClass, Runtime};
use serde_json::Value;
use tokio::process::Command;

use crate::prometheus::{Prometheus, Result, Series, file};

/// The alerts of `alerts.yml`.
const ALERTS: [&str; 4] =
    ["RegrowChildGivenUp", "RegrowRestartStorm", "RegrowMailboxOld", "RegrowMessagesLost"];

/// Asserts that each counter in Prometheus equals the counter of the runtime. Nothing must happen
/// meanwhile. Returns the number of counters.
pub(crate) async fn exact(prometheus: &Prometheus, rt: &Runtime) -> Result<usize> {
    let truth = rt.counters();
    let mut expected = totals(&truth);
    for child in &truth.children {
        let path = child.path.replace('\\', "\\\\").replace('"', "\\\"");
        expected.push((format!("regrow_restarts_total{{path=\"{path}\"}}"), child.restarts));
        expected.push((format!("regrow_give_ups_total{{path=\"{path}\"}}"), child.give_ups));
    }
    for (query, total) in &expected {
        let is_equal = |found: &[Series]| matches!(found, [one] if one.value == *total as f64);
        prometheus.wait(query, is_equal).await.map_err(|error| format!("{total}: {error}"))?;
    }
    let sum = truth.children.iter().map(|child| child.restarts).sum::<u64>() as f64;
    let found = prometheus.query("sum(regrow_restarts_total)").await?;
    assert_eq!(found.iter().map(|found| found.value).sum::<f64>(), sum, "no restart is elsewhere");
    assert_eq!(rt.counters(), truth, "nothing has happened meanwhile");
    Ok(expected.len())
}

fn totals(truth: &Counters) -> Vec<(String, u64)> {
    let ended = |class: ExitClass, count: u64| {
        (format!("regrow_processes_ended_total{{class=\"{class}\"}}"), count)
    };
    vec![
        ("regrow_processes_spawned_total".into(), truth.spawned),
        ended(ExitClass::Normal, truth.ended.normal),
        ended(ExitClass::Shutdown, truth.ended.shutdown),
        ended(ExitClass::Error, truth.ended.error),
        ended(ExitClass::Panic, truth.ended.panic),
        ended(ExitClass::Killed, truth.ended.killed),
        ended(ExitClass::NoProcess, truth.ended.no_process),
        ("sum(regrow_processes_ended_total)".into(), truth.ended.total()),
        ("regrow_messages_refused_total".into(), truth.refused),
        ("regrow_messages_dropped_total".into(), truth.dropped),
        ("regrow_messages_unhandled_total".into(), truth.unhandled),
        ("regrow_calls_timed_out_total".into(), truth.timed_out),
    ]
}

/// Asserts that each query of the dashboard has data. Returns the number of queries.
pub(crate) async fn dashboard(prometheus: &Prometheus) -> Result<usize> {
    let dashboard: Value = serde_json::from_str(&std::fs::read_to_string(file("grafana.json"))?)?;
    let panels = dashboard["panels"].as_array().ok_or("grafana.json has no panels")?;
    let mut queries = 0;
    for panel in panels {
        for target in panel["targets"].as_array().into_iter().flatten() {
            let expr = target["expr"].as_str().ok_or("a target without a query")?;
            // Grafana sets it to at least four scrapes.
            let query = expr.replace("$__rate_interval", "3s");
            let has_data = |found: &[Series]| found.iter().any(|found| found.value.is_finite());
            let found = prometheus.wait(&query, has_data).await;
            let title = &panel["title"];
            let found = found.map_err(|error| format!("panel {title}: {error}"))?;
            println!("  {title}: {} series", found.len());
            queries += 1;
        }
    }
    Ok(queries)
}

/// Asserts that Prometheus has loaded all alerts, and that those of the storm fire.
pub(crate) async fn alerts(prometheus: &Prometheus) -> Result<()> {
    let rules = prometheus.get("/api/v1/rules").await?;
    let groups = rules["data"]["groups"].as_array().into_iter().flatten();
    let rules: Vec<_> = groups.flat_map(|group| group["rules"].as_array()).flatten().collect();
    let names: Vec<_> = rules.iter().filter_map(|rule| rule["name"].as_str()).collect();
    assert_eq!(names, ALERTS);
    assert!(rules.iter().all(|rule| rule["health"] == "ok"), "{rules:#?}");
    for (name, path) in [
        ("RegrowChildGivenUp", "shop/work/broken"),
        ("RegrowRestartStorm", "shop/storm/panics 1"),
        ("RegrowMessagesLost", ""),
    ] {
        let query = format!("ALERTS{{alertname=\"{name}\",alertstate=\"firing\"}}");
        let fires = |found: &[Series]| found.iter().any(|found| found.label("path") == path);
        prometheus.wait(&query, fires).await?;
        println!("  {name} fires");
    }
    Ok(())
}

/// Runs `promtool` on the alerts and on their tests.
pub(crate) async fn promtool() -> Result<()> {
    for arguments in [["check", "rules", "alerts.yml"], ["test", "rules", "alerts_test.yml"]] {
        let output =
            Command::new("promtool").args(arguments).current_dir(file("")).output().await?;
        let [stdout, stderr] =
            [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned());
        assert!(output.status.success(), "promtool {arguments:?}\n{stdout}{stderr}");
        println!("  promtool {}: passed", arguments.join(" "));
    }
    Ok(())
}
