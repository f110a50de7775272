//! A supervisor's mailbox, and the messages that arrive while the supervisor is busy.
//!
//! A mailbox has one order: that in which requests, exits and the supervisor's own retries arrive.
//! The model runs a supervisor in one step, so it checks for messages that have arrived meanwhile
//! before it posts or takes anything. No two messages arrive at one instant, except requests that
//! were sent together, which have an order.

use std::collections::VecDeque;

use super::admin::Answer;
use super::model::{Child, Model, State, Tree};
use super::plan::{End, Queued, Request, What};

/// A message in the mailbox of a supervisor.
pub(crate) enum Event {
    /// The end of a child. The supervisor ignores it if the child was stopped or started again
    /// since.
    Exit {
        id: u32,
        death: u64,
    },
    /// The retry of a failed start. The supervisor ignores it if a request has handled the child
    /// since.
    Retry {
        id: u32,
        ticket: u64,
        retry: Retry,
    },
    Ask {
        nth: usize,
        request: Request,
    },
}

/// How a retry counts in the restart window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Retry {
    /// As one restart, like the end of a child.
    Counted,
    /// Not at all: the child has a backoff.
    Delayed,
    /// Not again: the restart is already counted and in the trace, and waited for orphans to end.
    Decided,
}

pub(crate) type Mailbox = VecDeque<Event>;

/// The items that have not yet arrived at one supervisor.
#[derive(Debug, Clone, Default)]
pub(crate) struct Coming {
    sup: u32,
    items: VecDeque<Item>,
    answers: Vec<(u64, Answer)>,
}

#[derive(Debug, Clone)]
struct Item {
    at: u64,
    what: Kind,
}

#[derive(Debug, Clone)]
enum Kind {
    Ask(usize, Request),
    /// The number of the end is set once the child has ended.
    End(u32, End, Option<u64>),
}

impl Coming {
    /// Returns whether an end of this child is still to come.
    pub(crate) fn ends(&self, child: u32) -> bool {
        self.items.iter().any(|item| matches!(item.what, Kind::End(id, ..) if id == child))
    }

    fn answer(&mut self, nth: usize, at: u64, answer: Answer) {
        self.answers[nth] = (at, answer);
    }
}

impl Model {
    /// Delivers all items to a supervisor, each at its time.
    pub(crate) fn queue(&mut self, sup: u32, items: &[Queued]) -> Answer {
        let began = self.now;
        let mut coming = Coming { sup, ..Coming::default() };
        for Queued { at, what } in items {
            let at = began + at;
            let what = match what {
                What::End(id, end) => Kind::End(*id, *end, None),
                What::Ask(request) => {
                    coming.answers.push((at, Answer::NoProc));
                    Kind::Ask(coming.answers.len() - 1, request.clone())
                }
            };
            coming.items.push_back(Item { at, what });
        }
        let last = coming.items.back().map_or(began, |item| item.at);
        self.coming = coming;
        self.with(sup, |model, tree| ((), model.handle_ends(tree, Mailbox::new())));
        self.now = self.now.max(last);
        Answer::All(std::mem::take(&mut self.coming).answers)
    }

    /// Returns the next event for the supervisor. If the mailbox is empty, advances the clock to
    /// the next item.
    pub(crate) fn next(&mut self, tree: &mut Tree, mailbox: &mut Mailbox) -> Option<Event> {
        loop {
            self.deliver(tree, mailbox);
            if let Some(event) = mailbox.pop_front() {
                return Some(event);
            }
            let coming = self.coming.items.front().filter(|_| self.coming.sup == tree.number)?;
            self.now = coming.at;
        }
    }

    /// Adds an event to the mailbox, after the items that have arrived by now.
    pub(crate) fn post(&mut self, tree: &mut Tree, mailbox: &mut Mailbox, event: Event) {
        self.deliver(tree, mailbox);
        mailbox.push_back(event);
    }

    pub(crate) fn post_fallen(&mut self, tree: &mut Tree, mailbox: &mut Mailbox) {
        for id in self.bereave(tree) {
            if let Some(exit) = tree.exit_of(id) {
                self.post(tree, mailbox, exit);
            }
        }
    }

    pub(crate) fn asked(
        &mut self,
        tree: &mut Tree,
        nth: usize,
        request: &Request,
        mailbox: &mut Mailbox,
    ) {
        let answer = self.serve(tree, request, false);
        self.coming.answer(nth, self.now, answer);
        self.post_fallen(tree, mailbox);
    }

    /// Answers the requests that an ended supervisor has not received: waiting ones at its end,
    /// later ones at once.
    pub(crate) fn leave_unanswered(&mut self, tree: &mut Tree, mut mailbox: Mailbox) {
        if self.coming.sup != tree.number {
            return;
        }
        self.deliver(tree, &mut mailbox);
        for event in mailbox {
            if let Event::Ask { nth, .. } = event {
                self.coming.answer(nth, self.now, Answer::NoProc);
            }
        }
        self.coming.items.clear();
    }

    /// Moves the items that have arrived by now into the mailbox.
    pub(crate) fn deliver(&mut self, tree: &mut Tree, mailbox: &mut Mailbox) {
        if self.coming.sup != tree.number {
            return;
        }
        while let Some(item) = self.coming.items.front().filter(|item| item.at <= self.now) {
            if let Kind::End(id, ..) = item.what
                && let Some(at) = tree.at(id)
            {
                self.strike(&mut tree.children[at]);
            }
            match self.coming.items.pop_front().map(|item| item.what) {
                Some(Kind::Ask(nth, request)) => mailbox.push_back(Event::Ask { nth, request }),
                Some(Kind::End(id, _, Some(death))) => mailbox.push_back(Event::Exit { id, death }),
                Some(Kind::End(..)) | None => {}
            }
        }
    }

    /// Applies all ends that are due by now, before the supervisor acts on a child, because a
    /// linked sibling may have ended as well.
    pub(crate) fn strike_all(&mut self, tree: &mut Tree) {
        if self.coming.sup == tree.number {
            tree.children.iter_mut().for_each(|child| self.strike(child));
        }
    }

    /// Applies the ends of this child that are due by now, if the child was running at that time. A
    /// child that was starting or stopping at that time continues with that.
    pub(crate) fn strike(&mut self, child: &mut Child) {
        for nth in 0..self.coming.items.len() {
            let Item { at, what } = &mut self.coming.items[nth];
            let Kind::End(id, end, death @ None) = what else { continue };
            let (id, at, end) = (*id, *at, *end);
            let runs = matches!(child.state, State::Running(None));
            if id != child.spec.id || at > self.now || !runs {
                continue;
            }
            match child.had_started(at) {
                Some(true) => {
                    self.tickets += 1;
                    *death = Some(self.tickets);
                    child.dead(end, self.tickets);
                    // Linked siblings may end as well while the supervisor is busy.
                    self.undecided |= self.links.iter().any(|&(a, b)| a == id || b == id);
                    self.ends_at(at, id, end);
                }
                Some(false) => {}
                None => self.undecided = true,
            }
        }
    }
}
