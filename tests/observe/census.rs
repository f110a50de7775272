//! The census: a periodic log line of the processes that are alive, written only after a change.

use crate::support;

use std::time::Duration;

use regrow::{LogLevel, Runtime};
use support::log::{Line, Log};
use support::{idle, killed, settled};
use tokio::time::sleep;

/// Returns a runtime whose census is enabled, and the log that receives the census lines.
fn telling() -> (Log, Runtime) {
    let (log, rt) = (Log::listen(), Runtime::new());
    rt.set_log_level(LogLevel::Info);
    (log, rt)
}

/// Returns the labels and tags of the census lines since the last call of this function.
fn census_lines(log: &Log) -> Vec<(String, String)> {
    let of = |line: &Line| (line.field("labels").to_owned(), line.field("tags").to_owned());
    log.take().iter().filter(|line| line.head() == "INFO census").map(of).collect()
}

fn line(labels: &str, tags: &str) -> (String, String) {
    (labels.to_owned(), tags.to_owned())
}

/// Waits until just before the census line that follows a change is due.
async fn almost_due() {
    sleep(Duration::from_millis(1_999)).await;
}

async fn quiet_hour() {
    sleep(Duration::from_secs(3_600)).await;
}

/// SYS-012. Many changes within two seconds are logged as one line, two seconds after the first of
/// them.
#[tokio::test(start_paused = true)]
async fn many_changes_produce_one_census_line_two_seconds_after_the_first() {
    let (log, rt) = telling();
    let [a1, a2, b] = [idle(&rt), idle(&rt), idle(&rt)];
    rt.set_label(a1, "alpha");
    settled().await;
    rt.set_label(a2, "alpha");
    rt.set_label(b, "beta");
    rt.register_tag("g", a1);
    rt.register_tag("g", idle(&rt));
    sleep(Duration::from_millis(1_998)).await;
    assert_eq!(census_lines(&log), []);
    sleep(Duration::from_millis(2)).await;
    assert_eq!(census_lines(&log), [line("alpha 2, beta 1", "g 2")]);
}

/// SYS-012.
#[tokio::test(start_paused = true)]
async fn the_end_of_a_labelled_process_produces_a_census_line() {
    let (log, rt) = telling();
    let [one, other] = [idle(&rt), idle(&rt)];
    rt.set_label(one, "alpha");
    rt.set_label(other, "alpha");
    quiet_hour().await;
    killed(&rt, one).await;
    almost_due().await;
    assert_eq!(census_lines(&log), [line("alpha 2", "")]);
    sleep(Duration::from_millis(2)).await;
    assert_eq!(census_lines(&log), [line("alpha 1", "")]);
}

/// No line is logged while nothing changes.
#[tokio::test(start_paused = true)]
async fn a_runtime_without_changes_logs_no_census() {
    let (log, rt) = telling();
    let p = idle(&rt);
    quiet_hour().await;
    assert_eq!(census_lines(&log), [], "an unlabelled process is not logged");
    rt.set_label(p, "alpha");
    quiet_hour().await;
    assert_eq!(census_lines(&log).len(), 1);
    rt.send(p, b"busy".to_vec());
    killed(&rt, idle(&rt)).await;
    quiet_hour().await;
    assert_eq!(census_lines(&log), []);
}

/// A labelled process ends and another one with the same label starts: the change is logged,
/// although all counts are as before.
#[tokio::test(start_paused = true)]
async fn a_census_line_is_logged_even_when_the_counts_are_unchanged() {
    let (log, rt) = telling();
    let old = idle(&rt);
    rt.set_label(old, "alpha");
    quiet_hour().await;
    killed(&rt, old).await;
    rt.set_label(idle(&rt), "alpha");
    quiet_hour().await;
    assert_eq!(census_lines(&log), [line("alpha 1", ""), line("alpha 1", "")]);
}

/// Changes more than two seconds apart are logged in one line each.
#[tokio::test(start_paused = true)]
async fn each_burst_of_changes_produces_its_own_census_line() {
    let (log, rt) = telling();
    for n in 1..=3 {
        rt.set_label(idle(&rt), "alpha");
        sleep(Duration::from_secs(2)).await;
        settled().await;
        assert_eq!(census_lines(&log), [line(&format!("alpha {n}"), "")]);
    }
}

/// A line is logged when a process joins a group, and when it leaves the group by a request or by
/// its end. Requests without an effect log no line.
#[tokio::test(start_paused = true)]
async fn joining_and_leaving_a_group_produces_a_census_line() {
    let (log, rt) = telling();
    let (p, q) = (idle(&rt), idle(&rt));
    rt.register_tag("g", p);
    rt.register_tag("g", q);
    quiet_hour().await;
    assert_eq!(census_lines(&log), [line("", "g 2")]);
    rt.unregister_tag("g", p);
    quiet_hour().await;
    assert_eq!(census_lines(&log), [line("", "g 1")]);
    killed(&rt, q).await;
    quiet_hour().await;
    assert_eq!(census_lines(&log), [line("", "")]);
    rt.unregister_tag("g", p);
    rt.register_tag("g", q);
    quiet_hour().await;
    assert_eq!(census_lines(&log), [], "neither of these did anything");
}

/// Below level Info no census is logged. Changes from that time are not logged later, when the
/// level is Info or higher again.
#[tokio::test(start_paused = true)]
async fn no_census_is_logged_below_level_info() {
    let (log, rt) = telling();
    rt.set_log_level(LogLevel::Warn);
    let p = idle(&rt);
    rt.set_label(p, "alpha");
    rt.register_tag("g", p);
    quiet_hour().await;
    rt.set_log_level(LogLevel::Debug);
    quiet_hour().await;
    assert_eq!(census_lines(&log), []);
    rt.set_label(p, "beta");
    sleep(Duration::from_secs(1)).await;
    rt.set_log_level(LogLevel::Off);
    quiet_hour().await;
    assert_eq!(census_lines(&log), [], "turned off before the line was due");
}

/// Returns the number of tokio tasks that have not ended. The test itself is not such a task.
fn alive_tasks() -> usize {
    tokio::runtime::Handle::current().metrics().num_alive_tasks()
}

/// T53. One task logs the census, even if the log level is set several times. The task ends with
/// the runtime.
#[tokio::test(start_paused = true)]
async fn the_census_task_ends_with_its_runtime() {
    let (log, rt) = telling();
    rt.set_log_level(LogLevel::Debug);
    rt.clone().set_log_level(LogLevel::Info);
    assert_eq!(alive_tasks(), 1);
    drop(rt);
    settled().await;
    assert_eq!(alive_tasks(), 0);
    assert_eq!(census_lines(&log), []);
}

/// T53. A runtime that is dropped while a census line is due ends the census task, and the line is
/// not logged.
#[tokio::test(start_paused = true)]
async fn a_pending_census_line_does_not_keep_the_runtime_alive() {
    let (log, rt) = telling();
    let p = idle(&rt);
    rt.set_label(p, "alpha");
    killed(&rt, p).await;
    drop(rt);
    quiet_hour().await;
    assert_eq!(census_lines(&log), []);
    assert_eq!(alive_tasks(), 0);
}

/// A runtime is created, and its census is enabled, before a tokio runtime exists. The census is
/// logged once tokio runs.
#[test]
fn a_log_level_set_before_tokio_starts_takes_effect_later() {
    let (log, rt) = telling();
    let mut tokio = tokio::runtime::Builder::new_current_thread();
    tokio.enable_time().start_paused(true).build().unwrap().block_on(async {
        rt.set_label(idle(&rt), "alpha");
        quiet_hour().await;
    });
    assert_eq!(census_lines(&log), [line("alpha 1", "")]);
}
