//! OTP's supervisor as a sequential program with its own clock.
//!
//! Only starts and stops take time. Every event of a child is a line of the trace with its time.
//! Events that occur later without a command are in [`time`](super::time). Links and the children
//! of killed supervisors are in [`links_and_orphans`](super::links_and_orphans).

use std::collections::{BTreeSet, HashMap, VecDeque};

use super::comparison::States;
use super::plan::{Auto, End, Kind, Look, Restart, Script, Shutdown, Spec, Start, Stop, Sup};
use super::queue::Coming;
use super::time::{Due, Timer};

/// A running supervisor.
#[derive(Debug, Clone)]
pub(crate) struct Tree {
    pub(crate) number: u32,
    pub(crate) spec: Sup,
    pub(crate) children: Vec<Child>,
    /// The times of its restarts within the period.
    pub(crate) window: Vec<u64>,
    /// The time at which the last of the orphans of its forgotten children has ended.
    pub(crate) leaves: u64,
}

#[derive(Debug, Clone)]
pub(crate) struct Child {
    pub(crate) spec: Spec,
    pub(crate) state: State,
    /// The time at which the start of its incarnation began.
    pub(crate) began: u64,
    /// The number of delayed restarts since its last healthy run.
    pub(crate) tries: u32,
    /// The time since which it had no healthy run, while that time counts.
    pub(crate) unhealthy: Option<u64>,
    /// The time without a healthy run that had counted when its group was stopped.
    counted: u64,
    /// The time at which the last orphan of its killed incarnations has ended.
    pub(crate) alone: u64,
    /// The time at which the start of its incarnation succeeded.
    since: u64,
    /// The number of its last unrequested end.
    pub(crate) death: u64,
}

#[derive(Debug, Clone)]
pub(crate) enum State {
    Running(Option<Box<Tree>>),
    /// The child has ended, and its supervisor has not handled the end yet.
    Dead(End),
    /// The child waits for the restart with this ticket.
    Waiting(u64),
    Stopped,
}

/// How a supervisor ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Over {
    Shutdown,
    GaveUp,
    /// The supervisor was killed; its orphans have ended at this time.
    Killed(u64),
}

/// The whole tree, its clock, and its trace.
#[derive(Debug, Clone, Default)]
pub(crate) struct Model {
    pub(crate) now: u64,
    pub(crate) trace: Vec<(u64, String)>,
    /// The children that ended: time, number and reason.
    pub(crate) ended: Vec<(u64, u32, End)>,
    /// The time of the answer to a request, if its effects lasted longer.
    pub(crate) answered: Option<u64>,
    /// The decided restarts: supervisor, child, and number of restarts left.
    pub(crate) restarts: Vec<(u32, u32, u32)>,
    /// The number of starts of each worker.
    pub(crate) starts: HashMap<u32, usize>,
    pub(crate) root: Option<Tree>,
    pub(crate) tickets: u64,
    pub(crate) timers: Vec<Timer>,
    /// The time at which the effects of the last command or event were over.
    pub(crate) busy: u64,
    /// Whether an unrequested event fell into the handling of another; their order is not defined.
    pub(crate) undecided: bool,
    /// The time at which the last orphan of killed supervisors has ended.
    pub(crate) falling: u64,
    /// Whether several processes ended concurrently since the last comparison.
    pub(crate) falls: bool,
    /// The time at which the last child of a supervisor with a failed start has ended.
    pub(crate) left: u64,
    /// The running workers.
    pub(crate) alive: BTreeSet<u32>,
    pub(crate) links: BTreeSet<(u32, u32)>,
    /// The processes that lost a linked sibling, and the reason of that sibling.
    pub(crate) bereft: VecDeque<(u32, End)>,
    /// The items that have not yet arrived at one supervisor.
    pub(crate) coming: Coming,
    /// The due time of the first timer that was set by a command.
    pub(crate) soonest: Option<u64>,
}

impl Model {
    pub(crate) fn tell(&mut self, what: String) {
        self.trace.push((self.now, what));
    }

    pub(crate) fn ends(&mut self, id: u32, end: End) {
        self.ends_at(self.now, id, end);
    }

    pub(crate) fn ends_at(&mut self, at: u64, id: u32, end: End) {
        self.ended.push((at, id, end));
        self.unlink(id, end);
    }

    /// Ends a worker by itself. Its supervisor receives the number of this end.
    pub(crate) fn dies(&mut self, child: &mut Child, end: End) {
        self.tickets += 1;
        child.dead(end, self.tickets);
        self.ends(child.spec.id, end);
    }

    /// Starts a supervisor with all its children. If one child fails, none is left running.
    pub(crate) fn start_tree(&mut self, number: u32, spec: &Sup) -> Result<Tree, ()> {
        let mut tree = Tree::new(number, spec);
        for child in &spec.children {
            let began = self.now;
            match self.start(child) {
                Ok(state) => {
                    let gone = matches!(state, State::Stopped) && child.is_temporary();
                    if !gone {
                        tree.children.push(Child::new(child, state, began, self.now));
                    }
                }
                Err(()) => {
                    tree.leaves = std::mem::take(&mut self.left);
                    self.stop_children(&mut tree);
                    self.ends(number, End::Crash);
                    self.left = tree.leaves;
                    return Err(());
                }
            }
        }
        Ok(tree)
    }

    pub(crate) fn start(&mut self, spec: &Spec) -> Result<State, ()> {
        let script = match &spec.kind {
            Kind::Supervisor(sup) => {
                let tree = self.start_tree(spec.id, sup)?;
                return Ok(State::Running(Some(Box::new(tree))));
            }
            Kind::Worker(script) => script,
        };
        let nth = self.starts.entry(spec.id).or_default();
        let start = script.starts.get(*nth).copied().unwrap_or(Start::Good);
        *nth += 1;
        match start {
            Start::Good | Start::Takes(_) | Start::Lives(_) => {
                let nth = *nth;
                if let Start::Takes(time) = start {
                    self.now += time;
                }
                if let Start::Lives(time) = start {
                    self.set_timer(time, Due::Crash { id: spec.id, nth });
                }
                self.link(spec.id, script.link);
                self.tell(format!("{} starts", spec.id));
                Ok(State::Running(None))
            }
            Start::Fails => {
                self.tell(format!("{} fails", spec.id));
                self.ends(spec.id, End::Crash);
                Err(())
            }
            Start::Ignores => {
                self.tell(format!("{} ignores", spec.id));
                self.ends(spec.id, End::Normal);
                Ok(State::Stopped)
            }
        }
    }

    /// Stops a child. The clock advances by the time that the stop takes.
    pub(crate) fn stop(&mut self, child: &mut Child) {
        self.strike(child);
        match std::mem::replace(&mut child.state, State::Stopped) {
            State::Running(Some(mut tree)) if child.spec.shutdown == Shutdown::Brutal => {
                self.ends(child.spec.id, End::Kill);
                child.alone = self.fall(&mut tree);
            }
            State::Running(Some(mut tree)) => {
                self.stop_children(&mut tree);
                self.ends(child.spec.id, End::Shutdown);
                child.alone = child.alone.max(tree.leaves);
            }
            State::Running(None) => self.stop_worker(&child.spec, End::Shutdown),
            State::Dead(_) => {}
            State::Waiting(_) => return child.is_held(self.now),
            State::Stopped => return,
        }
        child.is_stopped(self.now);
    }

    /// Asks a worker to end with this reason. The clock advances by the time that the stop takes.
    pub(crate) fn stop_worker(&mut self, spec: &Spec, asked: End) {
        let Kind::Worker(Script { stop, .. }) = spec.kind else { unreachable!() };
        if spec.shutdown == Shutdown::Brutal {
            return self.ends(spec.id, End::Kill);
        }
        if stop != Stop::Unasked {
            self.tell(format!("{} stops", spec.id));
        }
        let (takes, end) = match (stop, spec.shutdown) {
            (Stop::AtOnce | Stop::Unasked, _) => (0, asked),
            (Stop::Panics, _) => (0, End::Crash),
            (Stop::Takes(time), Shutdown::Time(limit)) if time > limit => (limit, End::Kill),
            (Stop::Takes(time), _) => (time, asked),
            (Stop::Deaf, Shutdown::Time(limit)) => (limit, End::Kill),
            (Stop::Deaf, _) => unreachable!("a deaf child has a time limit"),
        };
        self.now += takes;
        self.ends(spec.id, end);
    }

    pub(crate) fn stop_children(&mut self, tree: &mut Tree) {
        loop {
            self.strike_all(tree);
            let Some(mut child) = tree.children.pop() else { return };
            self.stop(&mut child);
            tree.forget(&child);
            self.bereave(tree);
        }
    }

    /// Applies `act` to the supervisor of this number. If the supervisor ends as a result, delivers
    /// its end to the supervisors above.
    pub(crate) fn with<R>(
        &mut self,
        number: u32,
        act: impl FnOnce(&mut Model, &mut Tree) -> (R, Option<Over>),
    ) -> Option<R> {
        let mut root = self.root.take()?;
        let mut act = Some(act);
        let mut result = None;
        let over = self.descend(&mut root, number, &mut |model, tree| {
            let (outcome, over) = act.take()?(model, tree);
            result = Some(outcome);
            over
        });
        if over.is_none() {
            self.root = Some(root);
        }
        result
    }

    fn descend(
        &mut self,
        tree: &mut Tree,
        number: u32,
        act: &mut dyn FnMut(&mut Model, &mut Tree) -> Option<Over>,
    ) -> Option<Over> {
        if tree.number == number {
            return act(self, tree);
        }
        for at in 0..tree.children.len() {
            let State::Running(Some(inner)) = &mut tree.children[at].state else { continue };
            let mut inner = std::mem::replace(&mut **inner, Tree::none());
            let over = self.descend(&mut inner, number, act);
            let Some(over) = over else {
                tree.children[at].state = State::Running(Some(Box::new(inner)));
                continue;
            };
            tree.children[at].alone = tree.children[at].alone.max(inner.leaves);
            let end = match over {
                Over::Shutdown => End::Shutdown,
                Over::GaveUp => End::Crash,
                Over::Killed(alone) => {
                    tree.children[at].alone = alone;
                    End::Kill
                }
            };
            self.tickets += 1;
            tree.children[at].dead(end, self.tickets);
            let id = tree.children[at].spec.id;
            return self.ended(tree, &[id]);
        }
        None
    }
}

impl Tree {
    fn new(number: u32, spec: &Sup) -> Self {
        Tree { number, spec: spec.clone(), children: vec![], window: vec![], leaves: 0 }
    }

    pub(crate) fn remove(&mut self, at: usize) {
        let child = self.children.remove(at);
        self.forget(&child);
    }

    /// Forgets a child. The orphans of its killed incarnations then count for the supervisor.
    pub(crate) fn forget(&mut self, child: &Child) {
        self.leaves = self.leaves.max(child.alone);
    }

    fn none() -> Self {
        let spec = Sup {
            strategy: super::plan::Strategy::OneForOne,
            restarts: 0,
            period: 1,
            auto: Auto::Never,
            children: vec![],
        };
        Tree::new(u32::MAX, &spec)
    }

    pub(crate) fn at(&self, id: u32) -> Option<usize> {
        self.children.iter().position(|child| child.spec.id == id)
    }
}

impl Model {
    /// Lists every supervisor of the tree with the states of its children.
    pub(crate) fn states(&self, tree: &Tree, all: &mut States) {
        all.push((tree.number, self.looks(tree)));
        for child in &tree.children {
            if let State::Running(Some(inner)) = &child.state {
                self.states(inner, all);
            }
        }
    }

    /// Returns the children as their supervisor knows them: a child counts as running until its end
    /// is handled.
    pub(crate) fn looks(&self, tree: &Tree) -> Vec<(u32, Look)> {
        let look = |child: &Child| match child.state {
            State::Running(_) | State::Dead(_) => Look::Runs,
            State::Waiting(ticket) => Look::Restarting(self.waits_for(ticket)),
            State::Stopped => Look::Stopped,
        };
        tree.children.iter().map(|child| (child.spec.id, look(child))).collect()
    }
}

impl Child {
    pub(crate) fn new(spec: &Spec, state: State, began: u64, since: u64) -> Child {
        let (tries, unhealthy, counted, alone, death) = (0, None, 0, 0, 0);
        Child { spec: spec.clone(), state, began, tries, unhealthy, counted, alone, since, death }
    }

    /// Records a successful start.
    pub(crate) fn starts(&mut self, state: State, now: u64) {
        (self.state, self.since) = (state, now);
    }

    pub(crate) fn dead(&mut self, end: End, death: u64) {
        (self.state, self.death) = (State::Dead(end), death);
    }

    /// Returns whether the incarnation had started at this time; `None` if its start was in
    /// progress.
    pub(crate) fn had_started(&self, at: u64) -> Option<bool> {
        match (self.began < at, self.since < at) {
            (_, true) => Some(true),
            (true, false) => None,
            (false, false) => Some(false),
        }
    }

    fn was_healthy(&self, now: u64) -> bool {
        self.spec.backoff.is_some_and(|backoff| now.saturating_sub(self.began) >= backoff.healthy)
    }

    /// Records an unrequested end of the incarnation. After a healthy run the backoff starts
    /// afresh.
    pub(crate) fn is_over(&mut self, now: u64) {
        if self.was_healthy(now) {
            (self.tries, self.unhealthy, self.counted) = (0, Some(now), 0);
        } else {
            self.fails();
        }
    }

    /// Records a run that was not healthy, or a failed start.
    pub(crate) fn fails(&mut self) {
        if self.unhealthy.is_none() {
            self.unhealthy = Some(self.began.saturating_sub(std::mem::take(&mut self.counted)));
        }
    }

    /// Records a stop by the supervisor.
    fn is_stopped(&mut self, now: u64) {
        if self.was_healthy(now) {
            self.forgets_failures();
        } else {
            self.is_held(now);
        }
    }

    /// Pauses the time without a healthy run while the child waits with its group.
    pub(crate) fn is_held(&mut self, now: u64) {
        if let Some(since) = self.unhealthy.take() {
            self.counted = now.saturating_sub(since);
        }
    }

    /// Resets the backoff: the child ended for good, or was started or stopped on request.
    pub(crate) fn forgets_failures(&mut self) {
        (self.tries, self.unhealthy, self.counted) = (0, None, 0);
    }

    pub(crate) fn waits(&self, with: u64) -> bool {
        matches!(self.state, State::Waiting(ticket) if ticket == with)
    }
}

impl Spec {
    pub(crate) fn is_temporary(&self) -> bool {
        self.restart == Restart::Temporary
    }
}
