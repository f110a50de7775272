//! Runs a program on real supervisors and on the model, and compares after each command.

use std::time::Duration;

use regrow::{
    ChildError, ChildState, ExitReason, Leftovers, ProcessHandle, Runtime, StartError,
    SupervisorRef, SupervisorSpec,
};

use crate::actor::{self, Stage, Worker, name, number};
use crate::admin::Answer;
use crate::model::Model;
use crate::plan::{Command, End, Program, ROOT, Spec};
use crate::seen::Seen;

/// What is different, if something is.
pub(crate) fn run(program: &Program) -> Result<(), String> {
    let mut tokio = tokio::runtime::Builder::new_current_thread();
    let tokio = tokio.enable_time().start_paused(true).build().unwrap();
    tokio.block_on(play(program))
}

async fn play(program: &Program) -> Result<(), String> {
    let (rt, stage) = (Runtime::new(), Stage::new());
    let mut seen = Seen::new(rt.events(), &program.tree);
    let mut model = Model::default();
    model.root = model.start_tree(ROOT, &program.tree).ok();
    let parent = parent(&rt, actor::supervisor(ROOT, &program.tree, &stage));
    let all = Commands { rt: &rt, stage: &stage, parent: &parent };
    model = all.compare(&mut seen, vec![(model, Answer::None)], Answer::None).await?;
    for (nth, command) in program.commands.iter().enumerate() {
        if model.root.is_none() {
            break;
        }
        let told = all.one(&mut seen, &model, command).await;
        model = told.map_err(|what| format!("after command {nth}, {command:?}:\n{what}"))?;
    }
    rt.shutdown();
    parent.join().await;
    match rt.leftovers() == Leftovers::default() && rt.spawned() == rt.finished() {
        true => Ok(()),
        false => Err(format!("I-22, I-25: left in the end: {:?}", rt.leftovers())),
    }
}

/// Whoever starts the tree; a message ends it.
fn parent(rt: &Runtime, tree: SupervisorSpec) -> ProcessHandle {
    rt.spawn_fallible(|mut ctx| async move {
        ctx.runtime().set_trap_exit(ctx.pid(), true);
        drop(tree.start_link(&ctx).await);
        while ctx.recv().await.message().is_none() {}
        Err(ExitReason::Shutdown)
    })
}

/// What commands are carried out on.
struct Commands<'a> {
    parent: &'a ProcessHandle,
    rt: &'a Runtime,
    stage: &'a Stage,
}

impl Commands<'_> {
    /// Carries out a command, here and in the model.
    async fn one(
        &self,
        seen: &mut Seen,
        model: &Model,
        command: &Command,
    ) -> Result<Model, String> {
        let answer = self.obey(command).await;
        let took = self.now() - model.now;
        if let (Command::Add { spec, .. }, Answer::Ok | Answer::Ignored) = (command, &answer) {
            seen.added(spec);
        }
        let worlds = explain(model, command);
        // Whoever asks is answered at the very moment when it is done; who stops a supervisor,
        // before its own has seen to its end: I-18.
        let due = worlds[0].0.now - model.now;
        let in_time = match command {
            Command::End(_) | Command::Stranger(..) => took == 0,
            Command::StopSupervisor(_) => took <= due,
            _ => took == due || answer == Answer::NoProc,
        };
        if !in_time {
            return Err(format!("I-18: it took {took} ms and not {due}"));
        }
        self.compare(seen, worlds, answer).await
    }

    fn now(&self) -> u64 {
        self.stage.zero.elapsed().as_millis() as u64
    }

    fn sup(&self, number: u32) -> SupervisorRef {
        SupervisorRef::named(self.rt, name(number))
    }

    /// Does it, and says what it came to.
    async fn obey(&self, command: &Command) -> Answer {
        let rt = self.rt;
        match command {
            Command::End(ends) => {
                ends.iter().for_each(|&(id, end)| finish(rt, id, end));
                Answer::None
            }
            Command::StopSupervisor(number) => {
                if let Some(pid) = rt.whereis(&name(*number)) {
                    // It may end before it hears of it, and be no supervisor any more.
                    if self.sup(*number).stop().await.is_ok() {
                        rt.ended(pid).await;
                    }
                }
                Answer::None
            }
            Command::ParentEnds => {
                rt.send(self.parent.pid(), Vec::new());
                rt.ended(rt.whereis(&name(ROOT)).expect("there is a root")).await;
                Answer::None
            }
            Command::Stranger(number, end) => {
                if let Some(pid) = rt.whereis(&name(*number)) {
                    rt.exit(pid, reason(*end));
                }
                Answer::None
            }
            Command::Terminate { sup, id } => {
                answer(&self.sup(*sup).terminate_child(&name(*id)).await)
            }
            Command::Restart { sup, id } => answer(&self.sup(*sup).restart_child(&name(*id)).await),
            Command::Delete { sup, id } => answer(&self.sup(*sup).delete_child(&name(*id)).await),
            Command::Add { sup, spec } => self.add(*sup, spec).await,
            Command::Advance(time) => {
                tokio::time::sleep(Duration::from_millis(*time)).await;
                Answer::None
            }
        }
    }

    async fn add(&self, sup: u32, spec: &Spec) -> Answer {
        match self.sup(sup).start_child(actor::child(spec, self.stage)).await {
            Ok(_) => Answer::Ok,
            // Of another supervisor, or of this one: the name tells no difference.
            Err(StartError::AlreadyStarted { .. }) => Answer::Running,
            Err(StartError::AlreadyPresent(_)) => Answer::AlreadyPresent,
            Err(StartError::Ignored) => Answer::Ignored,
            Err(StartError::Invalid(_)) => Answer::Invalid,
            Err(StartError::Unreachable(_)) => Answer::NoProc,
            Err(_) => Answer::Failed,
        }
    }

    /// The one world that explains what is seen, or what is seen instead.
    async fn compare(
        &self,
        seen: &mut Seen,
        worlds: Vec<(Model, Answer)>,
        answer: Answer,
    ) -> Result<Model, String> {
        let latest = worlds.iter().map(|(model, _)| model.now).max().unwrap_or(0);
        let rest = latest.saturating_sub(self.now()) + 1;
        tokio::time::sleep(Duration::from_millis(rest)).await;
        let now = self.now();
        seen.read()?;
        let mut ended = std::mem::take(&mut seen.ended);
        ended.sort();
        let trace = std::mem::take(&mut *self.stage.trace.lock().unwrap());
        let got = World {
            trace,
            ended,
            restarts: std::mem::take(&mut seen.restarts),
            states: look(self.rt).await?,
            answer,
        };
        let mut expected = Vec::new();
        for (mut model, said) in worlds {
            let world = World::of(&mut model, said);
            if world == got {
                model.now = now;
                return Ok(model);
            }
            expected.push(format!("{world:?}"));
        }
        Err(format!("expected\n{}\ngot\n{got:?}", expected.join("\nor\n")))
    }
}

/// What can be seen of a command.
#[derive(Debug, PartialEq)]
struct World {
    trace: Vec<(u64, String)>,
    ended: Vec<(u32, End)>,
    /// Each of them counted: I-13, I-14.
    restarts: Vec<(u32, u32, u32)>,
    states: States,
    answer: Answer,
}

/// Every supervisor, and of each child whether it runs.
type States = Vec<(u32, Vec<(u32, bool)>)>;

impl World {
    fn of(model: &mut Model, answer: Answer) -> World {
        let mut states = Vec::new();
        model.root.iter().for_each(|root| root.states(&mut states));
        states.sort();
        let mut ended = std::mem::take(&mut model.ended);
        ended.sort();
        let trace = std::mem::take(&mut model.trace);
        World { trace, ended, restarts: std::mem::take(&mut model.restarts), states, answer }
    }
}

fn finish(rt: &Runtime, id: u32, end: End) {
    let Some(pid) = rt.whereis(&name(id)) else { return };
    let Ok(worker) = rt.server_at::<Worker>(pid) else { return };
    match end {
        End::Kill => drop(rt.kill(pid)),
        End::Normal | End::Shutdown | End::Crash => drop(worker.cast(reason(end))),
    }
}

fn reason(end: End) -> ExitReason {
    match end {
        End::Normal => ExitReason::Normal,
        End::Shutdown => ExitReason::Shutdown,
        End::Crash => ExitReason::crashed("boom"),
        End::Kill => ExitReason::Killed,
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

/// Every supervisor there is, and its children.
async fn look(rt: &Runtime) -> Result<States, String> {
    let mut all = Vec::new();
    for pid in rt.list() {
        let Some(info) = rt.info(pid) else { continue };
        let Some(of) = info.names.first().and_then(|name| number(name)) else { continue };
        let sup = SupervisorRef::named(rt, name(of));
        let Ok(children) = sup.which_children().await else { continue };
        let runs = |child: &regrow::ChildInfo| matches!(child.state, ChildState::Running(_));
        let counts = sup.count_children().await.map_err(|error| error.to_string())?;
        let active = children.iter().filter(|child| runs(child)).count();
        if (counts.specs, counts.active) != (children.len(), active) {
            return Err(format!("I-17: {counts:?} of {children:?}"));
        }
        let child =
            |child: &regrow::ChildInfo| (number(&child.id).unwrap_or(u32::MAX), runs(child));
        all.push((of, children.iter().map(child).collect()));
    }
    all.sort();
    Ok(all)
}
