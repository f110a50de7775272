//! The reaction of a program to signals of the operating system. These tests use real processes and
//! real signals.

use regrow::{
    ChildSpec, ExitReason, GenServer, Reply, Restart, Result, Run, ServerContext, Supervisor,
    SupervisorRef, SupervisorSpec,
};

use crate::support::child_program::{Started, command, kind};

fn started(kind: &str) -> Started {
    Started::new(command("run_signals::program_under_test", kind))
}

/// The program that the tests start; not a test itself.
#[test]
fn program_under_test() {
    let Some(kind) = kind() else { return };
    let tokio = tokio::runtime::Runtime::new().unwrap();
    let code = tokio.block_on(async {
        if kind == "storm" {
            let errors = tracing_subscriber::fmt().with_max_level(tracing::Level::ERROR);
            errors.with_writer(std::io::stdout).init();
        }
        let run = Run::new(tree(&kind)).restart_on_hangup("inner/config");
        match run.run().await {
            Ok(report) => {
                println!("{report}");
                if report.is_clean() { 0 } else { 1 }
            }
            Err(error) => {
                println!("{error}");
                2
            }
        }
    });
    std::process::exit(code);
}

fn tree(kind: &str) -> SupervisorSpec {
    let polite = ChildSpec::task("polite", |_| async {
        println!("polite is up");
        std::future::pending().await
    });
    let deaf = ChildSpec::task("deaf", |mut ctx| async move {
        let stop = ctx.cancellation_token();
        println!("deaf is up");
        stop.cancelled().await;
        println!("deaf was asked");
        std::future::pending().await
    });
    let crashing = ChildSpec::task("crashing", |_| async { panic!("again") });
    let inner =
        Supervisor::one_for_one().with_id("inner").child(Config::child(()).with_id("config"));
    let tree = Supervisor::one_for_one().named("app").child(inner);
    match kind {
        "polite" | "storm" => tree.child(polite),
        "deaf" => tree.child(deaf),
        _ => tree.child(crashing.restart(Restart::Transient)),
    }
}

/// A server that reads its configuration in its `init`, and reports its restarts.
struct Config;

impl GenServer for Config {
    type Args = ();
    type Call = Reply<()>;
    type Cast = ();

    async fn init((): (), ctx: &mut ServerContext<Self>) -> Result<Self> {
        ctx.trap_exit(true);
        println!("config read by {} after {} restarts", ctx.pid(), ctx.start_cause().restarts());
        let app = SupervisorRef::named(&ctx.runtime(), "app");
        let tell = async move {
            let tree = app.tree().await.unwrap();
            let config = tree.find("inner/config").unwrap();
            let (crashes, past) = (config.restarts, config.history.len());
            println!("config in the tree: {crashes} restarts, {past} before it");
        };
        ctx.spawn_task(tell, |()| ());
        Ok(Config)
    }

    async fn handle_call(&mut self, reply: Reply<()>, _: &mut ServerContext<Self>) -> Result {
        reply.send(());
        Ok(())
    }

    async fn handle_cast(&mut self, (): (), _: &mut ServerContext<Self>) -> Result {
        Ok(())
    }

    /// Takes 20 ms, so that more signals arrive during the stop.
    async fn terminate(&mut self, _: &ExitReason) {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

#[test]
fn a_signal_stops_the_tree_in_order() {
    for (signal, name) in [("TERM", "SIGTERM"), ("INT", "SIGINT")] {
        let mut program = started("polite");
        program.says("polite is up");
        program.signal(signal);
        program.says(&format!("stopped by {name}"));
        program.says("app/polite");
        program.says("app/inner/config");
        assert_eq!(program.end().0.code(), Some(0));
    }
}

#[test]
fn a_second_signal_forces_the_stop() {
    let mut program = started("deaf");
    program.says("deaf is up");
    program.signal("TERM");
    program.says("deaf was asked");
    program.signal("INT");
    assert!(program.says("stopped by SIGTERM").ends_with("forced"));
    assert!(program.says("app/deaf").contains("overran its time, killed"));
    // This child was not asked to stop, and no deadline ended it.
    let other = program.says("app/inner/config");
    assert!(other.contains("killed at a second signal before it was asked"), "{other}");
    assert_eq!(program.end().0.code(), Some(1));
}

#[test]
fn a_hangup_restarts_only_the_chosen_child() {
    let mut program = started("polite");
    let first = program.says("config read by");
    program.says("polite is up");
    program.signal("HUP");
    assert_ne!(program.says("config read by"), first);
    program.signal("TERM");
    program.says("stopped by SIGTERM");
    assert_eq!(program.end().0.code(), Some(0));
}

/// A restart by a hangup was requested and is no failure: the tree shows the incarnation that was
/// stopped, and no restart.
#[test]
fn a_hangup_is_not_counted_as_a_restart() {
    let mut program = started("polite");
    let shown = program.says("config in the tree: ");
    assert!(shown.ends_with("0 restarts, 0 before it"), "{shown}");
    program.signal("HUP");
    let shown = program.says("config in the tree: ");
    assert!(shown.ends_with("0 restarts, 1 before it"), "{shown}");
    program.signal("TERM");
    program.says("stopped by SIGTERM");
    assert_eq!(program.end().0.code(), Some(0));
}

#[test]
fn hangups_that_overlap_log_no_errors() {
    let mut program = started("storm");
    program.says("config in the tree");
    for _ in 0..20 {
        program.signal("HUP");
    }
    program.says("config in the tree");
    program.signal("HUP");
    program.signal("TERM");
    let rest: Vec<_> = program.lines.by_ref().map_while(std::io::Result::ok).collect();
    assert!(rest.iter().any(|line| line.contains("stopped by SIGTERM")), "{rest:#?}");
    let (status, errors) = program.end();
    let said = rest.iter().map(String::as_str).chain(errors.lines());
    assert_eq!(said.filter(|line| line.contains("ERROR")).collect::<Vec<_>>(), [""; 0]);
    assert_eq!(status.code(), Some(0));
}

#[test]
fn a_tree_that_gives_up_ends_the_program_with_its_reason() {
    let mut program = started("crashing");
    assert!(program.says("app/crashing was given up").contains("panic: again"));
    assert_eq!(program.end().0.code(), Some(2));
}
