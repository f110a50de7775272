//! The reaction of a supervisor to the end of a child.

use super::model::{Model, Over, State, Tree};
use super::plan::{Auto, End, Restart, Strategy};
use super::queue::{Event, Mailbox, Retry};
use super::time::Due;

/// What follows the end of a child or a failed start.
enum Next {
    AtOnce,
    After(u64),
    /// The child had no healthy run for too long.
    GiveUp,
}

/// How long a child with a backoff may have no healthy run, in milliseconds.
const PATIENCE: u64 = 15 * 60 * 1_000;

impl Model {
    /// Delivers these ends to the supervisor, in this order. If the supervisor ends, returns how.
    pub(crate) fn ended(&mut self, tree: &mut Tree, ids: &[u32]) -> Option<Over> {
        let exits = ids.iter().filter_map(|&id| tree.exit_of(id)).collect();
        self.handle_ends(tree, exits)
    }

    /// Handles a delayed restart that is due.
    pub(crate) fn retried(
        &mut self,
        tree: &mut Tree,
        id: u32,
        ticket: u64,
        retry: Retry,
    ) -> Option<Over> {
        self.handle_ends(tree, [Event::Retry { id, ticket, retry }].into())
    }

    /// Handles the events of the mailbox in order, until no more arrive.
    pub(crate) fn handle_ends(&mut self, tree: &mut Tree, mut mailbox: Mailbox) -> Option<Over> {
        while let Some(event) = self.next(tree, &mut mailbox) {
            let over = match event {
                Event::Exit { id, death } => self.exit(tree, id, death, &mut mailbox),
                Event::Retry { id, ticket, retry } => match tree.at(id) {
                    Some(at) if tree.children[at].waits(ticket) => {
                        tree.children[at].state = State::Stopped;
                        self.restart(tree, at, retry, &mut mailbox)
                    }
                    _ => None,
                },
                Event::Ask { nth, request } => {
                    self.asked(tree, nth, &request, &mut mailbox);
                    None
                }
            };
            if over.is_some() {
                self.stop_children(tree);
                self.ends(
                    tree.number,
                    if over == Some(Over::GaveUp) { End::Crash } else { End::Shutdown },
                );
                self.leave_unanswered(tree, mailbox);
                return over;
            }
        }
        None
    }

    fn exit(
        &mut self,
        tree: &mut Tree,
        id: u32,
        death: u64,
        mailbox: &mut Mailbox,
    ) -> Option<Over> {
        let at = tree.at(id).filter(|&at| tree.children[at].death == death)?;
        let State::Dead(end) = tree.children[at].state else { return None };
        self.one_ended(tree, at, end, mailbox)
    }

    fn one_ended(
        &mut self,
        tree: &mut Tree,
        at: usize,
        end: End,
        mailbox: &mut Mailbox,
    ) -> Option<Over> {
        let clean = matches!(end, End::Normal | End::Shutdown);
        let significant = tree.children[at].spec.significant;
        tree.children[at].state = State::Stopped;
        tree.children[at].is_over(self.now);
        match tree.children[at].spec.restart {
            Restart::Temporary => tree.remove(at),
            Restart::Transient if clean => tree.children[at].forgets_failures(),
            _ => match self.next_try(tree, at) {
                Next::AtOnce => return self.restart(tree, at, Retry::Counted, mailbox),
                Next::GiveUp => return Some(Over::GaveUp),
                Next::After(delay) => {
                    self.wait(tree, at, delay, mailbox);
                    return None;
                }
            },
        }
        let due = match tree.spec.auto {
            Auto::Never => false,
            Auto::Any => significant,
            Auto::All => significant && !tree.significant_are_left(),
        };
        due.then_some(Over::Shutdown)
    }

    /// Makes one attempt to restart the child and its group. If a start fails, the supervisor posts
    /// a retry to its own mailbox or, with a backoff, sets a timer.
    fn restart(
        &mut self,
        tree: &mut Tree,
        at: usize,
        retry: Retry,
        mailbox: &mut Mailbox,
    ) -> Option<Over> {
        let (now, period) = (self.now, tree.spec.period);
        tree.window.retain(|&then| now - then < period);
        if retry == Retry::Counted {
            if tree.window.len() >= tree.spec.restarts as usize {
                return Some(Over::GaveUp);
            }
            tree.window.push(now);
        }
        let failed = tree.children[at].spec.id;
        if retry != Retry::Decided {
            let left = tree.spec.restarts - tree.window.len() as u32;
            self.restarts.push((tree.number, failed, left));
        }
        let first = tree.group(at);
        self.stop_group(tree, first, failed, mailbox);
        let at = tree.at(failed)?;
        let first = first.min(at);
        if self.wait_alone(tree, at, first, mailbox) {
            return None;
        }
        let next = self.start_group(tree, first, failed)?;
        match self.next_try(tree, next) {
            Next::GiveUp => return Some(Over::GaveUp),
            Next::After(delay) => self.wait(tree, next, delay, mailbox),
            Next::AtOnce => {
                let (id, ticket) = self.waits(tree, next);
                self.post(tree, mailbox, Event::Retry { id, ticket, retry: Retry::Counted });
            }
        }
        None
    }

    /// Delays the restart while orphans of killed supervisors in the group are still ending. Only
    /// the group waits for them; the supervisor does not.
    fn wait_alone(
        &mut self,
        tree: &mut Tree,
        at: usize,
        first: usize,
        mailbox: &mut Mailbox,
    ) -> bool {
        let group = match tree.spec.strategy {
            Strategy::OneForOne => &tree.children[at..=at],
            Strategy::OneForAll | Strategy::RestForOne => &tree.children[first..],
        };
        let alone = group.iter().map(|child| child.alone).max().unwrap_or(0);
        if alone <= self.now {
            self.deliver(tree, mailbox);
            // The real supervisor may or may not wait for an orphan that ends at this very instant.
            // The outcome is the same if the supervisor does nothing else before the retry.
            self.undecided |= alone == self.now && !mailbox.is_empty();
            return false;
        }
        let (id, ticket) = self.waits(tree, at);
        let due = Due::Retry { sup: tree.number, id, ticket, retry: Retry::Decided };
        self.set_timer(alone - self.now, due);
        true
    }

    /// Decides what follows a failure. A supervisor without a restart budget gives up at once,
    /// without the delay of the backoff.
    fn next_try(&mut self, tree: &mut Tree, at: usize) -> Next {
        let child = &mut tree.children[at];
        let Some(backoff) = child.spec.backoff.filter(|_| tree.spec.restarts > 0) else {
            return Next::AtOnce;
        };
        let patience = PATIENCE.max(4 * (backoff.max + backoff.healthy));
        let patience = backoff.patience.unwrap_or(patience);
        if child.unhealthy.is_some_and(|since| self.now.saturating_sub(since) >= patience) {
            return Next::GiveUp;
        }
        let grown = backoff.first << child.tries.min(20);
        child.tries += 1;
        Next::After(grown.min(backoff.max))
    }

    /// Delays the restart of the child. The children of its group are stopped and wait with it.
    fn wait(&mut self, tree: &mut Tree, at: usize, delay: u64, mailbox: &mut Mailbox) {
        let (id, ticket) = self.waits(tree, at);
        let due = Due::Retry { sup: tree.number, id, ticket, retry: Retry::Delayed };
        self.set_timer(delay, due);
        let first = tree.group(at);
        self.stop_group(tree, first, id, mailbox);
    }

    fn waits(&mut self, tree: &mut Tree, at: usize) -> (u32, u64) {
        self.tickets += 1;
        tree.children[at].state = State::Waiting(self.tickets);
        (tree.children[at].spec.id, self.tickets)
    }

    /// Stops the group except the failed child, in reverse order. Temporary children are forgotten.
    fn stop_group(&mut self, tree: &mut Tree, first: usize, failed: u32, mailbox: &mut Mailbox) {
        if tree.spec.strategy == Strategy::OneForOne {
            return;
        }
        for at in (first..tree.children.len()).rev() {
            if tree.children[at].spec.id == failed {
                continue;
            }
            self.strike_all(tree);
            self.stop(&mut tree.children[at]);
            self.post_fallen(tree, mailbox);
            if tree.children[at].spec.is_temporary() {
                tree.remove(at);
            }
        }
    }

    /// Starts the group. Returns the position of the first child whose start failed.
    fn start_group(&mut self, tree: &mut Tree, first: usize, failed: u32) -> Option<usize> {
        let one = tree.spec.strategy == Strategy::OneForOne;
        for at in first..tree.children.len() {
            if one && tree.children[at].spec.id != failed {
                continue;
            }
            let child = &mut tree.children[at];
            child.began = self.now;
            let spec = child.spec.clone();
            match self.start(&spec) {
                Ok(state) => {
                    let child = &mut tree.children[at];
                    child.starts(state, self.now);
                    if matches!(child.state, State::Stopped) {
                        child.forgets_failures();
                    }
                }
                Err(()) => {
                    tree.children[at].fails();
                    let left = std::mem::take(&mut self.left);
                    tree.children[at].alone = tree.children[at].alone.max(left);
                    return Some(at);
                }
            }
        }
        None
    }
}

impl Tree {
    /// Returns the event of the last end of this child.
    pub(crate) fn exit_of(&self, id: u32) -> Option<Event> {
        let death = self.children[self.at(id)?].death;
        Some(Event::Exit { id, death })
    }

    /// Returns whether a significant child runs, waits, or will be restarted with a child that
    /// waits.
    fn significant_are_left(&self) -> bool {
        let waits = self.children.iter().position(|child| matches!(child.state, State::Waiting(_)));
        let back = match self.spec.strategy {
            Strategy::OneForOne => None,
            _ => waits.map(|at| self.group(at)),
        };
        let mut significant =
            self.children.iter().enumerate().filter(|(_, child)| child.spec.significant);
        significant.any(|(at, child)| {
            !matches!(child.state, State::Stopped) || back.is_some_and(|first| first <= at)
        })
    }

    /// Returns the position of the first child of this child's group.
    pub(crate) fn group(&self, at: usize) -> usize {
        match self.spec.strategy {
            Strategy::OneForAll => 0,
            Strategy::OneForOne | Strategy::RestForOne => at,
        }
    }
}
