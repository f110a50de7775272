//! The daemon of the examples as the operating system sees it: a real process, stopped by real
//! signals, while it works and while a child of it hangs.
#![cfg(all(unix, feature = "process"))]

use std::io::{BufRead, BufReader, Lines};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// The example, built once, where cargo puts it: beside the directory of this test.
fn daemon() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--quiet", "--example", "daemon"]);
        if cfg!(feature = "serde") {
            cargo.arg("--all-features"); // built already
        } else {
            cargo.arg("--features=process");
        }
        assert!(cargo.current_dir(env!("CARGO_MANIFEST_DIR")).status().unwrap().success());
        let here = std::env::current_exe().unwrap();
        here.ancestors().nth(2).unwrap().join("examples/daemon")
    })
}

/// A daemon with a configuration of its own.
struct Daemon {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    conf: PathBuf,
}

impl Daemon {
    fn start(name: &str, deadline_ms: u32, flags: &[&str]) -> Daemon {
        let file = format!("regrow-programs-{name}-{}.conf", std::process::id());
        let conf = std::env::temp_dir().join(file);
        let text = format!("greeting = hello\nevery_ms = 200\ndeadline_ms = {deadline_ms}\n");
        std::fs::write(&conf, text).unwrap();
        let mut command = Command::new(daemon());
        command.arg(&conf).args(flags).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut daemon = Daemon { child, lines, conf };
        daemon.says("is up");
        daemon
    }

    /// Reads on until a line holds this.
    fn says(&mut self, text: &str) -> String {
        let line = self.lines.find(|line| line.as_ref().is_ok_and(|line| line.contains(text)));
        line.unwrap_or_else(|| panic!("it never said {text:?}")).unwrap()
    }

    fn signal(&self, signal: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", signal, &id]).status().unwrap().success());
    }

    /// All it says from here on, and its exit code.
    fn rest(mut self) -> (Vec<String>, Option<i32>) {
        let rest = self.lines.by_ref().map(Result::unwrap).collect();
        (rest, self.child.wait().unwrap().code())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        drop(self.child.kill()); // it has ended, unless the test failed
        drop(std::fs::remove_file(&self.conf));
    }
}

/// The children that a report names, in their order, and what became of each.
fn reported(lines: &[String]) -> Vec<(&str, &str)> {
    let from = lines.iter().position(|line| line.starts_with("stopped by")).expect("a report");
    let children = lines[from + 1..].iter();
    children.map(|line| line.trim().split_once("  ").expect("a path and more")).collect()
}

/// What is under way is finished, everybody stops in reverse order, long before the deadline.
#[test]
fn a_terminated_daemon_drains_and_exits_with_success() {
    let daemon = Daemon::start("drains", 600_000, &[]);
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

/// A child that never ends costs the deadline, no more and no less, and is named.
#[test]
fn a_hung_child_is_cut_short_at_the_deadline_and_named() {
    let deadline = Duration::from_millis(700);
    let daemon = Daemon::start("hangs", 700, &["--hang"]);
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
    assert!(hung.1.ends_with("overran its time, killed"), "{report:?}");
}

/// Whoever is in a hurry asks twice: then no deadline is waited for.
#[test]
fn a_second_signal_ends_a_hung_daemon_at_once() {
    let daemon = Daemon::start("hurries", 600_000, &["--hang"]);
    daemon.signal("TERM");
    daemon.signal("INT");
    let (lines, code) = daemon.rest();
    assert_eq!(code, Some(1), "{lines:#?}");
    assert!(lines.iter().any(|line| line.ends_with("forced")), "{lines:#?}");
}

/// What is wrong with the configuration has an exit code of its own.
#[test]
fn a_daemon_without_a_configuration_does_not_start() {
    let run = Command::new(daemon()).arg("/no/such/file").output().unwrap();
    assert_eq!(run.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&run.stderr).contains("/no/such/file"));
}
