//! Programs of the operating system as children. The tests wait for lines that real programs print,
//! and for the end of the pipe that they print to. The end is read when none of the programs is
//! left.

use crate::support;

use std::io::{PipeWriter, pipe};
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::time::Duration;

use regrow::{
    ChildSpec, CommandFailed, ExitReason, Restart, RestartLimitReached, Runtime, Shutdown,
    StartError, Supervisor,
};
use support::kinds::only_end;
use support::log::Log;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::net::unix::pipe::Receiver;
use tokio::process::Command;

const HOUR: Duration = Duration::from_secs(3600);

/// Shell code that waits for a signal and leaves no program behind: `cat` ends with the pipe that
/// the test holds.
const WAIT: &str = "cat <&3 >/dev/null & while :; do wait; done";

/// Runs scripts in shells, and receives their output.
struct Shells {
    printed: Lines<BufReader<Receiver>>,
    /// When this is dropped, the shells and their programs read the end of their input.
    _input: PipeWriter,
    /// The other ends of the pipes, until `child` takes them.
    ends: Option<(std::io::PipeReader, PipeWriter)>,
}

impl Shells {
    fn new() -> Self {
        let (output, print) = pipe().unwrap();
        let (read, input) = pipe().unwrap();
        let output = Receiver::from_owned_fd(output.into()).unwrap();
        let printed = BufReader::new(output).lines();
        Shells { printed, _input: input, ends: Some((read, print)) }
    }

    fn child(&mut self, script: &str) -> ChildSpec {
        let (read, print) = self.ends.take().expect("one child for each");
        let script = format!("exec 3<&0; {script}");
        ChildSpec::command("shell", move || {
            let mut command = Command::new("sh");
            command.args(["-c", &script]);
            command.stdin(Stdio::from(read.try_clone().unwrap()));
            command.stdout(Stdio::from(print.try_clone().unwrap()));
            command
        })
    }

    async fn line(&mut self) -> String {
        self.printed.next_line().await.unwrap().unwrap_or_default()
    }

    /// Checks that no process is left that could print, and that nothing was printed.
    async fn is_over(&mut self) {
        assert_eq!(self.printed.next_line().await.unwrap(), None);
    }
}

/// Returns a script that prints a line when it receives SIGTERM, and exits with this code.
fn polite(code: u8) -> String {
    format!("trap 'echo stopping; exit {code}' TERM; echo up; {WAIT}")
}

/// SHU-001: the stop sends SIGTERM. An exit of a program that obeyed it is an end as requested,
/// with every exit code.
#[tokio::test]
async fn a_program_is_stopped_with_sigterm() {
    let untrapped = format!("echo up; {WAIT}");
    for (script, last) in [(polite(0), "stopping"), (polite(143), "stopping"), (untrapped, "")] {
        let (rt, mut shells, log) = (Runtime::new(), Shells::new(), Log::listen());
        let tree = Supervisor::one_for_one().child(shells.child(&script)).start(&rt).await.unwrap();
        assert_eq!(shells.line().await, "up");
        let ended = rt.ended(tree.which_child("shell").await.unwrap().pid().unwrap());
        tree.stop().await.unwrap();
        assert_eq!(ended.await, ExitReason::Shutdown);
        assert_eq!(log.heads(), [""; 0]);
        assert_eq!(shells.line().await, last);
        shells.is_over().await;
    }
}

/// A failure during the stop is reported.
#[tokio::test]
async fn a_program_that_fails_during_its_stop_is_reported() {
    let (rt, mut shells, log) = (Runtime::new(), Shells::new(), Log::listen());
    let tree = Supervisor::one_for_one().child(shells.child(&polite(4))).start(&rt).await.unwrap();
    assert_eq!(shells.line().await, "up");
    let ended = rt.ended(tree.which_child("shell").await.unwrap().pid().unwrap());
    tree.stop().await.unwrap();
    assert_eq!(failure(&ended.await).status.code(), Some(4));
    assert_eq!(log.heads(), ["ERROR exit", "WARN shutdown error"]);
}

fn failure(reason: &ExitReason) -> &CommandFailed {
    let crash = reason.crash().unwrap_or_else(|| panic!("{reason}"));
    crash.downcast_ref().unwrap_or_else(|| panic!("{reason}"))
}

/// SHU-003, T37: the program gets SIGKILL when its shutdown time is over, and has ended before the
/// stop returns.
#[tokio::test]
async fn a_program_that_ignores_sigterm_is_killed_after_its_shutdown_time() {
    let (rt, mut shells, log) = (Runtime::new(), Shells::new(), Log::listen());
    let stubborn = format!("trap '' TERM; echo up; {WAIT}");
    let child = shells.child(&stubborn).shutdown(Shutdown::Timeout(Duration::from_millis(50)));
    let tree = Supervisor::one_for_one().child(child).start(&rt).await.unwrap();
    assert_eq!(shells.line().await, "up");
    let ended = rt.ended(tree.which_child("shell").await.unwrap().pid().unwrap());
    tree.stop().await.unwrap();
    assert_eq!(ended.await, ExitReason::Killed);
    let overran = "WARN shutdown error: it overran its time";
    assert!(log.heads().iter().any(|head| head == overran));
    shells.is_over().await;
}

/// SHU-002.
#[tokio::test]
async fn brutal_kill_kills_a_program_without_sigterm() {
    let (rt, mut shells) = (Runtime::new(), Shells::new());
    let child = shells.child(&polite(0)).shutdown(Shutdown::BrutalKill);
    let tree = Supervisor::one_for_one().child(child).start(&rt).await.unwrap();
    assert_eq!(shells.line().await, "up");
    tree.stop().await.unwrap();
    shells.is_over().await;
}

/// No program outlives its killed supervisor.
#[tokio::test]
async fn a_killed_supervisor_stops_its_program() {
    let (rt, mut shells) = (Runtime::new(), Shells::new());
    let tree = Supervisor::one_for_one().child(shells.child(&polite(0))).start(&rt).await.unwrap();
    assert_eq!(shells.line().await, "up");
    let ended = rt.ended(tree.which_child("shell").await.unwrap().pid().unwrap());
    rt.kill(tree.pid().unwrap());
    assert_eq!(ended.await, ExitReason::Shutdown);
    assert_eq!(shells.line().await, "stopping");
    shells.is_over().await;
    assert_eq!(rt.process_count(), 0);
}

/// No program outlives a runtime that is closed, or a tokio runtime that is dropped.
#[test]
fn dropping_tokio_ends_a_program() {
    let tokio = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (first, second) = (tokio(), tokio());
    let _inside = second.enter();
    let mut shells = Shells::new();
    let child = shells.child(&polite(0));
    let up = || async {
        let rt = Runtime::new();
        Supervisor::one_for_one().child(child).start(&rt).await.unwrap();
    };
    first.block_on(up());
    second.block_on(async { assert_eq!(shells.line().await, "up") });
    drop(first);
    second.block_on(shells.is_over());
}

/// The next incarnation starts only after the killed program has ended.
#[tokio::test]
async fn a_killed_program_has_ended_before_its_restart() {
    let (rt, mut shells) = (Runtime::new(), Shells::new());
    let child = shells.child(&format!("echo $$; {WAIT}"));
    let spec = Supervisor::one_for_one().intensity(9, HOUR).child(child);
    let tree = spec.start(&rt).await.unwrap();
    let mut last = shells.line().await;
    for _ in 0..4 {
        rt.kill(tree.which_child("shell").await.unwrap().pid().unwrap());
        let next = shells.line().await;
        assert_ne!(last, next);
        let ask = format!("kill -0 {last} 2>/dev/null");
        let there = Command::new("sh").args(["-c", &ask]).status().await.unwrap();
        assert!(!there.success(), "{last} is still there");
        last = next;
    }
    tree.stop().await.unwrap();
}

/// ONE-001, ONE-002: the exit status of a program decides about its restart.
#[tokio::test]
async fn the_exit_status_of_a_program_decides_its_exit_reason() {
    let rt = Runtime::new();
    let end = async |script: &str| {
        let mut shells = Shells::new();
        only_end(&rt, shells.child(script)).await
    };
    assert_eq!(end("exit 0").await, ExitReason::Normal);
    let reason = end("exit 7").await;
    assert_eq!(failure(&reason).status.code(), Some(7));
    assert_eq!(reason.to_string(), "error: `sh` failed: exit status: 7");
    // These programs were not asked to stop, so their ends are failures.
    assert_eq!(failure(&end("exit 143").await).status.code(), Some(143));
    assert_eq!(failure(&end("kill -TERM $$").await).status.signal(), Some(15));

    let mut shells = Shells::new();
    let child = shells.child("echo up; exit 1").restart(Restart::Transient);
    let spec = Supervisor::one_for_one().intensity(1, HOUR).child(child);
    let tree = spec.start(&rt).await.unwrap();
    let reason = tree.ended().await;
    let limit = reason.crash().unwrap().downcast_ref::<RestartLimitReached>().unwrap();
    assert_eq!((limit.child.as_str(), limit.restarts), ("shell", 1));
    assert_eq!((shells.line().await, shells.line().await), ("up".into(), "up".into()));
    shells.is_over().await;
}

/// A program that can't be started is a failed start that is reported by name and leaves nothing.
#[tokio::test]
async fn a_missing_program_fails_the_start() {
    let rt = Runtime::new();
    let missing = ChildSpec::command("missing", || Command::new("/no/such/program"));
    let spec = Supervisor::one_for_one().child(missing.named("name"));
    let error = spec.start(&rt).await.unwrap_err();
    let StartError::Child { id, error } = error else { panic!("{error}") };
    let StartError::Failed(reason) = *error else { panic!("{error}") };
    let error = reason.crash().unwrap().downcast_ref::<std::io::Error>().unwrap();
    assert_eq!((id.as_str(), error.kind()), ("missing", std::io::ErrorKind::NotFound));
    assert!(error.to_string().starts_with("`/no/such/program` can't be started: "));
    assert_eq!(rt.leftovers(), regrow::Leftovers::default());
}

/// Piped output is logged line by line, including a last line without a newline.
#[tokio::test]
async fn the_piped_output_of_a_program_is_logged_line_by_line() {
    let (rt, log) = (Runtime::new(), Log::listen());
    let child = ChildSpec::command("talker", || {
        let mut command = Command::new("sh");
        command.args(["-c", "echo one; echo two; printf three; echo wrong >&2"]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    });
    assert_eq!(only_end(&rt, child).await, ExitReason::Normal);
    let mut lines = log.take();
    lines.retain(|line| line.target == "regrow::command");
    let heads = |level: &str| -> Vec<_> {
        lines.iter().map(support::log::Line::head).filter(|head| head.starts_with(level)).collect()
    };
    assert_eq!(heads("INFO"), ["INFO one", "INFO two", "INFO three"]);
    assert_eq!(heads("WARN"), ["WARN wrong"]);
    assert!(lines.iter().all(|line| line.field("child") == "talker"));
    assert!(lines.iter().all(|line| line.field("os_pid").parse::<u32>().is_ok()));
}

/// A program has a name and obeys exit signals, like any child that does not trap exits.
#[tokio::test]
async fn a_program_child_has_a_name_and_obeys_exit_signals() {
    let (rt, mut shells) = (Runtime::new(), Shells::new());
    let child = shells.child(&polite(0)).named("program").restart(Restart::Temporary);
    let tree = Supervisor::one_for_one().child(child).start(&rt).await.unwrap();
    assert_eq!(shells.line().await, "up");
    let pid = rt.whereis("program").unwrap();
    let ended = rt.ended(pid);
    assert!(rt.exit(pid, ExitReason::crashed("by a stranger")));
    assert_eq!(ended.await, ExitReason::crashed("by a stranger"));
    assert_eq!(rt.whereis("program"), None);
    tree.stop().await.unwrap();
    shells.is_over().await;
}

/// Waits until the process with this number has ended and its parent has waited for it.
async fn gone(number: &str) {
    let ask = format!("while kill -0 {number} 2>/dev/null; do sleep 0.01; done");
    assert!(Command::new("sh").args(["-c", &ask]).status().await.unwrap().success());
}

/// A signal from outside may end the program shortly before a stop. The end then counts as a stop,
/// whatever the exit status is.
#[tokio::test]
async fn a_program_that_ends_within_its_stop_window_counts_as_stopped() {
    for last in ["kill -TERM $$", "kill -INT $$", "exit 143", "exit 130", "exit 1", "exit 0"] {
        let (rt, mut shells, log) = (Runtime::new(), Shells::new(), Log::listen());
        let child = shells.child(&format!("echo $$; {last}")).stop_window(HOUR);
        let tree = Supervisor::one_for_one().child(child).start(&rt).await.unwrap();
        gone(&shells.line().await).await;
        let ended = rt.ended(tree.which_child("shell").await.unwrap().pid().unwrap());
        tree.stop().await.unwrap();
        assert_eq!(ended.await, ExitReason::Shutdown, "{last}");
        let told = if last == "exit 1" { vec!["INFO stopped externally"] } else { vec![] };
        assert_eq!(log.heads(), told, "{last}");
        shells.is_over().await;
    }
}

/// A group restart or the kill of its supervisor counts as the stop as well.
#[tokio::test]
async fn a_group_restart_or_a_killed_supervisor_ends_the_stop_window() {
    let (rt, mut shells) = (Runtime::new(), Shells::new());
    let child = shells.child("echo $$; exit 1").stop_window(HOUR);
    let crashing = ChildSpec::task("crashing", |mut ctx| async move {
        ctx.recv().await;
        Err(ExitReason::crashed("as asked"))
    });
    let spec = Supervisor::one_for_all().child(crashing.named("crashing")).child(child);
    let tree = spec.start(&rt).await.unwrap();
    gone(&shells.line().await).await;
    let ended = rt.ended(tree.which_child("shell").await.unwrap().pid().unwrap());
    assert!(rt.send_named("crashing", b"crash".to_vec()));
    assert_eq!(ended.await, ExitReason::Shutdown);

    gone(&shells.line().await).await; // the next incarnation
    let ended = rt.ended(tree.which_child("shell").await.unwrap().pid().unwrap());
    rt.kill(tree.pid().unwrap());
    assert_eq!(ended.await, ExitReason::Shutdown);
    shells.is_over().await;
}

/// While a supervisor above still stops other children, the end of the program waits for its own
/// stop, even with a window of zero.
#[tokio::test]
async fn an_ended_program_waits_for_a_stop_that_has_begun_above() {
    let (rt, mut shells, log) = (Runtime::new(), Shells::new(), Log::listen());
    let child = shells.child(&format!("echo $$; {WAIT}")).stop_window(Duration::ZERO);
    let (stopping, mut hear) = tokio::sync::mpsc::unbounded_channel();
    let slow = ChildSpec::task("slow", move |mut ctx| async move {
        ctx.cancellation_token().cancelled().await;
        stopping.send(())?;
        ctx.recv().await;
        Ok(())
    });
    let inner = Supervisor::one_for_one().named("inner").child(child);
    let tree = Supervisor::one_for_one().child(inner).child(slow.named("slow"));
    let tree = tree.start(&rt).await.unwrap();
    let number = shells.line().await;
    let inner = regrow::SupervisorRef::named(&rt, "inner");
    let ended = rt.ended(inner.which_child("shell").await.unwrap().pid().unwrap());
    let stop = tokio::spawn(async move { tree.stop().await });
    hear.recv().await.unwrap();
    assert!(Command::new("kill").arg(&number).status().await.unwrap().success());
    gone(&number).await;
    // If the end were decided too early, it would be decided by now.
    inner.which_children().await.unwrap();
    assert!(rt.send_named("slow", b"go on".to_vec()));
    stop.await.unwrap().unwrap();
    assert_eq!(ended.await, ExitReason::Shutdown);
    assert_eq!(log.heads(), [""; 0]);
    shells.is_over().await;
}

/// With its own process group, all processes that the program has started are signalled too.
#[tokio::test]
async fn own_process_group_signals_the_whole_group() {
    let inner = |action: &str| format!("sh -c \"trap '{action}' TERM; echo inner; {WAIT}\" &");
    let polite = format!("{} {WAIT}", inner("echo inner stopping; exit 0"));
    let stubborn = format!("trap '' TERM; {} {WAIT}", inner(":"));
    for (script, last) in [(polite, "inner stopping"), (stubborn, "")] {
        let (rt, mut shells) = (Runtime::new(), Shells::new());
        let child = shells.child(&script).own_process_group(true);
        let child = child.shutdown(Shutdown::Timeout(Duration::from_millis(200)));
        let tree = Supervisor::one_for_one().child(child).start(&rt).await.unwrap();
        assert_eq!(shells.line().await, "inner");
        tree.stop().await.unwrap();
        assert_eq!(shells.line().await, last);
        shells.is_over().await;
    }
}

/// Returns a child whose output is logged.
fn piped(script: &str) -> ChildSpec {
    let script = script.to_owned();
    ChildSpec::command("talker", move || {
        let mut command = Command::new("sh");
        command.args(["-c", &script]).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    })
}

/// Returns the number of lines logged for each pipe since the last call.
fn count_lines(log: &Log) -> [usize; 2] {
    let mut told = [0; 2];
    for line in log.take().iter().filter(|line| line.target == "regrow::command") {
        told[usize::from(line.level == tracing::Level::WARN)] += 1;
    }
    told
}

/// Twice the number of operations that tokio allows a task in one poll.
const SHARE: usize = 256;

/// On one thread, a program prints as fast as it can to one pipe or to both. Other tasks run again
/// after few lines, and neither pipe waits until the other is silent. The stop has no limit: what the
/// pipes still hold is logged first, which takes seconds on a machine with other work.
#[tokio::test]
async fn endless_program_output_does_not_starve_other_tasks() {
    for (script, both) in [("exec yes", false), ("yes >&2 & exec yes", true)] {
        let (rt, log) = (Runtime::new(), Log::listen());
        let talker = piped(script).shutdown(Shutdown::Infinity);
        let tree = Supervisor::one_for_one().child(talker).start(&rt).await.unwrap();
        let mut all = [0; 2];
        while all[0] < 20_000 || both && all[1] < 20_000 {
            tokio::task::yield_now().await;
            let now = count_lines(&log);
            assert!(now[0] + now[1] <= SHARE, "{now:?} lines in one go, after {all:?}");
            all = [all[0] + now[0], all[1] + now[1]];
            assert!(all[0].min(all[1]) > 2_000 || all[0] + all[1] < 60_000 || !both, "{all:?}");
        }
        let ended = rt.ended(tree.which_child("talker").await.unwrap().pid().unwrap());
        tree.stop().await.unwrap();
        assert_eq!(ended.await, ExitReason::Shutdown);
    }
}

/// Output without newlines is logged in lines of 8 KiB. Fewer of these long lines are logged before
/// other tasks run.
#[tokio::test]
async fn few_long_lines_are_logged_at_a_time() {
    let (rt, log) = (Runtime::new(), Log::listen());
    let endless = piped("while :; do printf '%02000d' 1; done");
    let tree = Supervisor::one_for_one().child(endless).start(&rt).await.unwrap();
    let mut all = 0;
    while all < 200 {
        tokio::task::yield_now().await;
        let lines = log.take();
        let bytes: usize = lines.iter().map(|line| line.message.len()).sum();
        assert!(bytes <= SHARE * 1024, "{bytes} bytes in one go");
        assert!(lines.iter().all(|line| line.message.len() <= 8 * 1024));
        all += lines.len();
    }
    tree.stop().await.unwrap();
}

/// The end of a program is seen although processes that it started print to its pipes without end.
#[tokio::test]
async fn the_exit_of_a_program_is_seen_while_others_fill_its_pipes() {
    for script in ["yes & exit 3", "yes & yes >&2 & exit 3", "(sleep 3 | cat) & exit 3"] {
        let (rt, _log) = (Runtime::new(), Log::listen());
        let group = piped(script).own_process_group(true);
        let reason = only_end(&rt, group).await;
        assert_eq!(failure(&reason).status.code(), Some(3), "{script}");
    }
}

/// All output of a program is logged before its end is announced, however much it is.
#[tokio::test]
async fn all_output_of_a_program_is_logged_before_its_end() {
    let (rt, log) = (Runtime::new(), Log::listen());
    let last = "yes | head -n 30000; echo last; yes wrong | head -n 9999 >&2; echo worst >&2";
    let child = piped(last);
    assert_eq!(only_end(&rt, child).await, ExitReason::Normal);
    let lines: Vec<_> =
        log.take().into_iter().filter(|line| line.target == "regrow::command").collect();
    let of = |level| {
        let mut told = lines.iter().filter(|line| line.level == level);
        let last = told.next_back().map(|line| line.message.as_str());
        (told.count() + 1, last)
    };
    assert_eq!(of(tracing::Level::INFO), (30_001, Some("last")));
    assert_eq!(of(tracing::Level::WARN), (10_000, Some("worst")));
}

/// A long line is split only between two characters. Bytes that are not UTF-8 are logged as
/// replacement characters, and an empty line is logged only if the program printed one.
#[tokio::test]
async fn long_lines_are_cut_between_characters_and_invalid_utf8_is_replaced() {
    let rt = Runtime::new();
    let lines_of = async |script: &str| {
        let log = Log::listen();
        assert_eq!(only_end(&rt, piped(script)).await, ExitReason::Normal, "{script}");
        let lines = log.take().into_iter().filter(|line| line.target == "regrow::command");
        lines.map(|line| line.message).collect::<Vec<_>>()
    };
    for (character, odd) in [("ä", "x"), ("€", ""), ("€", "x"), ("𝄞", "x"), ("𝄞", "xy")]
    {
        let text = format!("{odd}{}", character.repeat(9_000));
        let lines = lines_of(&format!("printf '%s' '{text}'; printf ' end\\n'")).await;
        assert!(lines.len() > 1 && lines.iter().all(|line| line.len() <= 8 * 1024), "{character}");
        assert_eq!(lines.concat(), format!("{text} end"));
    }
    assert_eq!(lines_of("printf '%08192d\\n\\nb\\r\\n' 1").await[1..], ["", "b"]);
    assert_eq!(lines_of("printf 'a\\377\\303\\n\\303'").await, ["a\u{fffd}\u{fffd}", "\u{fffd}"]);
    // Continuation bytes without a first byte form no character that must be kept whole.
    let lines = lines_of("head -c 20000 /dev/zero | tr '\\0' '\\200'").await;
    assert_eq!(lines.concat().chars().count(), 20_000);
}
