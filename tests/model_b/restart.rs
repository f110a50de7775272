//! What a supervisor does about ends.

use std::collections::VecDeque;

use crate::model::{Model, Over, State, Tree};
use crate::plan::{Auto, End, Restart, Strategy};

/// What lies in a supervisor's mailbox.
enum Event {
    Exit(u32),
    /// A start failed, and is tried again, unless somebody has seen to the child.
    Retry {
        id: u32,
        ticket: u64,
    },
}

type Mailbox = VecDeque<Event>;

impl Model {
    /// The supervisor hears of these ends, in this order. What it ends with, if it does.
    pub(crate) fn ended(&mut self, tree: &mut Tree, ids: &[u32]) -> Option<Over> {
        let mut mailbox: Mailbox = ids.iter().map(|&id| Event::Exit(id)).collect();
        while let Some(event) = mailbox.pop_front() {
            let over = match event {
                Event::Exit(id) => self.exit(tree, id, &mut mailbox),
                Event::Retry { id, ticket } => match tree.at(id) {
                    Some(at) if tree.children[at].waits(ticket) => {
                        self.restart(tree, at, &mut mailbox)
                    }
                    _ => None,
                },
            };
            if over.is_some() {
                self.stop_children(tree);
                self.ends(
                    tree.number,
                    if over == Some(Over::GaveUp) { End::Crash } else { End::Shutdown },
                );
                return over;
            }
        }
        None
    }

    fn exit(&mut self, tree: &mut Tree, id: u32, mailbox: &mut Mailbox) -> Option<Over> {
        let at = tree.at(id)?;
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
        match tree.children[at].spec.restart {
            Restart::Temporary => drop(tree.children.remove(at)),
            Restart::Transient if clean => {}
            _ => return self.restart(tree, at, mailbox),
        }
        let left = |child: &crate::model::Child| {
            child.spec.significant && !matches!(child.state, State::Stopped)
        };
        let due = match tree.spec.auto {
            Auto::Never => false,
            Auto::Any => significant,
            Auto::All => significant && !tree.children.iter().any(left),
        };
        due.then_some(Over::Shutdown)
    }

    /// One attempt to restart the child and its group; a start that fails is tried again by a
    /// message to itself.
    fn restart(&mut self, tree: &mut Tree, at: usize, mailbox: &mut Mailbox) -> Option<Over> {
        let (now, period) = (self.now, tree.spec.period);
        tree.window.retain(|&then| now - then < period);
        if tree.window.len() >= tree.spec.restarts as usize {
            return Some(Over::GaveUp);
        }
        tree.window.push(now);
        let left = tree.spec.restarts - tree.window.len() as u32;
        self.restarts.push((tree.number, tree.children[at].spec.id, left));
        let failed = tree.children[at].spec.id;
        let first = match tree.spec.strategy {
            Strategy::OneForAll => 0,
            Strategy::OneForOne | Strategy::RestForOne => at,
        };
        if tree.spec.strategy != Strategy::OneForOne {
            self.stop_group(tree, first, failed);
        }
        let first = first.min(tree.at(failed)?);
        if let Some(next) = self.start_group(tree, first, failed) {
            self.tickets += 1;
            let ticket = self.tickets;
            tree.children[next].state = State::Waiting(ticket);
            mailbox.push_back(Event::Retry { id: tree.children[next].spec.id, ticket });
        }
        None
    }

    /// All but the failed one, in reverse; the temporary ones are forgotten.
    fn stop_group(&mut self, tree: &mut Tree, first: usize, failed: u32) {
        for at in (first..tree.children.len()).rev() {
            if tree.children[at].spec.id == failed {
                continue;
            }
            self.stop(&mut tree.children[at]);
            if tree.children[at].spec.is_temporary() {
                tree.children.remove(at);
            }
        }
    }

    /// Where a start failed, if one did.
    fn start_group(&mut self, tree: &mut Tree, first: usize, failed: u32) -> Option<usize> {
        let one = tree.spec.strategy == Strategy::OneForOne;
        for at in first..tree.children.len() {
            if one && tree.children[at].spec.id != failed {
                continue;
            }
            let spec = tree.children[at].spec.clone();
            match self.start(&spec) {
                Ok(state) => tree.children[at].state = state,
                Err(()) => return Some(at),
            }
        }
        None
    }
}
