//! A reload at `SIGHUP`, by a closure that validates the configuration. These tests use real
//! processes and real signals.

use std::path::PathBuf;
use std::process::ExitCode;

use regrow::{ChildSpec, Program, Run, Supervisor};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::support::child_program::{Started, command, kind};

/// The environment variable with the path of the configuration.
const CONFIG: &str = "REGROW_TEST_CONFIG";

/// Returns the number in the configuration.
fn read() -> regrow::Result<u32> {
    Ok(std::fs::read_to_string(std::env::var(CONFIG)?)?.trim().parse()?)
}

/// The program that the tests start; not a test itself.
#[test]
fn program_under_test() {
    let Some(kind) = kind() else { return };
    let errors = tracing_subscriber::fmt().with_max_level(tracing::Level::ERROR);
    errors.with_writer(std::io::stdout).init();
    let code = Program::new().run(async || match kind.as_str() {
        "validates" => validates(),
        "panics" => Ok(Run::new(Supervisor::one_for_one().child(up())).on_hangup(panics_first())),
        _ => Ok(hung_up_at_the_start()),
    });
    std::process::exit(if code == ExitCode::SUCCESS { 0 } else { 1 });
}

fn up() -> ChildSpec {
    ChildSpec::task("up", |_| async {
        println!("it is up");
        std::future::pending().await
    })
}

/// The pattern of the book: the child gets only configurations that were validated.
fn validates() -> regrow::Result<Run> {
    let (set, config) = watch::channel(read()?);
    let intake = ChildSpec::task("intake", move |_| async move {
        let mut crash = signal(SignalKind::user_defined1())?;
        println!("intake uses {}", *config.borrow());
        crash.recv().await;
        panic!("asked to")
    });
    let reload = async move || {
        let new = read()?;
        set.send_replace(new);
        println!("reloaded");
        Ok(())
    };
    let run = Run::new(Supervisor::one_for_one().named("app").child(intake));
    Ok(run.on_hangup(reload).restart_on_hangup("intake"))
}

fn panics_first() -> impl FnOnce() -> std::future::Ready<regrow::Result> + Clone {
    let calls = std::sync::Arc::new(std::sync::atomic::AtomicU32::new(0));
    move || {
        let call = calls.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        assert!(call > 0, "the first call");
        println!("call {call}");
        std::future::ready(Ok(()))
    }
}

/// A program that gets `SIGHUP` while its tree starts.
fn hung_up_at_the_start() -> Run {
    let starts = ChildSpec::task("starts", |ctx| async move {
        let mut proceed = signal(SignalKind::user_defined1())?;
        println!("it starts");
        proceed.recv().await;
        ctx.set_health(regrow::Health::Ready);
        println!("it has started");
        std::future::pending().await
    });
    let tree = Supervisor::one_for_one().child(starts.ready_within(std::time::Duration::MAX));
    Run::new(tree).on_hangup(async || {
        println!("reloaded");
        Ok(())
    })
}

/// A configuration file that is deleted at the end of the test.
struct Config(PathBuf);

impl Config {
    fn new(test: &str) -> Self {
        let name = format!("regrow-hangup-{test}-{}", std::process::id());
        let config = Config(std::env::temp_dir().join(name));
        config.write("1");
        config
    }

    fn write(&self, text: &str) {
        std::fs::write(&self.0, text).unwrap();
    }
}

impl Drop for Config {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn started(kind: &str, config: Option<&Config>) -> Started {
    let mut command = command("run_hangup::program_under_test", kind);
    if let Some(config) = config {
        command.env(CONFIG, &config.0);
    }
    Started::new(command)
}

fn stops_cleanly(program: Started) {
    program.signal("TERM");
    assert_eq!(program.end().0.code(), Some(0));
}

/// The wrong configuration is in the file while the child crashes: the child starts again with the
/// last valid one.
#[test]
fn a_wrong_configuration_never_takes_the_program_down() {
    let config = Config::new("validates");
    let mut program = started("validates", Some(&config));
    program.says("intake uses 1");
    config.write("many");
    program.signal("HUP");
    let refused = program.says("reload refused");
    assert!(refused.contains("ERROR") && refused.contains("invalid digit"), "{refused}");
    program.signal("USR1");
    program.says("intake uses 1");
    config.write("2");
    program.signal("HUP");
    program.says("reloaded");
    program.says("intake uses 2");
    stops_cleanly(program);
}

#[test]
fn a_closure_that_panics_does_not_end_the_program() {
    let mut program = started("panics", None);
    program.says("it is up");
    program.signal("HUP");
    assert!(program.says("reload refused").contains("the first call"));
    program.signal("HUP");
    program.says("call 1");
    stops_cleanly(program);
}

#[test]
fn a_hangup_during_the_start_is_handled_after_it() {
    let mut program = started("starts", None);
    program.says("it starts");
    program.signal("HUP");
    program.signal("USR1");
    program.says("it has started");
    program.says("reloaded");
    stops_cleanly(program);
}
