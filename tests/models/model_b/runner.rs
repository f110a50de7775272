//! Runs a program on real supervisors and on the model, and compares after each command.

use std::time::Duration;

use regrow::{ExitReason, Leftovers, Pid, ProcessHandle, Runtime, SupervisorRef, SupervisorSpec};

use super::actor::{self, Stage, Worker, name};
use super::admin::Answer;
use super::client::{Client, finish, reason};
use super::comparison::{Guess, World, explain, explained, look};
use super::model::Model;
use super::observations::Seen;
use super::plan::{Command, Program, ROOT, Request, What};

/// The result of a run that the model explains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Run {
    /// The number of executed commands: a tree may end before the last one.
    pub(crate) commands: u32,
    /// Whether the run ended early because two unrequested events happened at one instant.
    pub(crate) tie: bool,
}

/// Runs a program. Returns a description of the first difference, if there is one.
pub(crate) fn run(program: &Program) -> Result<Run, String> {
    let mut tokio = tokio::runtime::Builder::new_current_thread();
    let tokio = tokio.enable_time().start_paused(true).build().unwrap();
    tokio.block_on(play(program))
}

async fn play(program: &Program) -> Result<Run, String> {
    let (rt, stage) = (Runtime::new(), Stage::new());
    let mut seen = Seen::new(rt.events(), &program.tree);
    let mut model = Model::default();
    model.root = model.start_tree(ROOT, &program.tree).ok();
    let first = vec![Guess { model, answer: Answer::None, due: None }];
    let parent = parent(&rt, actor::supervisor(ROOT, &program.tree, &stage));
    let all = Commands { rt: &rt, stage: &stage, parent: &parent };
    let mut models = all.compare(&mut seen, first, Answer::None).await?;
    let mut commands = 0;
    for (nth, command) in program.commands.iter().enumerate() {
        if !models.iter().any(|model| model.root.is_some()) {
            break;
        }
        commands += 1;
        let told = all.one(&mut seen, &models, command).await;
        models = told.map_err(|what| format!("after command {nth}, {command:?}:\n{what}"))?;
    }
    rt.shutdown();
    parent.join().await;
    match rt.leftovers() == Leftovers::default() && rt.spawned() == rt.finished() {
        true => Ok(Run { commands, tie: models.is_empty() }),
        false => Err(format!("I-22, I-25: left in the end: {:?}", rt.leftovers())),
    }
}

/// Spawns the process that starts the tree. A message ends this process.
fn parent(rt: &Runtime, tree: SupervisorSpec) -> ProcessHandle {
    rt.spawn_fallible(|mut ctx| async move {
        ctx.runtime().set_trap_exit(ctx.pid(), true);
        drop(tree.start_link(&ctx).await);
        while ctx.recv().await.message().is_none() {}
        Err(ExitReason::Shutdown)
    })
}

/// The targets of the commands.
struct Commands<'a> {
    parent: &'a ProcessHandle,
    rt: &'a Runtime,
    stage: &'a Stage,
}

impl Commands<'_> {
    /// Executes a command on the real tree and on all models that explain the observations until
    /// now. Returns the models that still explain them, or none after a tie.
    async fn one(
        &self,
        seen: &mut Seen,
        models: &[Model],
        command: &Command,
    ) -> Result<Vec<Model>, String> {
        let began = self.now();
        let answer = self.obey(command).await;
        let took = self.now() - began;
        match (command, &answer) {
            (Command::Ask(_, Request::Add(spec)), Answer::Ok | Answer::Ignored) => seen.added(spec),
            (Command::Queue(_, items), _) => {
                for item in items {
                    if let What::Ask(Request::Add(spec)) = &item.what {
                        seen.added(spec);
                    }
                }
            }
            _ => {}
        }
        let mut guesses: Vec<_> = models.iter().flat_map(|model| explain(model, command)).collect();
        guesses.iter_mut().for_each(|guess| guess.due = guess.due.filter(|due| !due.allow(took)));
        self.compare(seen, guesses, answer).await
    }

    fn now(&self) -> u64 {
        self.stage.now()
    }

    fn sup(&self, number: u32) -> SupervisorRef {
        SupervisorRef::named(self.rt, name(number))
    }

    fn client(&self, sup: u32) -> Client {
        Client { rt: self.rt.clone(), stage: self.stage.clone(), sup }
    }

    /// Executes a command, and returns its result.
    async fn obey(&self, command: &Command) -> Answer {
        let rt = self.rt;
        match command {
            Command::Ask(number, request) => return self.client(*number).ask(request).await,
            Command::Queue(number, items) => {
                return Answer::All(self.client(*number).queue(items).await);
            }
            Command::End(ends) => ends.iter().for_each(|&(id, end)| finish(rt, id, end)),
            Command::StopSupervisor(number) => {
                if let Some(pid) = rt.whereis(&name(*number)) {
                    // The supervisor may end before it handles this.
                    if self.sup(*number).stop().await.is_ok() {
                        rt.ended(pid).await;
                    }
                }
            }
            Command::Kill(numbers) => {
                for number in numbers {
                    // A worker may hold the name by now.
                    let is_tree = |pid: &Pid| rt.server_at::<Worker>(*pid).is_err();
                    rt.whereis(&name(*number)).filter(is_tree).map(|pid| rt.kill(pid));
                }
            }
            Command::ParentEnds => {
                rt.send(self.parent.pid(), Vec::new());
                rt.ended(rt.whereis(&name(ROOT)).expect("there is a root")).await;
            }
            Command::Stranger(number, end) => {
                if let Some(pid) = rt.whereis(&name(*number)) {
                    rt.exit(pid, reason(*end));
                }
            }
            Command::Advance(time) => tokio::time::sleep(Duration::from_millis(*time)).await,
        }
        Answer::None
    }

    /// Waits until the effects of the command are over, in the real tree and in all models.
    async fn rest(&self, guesses: &mut [Guess]) {
        let mut latest = 0;
        loop {
            let until = guesses.iter().map(|guess| guess.model.rests_at()).max().unwrap_or(0);
            let rest = until.max(latest).saturating_sub(self.now()) + 1;
            tokio::time::sleep(Duration::from_millis(rest)).await;
            latest = self.now();
            guesses.iter_mut().for_each(|guess| guess.model.run_to(latest));
            if guesses.iter_mut().all(|guess| guess.model.rests_before(latest)) {
                return;
            }
        }
    }

    /// Returns the models that explain the observations, or a description of the difference.
    async fn compare(
        &self,
        seen: &mut Seen,
        mut guesses: Vec<Guess>,
        answer: Answer,
    ) -> Result<Vec<Model>, String> {
        self.rest(&mut guesses).await;
        seen.read()?;
        if guesses.iter().any(|guess| guess.model.undecided) {
            return Ok(Vec::new());
        }
        let trace = std::mem::take(&mut *self.stage.trace.lock().unwrap());
        let (ended, restarts) =
            (std::mem::take(&mut seen.ended), std::mem::take(&mut seen.restarts));
        let got = World { trace, ended, restarts, states: look(self.rt).await?, answer };
        explained(guesses, got)
    }
}
