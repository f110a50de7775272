//! Compares the observations of a run with the outcomes that the models allow.

use std::collections::HashSet;

use regrow::{CallError, ChildInfo, ChildState, Runtime, SupervisorRef};

use super::actor::{Worker, name, number};
use super::admin::Answer;
use super::model::Model;
use super::plan::{Command, End, Look};

/// One outcome of a command that the model allows.
pub(crate) struct Guess {
    pub(crate) model: Model,
    pub(crate) answer: Answer,
    /// When the answer is due; `None` if it came in time, or if its time is not checked.
    pub(crate) due: Option<Due>,
}

/// When an answer is due.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Due {
    /// The answer comes after exactly this number of milliseconds, when the request is done.
    After(u64),
    /// The answer comes within this number of milliseconds. The caller of a stop is answered before
    /// the parent of the stopped supervisor has handled the end of that supervisor.
    Within(u64),
}

impl Due {
    pub(crate) fn allow(self, took: u64) -> bool {
        match self {
            Due::After(time) => took == time,
            Due::Within(time) => took <= time,
        }
    }
}

/// Returns the outcomes that the model allows for a command. Ends at one instant have one outcome
/// for each order.
pub(crate) fn explain(before: &Model, command: &Command) -> Vec<Guess> {
    if let Command::End(ends) = command {
        let one = |order: Vec<u32>| {
            let mut model = before.clone();
            model.during(|model| model.die(ends, &order));
            Guess { model, answer: Answer::None, due: Some(Due::After(0)) }
        };
        let ids: Vec<_> = ends.iter().map(|(id, _)| *id).collect();
        return orders(&ids).into_iter().map(one).collect();
    }
    let mut model = before.clone();
    let answer = match command {
        Command::Advance(_) => model.obey(command),
        _ => model.during(|model| model.obey(command)),
    };
    let took = model.answered.take().unwrap_or(model.now) - before.now;
    let due = match command {
        Command::Queue(..) => None,
        Command::Stranger(..) | Command::Kill(_) => Some(Due::After(0)),
        Command::Advance(time) => Some(Due::After(*time)),
        Command::StopSupervisor(_) => Some(Due::Within(took)),
        _ if answer == Answer::NoProc => Some(Due::Within(0)),
        _ => Some(Due::After(took)),
    };
    vec![Guess { model, answer, due }]
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

/// Returns the distinct models that predicted the observed state.
pub(crate) fn explained(guesses: Vec<Guess>, mut got: World) -> Result<Vec<Model>, String> {
    // Events at one instant may be recorded in any order.
    let falls = guesses.iter().any(|guess| guess.model.falls);
    got.sort(falls);
    let several = guesses.len() > 1;
    let (mut models, mut known, mut expected) = (Vec::new(), HashSet::new(), Vec::new());
    for Guess { mut model, answer, due } in guesses {
        let mut world = World::of(&mut model, answer);
        world.sort(falls);
        if due.is_none() && world == got {
            if !several || known.insert(format!("{:?} {:?}", model.root, model.timers)) {
                models.push(model);
            }
        } else {
            let due = due.map(|due| format!("I-18: due {due:?}, ")).unwrap_or_default();
            expected.push(format!("{due}{world:?}"));
        }
    }
    match models.is_empty() {
        false => Ok(models),
        true => Err(format!("expected\n{}\ngot\n{got:?}", expected.join("\nor\n"))),
    }
}

/// Everything observable that a command caused.
#[derive(Debug, PartialEq)]
pub(crate) struct World {
    pub(crate) trace: Vec<(u64, String)>,
    pub(crate) ended: Vec<(u32, End)>,
    /// The restarts: supervisor, child, and restarts left. Each one counts for I-13 and I-14.
    pub(crate) restarts: Vec<(u32, u32, u32)>,
    pub(crate) states: States,
    pub(crate) answer: Answer,
}

/// All supervisors, each with the reported state of its children.
pub(crate) type States = Vec<(u32, Vec<(u32, Look)>)>;

impl World {
    fn of(model: &mut Model, answer: Answer) -> World {
        let mut states = Vec::new();
        model.root.iter().for_each(|root| model.states(root, &mut states));
        states.sort();
        model.falls = false;
        let (trace, mut ended) =
            (std::mem::take(&mut model.trace), std::mem::take(&mut model.ended));
        // Some ends become known only after their supervisor has handled them.
        ended.sort_by_key(|(at, ..)| *at);
        let ended = ended.into_iter().map(|(_, id, end)| (id, end)).collect();
        World { trace, ended, restarts: std::mem::take(&mut model.restarts), states, answer }
    }

    fn sort(&mut self, falls: bool) {
        if falls {
            self.ended.sort();
            self.trace.sort();
        }
    }
}

/// Observes every running supervisor and its children.
pub(crate) async fn look(rt: &Runtime) -> Result<States, String> {
    let mut all = Vec::new();
    for pid in rt.list() {
        let Some(info) = rt.info(pid) else { continue };
        let Some(of) = info.names.first().and_then(|name| number(name)) else { continue };
        let sup = SupervisorRef::named(rt, name(of));
        let Ok(children) = sup.which_children().await else { continue };
        let counts = sup.count_children().await.map_err(|error| error.to_string())?;
        let looks = looks(&children);
        let active = looks.iter().filter(|(_, look)| *look == Look::Runs).count();
        if (counts.specs, counts.active) != (children.len(), active) {
            return Err(format!("I-17: {counts:?} of {children:?}"));
        }
        names_tell(rt, &looks).await?;
        all.push((of, looks));
    }
    all.sort();
    Ok(all)
}

/// Converts the children that a supervisor reports.
pub(crate) fn looks(children: &[ChildInfo]) -> Vec<(u32, Look)> {
    let look = |child: &ChildInfo| match child.state {
        ChildState::Running(_) => Look::Runs,
        ChildState::Restarting { retry_in } => {
            Look::Restarting(retry_in.map(|left| left.as_millis() as u64))
        }
        _ => Look::Stopped,
    };
    children.iter().map(|child| (number(&child.id).unwrap_or(u32::MAX), look(child))).collect()
}

/// Checks that a call by name returns `Restarting` exactly if the child of that name waits for a
/// retry. If any child of the supervisor waits, the other names are not checked.
async fn names_tell(rt: &Runtime, children: &[(u32, Look)]) -> Result<(), String> {
    let restarting = |look: &Look| matches!(look, Look::Restarting(_));
    let any = children.iter().any(|(_, look)| restarting(look));
    for (id, look) in children {
        if *look == Look::Runs || rt.whereis(&name(*id)).is_some() {
            continue;
        }
        let called = rt.server::<Worker>(name(*id)).call::<()>(|_| ()).await;
        let told = matches!(called, Err(CallError::Restarting { .. }));
        if restarting(look) && !told || !any && told {
            return Err(format!("a call to {id}, which is {look:?}: {called:?}"));
        }
    }
    Ok(())
}
