//! Reports to systemd. The tests are the service manager: they read the socket that the program
//! under test, a real process, reports to.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::Duration;

use regrow::{ChildSpec, Health, Program, Run, Supervisor, WatchdogPing};
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};

use crate::support::child_program::{Started, command, kind};

/// `WatchdogSec` of the tests.
const WATCHDOG: Duration = Duration::from_millis(200);

/// The time after which the pings have stopped for certain.
const SILENCE: Duration = Duration::from_secs(1);

/// The program that the tests start; not a test itself.
#[test]
fn program_under_test() {
    let Some(kind) = kind() else { return };
    let ping = match kind.as_str() {
        "alive" | "blocks" => WatchdogPing::WhileAlive,
        _ => WatchdogPing::WhileReady,
    };
    let blocks = kind == "blocks";
    let code = Program::new().tokio(Builder::new_current_thread()).run(async || {
        let tree = Supervisor::one_for_one().named("app").child(toggles(blocks));
        let reload = async || if blocked_by_a_file() { Err("no configuration")? } else { Ok(()) };
        Ok(Run::new(tree).systemd(ping).on_hangup(reload))
    });
    std::process::exit(if code == ExitCode::SUCCESS { 0 } else { 1 });
}

/// Whether the reload is to fail.
fn blocked_by_a_file() -> bool {
    std::env::var("REGROW_TEST_REFUSES").is_ok()
}

/// A child that is not ready at its start, and changes that at each `SIGUSR1`; or blocks its thread
/// at the second one.
fn toggles(blocks: bool) -> ChildSpec {
    ChildSpec::task("slow", move |ctx| async move {
        let mut toggle = signal(SignalKind::user_defined1())?;
        loop {
            ctx.set_health(Health::Starting);
            println!("unready");
            toggle.recv().await;
            ctx.set_health(Health::Ready);
            toggle.recv().await;
            if blocks {
                let (_sender, never) = std::sync::mpsc::channel::<()>();
                never.recv()?;
            }
        }
    })
}

/// The socket of a service manager.
struct Manager {
    socket: UnixDatagram,
    path: PathBuf,
}

impl Manager {
    fn new(test: &str) -> Self {
        let name = format!("regrow-systemd-{test}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let _ = std::fs::remove_file(&path);
        Manager { socket: UnixDatagram::bind(&path).unwrap(), path }
    }

    fn command(&self, kind: &str) -> Command {
        let mut command = command("systemd::program_under_test", kind);
        command.env("NOTIFY_SOCKET", &self.path).env_remove("WATCHDOG_PID");
        command.env("WATCHDOG_USEC", WATCHDOG.as_micros().to_string());
        command
    }

    /// Starts the program, and waits until its tree has started.
    fn start(&self, kind: &str) -> Started {
        let mut program = Started::new(self.command(kind));
        program.says("unready");
        program
    }

    /// Returns the next report; `None` if there is none for this time.
    fn next(&self, limit: Duration) -> Option<Vec<String>> {
        self.socket.set_read_timeout(Some(limit)).unwrap();
        let mut text = [0; 4096];
        let received = loop {
            match self.socket.recv(&mut text) {
                // A signal to this process.
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                received => break received,
            }
        };
        match received {
            Ok(length) => {
                let text = String::from_utf8(text[..length].to_vec()).unwrap();
                Some(text.lines().map(str::to_owned).collect())
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                None
            }
            Err(error) => panic!("{error}"),
        }
    }

    /// Reads the reports up to the one with this line. Returns all lines that came before it.
    fn reads(&self, line: &str) -> BTreeSet<String> {
        let mut before = BTreeSet::new();
        loop {
            let report = self.next(Duration::from_secs(20));
            let report = report.unwrap_or_else(|| panic!("no {line:?} came after {before:?}"));
            if report.iter().any(|has| has == line) {
                return before;
            }
            before.extend(report);
        }
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

#[test]
fn a_program_is_ready_when_its_tree_is_and_pings_only_while_it_is() {
    let manager = Manager::new("ready");
    let mut program = manager.start("ready");
    let before = manager.reads("STATUS=slow is starting");
    assert_eq!(before, BTreeSet::from(["STATUS=starting".to_owned()]));
    assert_eq!(manager.next(SILENCE), None, "neither ready nor a ping");

    program.signal("USR1");
    let ready = manager.next(SILENCE * 20).unwrap();
    assert_eq!(ready, ["READY=1", "STATUS=ready"]);
    for _ in 0..5 {
        manager.reads("WATCHDOG=1");
    }
    program.signal("USR1");
    program.says("unready");
    manager.reads("STATUS=slow is starting");
    assert_eq!(manager.next(SILENCE), None, "no ping");

    program.signal("USR1");
    let again = manager.reads("WATCHDOG=1");
    assert_eq!(again, BTreeSet::from(["STATUS=ready".to_owned()]), "READY=1 is sent once");
    program.signal("TERM");
    let before = manager.reads("STOPPING=1");
    assert!(before.is_subset(&BTreeSet::from(["WATCHDOG=1".to_owned()])), "{before:?}");
    assert_eq!(program.end().0.code(), Some(0));
    let last = std::iter::from_fn(|| manager.next(SILENCE)).last().unwrap();
    assert!(last[0].starts_with("STATUS=stopped by SIGTERM in"), "{last:?}");
}

#[test]
fn a_program_that_pings_while_it_is_alive_pings_while_it_is_not_ready() {
    let manager = Manager::new("alive");
    let mut program = manager.start("alive");
    manager.reads("STATUS=slow is starting");
    assert_eq!(manager.next(SILENCE), None, "no ping before the program is ready");
    program.signal("USR1");
    manager.reads("READY=1");
    program.signal("USR1");
    program.says("unready");
    manager.reads("STATUS=slow is starting");
    for _ in 0..5 {
        manager.reads("WATCHDOG=1");
    }
    program.signal("TERM");
    manager.reads("STOPPING=1");
    assert_eq!(program.end().0.code(), Some(0));
}

/// No thread runs async code any more. A thread that sent pings would go on.
#[test]
fn a_program_whose_threads_are_blocked_pings_no_more() {
    let manager = Manager::new("blocks");
    let program = manager.start("blocks");
    program.signal("USR1");
    manager.reads("READY=1");
    manager.reads("WATCHDOG=1");
    program.signal("USR1");
    // The pings that were under way come first.
    let pings = std::iter::from_fn(|| manager.next(SILENCE)).take(50).count();
    assert!(pings < 50, "the pings go on");
    program.signal("KILL");
    program.end();
}

#[test]
fn a_reload_is_reported_from_its_beginning_to_its_end() {
    let manager = Manager::new("reload");
    for refuses in [false, true] {
        let mut command = manager.command("ready");
        if refuses {
            command.env("REGROW_TEST_REFUSES", "1");
        }
        let mut program = Started::new(command);
        program.says("unready");
        program.signal("USR1");
        manager.reads("READY=1");
        program.signal("HUP");
        let mut reports = std::iter::from_fn(|| manager.next(SILENCE * 20));
        let reloading = reports.find(|report| report[0] == "RELOADING=1").unwrap();
        let time = reloading[1].strip_prefix("MONOTONIC_USEC=").unwrap();
        assert!(time.parse::<u64>().unwrap() > 0);
        let end = reports.find(|report| report[0] == "READY=1").unwrap();
        assert_eq!(end[1].contains("failed"), refuses, "{end:?}");
        program.signal("TERM");
        manager.reads("STOPPING=1");
        assert_eq!(program.end().0.code(), Some(0));
        while manager.next(Duration::from_millis(1)).is_some() {}
    }
}

#[test]
fn a_program_runs_without_a_service_manager_and_without_its_socket() {
    for address in [None, Some("/no/such/socket")] {
        let mut command = command("systemd::program_under_test", "ready");
        command.env_remove("NOTIFY_SOCKET");
        command.envs(address.map(|address| ("NOTIFY_SOCKET", address)));
        let mut program = Started::new(command);
        program.says("unready");
        program.signal("TERM");
        assert_eq!(program.end().0.code(), Some(0));
    }
}
