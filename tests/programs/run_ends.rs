//! After the stop the program ends: whatever does not, and with the signals back at what they
//! do by default. Real processes, real signals.

use std::future::pending;
use std::io::{BufRead, BufReader, Lines, Read};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitCode, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use regrow::{ChildSpec, Program, Run, Shutdown, Supervisor, SupervisorSpec};
use tokio::runtime::Builder;
use tokio_util::sync::CancellationToken;

const PROGRAM: &str = "REGROW_TEST_PROGRAM";
const SECOND: Duration = Duration::from_secs(1);

/// A program under test: this very file, started again to be one.
struct Started {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    errors: ChildStderr,
}

impl Started {
    fn new(kind: &str) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "run_ends::the_program", "--nocapture", "--test-threads=1"])
            .env(PROGRAM, kind)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let errors = child.stderr.take().unwrap();
        Started { child, lines, errors }
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

    /// How it ended, and what it wrote to standard error. Killed if that takes much too long.
    fn end(mut self) -> (ExitStatus, String) {
        let id = self.child.id().to_string();
        let (done, wait) = mpsc::channel::<()>();
        let killer = std::thread::spawn(move || {
            if wait.recv_timeout(20 * SECOND) == Err(mpsc::RecvTimeoutError::Timeout) {
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

/// Not a test: what the tests start.
#[test]
#[expect(clippy::too_many_lines, reason = "one arm for each program")]
fn the_program() {
    let Ok(kind) = std::env::var(PROGRAM) else { return };
    let code = match kind.as_str() {
        "clean" => regrow::main(tree([polite("polite")])),
        "setup" => Program::new().run(async || Ok::<Run, _>(Err("no configuration")?)),
        "gives up" => regrow::main(
            tree([ChildSpec::task("lost", |_| async { Err("no route")? })]).intensity(0, SECOND),
        ),
        "blocking job" => Program::new().run(async || {
            tokio::task::spawn_blocking(|| block_for_ever("the job"));
            Ok(tree([polite("polite")]))
        }),
        "two bodies" => two_workers().run(async || Ok(blocked(2))),
        "one body" => current_thread().run(async || Ok(blocked(1))),
        "no deadline" => two_workers().run(async || Ok(blocked(2).deadline(Duration::MAX))),
        "token" => two_workers().run(async || {
            let over = CancellationToken::new();
            std::thread::spawn({
                let over = over.clone();
                move || {
                    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
                    over.cancel();
                }
            });
            Ok(blocked(2).without_signals().stop_on(over))
        }),
        "destructor" => current_thread().run(async || {
            tokio::spawn(async {
                let _held = BlocksInDrop;
                pending::<()>().await;
            });
            Ok(tree([polite("polite")]))
        }),
        #[cfg(feature = "process")]
        "with a program" => two_workers().run(async || Ok(blocked_beside(sleeping(), 2))),
        "main: two bodies" => multi_thread().block_on(run(blocked(2))),
        "main: one body" => of_one_thread().block_on(run(blocked(1))),
        "main: no deadline" => multi_thread().block_on(run(blocked(2).deadline(Duration::MAX))),
        "returned" => of_one_thread().block_on(async {
            let run = Run::new(tree([polite("polite")])).restart_on_hangup("polite");
            let code = run.run().await.unwrap().exit_code();
            println!("it has returned");
            std::thread::spawn(|| block_for_ever("after the run")).join().unwrap();
            code
        }),
        "dropped" => of_one_thread().block_on(async {
            let run = Run::new(tree([polite("polite")])).run();
            drop(tokio::time::timeout(Duration::from_millis(100), run).await);
            println!("it was dropped");
            pending().await
        }),
        "paused" => paused(),
        "two runs" => two_runs(),
        other => panic!("there is no program {other:?}"),
    };
    std::process::exit(i32::from(code != ExitCode::SUCCESS));
}

fn tree<const N: usize>(children: [ChildSpec; N]) -> SupervisorSpec {
    let tree = Supervisor::one_for_one().named("app");
    children.into_iter().fold(tree, SupervisorSpec::child)
}

async fn run(run: Run) -> ExitCode {
    let report = run.run().await.unwrap();
    println!("{report}");
    report.exit_code()
}

fn polite(id: &str) -> ChildSpec {
    ChildSpec::task(id, |_| async {
        println!("polite is up");
        pending().await
    })
}

fn block_for_ever(what: &str) {
    println!("{what} is up");
    loop {
        std::thread::park();
    }
}

/// So many bodies that never await, and one second for the stop.
fn blocked(bodies: usize) -> Run {
    blocked_beside(polite("polite"), bodies)
}

fn blocked_beside(first: ChildSpec, bodies: usize) -> Run {
    let spin = |at: usize| {
        let spinning = ChildSpec::task(format!("spinning {at}"), |_| async {
            block_for_ever("a body that never awaits");
            Ok(())
        });
        spinning.shutdown(Shutdown::Infinity)
    };
    let all = tree([first]);
    Run::new((0..bodies).map(spin).fold(all, SupervisorSpec::child)).deadline(SECOND)
}

/// A program of the operating system that holds this one's standard output.
#[cfg(feature = "process")]
fn sleeping() -> ChildSpec {
    ChildSpec::command("sleeping", || {
        let mut command = tokio::process::Command::new("sh");
        command.args(["-c", "echo the program is up; exec sleep 1000"]).stderr(Stdio::null());
        command
    })
}

fn two_workers() -> Program {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(2);
    Program::new().tokio(builder)
}

fn current_thread() -> Program {
    Program::new().tokio(Builder::new_current_thread())
}

fn multi_thread() -> tokio::runtime::Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

fn of_one_thread() -> tokio::runtime::Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

struct BlocksInDrop;

impl Drop for BlocksInDrop {
    fn drop(&mut self) {
        block_for_ever("the destructor");
    }
}

/// A stop that takes longer in real time than its deadline, but not on its own, paused clock.
fn paused() -> ExitCode {
    let (up, mut is_up) = tokio::sync::mpsc::unbounded_channel();
    let slow = ChildSpec::task("slow", move |mut ctx| async move {
        let asked = ctx.cancellation_token();
        up.send(())?;
        asked.cancelled().await;
        let (_keep, never) = mpsc::channel::<()>();
        never.recv_timeout(3 * SECOND).unwrap_err();
        Ok(())
    });
    let tokio = Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    tokio.block_on(async {
        let over = CancellationToken::new();
        let program = Run::new(tree([slow])).stop_on(over.clone()).deadline(SECOND / 100);
        let program = tokio::spawn(program.run());
        is_up.recv().await;
        over.cancel();
        let report = program.await.unwrap().unwrap();
        println!("{report}");
        report.exit_code()
    })
}

/// One run returns, another goes on.
fn two_runs() -> ExitCode {
    of_one_thread().block_on(async {
        let over = CancellationToken::new();
        let first = tokio::spawn(Run::new(tree([])).stop_on(over.clone()).run());
        let (up, mut is_up) = tokio::sync::mpsc::unbounded_channel();
        let other = ChildSpec::task("other", move |_| {
            up.send(()).unwrap();
            pending()
        });
        let other = Supervisor::one_for_one().named("other").child(other);
        let second = tokio::spawn(Run::new(other).run());
        is_up.recv().await;
        over.cancel();
        assert!(first.await.unwrap().unwrap().is_clean());
        println!("one has returned");
        let report = second.await.unwrap().unwrap();
        println!("{report}");
        report.exit_code()
    })
}

#[test]
fn a_clean_stop_exits_with_0_and_any_other_end_with_1() {
    let mut clean = Started::new("clean");
    clean.says("polite is up");
    clean.signal("TERM");
    let (status, errors) = clean.end();
    assert_eq!(status.code(), Some(0), "{errors}");
    assert!(errors.contains("stopped by SIGTERM"), "{errors}");

    let (status, errors) = Started::new("setup").end();
    assert_eq!(status.code(), Some(1), "{errors}");
    assert!(errors.contains("the program did not start: error: no configuration"), "{errors}");

    let (status, errors) = Started::new("gives up").end();
    assert_eq!(status.code(), Some(1), "{errors}");
    assert!(errors.contains("app/lost was given up"), "{errors}");
}

/// The stop of the tree is clean; the job has no more than the time of tokio's shutdown.
#[test]
fn a_blocking_job_that_never_ends_is_left_behind_by_the_program() {
    let mut program = Started::new("blocking job");
    program.says("polite is up");
    program.signal("TERM");
    let (status, errors) = program.end();
    assert_eq!(status.code(), Some(1), "{errors}");
    assert!(errors.contains("a blocking job had not ended 1.0s after the stop"), "{errors}");
}

/// With as many bodies that never await as there are workers no task runs and no timer fires.
#[test]
fn the_deadline_holds_when_no_thread_is_free_to_run_async_code() {
    let kinds =
        [("two bodies", 2), ("main: two bodies", 2), ("one body", 1), ("main: one body", 1)];
    let programs = kinds.map(|(kind, bodies)| {
        let mut program = Started::new(kind);
        for _ in 0..bodies {
            program.says("a body that never awaits is up");
        }
        program.signal("TERM");
        (kind, bodies, program)
    });
    for (kind, bodies, program) in programs {
        let (status, errors) = program.end();
        assert_eq!(status.code(), Some(1), "{kind}: {errors}");
        assert!(errors.contains("stopped by SIGTERM in"), "{kind}: {errors}");
        for body in 0..bodies {
            let named = format!("app/spinning {body} ");
            let line = errors.lines().find(|line| line.contains(&named)).expect("it is named");
            assert!(line.contains("left behind"), "{kind}: {errors}");
        }
    }
}

#[test]
fn a_token_begins_the_deadline_when_no_thread_is_free_to_run_async_code() {
    let mut program = Started::new("token");
    for _ in 0..2 {
        program.says("a body that never awaits is up");
    }
    drop(program.child.stdin.take()); // cancels the token
    let (status, errors) = program.end();
    assert_eq!(status.code(), Some(1), "{errors}");
    assert!(errors.contains("stopped by its token in"), "{errors}");
}

#[test]
fn a_second_signal_ends_a_program_in_which_no_async_code_runs() {
    for kind in ["no deadline", "main: no deadline"] {
        let mut program = Started::new(kind);
        for _ in 0..2 {
            program.says("a body that never awaits is up");
        }
        program.signal("TERM");
        program.signal("INT");
        let (status, errors) = program.end();
        assert_eq!(status.code(), Some(1), "{kind}: {errors}");
        assert!(errors.contains("stopped by SIGTERM in"), "{kind}: {errors}");
    }
}

#[test]
fn a_destructor_that_blocks_does_not_keep_the_program() {
    let mut program = Started::new("destructor");
    program.says("polite is up");
    program.signal("TERM");
    let (status, errors) = program.end();
    assert_eq!(status.code(), Some(1), "{errors}");
}

#[test]
fn signals_do_what_they_do_by_default_once_a_run_has_returned() {
    for (signal, number) in [("TERM", 15), ("INT", 2), ("HUP", 1)] {
        let mut program = Started::new("returned");
        program.says("polite is up");
        program.signal("HUP"); // restarts it
        program.says("polite is up");
        program.signal("TERM");
        program.says("it has returned");
        program.says("after the run is up");
        program.signal(signal);
        let (status, errors) = program.end();
        assert_eq!(status.signal(), Some(number), "{errors}");
    }
}

#[test]
fn signals_do_what_they_do_by_default_once_a_run_was_dropped() {
    let mut program = Started::new("dropped");
    program.says("it was dropped");
    program.signal("TERM");
    let (status, errors) = program.end();
    assert_eq!(status.signal(), Some(15), "{errors}");
}

#[test]
fn signals_are_listened_to_until_the_last_run_has_returned() {
    let mut program = Started::new("two runs");
    program.says("one has returned");
    program.signal("TERM");
    program.says("stopped by SIGTERM");
    let (status, errors) = program.end();
    assert_eq!(status.code(), Some(0), "{errors}");
}

#[test]
fn a_run_under_a_paused_clock_has_no_deadline_in_real_time() {
    let mut program = Started::new("paused");
    program.says("stopped by its token");
    let (status, errors) = program.end();
    assert_eq!(status.code(), Some(0), "{errors}");
}

/// They would outlive the process: no async code is left that could stop them.
#[cfg(feature = "process")]
#[test]
fn programs_that_run_as_children_are_killed_when_the_process_is_ended() {
    let mut started = Started::new("with a program");
    for _ in ["the program", "a body", "another body"] {
        started.says(" is up");
    }
    started.signal("TERM");
    let Started { mut child, lines, .. } = started;
    let (closed, wait) = mpsc::channel();
    // Standard output is closed when all that hold it have ended.
    let reader = std::thread::spawn(move || {
        lines.for_each(drop);
        closed.send(()).unwrap();
    });
    let all_ended = wait.recv_timeout(20 * SECOND).is_ok();
    drop(child.kill());
    assert_eq!(child.wait().unwrap().code(), Some(1));
    assert!(all_ended, "the program has outlived the process");
    reader.join().unwrap();
}
