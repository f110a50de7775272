//! The room: its users, at whatever nodes, and the lines that they send to each other.

use std::collections::BTreeMap;

use regrow::cluster::{EncodedTerm, ExternalPid};
use regrow::{GenServer, Name, Pid, Received, Reply, Result, ServerContext};
use serde::{Deserialize, Serialize};

pub(crate) const ROOM: Name<Room> = Name::new("room");

// ANCHOR: protocol
/// `{join, <<"ann">>, Pid}`, which is answered with the names of the users.
#[derive(Serialize, Deserialize)]
pub(crate) enum Call {
    Join { name: String, user: ExternalPid, reply: Reply<Result<Vec<String>, String>> },
}

/// `{say, <<"ann">>, <<"good morning">>}`
#[derive(Serialize, Deserialize)]
pub(crate) enum Cast {
    Say { name: String, text: String },
}

/// What the room sends to each user: `{joined, Name}`, `{said, Name, Text}` or `{left, Name, Why}`.
#[derive(Serialize, Deserialize)]
pub(crate) enum News {
    Joined(String),
    Said(String, String),
    Left(String, String),
}
// ANCHOR_END: protocol

pub(crate) struct Room {
    users: BTreeMap<Pid, String>,
}

impl Room {
    // ANCHOR: join
    /// Adds a user. The room monitors it, as it would a local process.
    fn join(
        &mut self,
        name: String,
        user: &ExternalPid,
        ctx: &mut ServerContext<Self>,
    ) -> Result<Vec<String>, String> {
        let pid = ctx.runtime().pid_of(user).ok_or("this pid can't be stored")?;
        ctx.monitor(pid);
        self.broadcast(&News::Joined(name.clone()), ctx);
        self.users.insert(pid, name);
        Ok(self.users.values().cloned().collect())
    }
    // ANCHOR_END: join

    /// Sends news to all users. No send waits.
    fn broadcast(&self, news: &News, ctx: &ServerContext<Self>) {
        let Ok(term) = EncodedTerm::new(news) else { return };
        for user in self.users.keys() {
            ctx.runtime().send_term(*user, term.clone());
        }
    }
}

impl GenServer for Room {
    type Args = ();
    type Call = Call;
    type Cast = Cast;

    async fn init((): (), _: &mut ServerContext<Self>) -> Result<Self> {
        println!("the room is open");
        Ok(Room { users: BTreeMap::new() })
    }

    async fn handle_call(&mut self, call: Call, ctx: &mut ServerContext<Self>) -> Result {
        let Call::Join { name, user, reply } = call;
        reply.send(self.join(name, &user, ctx));
        Ok(())
    }

    async fn handle_cast(&mut self, cast: Cast, ctx: &mut ServerContext<Self>) -> Result {
        let Cast::Say { name, text } = cast;
        self.broadcast(&News::Said(name, text), ctx);
        Ok(())
    }

    // ANCHOR: down
    /// A user has ended, or the connection to its node is lost: the reason says which.
    async fn handle_info(&mut self, info: Received, ctx: &mut ServerContext<Self>) -> Result {
        if let Received::Down { pid, reason, .. } = info
            && let Some(name) = self.users.remove(&pid)
        {
            self.broadcast(&News::Left(name, reason.to_string()), ctx);
        }
        Ok(())
    }
    // ANCHOR_END: down
}
