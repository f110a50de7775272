//! Generates the trees and commands of a seed.

use super::plan::{
    Auto, Backoff, Command, End, Kind, Program, ROOT, Request, Restart, Script, Shutdown, Spec,
    Start, Stop, Strategy, Sup,
};
use crate::rng::Rng;

/// The maximum number of nodes of a tree.
const NODES: u32 = 40;

/// What happens at one instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// One command; the next one comes after everything that it caused is over.
    One,
    /// Several siblings end.
    Burst,
    /// Requests and ends arrive while the supervisor still handles earlier ones.
    Queue,
}

pub(crate) struct Draw {
    pub(crate) rng: Rng,
    pub(crate) next: u32,
    mode: Mode,
}

pub(crate) fn program(seed: u64, commands: usize, mode: Mode) -> Program {
    let mut draw = Draw { rng: Rng::new(seed), next: 0, mode };
    let mut tree = draw.sup(1);
    // Most trees get limits that let them run for many commands.
    if draw.rng.percent(90) {
        let restarts = if mode == Mode::Queue { 12 } else { 5 };
        (tree.restarts, tree.period, tree.auto) = (restarts, 100, Auto::Never);
        tree.children.iter_mut().for_each(|child| child.significant = false);
    }
    // The first start of the root succeeds; otherwise there would be nothing to observe.
    good(&mut tree);
    let mut commands: Vec<_> = (0..commands).map(|_| draw.command(&tree)).collect();
    let last = draw.rng.percent(50);
    commands.push(if last { Command::ParentEnds } else { Command::StopSupervisor(ROOT) });
    Program { tree, commands }
}

fn good(sup: &mut Sup) {
    for child in &mut sup.children {
        match &mut child.kind {
            Kind::Supervisor(inner) => good(inner),
            Kind::Worker(script) => {
                if script.starts.first() == Some(&Start::Fails) {
                    script.starts[0] = Start::Good;
                }
            }
        }
    }
}

impl Draw {
    fn sup(&mut self, depth: u32) -> Sup {
        let strategies = [Strategy::OneForOne, Strategy::OneForAll, Strategy::RestForOne];
        let strategy = self.rng.pick(&strategies);
        let auto = self.rng.weighted(&[(3, Auto::Never), (1, Auto::Any), (1, Auto::All)]);
        let restarts = self.rng.below(6) as u32;
        let period = self.rng.pick(&[100, 500, 2_000, 10_000]);
        let children = 1 + self.rng.below(if depth == 1 { 8 } else { 5 });
        let mut children: Vec<_> = (0..children).filter_map(|_| self.child(depth, auto)).collect();
        self.link(&mut children);
        Sup { strategy, restarts, period, auto, children }
    }

    fn child(&mut self, depth: u32, auto: Auto) -> Option<Spec> {
        if self.next >= NODES {
            return None;
        }
        self.next += 1;
        let id = self.next;
        let types = [(3, Restart::Permanent), (2, Restart::Transient), (1, Restart::Temporary)];
        let restart = self.rng.weighted(&types);
        let loud = auto != Auto::Never && restart != Restart::Permanent;
        let significant = loud && self.rng.percent(40);
        if depth < 4 && self.rng.percent(25) {
            let kind = Kind::Supervisor(self.sup(depth + 1));
            // Either more time than any stop needs, or no limit.
            let limits =
                [(4, Shutdown::Infinity), (4, Shutdown::Time(60_000)), (1, Shutdown::Brutal)];
            let shutdown = self.rng.weighted(&limits);
            let backoff = self.backoff();
            return Some(Spec { id, restart, shutdown, significant, backoff, kind });
        }
        let slow = if self.mode == Mode::Queue { 6 } else { 2 };
        let stop = self.rng.weighted(&[
            (6, Stop::AtOnce),
            (slow, Stop::Takes(30)),
            (1, Stop::Deaf),
            (1, Stop::Panics),
            (1, Stop::Unasked),
        ]);
        let limits = [(4, Shutdown::Time(50)), (1, Shutdown::Time(10)), (1, Shutdown::Brutal)];
        let shutdown = match stop {
            Stop::Deaf => self.rng.weighted(&limits),
            _ if self.rng.percent(20) => Shutdown::Infinity,
            _ => self.rng.weighted(&limits),
        };
        let kind = Kind::Worker(Script { starts: self.starts(id), stop, link: None });
        Some(Spec { id, restart, shutdown, significant, backoff: self.backoff(), kind })
    }

    fn starts(&mut self, id: u32) -> Vec<Start> {
        let life = self.rng.pick(&[400, 1_700, 6_000, 45_000]) + u64::from(id);
        let (good, takes) = if self.mode == Mode::Queue { (8, 4) } else { (16, 2) };
        let kinds = [
            (good, Start::Good),
            (4, Start::Fails),
            (2, Start::Ignores),
            (takes, Start::Takes(20)),
            (1, Start::Lives(life)),
        ];
        (0..self.rng.below(8)).map(|_| self.rng.weighted(&kinds)).collect()
    }

    /// Generates delays that are longer than any stop takes.
    fn backoff(&mut self) -> Option<Backoff> {
        let first = self.rng.pick(&[5_000, 20_000]) + self.rng.below(500) as u64;
        let healthy = self.rng.pick(&[1_000, 60_000]);
        let patience = first.is_multiple_of(3).then_some(healthy + 6 * first);
        let backoff = Backoff { first, max: 4 * first - 1, healthy, patience };
        self.rng.percent(15).then_some(backoff)
    }

    /// Links some of the workers to one of their siblings.
    fn link(&mut self, children: &mut [Spec]) {
        let is_worker = |child: &&Spec| matches!(child.kind, Kind::Worker(_));
        // While the supervisor is busy, the effect of the end of a linked sibling is not defined.
        let often = if self.mode == Mode::Queue { 2 } else { 10 };
        let workers: Vec<_> = children.iter().filter(is_worker).map(|child| child.id).collect();
        for child in children {
            let Kind::Worker(script) = &mut child.kind else { continue };
            let sibling = self.rng.pick(&workers);
            script.link = (sibling != child.id && self.rng.percent(often)).then_some(sibling);
        }
    }

    fn command(&mut self, tree: &Sup) -> Command {
        let bursts = self.mode == Mode::Burst;
        let sups = supervisors(tree);
        let (sup, children) = sups[self.rng.below(sups.len())].clone();
        // Sometimes the child belongs to another supervisor, or does not exist.
        let stranger = self.rng.below(NODES as usize + 2) as u32;
        let own = children.is_empty() || self.rng.percent(5);
        let id = if own { stranger } else { children[self.rng.below(children.len())] };
        if self.mode == Mode::Queue && self.rng.percent(40) {
            return Command::Queue(sup, self.queue(&children));
        }
        match self.rng.below(20) {
            0 if self.rng.percent(30) && (sup != ROOT || self.rng.percent(5)) => {
                let pair = children.iter().find(|id| sups.iter().any(|(number, _)| number == *id));
                let lower = pair.copied().filter(|_| self.rng.percent(50));
                Command::Kill(lower.into_iter().chain([sup]).collect())
            }
            // The id may belong to a child that was added.
            1 if !bursts => {
                let any = 1 + self.rng.below(self.next as usize) as u32;
                Command::End(vec![(any, self.end_kind())])
            }
            0..10 => self.end(&children),
            10 => Command::Ask(sup, Request::Terminate(id)),
            11 | 12 => Command::Ask(sup, Request::Restart(id)),
            13 => Command::Ask(sup, Request::Delete(id)),
            14 if sup != ROOT => Command::StopSupervisor(sup),
            14 | 15 => Command::Ask(sup, Request::Add(self.add(&children))),
            16 => Command::Stranger(sup, self.rng.pick(&[End::Normal, End::Shutdown, End::Crash])),
            _ => Command::Advance(self.rng.pick(&[1, 60, 300, 1_500, 11_000, 70_000])),
        }
    }

    fn end(&mut self, children: &[u32]) -> Command {
        let bursts = self.mode == Mode::Burst;
        let mut children = children.to_vec();
        let mut ends = Vec::new();
        let most = if bursts { 1 + self.rng.below(3) } else { 1 };
        while ends.len() < most && !children.is_empty() {
            let id = children.swap_remove(self.rng.below(children.len()));
            let end = if bursts { End::Kill } else { self.end_kind() };
            ends.push((id, end));
        }
        Command::End(ends)
    }

    pub(crate) fn end_kind(&mut self) -> End {
        let kinds = [(3, End::Crash), (2, End::Kill), (1, End::Normal), (1, End::Shutdown)];
        self.rng.weighted(&kinds)
    }

    pub(crate) fn add(&mut self, children: &[u32]) -> Spec {
        let starts = vec![self.rng.weighted(&[(3, Start::Good), (1, Start::Fails)])];
        let id = if !children.is_empty() && self.rng.percent(30) {
            children[self.rng.below(children.len())] // this id may exist already
        } else {
            self.next += 1;
            self.next
        };
        let types = [Restart::Permanent, Restart::Transient, Restart::Temporary];
        let restart = self.rng.pick(&types);
        // Some of these specifications are invalid: a significant child must not be permanent, and
        // needs a supervisor with automatic shutdown.
        let significant = self.rng.percent(15);
        let (kind, shutdown) = match self.rng.percent(15) && self.next < NODES {
            true => (Kind::Supervisor(self.sup(4)), Shutdown::Infinity),
            false => {
                let script = Script { starts, stop: Stop::AtOnce, link: None };
                (Kind::Worker(script), Shutdown::Time(50))
            }
        };
        let backoff = self.backoff();
        Spec { id, restart, shutdown, significant, backoff, kind }
    }
}

fn supervisors(tree: &Sup) -> Vec<(u32, Vec<u32>)> {
    fn walk(number: u32, sup: &Sup, all: &mut Vec<(u32, Vec<u32>)>) {
        all.push((number, sup.children.iter().map(|child| child.id).collect()));
        for child in &sup.children {
            if let Kind::Supervisor(inner) = &child.kind {
                walk(child.id, inner, all);
            }
        }
    }
    let mut all = Vec::new();
    walk(ROOT, tree, &mut all);
    all
}
