//! The processes: they perform operations on request, and check everything they receive.

use std::collections::{HashMap, HashSet};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use regrow::{Context, ExitReason, MonitorRef, Pid, Received};
use tokio::sync::watch;

use crate::actor::Actor;
use crate::injected_panics::BOOM;
use crate::messages::Order;
use crate::shared_state::{Field, Sender};

pub(crate) type Body = Box<dyn FnOnce(Context) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send>;

pub(crate) fn body(field: &Arc<Field>, seed: u64) -> (Body, watch::Receiver<u32>) {
    let (answers, answered) = watch::channel(0);
    let field = Arc::clone(field);
    let body = move |ctx: Context| -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let fighter = Fighter::new(field, ctx.pid(), seed);
        Box::pin(fighter.live(ctx, answers))
    };
    (Box::new(body), answered)
}

struct Fighter {
    pid: Pid,
    actor: Actor,
    /// The number of the last message from each sender.
    last: HashMap<Sender, u32>,
    /// The processes of whose end this process was notified by a link.
    mourned: HashSet<Pid>,
}

/// Whether a process continues after a message.
enum Next {
    Live,
    Return,
}

impl Fighter {
    fn new(field: Arc<Field>, pid: Pid, seed: u64) -> Self {
        field.notes().embodied.insert(pid);
        let actor = Actor::new(field, pid.raw(), seed);
        Fighter { pid, actor, last: HashMap::new(), mourned: HashSet::new() }
    }

    async fn live(mut self, mut ctx: Context, answers: watch::Sender<u32>) {
        loop {
            let received = ctx.recv().await;
            if let Received::Message(bytes) = &received
                && let Order::Answer { round } = Order::read(bytes)
            {
                self.report();
                answers.send_replace(round);
                continue;
            }
            // Counted before and after the item is handled, so that an item that is being handled
            // is noticed.
            self.actor.field.handled.fetch_add(1, Ordering::SeqCst);
            let next = self.take(received);
            self.actor.field.handled.fetch_add(1, Ordering::SeqCst);
            if let Next::Return = next {
                return;
            }
        }
    }

    fn take(&mut self, received: Received) -> Next {
        match received {
            Received::Message(bytes) => return self.obey(Order::read(&bytes)),
            Received::Down { reference, pid, reason } => {
                self.count(reference);
                self.ended("Down", pid, &reason);
            }
            Received::DownName { reference, .. } => self.count(reference),
            Received::Exit { from, reason } => self.exit(from, &reason),
            other => self.actor.field.complain("an item from nowhere", other),
        }
        Next::Live
    }

    fn obey(&mut self, order: Order) -> Next {
        let Order::Act { depth, from, number } = order else { return Next::Live };
        let last = self.last.insert(from, number).unwrap_or(0);
        if number != last + 1 {
            let what = format!("{} got {number} after {last} from {from}", self.pid);
            self.actor.field.complain("I-08", what);
        }
        if depth == 0 || !self.actor.field.may_go_on() {
            return Next::Live;
        }
        match self.actor.rng.below(40) {
            0 => return Next::Return,
            1 => panic!("{BOOM} {}", self.pid),
            2 => drop(self.actor.field.rt.exit(self.pid, ExitReason::crashed("by itself"))),
            _ => self.actor.act(depth - 1),
        }
        Next::Live
    }

    fn count(&self, reference: MonitorRef) {
        self.actor.field.notes().watches.entry(reference).or_default().downs += 1;
    }

    fn exit(&mut self, from: Pid, reason: &ExitReason) {
        // Only the end of a process has such a reason; the text of a sent crash begins with "sent
        // by".
        let death = matches!(reason, ExitReason::Killed | ExitReason::Crashed(_))
            && !reason.to_string().starts_with("sent by");
        if !death || from == self.pid {
            return;
        }
        if !self.mourned.insert(from) {
            self.actor.field.complain("I-05", format!("{} got two Exits of {from}", self.pid));
        }
        self.ended("Exit", from, reason);
    }

    /// Checks that each observer of an end receives the same reason as the others, after the
    /// complete teardown.
    fn ended(&self, by: &str, pid: Pid, reason: &ExitReason) {
        let field = &self.actor.field;
        if field.rt.is_alive(pid) {
            field.complain("I-07", format!("{by} of {pid}, which is alive"));
        }
        let named = |name: &String| field.rt.whereis(name) == Some(pid);
        if let Some(name) = field.rt.registered().into_iter().find(named) {
            field.complain("I-02", format!("{by} of {pid}, which holds {name}"));
        }
        if *reason == ExitReason::NoProc {
            return;
        }
        let mut notes = field.notes();
        if notes.embodied.contains(&pid) {
            notes.complaints.push(format!("I-07: {by} of {pid}, whose values live"));
        }
        let first = notes.reasons.entry(pid).or_insert_with(|| reason.clone());
        if first != reason {
            let what = format!("I-06: {pid} ended with {first} and with {reason}");
            notes.complaints.push(what);
        }
    }

    fn report(&self) {
        self.actor.report();
        let mut notes = self.actor.field.notes();
        for (&from, &number) in &self.last {
            notes.got.insert((from, self.pid), number);
        }
    }
}

impl Drop for Fighter {
    fn drop(&mut self) {
        self.actor.field.notes().embodied.remove(&self.pid);
    }
}
