//! Generates the program of a seed.
//!
//! The generator runs the model along with the program, so that most of the pids and names it uses
//! exist. The driver advances the clock by even milliseconds and timers are due on odd ones, so no
//! check coincides with a timer.

use super::choices::{Choice, WEIGHTS};
use super::commands::{
    Act, Batch, Command, GROUPS, Id, Mailboxes, NAMES, OUTSIDE, Op, Program, Reason, Take, To,
};
use super::model::Model;
use crate::rng::Rng;

/// How far the driver advances the time after each batch, in milliseconds.
pub(crate) const SETTLE: u64 = 2;

const MOST_LIVE: usize = 24;

/// With fewer live processes than this, most generated ends become spawns instead, because links
/// let many processes end at once.
const FEW_LIVE: usize = 10;

/// The id of a process, a monitor or a timer that never existed.
const STRANGER: Id = 1_000_000;

/// Generates a program whose batches are single commands.
pub(crate) fn sequential(seed: u64, operations: usize) -> Program {
    let mut writer = Writer::new(seed, false);
    while writer.written < operations {
        writer.single();
    }
    writer.program
}

/// Generates batches of two to six commands, each by a different process, and now and then a single
/// command.
pub(crate) fn burst(seed: u64, operations: usize) -> Program {
    let mut writer = Writer::new(seed, true);
    while writer.written < operations {
        if writer.rng.percent(30) || writer.live().len() < 2 {
            writer.single();
        } else {
            writer.burst();
        }
    }
    writer.program
}

/// Generates batches of three to nine commands, and now and then a single command. Most commands of
/// a batch wait for a process that still executes earlier ones.
pub(crate) fn queue(seed: u64, operations: usize) -> Program {
    let mut writer = Writer::new(seed, true);
    while writer.written < operations {
        if writer.rng.percent(30) || writer.live().len() < 2 {
            writer.single();
        } else {
            writer.queue();
        }
    }
    writer.program
}

struct Writer {
    rng: Rng,
    model: Model,
    program: Program,
    /// All monitors and timers that the program has created.
    monitors: Vec<Id>,
    timers: Vec<Id>,
    weights: [(usize, Choice); WEIGHTS.len()],
    written: usize,
    bursts: bool,
}

impl Writer {
    fn new(seed: u64, bursts: bool) -> Self {
        let mailboxes = match seed % 3 {
            0 => Mailboxes::Plain,
            1 => Mailboxes::Counted,
            _ => Mailboxes::Bounded(3),
        };
        let mut rng = Rng::new(seed);
        let mut weights = WEIGHTS;
        // Every other program uses some operations more often.
        if rng.percent(50) {
            for _ in 0..4 {
                weights[rng.below(WEIGHTS.len())].0 *= 4;
            }
        }
        Writer {
            rng,
            weights,
            model: Model::of(mailboxes),
            program: Program { mailboxes, batches: Vec::new() },
            monitors: Vec::new(),
            timers: Vec::new(),
            written: 0,
            bursts,
        }
    }

    fn live(&self) -> Vec<Id> {
        self.model.processes.keys().copied().collect()
    }

    fn single(&mut self) {
        let choice = self.choose();
        let command = self.command(choice, None, 0);
        self.take(vec![command]);
    }

    fn burst(&mut self) {
        let mut free = self.live();
        let size = (2 + self.rng.below(5)).min(free.len());
        let mut batch = Batch::new();
        for _ in 0..size {
            let by = free.swap_remove(self.rng.below(free.len()));
            let choice = loop {
                let choice = self.choose();
                if choice != Choice::Advance {
                    break choice;
                }
            };
            let pause = self.rng.below(3) as u8;
            batch.push(self.command(choice, Some(by), pause));
        }
        self.take(batch);
    }

    /// Adds a batch of commands for one to three processes.
    fn queue(&mut self) {
        let mut free = self.live();
        let most = (1 + self.rng.below(3)).min(free.len());
        let take = |_| free.swap_remove(self.rng.below(free.len()));
        let workers: Vec<Id> = (0..most).map(take).collect();
        let mut batch = Batch::new();
        for _ in 0..3 + self.rng.below(7) {
            let choice = loop {
                let choice = self.choose();
                if choice != Choice::Advance {
                    break choice;
                }
            };
            let by = self.rng.pick(&workers);
            let pause = u8::from(self.rng.percent(20));
            let busy = self.rng.below(4) as u8;
            batch.push(Command { busy, ..self.command(choice, Some(by), pause) });
        }
        self.take(batch);
    }

    /// Runs the batch on the model, and adds it to the program.
    fn take(&mut self, batch: Batch) {
        for command in &batch {
            self.model.run(command);
        }
        self.model.pass(SETTLE);
        self.program.batches.push(batch);
    }

    fn choose(&mut self) -> Choice {
        let live = self.model.processes.len();
        if live == 0 {
            return Choice::Spawn;
        }
        match self.rng.weighted(&self.weights) {
            Choice::Spawn | Choice::SpawnLink | Choice::SpawnMonitor | Choice::WhereisOrSpawn
                if live + 6 > MOST_LIVE =>
            {
                Choice::Kill
            }
            Choice::Exit | Choice::Kill | Choice::Panic | Choice::Return
                if live < FEW_LIVE && self.rng.percent(60) =>
            {
                Choice::Spawn
            }
            choice => choice,
        }
    }

    /// Returns a live process in four of five cases, otherwise a process that has ended or never
    /// existed.
    fn anyone(&mut self) -> Id {
        let dead: Vec<Id> = self.model.ended.keys().copied().chain([STRANGER]).collect();
        let live = self.live();
        if live.is_empty() || self.rng.percent(20) {
            return self.rng.pick(&dead);
        }
        self.rng.pick(&live)
    }

    /// Returns the given process in one of ten cases, otherwise any process.
    fn other(&mut self, than: Id) -> Id {
        if self.rng.percent(10) { than } else { self.anyone() }
    }

    /// Chooses the actor, which in most cases is the process that the operation is about.
    fn actor(&mut self, about: Id) -> Id {
        let live = self.live();
        match self.rng.below(20) {
            0..3 => OUTSIDE,
            3 | 4 if !live.is_empty() => self.rng.pick(&live),
            _ if self.model.is_live(about) => about,
            _ => OUTSIDE,
        }
    }

    fn command(&mut self, choice: Choice, actor: Option<Id>, pause: u8) -> Command {
        self.written += 1;
        let id = self.written as Id;
        let about = match actor {
            Some(actor) if self.rng.percent(70) => actor,
            _ => self.anyone(),
        };
        let op = self.op(choice, about, actor.is_some());
        if let Op::Arm { .. } = op {
            self.timers.push(id);
        }
        if matches!(choice, Choice::Monitor | Choice::SpawnMonitor | Choice::MonitorGroup) {
            self.monitors.push(id);
        }
        let by = match (actor, op) {
            (Some(actor), _) => actor,
            (None, Op::Advance(_) | Op::Arm { act: Act::Tick(_), .. }) => OUTSIDE,
            (None, Op::Panic | Op::Return | Op::Receive(_)) => {
                let live = self.live();
                self.rng.pick(&live)
            }
            _ => self.actor(about),
        };
        Command { id, by, pause, busy: 0, op }
    }

    fn op(&mut self, choice: Choice, about: Id, together: bool) -> Op {
        let name = self.rng.below(NAMES.into()) as u8;
        let tag = self.rng.below(3) as u8;
        match choice {
            Choice::Spawn => Op::Spawn { eager: !self.bursts && self.rng.percent(25) },
            Choice::WhereisOrSpawn => Op::WhereisOrSpawn { name },
            Choice::SpawnLink => Op::SpawnLink { parent: about },
            Choice::SpawnMonitor => Op::SpawnMonitor { watcher: about },
            Choice::Link => Op::Link(about, self.other(about)),
            Choice::Unlink => {
                let peers = self.model.links.iter().filter(|&&(a, b)| a == about || b == about);
                let peers: Vec<_> = peers.map(|&(a, b)| if a == about { b } else { a }).collect();
                if peers.is_empty() || self.rng.percent(30) {
                    return Op::Unlink(about, self.other(about));
                }
                Op::Unlink(about, self.rng.pick(&peers))
            }
            Choice::Monitor if self.rng.percent(25) => Op::MonitorName { watcher: about, name },
            Choice::Monitor => Op::Monitor { watcher: about, target: self.other(about) },
            Choice::Demonitor => self.demonitor(),
            Choice::Send if self.rng.percent(20) => Op::Send(To::Name(name), tag),
            Choice::Send => Op::Send(To::Process(self.anyone()), tag),
            Choice::Exit => Op::Exit(self.other(about), self.reason()),
            Choice::Kill => Op::Kill(self.other(about)),
            Choice::KillGroup => Op::KillGroup(name % GROUPS),
            Choice::Panic => Op::Panic,
            Choice::Return => Op::Return,
            Choice::Trap => Op::Trap(about, self.rng.percent(70)),
            Choice::Register => Op::Register(name, about),
            Choice::Unregister => Op::Unregister(name),
            Choice::JoinOrLeave if self.rng.percent(65) => Op::Join(name % GROUPS, about),
            Choice::JoinOrLeave => Op::Leave(name % GROUPS, about),
            Choice::MonitorGroup => Op::MonitorGroup { watcher: about, group: name % GROUPS },
            Choice::Timer => self.timer(name, tag, together),
            Choice::Advance => Op::Advance(self.rng.pick(&[2, 10, 50, 200])),
            Choice::Receive => {
                Op::Receive(self.rng.pick(&[Take::All, Take::All, Take::Tag(tag), Take::Signals]))
            }
            Choice::Snapshot => Op::Snapshot,
        }
    }

    fn reason(&mut self) -> Reason {
        let n = self.written as u32;
        let custom = [Reason::ShutdownWith(n), Reason::Crashed(n), Reason::Killed];
        let custom = self.rng.pick(&custom);
        self.rng.weighted(&[(2, Reason::Normal), (2, Reason::Shutdown), (3, custom)])
    }

    fn demonitor(&mut self) -> Op {
        let held: Vec<Id> = self.model.monitors.keys().copied().collect();
        let among = if held.is_empty() || self.rng.percent(20) { &self.monitors } else { &held };
        let monitor = if among.is_empty() { STRANGER } else { self.rng.pick(among) };
        Op::Demonitor { monitor, flush: self.rng.percent(50) }
    }

    fn timer(&mut self, name: u8, tag: u8, together: bool) -> Op {
        if !self.timers.is_empty() && self.rng.percent(30) {
            return Op::Cancel(self.rng.pick(&self.timers));
        }
        let to = if self.rng.percent(30) { To::Name(name) } else { To::Process(self.anyone()) };
        if !together && self.rng.percent(25) {
            return Op::Arm { to, act: Act::Tick(tag), ms: self.rng.pick(&[10, 20, 100]) };
        }
        let act = match self.rng.below(10) {
            0 => Act::Kill,
            1 | 2 => Act::Exit(self.reason()),
            _ => Act::Send(tag),
        };
        let soon = if together { 1 } else { 0 };
        Op::Arm { to, act, ms: self.rng.pick(&[soon, 1, 3, 5, 21, 101, 501]) }
    }
}
