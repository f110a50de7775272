//! A room: its members, and the lines that they send to each other.

use std::collections::HashMap;
use std::time::Duration;

use regrow::{
    ChildSpec, ExitReason, GenServer, Pid, Received, Reply, Restart, Result, Sender, ServerContext,
};

/// The name of a room's process, distinct from all other names.
pub(crate) fn name_of(topic: &str) -> String {
    format!("room {topic}")
}

// ANCHOR: protocol
/// A member as the room knows it. A room knows nothing of connections, except that they accept lines.
#[derive(Clone)]
pub(crate) struct Member {
    pub(crate) pid: Pid,
    pub(crate) name: String,
    pub(crate) ear: Sender<String>,
}

pub(crate) struct NameTaken;

pub(crate) enum Call {
    Join { member: Member, reply: Reply<Result<(), NameTaken>> },
    Who(Reply<Vec<String>>),
}

pub(crate) enum Cast {
    Say { from: Pid, line: String },
    Leave(Pid),
    Topple,
}
// ANCHOR_END: protocol

pub(crate) struct Room {
    members: HashMap<Pid, Member>,
    /// How long the room stays open without members.
    empty: Duration,
}

impl Room {
    /// The child specification of a room. A room that closes is not restarted; one that crashes is.
    pub(crate) fn open(topic: &str, empty: Duration) -> ChildSpec {
        Room::child(empty).with_id(name_of(topic)).restart(Restart::Transient)
    }

    // ANCHOR: tell
    /// Sends a line to all members but one. A member whose mailbox is full is disconnected: the room
    /// waits for no member.
    fn broadcast(&mut self, but: Option<Pid>, line: &str, ctx: &ServerContext<Self>) {
        let others = self.members.values().filter(|member| Some(member.pid) != but);
        let slow = others.filter(|member| !member.ear.send(line.to_owned()));
        for pid in slow.map(|member| member.pid).collect::<Vec<_>>() {
            // The `Down` of this member will tell the others why.
            ctx.runtime().exit(pid, ExitReason::shutdown_with("could not keep up"));
        }
    }
    // ANCHOR_END: tell

    fn remove(&mut self, pid: Pid, how: &str, ctx: &mut ServerContext<Self>) {
        if let Some(member) = self.members.remove(&pid) {
            self.broadcast(None, &format!("* {} {how}", member.name), ctx);
        }
        if self.members.is_empty() {
            ctx.idle_timeout(self.empty);
        }
    }

    fn join(&mut self, member: Member, ctx: &mut ServerContext<Self>) -> Result<(), NameTaken> {
        let Member { pid, name, .. } = &member;
        let pid = *pid;
        if self.members.values().any(|other| other.name == *name && other.pid != pid) {
            return Err(NameTaken);
        }
        let news = format!("* {name} is here");
        if self.members.insert(pid, member).is_none() {
            ctx.monitor(pid);
            self.broadcast(Some(pid), &news, ctx);
        }
        Ok(())
    }
}

impl GenServer for Room {
    type Args = Duration;
    type Call = Call;
    type Cast = Cast;

    async fn init(empty: Duration, ctx: &mut ServerContext<Self>) -> Result<Self> {
        ctx.idle_timeout(empty);
        Ok(Room { members: HashMap::new(), empty })
    }

    async fn handle_call(&mut self, call: Call, ctx: &mut ServerContext<Self>) -> Result {
        match call {
            Call::Join { member, reply } => reply.send(self.join(member, ctx)),
            Call::Who(reply) => {
                let mut names: Vec<_> = self.members.values().map(|m| m.name.clone()).collect();
                names.sort();
                reply.send(names);
            }
        }
        Ok(())
    }

    async fn handle_cast(&mut self, cast: Cast, ctx: &mut ServerContext<Self>) -> Result {
        match cast {
            Cast::Say { from, line } => {
                if let Some(member) = self.members.get(&from) {
                    let line = format!("{}: {line}", member.name);
                    self.broadcast(Some(from), &line, ctx);
                }
            }
            Cast::Leave(pid) => self.remove(pid, "went to another room", ctx),
            Cast::Topple => panic!("toppled"),
        }
        Ok(())
    }

    // ANCHOR: down
    /// A connection has ended, for whatever reason: its user leaves the room.
    async fn handle_info(&mut self, info: Received, ctx: &mut ServerContext<Self>) -> Result {
        if let Received::Down { pid, reason, .. } = info {
            match &reason {
                ExitReason::Normal => self.remove(pid, "left", ctx),
                ExitReason::ShutdownWith(why) => self.remove(pid, why.text(), ctx),
                _ => self.remove(pid, "was cut off", ctx),
            }
        }
        Ok(())
    }
    // ANCHOR_END: down

    async fn handle_timeout(&mut self, ctx: &mut ServerContext<Self>) -> Result {
        ctx.stop(ExitReason::Normal)
    }
}
