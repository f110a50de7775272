//! A program ends after its stop even if some of its children do not end, and then signals have
//! their default actions again. These tests use real processes and real signals.

use std::future::pending;
use std::io::Read;
use std::os::unix::process::ExitStatusExt;
#[cfg(feature = "process")]
use std::process::Stdio;
use std::process::{Command, ExitCode};
use std::sync::mpsc;
use std::time::Duration;

use regrow::{ChildSpec, Program, Run, Shutdown, Supervisor, SupervisorSpec};
use tokio::runtime::Builder;
use tokio_util::sync::CancellationToken;

use crate::support::child_program::{Started, command, kind};

const SECOND: Duration = Duration::from_secs(1);

fn started(kind: &str) -> Started {
    Started::new(command("run_ends::program_under_test", kind))
}

/// The program that the tests start; not a test itself.
#[test]
#[expect(clippy::too_many_lines, reason = "one arm for each program")]
fn program_under_test() {
    let Some(kind) = kind() else { return };
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
        "token, then signal" => Program::new().run(async || {
            let over = CancellationToken::new();
            std::thread::spawn({
                let over = over.clone();
                move || {
                    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
                    over.cancel();
                    signal_oneself("TERM");
                }
            });
            let deaf = ChildSpec::task("deaf", |mut ctx| async move {
                let _asked = ctx.cancellation_token(); // the body must react to a stop itself
                println!("deaf is up");
                pending().await
            });
            let tree = tree([deaf.shutdown(Shutdown::Infinity)]);
            Ok(Run::new(tree).stop_on(over).deadline(Duration::MAX))
        }),
        // Neither is seen by the run before the other.
        "token and signal at once" => current_thread().run(async || {
            let over = CancellationToken::new();
            let deaf = ChildSpec::task("deaf", {
                let over = over.clone();
                move |mut ctx| {
                    let over = over.clone();
                    async move {
                        let _asked = ctx.cancellation_token(); // the body must react to a stop itself
                        over.cancel();
                        signal_oneself("TERM");
                        let (_keep, never) = mpsc::channel::<()>();
                        never.recv_timeout(SECOND / 2).unwrap_err();
                        pending().await
                    }
                }
            });
            let tree = tree([deaf.shutdown(Shutdown::Infinity)]);
            Ok(Run::new(tree).stop_on(over).deadline(Duration::MAX))
        }),
        "slow report" => Program::new()
            .report_with(|outcome| {
                let (_keep, never) = mpsc::channel::<()>();
                never.recv_timeout(4 * SECOND).unwrap_err();
                println!("{}", outcome.as_ref().unwrap());
            })
            .run(async || Ok(Run::new(tree([polite("polite")])).deadline(SECOND / 10))),
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

/// Makes a run with this many bodies that never await, and one second for the stop.
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

/// Makes an operating system process that holds the standard output of this program.
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

fn signal_oneself(signal: &str) {
    let id = std::process::id().to_string();
    assert!(Command::new("kill").args(["-s", signal, &id]).status().unwrap().success());
}

struct BlocksInDrop;

impl Drop for BlocksInDrop {
    fn drop(&mut self) {
        block_for_ever("the destructor");
    }
}

/// Runs a program whose stop takes longer in real time than its deadline, but not in the time of
/// its paused clock.
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

/// Runs two trees in one program: the first run returns while the second goes on.
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
    let mut clean = started("clean");
    clean.says("polite is up");
    clean.signal("TERM");
    let (status, errors) = clean.end();
    assert_eq!(status.code(), Some(0), "{errors}");
    assert!(errors.contains("stopped by SIGTERM"), "{errors}");

    let (status, errors) = started("setup").end();
    assert_eq!(status.code(), Some(1), "{errors}");
    assert!(errors.contains("the program did not start: error: no configuration"), "{errors}");

    let (status, errors) = started("gives up").end();
    assert_eq!(status.code(), Some(1), "{errors}");
    assert!(errors.contains("app/lost was given up"), "{errors}");
}

/// The stop of the tree is clean. The job is left behind when the shutdown time of tokio is over.
#[test]
fn a_program_exits_while_a_blocking_job_still_runs() {
    let mut program = started("blocking job");
    program.says("polite is up");
    program.signal("TERM");
    let (status, errors) = program.end();
    assert_eq!(status.code(), Some(1), "{errors}");
    assert!(errors.contains("a blocking job had not ended 1.0s after the stop"), "{errors}");
}

/// If as many bodies never await as there are workers, no task runs and no timer fires.
#[test]
fn the_stop_deadline_holds_while_all_workers_are_blocked() {
    let kinds =
        [("two bodies", 2), ("main: two bodies", 2), ("one body", 1), ("main: one body", 1)];
    let programs = kinds.map(|(kind, bodies)| {
        let mut program = started(kind);
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
fn a_stop_token_starts_the_deadline_while_all_workers_are_blocked() {
    let mut program = started("token");
    for _ in 0..2 {
        program.says("a body that never awaits is up");
    }
    drop(program.child.stdin.take()); // cancels the token
    let (status, errors) = program.end();
    assert_eq!(status.code(), Some(1), "{errors}");
    assert!(errors.contains("stopped by its token in"), "{errors}");
}

/// The cancellation and the signal may arrive at the same time. In either order the signal is the
/// second request.
#[test]
fn a_signal_after_the_token_forces_the_stop() {
    let mut program = started("token, then signal");
    program.says("deaf is up");
    drop(program.child.stdin.take()); // cancels the token, and sends the signal
    let (status, errors) = program.end();
    assert_eq!(status.code(), Some(1), "{errors}");
    assert!(errors.contains("stopped by its token in"), "{errors}");
    let deaf = errors.lines().find(|line| line.contains("app/deaf")).expect("it is named");
    assert!(deaf.contains("killed"), "the run itself forces its stop: {errors}");
}

/// The tree's only thread is blocked until both have arrived.
#[test]
fn a_token_and_a_signal_that_the_run_sees_at_once_force_the_stop() {
    let (status, errors) = started("token and signal at once").end();
    assert_eq!(status.code(), Some(1), "{errors}");
    let deaf = errors.lines().find(|line| line.contains("app/deaf")).expect("it is named");
    assert!(deaf.contains("killed"), "the run itself forces its stop: {errors}");
}

/// The report handler may take longer than the deadline, for example to send the report: its time
/// is not part of the stop.
#[test]
fn a_slow_report_is_not_cut_off_by_the_deadline() {
    let mut program = started("slow report");
    program.says("polite is up");
    program.signal("TERM");
    program.says("stopped by SIGTERM");
    let (status, errors) = program.end();
    assert_eq!(status.code(), Some(0), "{errors}");
}

#[test]
fn a_second_signal_ends_a_program_while_all_workers_are_blocked() {
    for kind in ["no deadline", "main: no deadline"] {
        let mut program = started(kind);
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
fn a_blocking_destructor_does_not_keep_the_program_running() {
    let mut program = started("destructor");
    program.says("polite is up");
    program.signal("TERM");
    let (status, errors) = program.end();
    assert_eq!(status.code(), Some(1), "{errors}");
}

#[test]
fn signals_have_their_default_action_after_a_run_returned() {
    for (signal, number) in [("TERM", 15), ("INT", 2), ("HUP", 1)] {
        let mut program = started("returned");
        program.says("polite is up");
        program.signal("HUP"); // restarts `polite`
        program.says("polite is up");
        program.signal("TERM");
        program.says("it has returned");
        program.says("after the run is up");
        program.signal(signal);
        let (status, errors) = program.end();
        assert_eq!(status.signal(), Some(number), "{errors}");
    }
}

/// A signal that was ignored before the run, as under `nohup`, is ignored again after it.
#[test]
fn a_signal_that_was_ignored_before_a_run_stays_ignored_after_it() {
    let itself = command("run_ends::program_under_test", "returned");
    let mut ignoring = Command::new("sh");
    ignoring.args(["-c", "trap '' TERM; exec \"$0\" \"$@\""]).arg(itself.get_program());
    ignoring.args(itself.get_args());
    ignoring.envs(itself.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let mut program = Started::new(ignoring);
    program.says("polite is up");
    program.signal("TERM"); // the run listens to this signal
    program.says("after the run is up");
    program.signal("TERM");
    program.signal("INT");
    let (status, errors) = program.end();
    assert_eq!(status.signal(), Some(2), "{errors}");
}

#[test]
fn signals_have_their_default_action_after_a_run_was_dropped() {
    let mut program = started("dropped");
    program.says("it was dropped");
    program.signal("TERM");
    let (status, errors) = program.end();
    assert_eq!(status.signal(), Some(15), "{errors}");
}

#[test]
fn signals_are_handled_until_the_last_run_has_returned() {
    let mut program = started("two runs");
    program.says("one has returned");
    program.signal("TERM");
    program.says("stopped by SIGTERM");
    let (status, errors) = program.end();
    assert_eq!(status.code(), Some(0), "{errors}");
}

#[test]
fn a_run_with_a_paused_clock_has_no_real_time_deadline() {
    let mut program = started("paused");
    program.says("stopped by its token");
    let (status, errors) = program.end();
    assert_eq!(status.code(), Some(0), "{errors}");
}

/// Child programs would outlive the process, since no async code is left that could stop them. So
/// they are killed.
#[cfg(feature = "process")]
#[test]
fn child_programs_are_killed_when_the_process_exits() {
    let mut program = started("with a program");
    for _ in ["the program", "a body", "another body"] {
        program.says(" is up");
    }
    program.signal("TERM");
    let Started { mut child, lines, .. } = program;
    let (closed, wait) = mpsc::channel();
    // Standard output is closed when all processes that hold it have ended.
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
