//! The administration calls in the model.

use super::model::{Child, Model, Over, State, Tree};
use super::plan::{Auto, Command, End, Look, ROOT, Request, Restart, Spec, Strategy};

/// The result of a command, as far as the model knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    None,
    Ok,
    NotFound,
    Running,
    Restarting,
    AlreadyPresent,
    /// A child of another supervisor holds the name.
    NameHeld,
    Failed,
    Ignored,
    Invalid,
    NoProc,
    Children(Vec<(u32, Look)>),
    /// The answers to the requests of a queue, each with the time of the answer.
    All(Vec<(u64, Answer)>),
}

impl Model {
    pub(crate) fn die(&mut self, ends: &[(u32, End)], order: &[u32]) {
        let Some(root) = &self.root else { return };
        let mut all = Vec::new();
        self.states(root, &mut all);
        let holder = all.iter().find(|(_, children)| children.iter().any(|c| order.contains(&c.0)));
        let Some(&(number, _)) = holder else { return };
        self.with(number, |model, tree| {
            for &(id, end) in ends {
                let Some(at) = tree.at(id) else { continue };
                if let State::Running(None) = tree.children[at].state {
                    model.dies(&mut tree.children[at], end);
                }
            }
            let fallen = model.bereave(tree);
            // The linked siblings end while the supervisor handles the first of several ends.
            model.falls |= ends.len() > 1 && !fallen.is_empty();
            ((), model.ended(tree, &[order, &fallen].concat()))
        });
    }

    pub(crate) fn obey(&mut self, command: &Command) -> Answer {
        match command {
            Command::Advance(time) => {
                self.run_to(self.now + time);
                Answer::None
            }
            Command::StopSupervisor(number) => self.stop_supervisor(*number),
            Command::Kill(numbers) => self.kill(numbers),
            Command::ParentEnds => self.stop_supervisor(ROOT),
            Command::Stranger(..) => Answer::None,
            Command::Ask(sup, request) => self.ask(*sup, request),
            Command::Queue(sup, items) => self.queue(*sup, items),
            Command::End(_) => unreachable!("ends are explained apart"),
        }
    }

    fn kill(&mut self, numbers: &[u32]) -> Answer {
        let Some((upper, lower)) = numbers.split_last() else { return Answer::None };
        self.with(*upper, |model, tree| {
            for number in lower {
                let Some(at) = tree.at(*number) else { continue };
                let child = &mut tree.children[at];
                if let State::Running(Some(inner)) = &mut child.state {
                    model.ends(*number, End::Kill);
                    child.alone = model.fall(inner);
                    model.tickets += 1;
                    child.dead(End::Kill, model.tickets);
                }
            }
            model.ends(tree.number, End::Kill);
            let alone = model.fall(tree);
            ((), Some(Over::Killed(alone)))
        });
        Answer::None
    }

    fn stop_supervisor(&mut self, number: u32) -> Answer {
        self.with(number, |model, tree| {
            model.stop_children(tree);
            model.ends(tree.number, End::Shutdown);
            ((), Some(Over::Shutdown))
        });
        Answer::None
    }

    /// Sends the request to the supervisor of this number, and waits for the answer.
    fn ask(&mut self, sup: u32, request: &Request) -> Answer {
        let taken = matches!(request, Request::Add(spec) if self.holds(spec.id));
        let done = self.with(sup, |model, tree| {
            let answer = model.serve(tree, request, taken);
            model.answered = Some(model.now);
            let fallen = model.bereave(tree);
            (answer, model.ended(tree, &fallen))
        });
        done.unwrap_or(Answer::NoProc)
    }

    /// Executes a request in the supervisor.
    pub(crate) fn serve(&mut self, tree: &mut Tree, request: &Request, taken: bool) -> Answer {
        let (id, act): (_, fn(&mut Model, &mut Tree, usize) -> Answer) = match request {
            Request::Terminate(id) => (id, Model::terminate),
            Request::Restart(id) => (id, Model::start_by_hand),
            Request::Delete(id) => (id, Model::delete),
            Request::Add(spec) => return self.add(tree, spec, taken),
            Request::Which => return Answer::Children(self.looks(tree)),
        };
        tree.at(*id).map_or(Answer::NotFound, |at| act(self, tree, at))
    }

    fn terminate(&mut self, tree: &mut Tree, at: usize) -> Answer {
        let waits = matches!(tree.children[at].state, State::Waiting(_));
        self.strike_all(tree);
        self.stop(&mut tree.children[at]);
        tree.children[at].forgets_failures();
        if waits && tree.spec.strategy != Strategy::OneForOne {
            // The children that waited with this child are not restarted automatically either.
            let first = tree.group(at);
            let group = tree.children[first..].iter_mut();
            let waited = group.filter(|child| matches!(child.state, State::Stopped));
            waited.for_each(|child| child.forgets_failures());
        }
        if tree.children[at].spec.is_temporary() {
            tree.remove(at);
        }
        Answer::Ok
    }

    fn delete(&mut self, tree: &mut Tree, at: usize) -> Answer {
        match tree.children[at].state {
            State::Running(_) | State::Dead(_) => return Answer::Running,
            State::Waiting(_) => return Answer::Restarting,
            State::Stopped => {}
        }
        tree.remove(at);
        Answer::Ok
    }

    fn start_by_hand(&mut self, tree: &mut Tree, at: usize) -> Answer {
        let child = &mut tree.children[at];
        match child.state {
            State::Running(_) | State::Dead(_) => return Answer::Running,
            State::Waiting(_) => return Answer::Restarting,
            State::Stopped => {}
        }
        // Children of the killed incarnation are still ending. The real supervisor answers after
        // they have ended, and serves other requests meanwhile.
        self.undecided |= child.alone >= self.now;
        child.began = self.now;
        child.forgets_failures();
        match self.start(&child.spec.clone()) {
            Ok(state) => {
                child.starts(state, self.now);
                if matches!(child.state, State::Stopped) { Answer::Ignored } else { Answer::Ok }
            }
            Err(()) => {
                child.forgets_failures();
                child.alone = child.alone.max(std::mem::take(&mut self.left));
                Answer::Failed
            }
        }
    }

    fn add(&mut self, tree: &mut Tree, spec: &Spec, taken: bool) -> Answer {
        let quiet = tree.spec.auto == Auto::Never || spec.restart == Restart::Permanent;
        if spec.significant && quiet {
            return Answer::Invalid;
        }
        if let Some(at) = tree.at(spec.id) {
            let runs = matches!(tree.children[at].state, State::Running(_) | State::Dead(_));
            return if runs { Answer::Running } else { Answer::AlreadyPresent };
        }
        if taken {
            return Answer::NameHeld;
        }
        let began = self.now;
        let Ok(state) = self.start(spec) else { return Answer::Failed };
        let ignored = matches!(state, State::Stopped);
        if !(ignored && spec.is_temporary()) {
            tree.children.push(Child::new(spec, state, began, self.now));
        }
        if ignored { Answer::Ignored } else { Answer::Ok }
    }

    /// Returns whether a child of this number runs and so holds its name.
    fn holds(&self, id: u32) -> bool {
        let mut all = Vec::new();
        self.root.iter().for_each(|root| self.states(root, &mut all));
        all.iter().any(|(_, children)| children.contains(&(id, Look::Runs)))
    }
}
