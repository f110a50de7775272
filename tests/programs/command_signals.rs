//! A signal that reaches a program and its `command` children at the same time is a stop: no child
//! counts as crashed, no child is started again, and the report is clean. These tests use real
//! processes, real signals and a real terminal.

use std::fs::File;
use std::io::{BufRead, BufReader, Lines, Read};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use regrow::{ChildSpec, Run, Shutdown, Supervisor, SupervisorSpec};

use crate::support::child_program::{PROGRAM, command as command_of, kind};

/// The action of each of the six children on SIGTERM and SIGINT; an empty action leaves the
/// default.
const KINDS: [&str; 6] = ["", "exit 143", "exit 130", "exit 1", "exit 0", ""];

/// A shell script that waits for a signal. Its background `cat` ends with the pipe that the test
/// holds, so no process is left behind.
const WAIT: &str = "exec 3<&0; cat <&3 >/dev/null 2>&1 & while :; do wait; done";

fn command(at: usize) -> ChildSpec {
    let trap = match KINDS[at] {
        "" => String::new(),
        action => format!("trap '{action}' TERM INT; "),
    };
    let script = format!("{trap}echo up $$; {WAIT}");
    // On a loaded machine the parent may receive its own signal more than 100 ms after the child.
    let window = match std::env::var("REGROW_ROUNDS") {
        Ok(_) => Duration::from_millis(100),
        Err(_) => Duration::from_secs(5),
    };
    let child = ChildSpec::command(format!("command {at}"), move || {
        let mut command = tokio::process::Command::new("sh");
        command.args(["-c", &script]);
        command
    });
    child.stop_window(window)
}

fn six(supervisor: SupervisorSpec) -> SupervisorSpec {
    (0..KINDS.len()).map(command).fold(supervisor, SupervisorSpec::child)
}

/// The program that the tests start; not a test itself.
#[test]
fn program_under_test() {
    let Some(kind) = kind() else { return };
    let root = Supervisor::one_for_one().named("app");
    let tree = match kind.as_str() {
        "flat" => six(root),
        "nested" => {
            // The window is shorter than the time for which `slow` delays the order to stop.
            let short = |at| command(at).stop_window(Duration::from_millis(500));
            let inner = Supervisor::one_for_one().with_id("inner");
            let inner = (0..KINDS.len()).map(short).fold(inner, SupervisorSpec::child);
            let slow = ChildSpec::task("slow", |mut ctx| async move {
                ctx.cancellation_token().cancelled().await;
                tokio::time::sleep(Duration::from_secs(2)).await;
                Ok(())
            });
            root.child(inner).child(slow.shutdown(Shutdown::Timeout(Duration::from_secs(60))))
        }
        "group" => root.child(command(0).own_process_group(true)),
        other => panic!("there is no program {other:?}"),
    };
    regrow::log::init(regrow::LogLevel::Warn);
    let tokio = tokio::runtime::Runtime::new().unwrap();
    let code = tokio.block_on(async {
        let outcome = Run::new(tree).run().await;
        match &outcome {
            Ok(report) => println!("{report}"),
            Err(error) => println!("failed: {error}"),
        }
        i32::from(!outcome.is_ok_and(|report| report.is_clean()))
    });
    println!("code {code}");
    std::process::exit(code);
}

fn started(kind: &str) -> Command {
    command_of("command_signals::program_under_test", kind)
}

/// A running program all of whose children are up.
struct Program {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    /// The pids of the children.
    pids: Vec<String>,
}

impl Program {
    fn start(kind: &str, children: usize) -> Self {
        let mut command = started(kind);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let pids = up(&mut lines, children);
        assert_eq!(pids.len(), children);
        Program { child, lines, pids }
    }

    /// Waits for the end of the program. Returns the rest of its output, its log, and its exit
    /// code.
    fn end(mut self) -> (String, String, Option<i32>) {
        let said: Vec<String> = self.lines.map(Result::unwrap).collect();
        let mut log = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
        let code = self.child.wait().unwrap().code();
        (said.join("\n"), log, code)
    }
}

/// Waits until all children are up, and returns their pids.
fn up(lines: &mut impl Iterator<Item = std::io::Result<String>>, children: usize) -> Vec<String> {
    let lines = lines.map(Result::unwrap);
    // The test harness writes the beginning of the first line, without a line break.
    let pids = lines.filter_map(|line| Some(line.split_once("up ")?.1.to_owned()));
    pids.take(children).collect()
}

/// Sends SIGTERM. Returns whether the process existed.
fn terminate(pid: &str) -> bool {
    let pid = nix::unistd::Pid::from_raw(pid.parse().unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).is_ok()
}

fn assert_clean(what: &str, (said, log, code): (String, String, Option<i32>)) {
    assert_eq!(code, Some(0), "{what}:\n{said}\n{log}");
    assert!(!said.contains("up "), "{what}: a child was started again\n{said}\n{log}");
    assert!(!log.contains("ERROR") && !log.contains("WARN"), "{what}:\n{log}");
}

/// Returns the number of rounds. `REGROW_ROUNDS` sets it for runs by hand, and shortens the stop
/// window to 100 ms.
fn rounds() -> u64 {
    std::env::var("REGROW_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(8)
}

/// Waits between two signals.
fn pause(millis: u64) {
    let (_keep, never) = std::sync::mpsc::channel::<()>();
    never.recv_timeout(Duration::from_millis(millis)).unwrap_err();
}

/// Each process of the program receives the signal separately, in any order, as when systemd stops
/// a unit.
#[test]
fn a_signal_to_each_process_of_a_program_is_a_clean_stop() {
    for round in 0..rounds() {
        let delay = round * 50 / rounds().max(2);
        let program = Program::start("flat", 6);
        assert!(program.pids.iter().all(|pid| terminate(pid)));
        pause(delay);
        assert!(terminate(&program.child.id().to_string()));
        assert_clean(&format!("children first, {delay} ms"), program.end());

        let program = Program::start("flat", 6);
        assert!(terminate(&program.child.id().to_string()));
        pause(delay);
        for pid in &program.pids {
            // The process may have ended already.
            terminate(pid);
        }
        assert_clean(&format!("the parent first, {delay} ms"), program.end());
    }
}

/// The stop of the program begins within the stop window of the signalled children, so they count
/// as stopped. Their supervisor asks them to stop long after the window, since it is itself asked
/// after its slow sibling has stopped.
#[test]
fn a_signalled_child_within_its_stop_window_counts_as_stopped() {
    for _ in 0..rounds() / 4 {
        let program = Program::start("nested", 6);
        assert!(program.pids.iter().all(|pid| terminate(pid)));
        assert!(terminate(&program.child.id().to_string()));
        assert_clean("nested", program.end());
    }
}

/// A directory with two named pipes, and a tmux terminal. Both are removed when this is dropped.
struct Terminal {
    directory: PathBuf,
    socket: String,
}

impl Terminal {
    /// Starts no terminal and returns `None` if tmux is not installed.
    fn new(name: &str) -> Option<Self> {
        // Each terminal has its own tmux server, since the server of the last terminal may still be
        // exiting.
        static NEXT: AtomicU32 = AtomicU32::new(0);
        Command::new("tmux").arg("-V").stdout(Stdio::null()).status().ok()?;
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let socket = format!("regrow-{name}-{}-{number}", std::process::id());
        let directory = std::env::temp_dir().join(&socket);
        std::fs::create_dir_all(&directory).unwrap();
        let terminal = Terminal { directory, socket };
        for pipe in ["in", "out"] {
            assert!(Command::new("mkfifo").arg(terminal.path(pipe)).status().unwrap().success());
        }
        Some(terminal)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    fn tmux(&self, args: &[&str]) {
        let status = Command::new("tmux").args(["-L", &self.socket]).args(args).status();
        assert!(status.unwrap().success());
    }

    /// Starts a program in the terminal. Returns its standard input and the lines of its output.
    fn start(&self, kind: &str) -> (File, Lines<BufReader<File>>) {
        let program = started(kind);
        let words = std::iter::once(program.get_program()).chain(program.get_args());
        let words: Vec<_> = words.map(|word| word.to_str().unwrap()).collect();
        let (from, to) = (self.path("in"), self.path("out"));
        let line = format!(
            "trap : INT; {PROGRAM}={kind} {} <{} >{} 2>&1",
            words.join(" "),
            from.display(),
            to.display()
        );
        self.tmux(&["new-session", "-d", &line]);
        let input = File::create(from).unwrap();
        (input, BufReader::new(File::open(to).unwrap()).lines())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let kill = ["-L", &self.socket, "kill-server"];
        drop(Command::new("tmux").args(kill).stderr(Stdio::null()).status());
        drop(std::fs::remove_dir_all(&self.directory));
    }
}

/// The terminal signals its foreground process group: the program and its children.
#[test]
fn ctrl_c_in_a_terminal_is_a_clean_stop() {
    for (kind, children) in [("flat", 6), ("nested", 6), ("group", 1)] {
        for _ in 0..rounds() / 4 {
            let Some(terminal) = Terminal::new(kind) else {
                println!("SKIPPED: there is no tmux; apt-get install tmux");
                return;
            };
            let (_input, mut lines) = terminal.start(kind);
            assert_eq!(up(&mut lines, children).len(), children);
            terminal.tmux(&["send-keys", "C-c"]);
            let said: Vec<String> = lines.map(Result::unwrap).collect();
            let said = said.join("\n");
            assert!(said.contains("stopped by SIGINT"), "{kind}:\n{said}");
            assert!(said.contains("code 0"), "{kind}:\n{said}");
            assert!(!said.contains("up ") && !said.contains("ERROR"), "{kind}:\n{said}");
        }
    }
}
