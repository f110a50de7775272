//! An actor performs random operations. It is a thread outside tokio, or a process.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use regrow::{ExitReason, MonitorRef, Pid, Runtime};

use crate::messages::Order;
use crate::process;
use crate::rng::Rng;
use crate::shared_state::{Field, GROUPS, NAMES, Sender, Soldier};

pub(crate) struct Actor {
    pub(crate) field: Arc<Field>,
    pub(crate) number: Sender,
    pub(crate) rng: Rng,
    sent: HashMap<Pid, u32>,
    monitors: Vec<MonitorRef>,
}

#[derive(Clone, Copy)]
enum Deed {
    Spawn,
    SpawnLink,
    SpawnMonitor,
    Link,
    Unlink,
    Monitor,
    MonitorName,
    Demonitor,
    Send,
    SendNamed,
    Exit,
    Kill,
    KillGroup,
    Trap,
    Register,
    Unregister,
    Join,
    Leave,
    Arm,
    Cancel,
    Look,
}

const DEEDS: [(usize, Deed); 21] = [
    (80, Deed::Spawn),
    (30, Deed::SpawnLink),
    (30, Deed::SpawnMonitor),
    (100, Deed::Link),
    (50, Deed::Unlink),
    (100, Deed::Monitor),
    (30, Deed::MonitorName),
    (50, Deed::Demonitor),
    (240, Deed::Send),
    (20, Deed::SendNamed),
    (40, Deed::Exit),
    (20, Deed::Kill),
    (1, Deed::KillGroup),
    (50, Deed::Trap),
    (60, Deed::Register),
    (20, Deed::Unregister),
    (50, Deed::Join),
    (20, Deed::Leave),
    (40, Deed::Arm),
    (10, Deed::Cancel),
    (10, Deed::Look),
];

impl Actor {
    pub(crate) fn new(field: Arc<Field>, number: Sender, seed: u64) -> Self {
        let rng = Rng::new(seed);
        Actor { field, number, rng, sent: HashMap::new(), monitors: Vec::new() }
    }

    /// Performs operations until the budget is used up.
    pub(crate) fn rage(&mut self) {
        while self.field.may_go_on() {
            self.act(2);
        }
    }

    /// Performs one operation. A message may ask its receiver for another operation, up to `depth`
    /// times in a row.
    pub(crate) fn act(&mut self, depth: u8) {
        let field = Arc::clone(&self.field);
        let rt = &field.rt;
        let (one, other) = (self.someone(), self.someone());
        match self.rng.weighted(&DEEDS) {
            Deed::Spawn | Deed::SpawnLink | Deed::SpawnMonitor if depth == 0 => {}
            Deed::Spawn => self.spawn(|rt, body| rt.spawn(body)),
            Deed::SpawnLink => self.spawn(|rt, body| rt.spawn_link(one, body)),
            Deed::SpawnMonitor => self.spawn_monitor(one),
            Deed::Link => drop(rt.link(one, other)),
            Deed::Unlink => rt.unlink(one, other),
            Deed::Monitor => self.keep(rt.monitor(one, other), Some(other)),
            Deed::MonitorName => {
                let reference = rt.monitor_name(one, &self.name());
                self.keep(reference, None);
            }
            Deed::Demonitor => self.demonitor(),
            Deed::Send => self.send(one, depth),
            Deed::SendNamed => drop(rt.send_named(&self.name(), Order::Nothing.bytes())),
            Deed::Exit => {
                let reason = self.reason();
                rt.exit(one, reason);
            }
            Deed::Kill => drop(rt.kill(one)),
            Deed::KillGroup => drop(rt.kill_tag(&self.group())),
            Deed::Trap => drop(rt.set_trap_exit(one, self.rng.percent(70))),
            Deed::Register => drop(rt.register(self.name(), one)),
            Deed::Unregister => drop(rt.unregister(&self.name())),
            Deed::Join => drop(rt.register_tag(self.group(), one)),
            Deed::Leave => drop(rt.unregister_tag(&self.group(), one)),
            Deed::Arm => self.arm(one),
            Deed::Cancel => {
                if let Some(timer) = field.notes().timers.last() {
                    timer.cancel();
                }
            }
            Deed::Look => self.look(one),
        }
    }

    fn someone(&mut self) -> Pid {
        self.field.at(self.rng.below(1 << 16))
    }

    fn name(&mut self) -> String {
        format!("n{}", self.rng.below(NAMES))
    }

    fn group(&mut self) -> String {
        format!("g{}", self.rng.below(GROUPS))
    }

    /// Returns a reason for a signal. A crash names the sender, because the signal may arrive
    /// twice, unlike the end of a process.
    fn reason(&mut self) -> ExitReason {
        match self.rng.below(3) {
            0 => ExitReason::Normal,
            1 => ExitReason::Shutdown,
            _ => ExitReason::crashed(format!("sent by {}", self.number)),
        }
    }

    fn spawn(&mut self, born: impl FnOnce(&Runtime, process::Body) -> regrow::ProcessHandle) {
        let (body, answered) = process::body(&self.field, self.rng.below(1 << 32) as u64);
        let handle = born(&self.field.rt, body);
        self.field.enlist(self.rng.below(1 << 16), Soldier { handle, answered });
    }

    fn spawn_monitor(&mut self, watcher: Pid) {
        let mut watch = None;
        self.spawn(|rt, body| {
            let (handle, reference) = rt.spawn_monitor(watcher, body);
            watch = Some((reference, handle.pid()));
            handle
        });
        if let Some((reference, target)) = watch {
            self.keep(reference, Some(target));
        }
    }

    fn keep(&mut self, reference: MonitorRef, target: Option<Pid>) {
        self.field.watched(reference, target);
        self.monitors.push(reference);
    }

    fn demonitor(&mut self) {
        if self.monitors.is_empty() {
            return;
        }
        let reference = self.monitors.swap_remove(self.rng.below(self.monitors.len()));
        let flush = self.rng.percent(50);
        let rt = &self.field.rt;
        let in_time = if flush { rt.demonitor_flush(reference) } else { rt.demonitor(reference) };
        let mut notes = self.field.notes();
        let watch = notes.watches.entry(reference).or_default();
        watch.in_time |= in_time;
        watch.flushed |= flush;
    }

    /// Sends a message with the next number for this receiver. A refused message uses up no number.
    fn send(&mut self, to: Pid, depth: u8) {
        let next = self.sent.get(&to).copied().unwrap_or(0) + 1;
        let depth = if self.rng.percent(50) { 0 } else { depth };
        let order = Order::Act { depth, from: self.number, number: next };
        if self.field.rt.send(to, order.bytes()) {
            self.sent.insert(to, next);
        }
    }

    fn arm(&mut self, to: Pid) {
        let field = Arc::clone(&self.field);
        let rt = &field.rt;
        let soon = Duration::from_millis(self.rng.below(4) as u64);
        let timer = match self.rng.below(10) {
            0 => rt.kill_after(to, soon),
            1 => rt.exit_after(to, soon, self.reason()),
            2 => rt.send_interval(to, soon + Duration::from_millis(2), Order::Nothing.bytes()),
            3..6 => {
                let late = rt.send_after(to, Duration::from_secs(3600), Order::Nothing.bytes());
                return field.notes().late_timers.push((late, to));
            }
            _ => rt.send_after(to, soon, Order::Nothing.bytes()),
        };
        field.notes().timers.push(timer);
    }

    fn look(&mut self, one: Pid) {
        let field = Arc::clone(&self.field);
        let rt = &field.rt;
        let list = rt.list();
        if list.windows(2).any(|pair| pair[0] >= pair[1]) {
            field.complain("a list has a pid twice", list);
        }
        let (name, group) = (self.name(), self.group());
        drop((rt.info(one), rt.whereis(&name), rt.whereis_tag(&group), rt.registered()));
    }

    /// Records how many messages were sent to each process.
    pub(crate) fn report(&self) {
        let mut notes = self.field.notes();
        for (&to, &number) in &self.sent {
            notes.sent.insert((self.number, to), number);
        }
    }
}

impl Drop for Actor {
    fn drop(&mut self) {
        self.report();
    }
}
