//! Runs a program on real supervisors and on the model, and compares after each command.

use std::time::Duration;

use regrow::{ChildError, ChildState, ExitReason, Leftovers, Runtime, StartError, SupervisorRef};

use crate::actor::{self, Stage, Worker, name};
use crate::admin::Answer;
use crate::model::Model;
use crate::plan::{Command, End, Program, ROOT};

/// What is different, if something is.
pub(crate) fn run(program: &Program) -> Result<(), String> {
    let mut tokio = tokio::runtime::Builder::new_current_thread();
    let tokio = tokio.enable_time().start_paused(true).build().unwrap();
    tokio.block_on(play(program))
}

async fn play(program: &Program) -> Result<(), String> {
    let (rt, stage) = (Runtime::new(), Stage::new());
    let mut model = Model::new();
    model.root = model.start_tree(ROOT, &program.tree).ok();
    let _ = actor::supervisor(ROOT, &program.tree, &stage).start(&rt).await;
    model = compare(&rt, &stage, vec![(model, Answer::None)], Answer::None).await?;
    for (nth, command) in program.commands.iter().enumerate() {
        if model.root.is_none() {
            break;
        }
        let answer = obey(&rt, &stage, command).await;
        let told = compare(&rt, &stage, explain(&model, command), answer).await;
        model = told.map_err(|what| format!("after command {nth}, {command:?}:\n{what}"))?;
    }
    rt.shutdown();
    tokio::time::sleep(Duration::from_millis(1)).await;
    match rt.leftovers() == Leftovers::default() && rt.spawned() == rt.finished() {
        true => Ok(()),
        false => Err(format!("left in the end: {:?}", rt.leftovers())),
    }
}

/// Does it, and says what it came to.
async fn obey(rt: &Runtime, stage: &Stage, command: &Command) -> Answer {
    let sup = |number: u32| SupervisorRef::named(rt, name(number));
    match command {
        Command::End(ends) => {
            for &(id, end) in ends {
                finish(rt, id, end);
            }
            Answer::None
        }
        Command::StopSupervisor(number) => {
            if let Some(pid) = rt.whereis(&name(*number)) {
                // It may end before it hears of it, and be no supervisor any more.
                if sup(*number).stop().await.is_ok() {
                    rt.ended(pid).await;
                }
            }
            Answer::None
        }
        Command::Terminate { sup: of, id } => answer(&sup(*of).terminate_child(&name(*id)).await),
        Command::Restart { sup: of, id } => answer(&sup(*of).restart_child(&name(*id)).await),
        Command::Delete { sup: of, id } => answer(&sup(*of).delete_child(&name(*id)).await),
        Command::Add { sup: of, spec } => {
            match sup(*of).start_child(actor::child(spec, stage)).await {
                Ok(_) => Answer::Ok,
                // Of another supervisor, or of this one: the name tells no difference.
                Err(StartError::AlreadyStarted { .. }) => Answer::Running,
                Err(StartError::AlreadyPresent(_)) => Answer::AlreadyPresent,
                Err(StartError::Ignored) => Answer::Ignored,
                Err(StartError::Unreachable(_)) => Answer::NoProc,
                Err(_) => Answer::Failed,
            }
        }
        Command::Advance(time) => {
            tokio::time::sleep(Duration::from_millis(*time)).await;
            Answer::None
        }
    }
}

fn finish(rt: &Runtime, id: u32, end: End) {
    let Some(pid) = rt.whereis(&name(id)) else { return };
    let Ok(worker) = rt.server_at::<Worker>(pid) else { return };
    match end {
        End::Kill => drop(rt.kill(pid)),
        End::Normal => drop(worker.cast(ExitReason::Normal)),
        End::Shutdown => drop(worker.cast(ExitReason::Shutdown)),
        End::Crash => drop(worker.cast(ExitReason::crashed("boom"))),
    }
}

fn answer<T>(result: &Result<T, ChildError>) -> Answer {
    match result {
        Ok(_) => Answer::Ok,
        Err(ChildError::NotFound(_)) => Answer::NotFound,
        Err(ChildError::Running { .. }) => Answer::Running,
        Err(ChildError::NotStarted(StartError::Ignored)) => Answer::Ignored,
        Err(ChildError::Unreachable(_)) => Answer::NoProc,
        Err(_) => Answer::Failed,
    }
}

/// What the model says may come of it: of deaths at one instant, each order of them.
fn explain(model: &Model, command: &Command) -> Vec<(Model, Answer)> {
    match command {
        Command::End(ends) => {
            let orders = orders(&ends.iter().map(|(id, _)| *id).collect::<Vec<_>>());
            let one = |order: Vec<u32>| {
                let mut model = model.clone();
                model.die(ends, &order);
                (model, Answer::None)
            };
            orders.into_iter().map(one).collect()
        }
        other => {
            let mut model = model.clone();
            let answer = model.obey(other);
            vec![(model, answer)]
        }
    }
}

fn orders(ids: &[u32]) -> Vec<Vec<u32>> {
    if ids.len() < 2 {
        return vec![ids.to_vec()];
    }
    let first = |at: usize| {
        let mut rest = ids.to_vec();
        let first = rest.remove(at);
        orders(&rest).into_iter().map(move |rest| [vec![first], rest].concat())
    };
    (0..ids.len()).flat_map(first).collect()
}

/// The one world that explains what is seen, or what is seen instead.
async fn compare(
    rt: &Runtime,
    stage: &Stage,
    worlds: Vec<(Model, Answer)>,
    answer: Answer,
) -> Result<Model, String> {
    let latest = worlds.iter().map(|(model, _)| model.now).max().unwrap_or(0);
    let now = stage.zero.elapsed().as_millis() as u64;
    tokio::time::sleep(Duration::from_millis(latest.saturating_sub(now) + 1)).await;
    let now = stage.zero.elapsed().as_millis() as u64;
    let trace = std::mem::take(&mut *stage.trace.lock().unwrap());
    let states = look(rt).await;
    let mut expected = Vec::new();
    for (mut model, said) in worlds {
        let told = std::mem::take(&mut model.trace);
        let mut known = Vec::new();
        model.root.iter().for_each(|root| root.states(&mut known));
        known.sort();
        if (&told, &known, &said) == (&trace, &states, &answer) {
            model.now = now;
            return Ok(model);
        }
        expected.push(format!("{told:?}\n{known:?}\n{said:?}"));
    }
    let expected = expected.join("\nor\n");
    Err(format!("expected\n{expected}\ngot\n{trace:?}\n{states:?}\n{answer:?}"))
}

/// Every supervisor there is, and its children.
async fn look(rt: &Runtime) -> Vec<(u32, Vec<(u32, bool)>)> {
    let number = |name: &str| name.strip_prefix("node ").and_then(|n| n.parse::<u32>().ok());
    let mut all = Vec::new();
    for pid in rt.list() {
        let Some(info) = rt.info(pid) else { continue };
        let Some(of) = info.names.first().and_then(|name| number(name)) else { continue };
        let Ok(children) = SupervisorRef::named(rt, name(of)).which_children().await else {
            continue;
        };
        let child = |child: &regrow::ChildInfo| {
            let runs = matches!(child.state, ChildState::Running(_));
            (number(&child.id).unwrap_or(u32::MAX), runs)
        };
        all.push((of, children.iter().map(child).collect()));
    }
    all.sort();
    all
}
