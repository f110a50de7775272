//! A supervisor's mailbox, and the messages that arrive while the supervisor is busy.
//!
//! A mailbox has one order: that in which requests, exits and the supervisor's own retries
//! arrive. The model runs a supervisor in one step, so it checks for messages that have arrived
//! meanwhile before it posts or takes anything. No two messages arrive at one instant, except requests
//! that were sent together, which have an order.

use std::collections::VecDeque;

use super::admin::Answer;
use super::model::{Child, Model, State, Tree};
use super::plan::{End, Queued, Request, What};

/// What lies in a supervisor's mailbox.
pub(crate) enum Event {
    /// A child ended; one that was stopped or started again since did not die this death.
    Exit {
        id: u32,
        death: u64,
    },
    /// A start failed, and is tried again, unless a request has handled the child.
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

/// What a retry counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Retry {
    /// One restart, like the end of a child.
    Counted,
    /// Nothing: its child has a backoff.
    Delayed,
    /// Nothing: it is already counted and in the trace, and waited for the children left behind.
    Decided,
}

pub(crate) type Mailbox = VecDeque<Event>;

/// What is yet to come to one supervisor.
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
    /// With the number of the death, once the child has died it.
    End(u32, End, Option<u64>),
}

impl Coming {
    /// Whether this child may end by itself.
    pub(crate) fn ends(&self, child: u32) -> bool {
        self.items.iter().any(|item| matches!(item.what, Kind::End(id, ..) if id == child))
    }

    fn answer(&mut self, nth: usize, at: u64, answer: Answer) {
        self.answers[nth] = (at, answer);
    }
}

impl Model {
    /// All of this comes to a supervisor, each at its time.
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

    /// What the supervisor takes next; it waits for what is yet to come.
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

    /// After what has come by now.
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

    /// The supervisor has ended: what it did not take is answered by its end, and what comes
    /// later at once.
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

    /// Puts into the mailbox what has come by now.
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

    /// All that were to die by now have, before anything is done to one of them: a sibling may
    /// have fallen with it.
    pub(crate) fn strike_all(&mut self, tree: &mut Tree) {
        if self.coming.sup == tree.number {
            tree.children.iter_mut().for_each(|child| self.strike(child));
        }
    }

    /// The child has died by now, if it was to and ran at that time: one that started or
    /// stopped then went on with it.
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
                    // Its siblings may end with it, while the supervisor is busy.
                    self.undecided |= self.links.iter().any(|&(a, b)| a == id || b == id);
                    self.ends_at(at, id, end);
                }
                Some(false) => {}
                None => self.undecided = true,
            }
        }
    }
}
