//! A room: who is in it, and what is said to all of them.

use std::collections::HashMap;
use std::time::Duration;

use regrow::{
    ChildSpec, ExitReason, GenServer, Pid, Received, Reply, Restart, Result, Sender, ServerContext,
};

/// The name of a room's process, apart from the names of all else.
pub(crate) fn name_of(topic: &str) -> String {
    format!("room {topic}")
}

// ANCHOR: protocol
/// A room knows nothing of connections, but that they take lines.
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
    /// How long it stays open with nobody in it.
    empty: Duration,
}

impl Room {
    /// A room closes when it is empty, and stays closed; a crash opens it anew.
    pub(crate) fn open(topic: &str, empty: Duration) -> ChildSpec {
        Room::child(empty).with_id(name_of(topic)).restart(Restart::Transient)
    }

    // ANCHOR: tell
    /// Tells all but one. Who can't keep up is let go, not waited for.
    fn tell(&mut self, but: Option<Pid>, line: &str, ctx: &ServerContext<Self>) {
        let others = self.members.values().filter(|member| Some(member.pid) != but);
        let slow = others.filter(|member| !member.ear.send(line.to_owned()));
        for pid in slow.map(|member| member.pid).collect::<Vec<_>>() {
            // Its `Down` says so, as any other end.
            ctx.runtime().exit(pid, ExitReason::shutdown_with("could not keep up"));
        }
    }
    // ANCHOR_END: tell

    fn remove(&mut self, pid: Pid, how: &str, ctx: &mut ServerContext<Self>) {
        if let Some(member) = self.members.remove(&pid) {
            self.tell(None, &format!("* {} {how}", member.name), ctx);
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
            self.tell(Some(pid), &news, ctx);
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
                    self.tell(Some(from), &line, ctx);
                }
            }
            Cast::Leave(pid) => self.remove(pid, "went to another room", ctx),
            Cast::Topple => panic!("toppled"),
        }
        Ok(())
    }

    // ANCHOR: down
    /// Whoever leaves, by the door or by a crash, has left.
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
