//! A test of [`Attempts`]: two nodes connect to each other, with their steps in random order.

use std::collections::VecDeque;

use crate::base::random::Random;
use crate::cluster::connection::competing_attempts::{Action, Attempts};
use crate::cluster::handshake::Status;

/// A message between the two ends of a connection.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Sent {
    Name,
    Status(Status),
    True,
    Challenge,
    Reply,
    Ack,
    End,
}

/// The state of one end.
#[derive(Debug, Clone, Copy, PartialEq)]
enum End {
    Resolving,
    Waits(Sent),
    /// Authenticated, and neither admitted nor closed.
    Authenticated,
    Up,
    Closed,
}

/// A connection: the node that opened it, and its two ends, each with the messages that it has not
/// received. Index 0 is the end that opened it.
struct Link {
    opener: usize,
    ends: [End; 2],
    to: [VecDeque<Sent>; 2],
}

/// Two nodes: node 0 has the smaller name.
struct World {
    attempts: [Attempts<usize>; 2],
    links: Vec<Link>,
    /// The processes that have ended, and whose end their node has not noticed yet.
    unnoticed: Vec<(usize, usize)>,
    uses: usize,
    breaks: usize,
    /// Whether users of each node wait for a connection.
    waits: [bool; 2],
}

enum Step {
    Use(usize),
    Resolved(usize),
    Arrives(usize, usize),
    Noticed(usize),
    Breaks(usize),
}

impl World {
    fn new(uses: usize, breaks: usize) -> Self {
        let attempts = [Attempts::new(true), Attempts::new(false)];
        let (links, unnoticed) = (Vec::new(), Vec::new());
        World { attempts, links, unnoticed, uses, breaks, waits: [false; 2] }
    }

    fn steps(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        if self.uses > 0 {
            steps.extend([Step::Use(0), Step::Use(1)]);
        }
        for (at, link) in self.links.iter().enumerate() {
            if link.ends[0] == End::Resolving {
                steps.push(Step::Resolved(at));
            } else if self.breaks > 0 && link.ends != [End::Closed; 2] {
                steps.push(Step::Breaks(at));
            }
            let arriving = (0..2).filter(|end| !link.to[*end].is_empty());
            steps.extend(arriving.map(|end| Step::Arrives(at, end)));
        }
        steps.extend((0..self.unnoticed.len()).map(Step::Noticed));
        steps
    }

    fn node(&self, link: usize, end: usize) -> usize {
        (self.links[link].opener + end) % 2
    }

    fn close(&mut self, link: usize, end: usize) {
        let node = self.node(link, end);
        if std::mem::replace(&mut self.links[link].ends[end], End::Closed) != End::Closed {
            self.links[link].to[1 - end].push_back(Sent::End);
            self.unnoticed.push((node, link));
        }
    }

    fn act(&mut self, node: usize, actions: Vec<Action<usize>>) {
        for action in actions {
            let (Action::Admit(link) | Action::Close(link)) = action;
            let end = (self.links[link].opener + node) % 2;
            match action {
                Action::Close(_) => self.close(link, end),
                Action::Admit(_) if self.links[link].ends[end] == End::Authenticated => {
                    self.links[link].ends[end] = End::Up;
                    if end == 1 {
                        self.links[link].to[0].push_back(Sent::Ack);
                    }
                }
                // The process has ended. Its node notices this later.
                Action::Admit(_) => {}
            }
        }
    }

    fn arrives(&mut self, link: usize, end: usize) {
        let node = self.node(link, end);
        let Some(sent) = self.links[link].to[end].pop_front() else { return };
        let state = self.links[link].ends[end];
        let answer = match (state, sent) {
            (End::Closed, _) => return,
            (_, Sent::End) => return self.close(link, end),
            (End::Waits(Sent::Name), Sent::Name) => {
                let status = self.attempts[node].claim(link);
                self.links[link].to[0].push_back(Sent::Status(status));
                match status {
                    Status::Nok => return self.close(link, end),
                    Status::Alive => (End::Waits(Sent::True), None),
                    _ => (End::Waits(Sent::Reply), Some(Sent::Challenge)),
                }
            }
            (End::Waits(Sent::Status(_)), Sent::Status(Status::Nok)) => {
                let actions = self.attempts[node].refused_for_own(link);
                self.act(node, actions);
                return self.close(link, end);
            }
            (End::Waits(Sent::Status(_)), Sent::Status(Status::Alive)) => {
                (End::Waits(Sent::Challenge), Some(Sent::True))
            }
            (End::Waits(Sent::Status(_)), Sent::Status(_)) => (End::Waits(Sent::Challenge), None),
            (End::Waits(Sent::True), Sent::True) => {
                (End::Waits(Sent::Reply), Some(Sent::Challenge))
            }
            (End::Waits(Sent::Challenge), Sent::Challenge) => {
                (End::Waits(Sent::Ack), Some(Sent::Reply))
            }
            (End::Waits(Sent::Reply), Sent::Reply) | (End::Waits(Sent::Ack), Sent::Ack) => {
                self.links[link].ends[end] = End::Authenticated;
                let actions = self.attempts[node].authenticated(link);
                return self.act(node, actions);
            }
            other => panic!("{other:?}"),
        };
        self.links[link].ends[end] = answer.0;
        self.links[link].to[1 - end].extend(answer.1);
    }

    fn run(&mut self, step: &Step) {
        match *step {
            Step::Use(node) => {
                self.uses -= 1;
                self.waits[node] = true;
                if self.attempts[node].needs_dial() {
                    let ends = [End::Resolving, End::Waits(Sent::Name)];
                    self.links.push(Link { opener: node, ends, to: Default::default() });
                    self.attempts[node].dialing(self.links.len() - 1);
                }
            }
            Step::Resolved(link) => {
                let node = self.links[link].opener;
                if self.attempts[node].may_send_name(link) {
                    self.links[link].ends[0] = End::Waits(Sent::Status(Status::Ok));
                    self.links[link].to[1].push_back(Sent::Name);
                } else {
                    self.close(link, 0);
                }
            }
            Step::Arrives(link, end) => self.arrives(link, end),
            Step::Noticed(at) => {
                let (node, link) = self.unnoticed.swap_remove(at);
                let actions = self.attempts[node].ended(link);
                self.act(node, actions);
            }
            Step::Breaks(link) => {
                self.breaks -= 1;
                self.close(link, 0);
                self.close(link, 1);
            }
        }
    }

    /// Answers the users, as the server does. Returns whether a wait ended without a connection.
    fn settle(&mut self) -> bool {
        let mut failed = false;
        for (attempts, waits) in self.attempts.iter().zip(&mut self.waits) {
            failed |= *waits && attempts.connection().is_none() && !attempts.is_pending();
            *waits &= attempts.connection().is_none() && attempts.is_pending();
        }
        failed
    }

    /// Checks the final state: nothing is pending, and both nodes have the same connection, or both
    /// have none.
    fn check(&self, seed: u64) {
        let up = [End::Up; 2];
        let open: Vec<_> =
            (0..self.links.len()).filter(|at| self.links[*at].ends != [End::Closed; 2]).collect();
        for at in &open {
            assert_eq!(self.links[*at].ends, up, "seed {seed}");
        }
        assert!(open.len() <= 1, "seed {seed}: {open:?}");
        for attempts in &self.attempts {
            assert_eq!(attempts.connection(), open.first().copied(), "seed {seed}");
            assert!(!attempts.is_pending() && attempts.is_idle() == open.is_empty(), "seed {seed}");
        }
    }
}

/// Runs two nodes until nothing more happens. Returns whether they are connected.
fn run(seed: u64, uses: usize, breaks: usize) -> bool {
    let mut random = Random::seeded(seed);
    let mut world = World::new(uses, breaks);
    loop {
        let steps = world.steps();
        if steps.is_empty() {
            assert!(breaks > 0 || world.waits == [false; 2], "seed {seed}: a user waits");
            world.attempts.iter_mut().for_each(Attempts::overdue);
            world.check(seed);
            return world.attempts[0].connection().is_some();
        }
        world.run(&steps[random.below(steps.len())]);
        assert!(!world.settle() || breaks > 0, "seed {seed}: a user gets an error");
    }
}

#[test]
fn two_nodes_that_dial_at_once_have_one_connection() {
    for seed in 0..20_000 {
        assert!(run(seed, 2, 0), "seed {seed}: no connection");
        assert!(run(seed, 6, 0), "seed {seed}: no connection");
    }
}

/// A connection may break at each step. The nodes then agree that there is one or none.
#[test]
fn connections_that_break_leave_nothing_behind() {
    for seed in 0..20_000 {
        run(seed, 8, 3);
    }
}
