//! Scripts that run on a real BEAM and here, step by step, with the same effects: spawns, links,
//! monitors, exit signals, trapped exits, names, groups, and supervisors with their children.
//!
//! `cases.txt` has the numbered cases with the effect of each step, and the book shows it. Random
//! scripts follow. Where the two systems differ on purpose, both sides skip the step: a link to a dead
//! process by one that does not trap exits, a second name of one process, a second join of one group.
//!
//! A step shows its result, and then what has changed, sorted: signals of different senders have no
//! order. What a process gets in the step in which it ends is left out, since it may end before.

mod puppet;
mod random;

use std::time::Duration;

use regrow::{ChildError, ChildSpec, GenServer, Restart, Supervisor, SupervisorRef};
use tokio::task::yield_now;

use crate::erlang::{is_full, run_module};

use puppet::{Do, Puppet, Puppets, Role};

const CASES: &str = include_str!("cases.txt");

/// Runs the scripts here, and returns what each step does.
fn run(scripts: &str) -> String {
    let mut shown = Vec::new();
    for text in scripts.trim().split("\n\n") {
        let tokio =
            tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        shown.push(tokio.unwrap().block_on(script(text)));
    }
    shown.join("\n\n")
}

/// Runs one script. Lines that begin with `#` are comments.
async fn script(text: &str) -> String {
    let (puppets, mut top) = (Puppets::new(), None);
    let mut shown = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let words: Vec<&str> = line.split(' ').collect();
        let result = act(&words, &puppets, &mut top).await;
        settle().await;
        let all = puppets.take_changes();
        let changes = all.iter().filter(|change| !is_last(change, &all, &puppets));
        let changes: String = changes.map(|change| format!("; {change}")).collect();
        shown.push(format!("{line}: {result}{changes}"));
    }
    puppets.rt.shutdown();
    settle().await;
    shown.join("\n")
}

/// Whether this is what a process got in the step in which it ended: it may have ended before.
fn is_last(change: &str, all: &[String], puppets: &Puppets) -> bool {
    let Some((name, _)) = change.split_once(" got ") else { return false };
    let started = format!("{name} started ");
    !puppets.is_alive(name) || all.iter().any(|other| other.starts_with(&started))
}

/// Lets each process take what has arrived. There is one thread, and no step waits for a time.
async fn settle() {
    for _ in 0..200 {
        yield_now().await;
    }
}

#[expect(clippy::too_many_lines, reason = "an arm for each command")]
async fn act(words: &[&str], puppets: &Puppets, top: &mut Option<SupervisorRef>) -> String {
    match words {
        ["spawn", name, flags @ ..] => {
            let name = (*name).to_owned();
            let traps = flags.contains(&"trap");
            let role =
                Role { puppets: puppets.clone(), name: name.clone(), traps, is_child: false };
            let puppet = Puppet::start(&puppets.rt, role).await.unwrap();
            puppets.watch(&name, puppet.pid().unwrap());
            "ok".to_owned()
        }
        ["supervise", strategy, intensity, children @ ..] => {
            *top = Some(supervise(strategy, intensity, children, puppets).await);
            "ok".to_owned()
        }
        ["children"] => {
            let Some(tree) = top.as_ref().filter(|_| puppets.is_alive("top")) else {
                return "gone".to_owned();
            };
            let children = tree.which_children().await.unwrap();
            let show = |id: &str, runs| {
                format!("{}{id} {}", if runs { "" } else { "-" }, puppets.starts(id))
            };
            let children = children.iter().map(|child| show(&child.id, child.pid().is_some()));
            children.collect::<Vec<_>>().join(", ")
        }
        ["admin", request, id] => {
            let Some(tree) = top.as_ref().filter(|_| puppets.is_alive("top")) else {
                return "gone".to_owned();
            };
            let done = match *request {
                "terminate_child" => tree.terminate_child(id).await,
                "restart_child" => tree.restart_child(id).await.map(drop),
                "delete_child" => tree.delete_child(id).await,
                other => panic!("no request: {other}"),
            };
            match done {
                Ok(()) => "ok",
                Err(ChildError::NotFound(_)) => "not_found",
                Err(ChildError::Running { .. }) => "running",
                Err(other) => panic!("{other}"),
            }
            .to_owned()
        }
        ["unregister", name] => if_done(puppets.rt.unregister(name)),
        ["whereis", name] => {
            puppets.rt.whereis(name).map_or_else(|| "none".to_owned(), |pid| puppets.name(pid))
        }
        ["members", group] => {
            let members = puppets.rt.whereis_tag(group);
            let mut names: Vec<_> = members.iter().map(|pid| puppets.name(*pid)).collect();
            names.sort();
            if names.is_empty() { "none".to_owned() } else { names.join(" ") }
        }
        [verb, name, args @ ..] => {
            if !puppets.is_alive(name) {
                return "gone".to_owned();
            }
            let words = [&[*verb], args].concat().iter().map(|word| (*word).to_owned()).collect();
            let server = puppets.rt.server_at::<Puppet>(puppets.pid(name)).unwrap();
            let result = server.call_unlimited(|reply| Do(words, reply)).await;
            result.unwrap_or_else(|_| "ok".to_owned())
        }
        _ => panic!("no command: {words:?}"),
    }
}

fn if_done(done: bool) -> String {
    (if done { "ok" } else { "refused" }).to_owned()
}

async fn supervise(
    strategy: &str,
    intensity: &str,
    children: &[&str],
    puppets: &Puppets,
) -> SupervisorRef {
    let spec = match strategy {
        "one_for_one" => Supervisor::one_for_one(),
        "one_for_all" => Supervisor::one_for_all(),
        "rest_for_one" => Supervisor::rest_for_one(),
        other => panic!("no strategy: {other}"),
    };
    let spec = spec.intensity(intensity.parse().unwrap(), Duration::from_secs(1_000));
    let spec = children.iter().fold(spec, |spec, child| {
        let (name, restart) = child.split_once(':').unwrap();
        let restart = match restart {
            "permanent" => Restart::Permanent,
            "transient" => Restart::Transient,
            _ => Restart::Temporary,
        };
        let (puppets, name) = (puppets.clone(), name.to_owned());
        let role = Role { puppets, name: name.clone(), traps: false, is_child: true };
        let child: ChildSpec = Puppet::child(role).with_id(name).restart(restart);
        spec.child(child)
    });
    let tree = spec.start(&puppets.rt).await.unwrap();
    puppets.know("top", tree.pid().unwrap());
    puppets.watch("top", tree.pid().unwrap());
    tree
}

/// Runs the scripts on the BEAM; `None` where Erlang is not installed.
fn run_on_beam(scripts: &str, test: &str) -> Option<String> {
    run_module("tests/cluster/conformance/conformance.erl", test, scripts)
}

/// Returns the scripts of texts that have the effect of each step, and those texts without comments.
fn without_effects(cases: &str) -> (String, String) {
    let lines = || cases.trim().lines().filter(|line| !line.starts_with('#'));
    let steps: Vec<_> = lines().map(|line| line.split(": ").next().unwrap_or(line)).collect();
    (steps.join("\n"), lines().collect::<Vec<_>>().join("\n"))
}

/// Compares what the scripts do, script by script.
fn assert_same(here: &str, there: &str) {
    for (here, there) in here.split("\n\n").zip(there.split("\n\n")) {
        assert!(here == there, "here:\n{here}\n\nexpected:\n{there}");
    }
    assert_eq!(here.len(), there.len());
}

#[test]
fn the_numbered_cases_have_the_effects_that_the_book_shows() {
    let (scripts, expected) = without_effects(CASES);
    assert_same(&run(&scripts), &expected);
}

#[test]
fn the_numbered_cases_have_the_same_effects_on_the_beam() {
    let (scripts, expected) = without_effects(CASES);
    if let Some(there) = run_on_beam(&scripts, "numbered_cases") {
        assert_same(&there, &expected);
    }
}

#[test]
fn random_scripts_have_the_same_effects_on_the_beam() {
    let count = if is_full() { 20_000 } else { 400 };
    let scripts = random::scripts(count);
    if let Some(there) = run_on_beam(&scripts, "random_scripts") {
        assert_same(&run(&scripts), &there);
    }
}
