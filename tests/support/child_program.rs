//! A program under test: the running test binary, started again as a child process.

use std::io::{BufRead, BufReader, Lines, Read};
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// The environment variable that names the program.
pub const PROGRAM: &str = "REGROW_TEST_PROGRAM";

/// Returns the program that this process was started as, if it was started as one.
pub fn kind() -> Option<String> {
    std::env::var(PROGRAM).ok()
}

/// Returns the command that starts the test binary again as the program `kind`, by the test `test`.
///
/// A process inherits ignored signals: a shell makes a background job ignore SIGINT, and `nohup`
/// makes its program ignore SIGHUP. This command starts the program with the default actions
/// nevertheless, if `env` can set them.
pub fn command(test: &str, kind: &str) -> Command {
    let itself = std::env::current_exe().unwrap();
    let mut command = if cfg!(target_os = "linux") && is_any_ignored() {
        let mut command = Command::new("env");
        command.arg("--default-signal=INT,HUP").arg(itself);
        command
    } else {
        Command::new(itself)
    };
    command.args(["--exact", test, "--nocapture", "--test-threads=1"]).env(PROGRAM, kind);
    command
}

/// Returns whether this process ignores SIGHUP or SIGINT.
fn is_any_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    // The bits of the signals 1 (SIGHUP) and 2 (SIGINT).
    ignored.is_some_and(|mask| mask & 0b11 != 0)
}

/// A program that runs.
pub struct Started {
    pub child: Child,
    pub lines: Lines<BufReader<ChildStdout>>,
    errors: ChildStderr,
}

impl Started {
    pub fn new(mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let errors = child.stderr.take().unwrap();
        Started { child, lines, errors }
    }

    /// Reads standard output up to a line that contains `text`, and returns the line.
    pub fn says(&mut self, text: &str) -> String {
        let line = self.lines.find(|line| line.as_ref().is_ok_and(|line| line.contains(text)));
        line.unwrap_or_else(|| panic!("it never said {text:?}")).unwrap()
    }

    pub fn signal(&self, signal: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", signal, &id]).status().unwrap().success());
    }

    /// Waits for the end of the program; returns its exit status and its standard error. Kills the
    /// program if that takes more than 20 s.
    pub fn end(mut self) -> (ExitStatus, String) {
        let id = self.child.id().to_string();
        let (done, wait) = mpsc::channel::<()>();
        let killer = std::thread::spawn(move || {
            let limit = Duration::from_secs(20);
            if wait.recv_timeout(limit) == Err(mpsc::RecvTimeoutError::Timeout) {
                Command::new("kill").args(["-s", "KILL", &id]).status().unwrap();
            }
        });
        let mut errors = String::new();
        self.errors.read_to_string(&mut errors).unwrap();
        let status = self.child.wait().unwrap();
        drop(done);
        killer.join().unwrap();
        (status, errors)
    }
}
