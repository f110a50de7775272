//! The events of a run in the format of the model, and the invariants that hold independently of
//! it.
//!
//! Invariants are cited by their numbers: I-12 one incarnation of a child at a time, I-14 a restart
//! follows an end, I-16 which children are restarted.

use std::collections::HashMap;

use regrow::{Events, ExitReason, LifecycleEvent, Pid};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::actor::number;
use super::plan::{End, Kind, Restart, Spec, Sup};

/// The state that the events have shown so far.
pub(crate) struct Seen {
    /// The events, each with the number of events that were missed before it.
    events: UnboundedReceiver<(LifecycleEvent, u64)>,
    /// The running incarnation of each node.
    alive: HashMap<u32, Pid>,
    numbers: HashMap<Pid, u32>,
    /// The restart types of each id: a child that was added may have the id of an earlier one with
    /// another type.
    types: HashMap<u32, Vec<Restart>>,
    pub(crate) ended: Vec<(u32, End)>,
    pub(crate) restarts: Vec<(u32, u32, u32)>,
}

impl Seen {
    /// Collects the events while they occur, because one command may cause more events than the
    /// runtime keeps.
    pub(crate) fn new(mut all: Events, tree: &Sup) -> Self {
        let (tell, events) = unbounded_channel();
        tokio::spawn(async move {
            while let Some(event) = all.next().await {
                let _ = tell.send((event, all.missed()));
            }
        });
        let (alive, numbers, types) = Default::default();
        let mut seen = Seen { events, alive, numbers, types, ended: vec![], restarts: vec![] };
        seen.learn(tree);
        seen
    }

    fn learn(&mut self, tree: &Sup) {
        tree.children.iter().for_each(|child| self.added(child));
    }

    pub(crate) fn added(&mut self, spec: &Spec) {
        self.types.entry(spec.id).or_default().push(spec.restart);
        if let Kind::Supervisor(inner) = &spec.kind {
            self.learn(inner);
        }
    }

    /// Reads the events since the last call, and checks them.
    pub(crate) fn read(&mut self) -> Result<(), String> {
        while let Ok((event, missed)) = self.events.try_recv() {
            if missed > 0 {
                return Err(format!("{missed} events were missed"));
            }
            let wrong = |what: &str| Err(format!("{what}: {event:?}"));
            match &event {
                LifecycleEvent::Spawned { pid, label } => {
                    let Some(id) = number(label) else { continue };
                    self.numbers.insert(*pid, id);
                    if self.alive.insert(id, *pid).is_some() {
                        return wrong("I-12: two incarnations at once");
                    }
                }
                LifecycleEvent::Exited { pid, reason, .. } => {
                    let Some(&id) = self.numbers.get(pid) else { continue };
                    self.ended.push((id, class(reason)));
                    if self.alive.remove(&id) != Some(*pid) {
                        return wrong("I-12: another incarnation ends");
                    }
                }
                LifecycleEvent::Restarting { supervisor, child, reason, budget_left, .. } => {
                    if let Err(what) = self.restart(*supervisor, child, reason, *budget_left) {
                        return wrong(what);
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }
}

impl Seen {
    fn restart(
        &mut self,
        supervisor: Pid,
        child: &str,
        reason: &ExitReason,
        left: Option<u32>,
    ) -> Result<(), &'static str> {
        let nobody = "a restart of nobody's";
        let of = *self.numbers.get(&supervisor).ok_or(nobody)?;
        let id = number(child).ok_or(nobody)?;
        self.restarts.push((of, id, left.unwrap_or(u32::MAX)));
        if self.alive.contains_key(&id) {
            return Err("I-14: a restart of one that runs");
        }
        let due = |of: &Restart| match of {
            Restart::Permanent => true,
            Restart::Transient => !reason.is_clean(),
            Restart::Temporary => false,
        };
        let may = self.types.get(&id).is_some_and(|types| types.iter().any(due));
        if may { Ok(()) } else { Err("I-16: that is not to be restarted") }
    }
}

fn class(reason: &ExitReason) -> End {
    match reason {
        ExitReason::Normal => End::Normal,
        ExitReason::Shutdown => End::Shutdown,
        ExitReason::Killed => End::Kill,
        _ => End::Crash,
    }
}
