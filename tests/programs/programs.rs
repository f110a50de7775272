//! The example `daemon` as a real process. Real signals stop it while it works and while one of its
//! children hangs.

use crate::support::cargo::cargo;
use crate::support::program;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use program::{Program, reported};

/// Builds the example if necessary, and returns its path, next to the directory of this test.
fn daemon() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let mut cargo = cargo();
        cargo.args(["build", "--quiet", "--example", "daemon"]);
        // With the features of this test, the example is usually built already.
        let feature = if cfg!(feature = "serde") { "--all-features" } else { "--features=process" };
        cargo.arg(feature);
        assert!(cargo.status().unwrap().success());
        let here = std::env::current_exe().unwrap();
        here.ancestors().nth(2).unwrap().join("examples/daemon")
    })
}

/// The configuration file of one daemon; removed when dropped.
struct Conf(PathBuf);

impl Conf {
    fn new(name: &str) -> Conf {
        let file = format!("regrow-programs-{name}-{}.conf", std::process::id());
        Conf(std::env::temp_dir().join(file))
    }

    fn write(&self, greeting: &str, deadline_ms: u32) {
        let text = format!("greeting = {greeting}\nevery_ms = 200\ndeadline_ms = {deadline_ms}\n");
        std::fs::write(&self.0, text).unwrap();
    }

    /// Starts a daemon, and waits until it is up.
    fn start(&self, deadline_ms: u32, flags: &[&str]) -> Program {
        self.write("hello", deadline_ms);
        let mut program = Program::start(Command::new(daemon()).arg(&self.0).args(flags));
        program.says("is up");
        program
    }
}

impl Drop for Conf {
    fn drop(&mut self) {
        drop(std::fs::remove_file(&self.0));
    }
}

/// Jobs under way are finished, and the children stop in reverse order, long before the deadline.
#[test]
fn a_terminated_daemon_drains_and_exits_with_success() {
    let conf = Conf::new("drains");
    let mut daemon = conf.start(600_000, &[]);
    let asked = Instant::now();
    daemon.signal("TERM");
    let (lines, code) = daemon.rest();
    assert_eq!(code, Some(0), "{lines:#?}");
    assert!(asked.elapsed() < Duration::from_secs(600));

    let jobs = lines.iter().find(|line| line.starts_with("jobs: ")).expect("it drained");
    let counts: Vec<u32> = jobs.split(' ').filter_map(|word| word.parse().ok()).collect();
    assert!(counts[1] > 0 && counts[1] == counts[2], "{jobs}");
    let report = reported(&lines);
    let paths: Vec<&str> = report.iter().map(|(path, _)| *path).collect();
    assert_eq!(paths, ["daemon/intake/feed", "daemon/intake", "daemon/helper", "daemon/jobs"]);
    assert!(report.iter().all(|(_, rest)| rest.ends_with("stopped (shutdown)")), "{report:?}");
}

/// A child that never ends delays the stop until the deadline, and is named in the report.
#[test]
fn a_hung_child_is_killed_at_the_deadline_and_named_in_the_report() {
    let deadline = Duration::from_millis(700);
    let conf = Conf::new("hangs");
    let mut daemon = conf.start(700, &["--hang"]);
    let asked = Instant::now();
    daemon.signal("TERM");
    let (lines, code) = daemon.rest();
    assert_eq!(code, Some(1), "{lines:#?}");
    assert!(asked.elapsed() >= deadline, "it was cut short before its time");

    assert!(
        lines.iter().any(|line| line.starts_with("stopped by SIGTERM") && line.ends_with("forced"))
    );
    let report = reported(&lines);
    let hung = report.iter().find(|(path, _)| *path == "daemon/hung").expect("it is named");
    let line = "overran its time, killed: it was at work of its own";
    assert!(hung.1.ends_with(line), "{report:?}");
}

/// A second signal skips the deadline.
#[test]
fn a_second_signal_ends_a_hung_daemon_at_once() {
    let conf = Conf::new("hurries");
    let mut daemon = conf.start(600_000, &["--hang"]);
    daemon.signal("TERM");
    daemon.signal("INT");
    let (lines, code) = daemon.rest();
    assert_eq!(code, Some(1), "{lines:#?}");
    assert!(lines.iter().any(|line| line.ends_with("forced")), "{lines:#?}");
}

/// A daemon whose configuration can't be read exits with code 2 and names the file.
#[test]
fn a_daemon_without_a_configuration_does_not_start() {
    let run = Command::new(daemon()).arg("/no/such/file").output().unwrap();
    assert_eq!(run.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&run.stderr).contains("/no/such/file"));
}

/// A reload with an invalid configuration changes nothing. The next hangup with a valid one is
/// handled as any other.
#[test]
fn a_reload_with_an_invalid_configuration_changes_nothing() {
    let conf = Conf::new("reloads");
    let mut daemon = conf.start(600_000, &[]);
    std::fs::write(&conf.0, "greeting = nothing else\n").unwrap();
    daemon.signal("HUP");
    let line = daemon.logs("reload refused");
    assert!(line.contains("ERROR") && line.contains("there is no `every_ms`"), "{line}");

    conf.write("welcome back", 600_000);
    daemon.signal("HUP");
    daemon.says("feed: welcome back");
    daemon.signal("TERM");
    let (lines, code) = daemon.rest();
    assert_eq!(code, Some(0), "{lines:#?}");
}

/// A reload that was refused leaves the subtree running, which then stops in order.
#[test]
fn a_daemon_stops_cleanly_after_a_refused_reload() {
    let conf = Conf::new("fails");
    let mut daemon = conf.start(600_000, &[]);
    std::fs::remove_file(&conf.0).unwrap();
    daemon.signal("HUP");
    daemon.logs("reload refused");
    daemon.signal("TERM");
    let (lines, code) = daemon.rest();
    assert_eq!(code, Some(0), "{lines:#?}");
    let paths: Vec<&str> = reported(&lines).iter().map(|(path, _)| *path).collect();
    let expected = ["daemon/intake/feed", "daemon/intake", "daemon/helper", "daemon/jobs"];
    assert_eq!(paths, expected);
}
