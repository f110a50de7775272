//! A user: joins the room, prints the news of the room, and joins again when the room is lost.

use std::time::Duration;

use regrow::cluster::{NodeRef, RemoteServer};
use regrow::{
    CallError, ChildSpec, GenServer, Name, Received, Restart, Result, ServerContext, TaskContext,
};
use tokio::io::{AsyncBufReadExt, BufReader, stdin};

use crate::ROOM_NODE;
use crate::room::{self, News, ROOM, Room};

pub(crate) const USER: Name<User> = Name::new("user");

/// The pause before a user tries again to join.
const PAUSE: Duration = Duration::from_millis(200);

/// Reads the lines of the user. At their end, the user stays in the room and listens.
pub(crate) fn keyboard() -> ChildSpec {
    let reads = ChildSpec::task("keyboard", async |ctx: TaskContext| {
        let user = ctx.runtime().server(USER);
        let mut lines = BufReader::new(stdin()).lines();
        while let Some(line) = lines.next_line().await? {
            user.cast(Cast::Say(line));
        }
        Ok(())
    });
    reads.restart(Restart::Transient)
}

pub(crate) enum Cast {
    Join,
    Say(String),
}

pub(crate) struct User {
    name: String,
}

impl User {
    fn room(ctx: &ServerContext<Self>) -> (NodeRef, RemoteServer<Room>) {
        let node = ctx.runtime().node(ROOM_NODE);
        let room = node.server(ROOM);
        (node, room)
    }

    // ANCHOR: join
    /// Monitors the room first, so that a loss at any later time is seen.
    async fn join(&mut self, ctx: &mut ServerContext<Self>) -> Result<(), CallError> {
        let (node, room) = User::room(ctx);
        let monitor = node.process(room.name()).monitor(ctx.pid());
        let user = ctx.runtime().external_pid(ctx.pid()).ok_or(CallError::NoConnection)?;
        let name = self.name.clone();
        match room.call(|reply| room::Call::Join { name, user, reply }).await {
            Ok(Ok(users)) => println!("in the room: {}", users.join(", ")),
            Ok(Err(why)) => println!("the room says: {why}"),
            Err(error) => {
                ctx.runtime().demonitor_flush(monitor);
                return Err(error);
            }
        }
        Ok(())
    }
    // ANCHOR_END: join
}

impl GenServer for User {
    type Args = String;
    type Call = ();
    type Cast = Cast;

    async fn init(name: String, ctx: &mut ServerContext<Self>) -> Result<Self> {
        ctx.cast_after(Duration::ZERO, Cast::Join);
        Ok(User { name })
    }

    async fn handle_call(&mut self, (): (), _: &mut ServerContext<Self>) -> Result {
        Ok(())
    }

    async fn handle_cast(&mut self, cast: Cast, ctx: &mut ServerContext<Self>) -> Result {
        match cast {
            Cast::Join => {
                if self.join(ctx).await.is_err() {
                    ctx.cast_after(PAUSE, Cast::Join);
                }
            }
            Cast::Say(text) => {
                let name = self.name.clone();
                User::room(ctx).1.cast(room::Cast::Say { name, text });
            }
        }
        Ok(())
    }

    // ANCHOR: hear
    async fn handle_info(&mut self, info: Received, ctx: &mut ServerContext<Self>) -> Result {
        match info {
            Received::Term(term) => match term.decode() {
                Ok(News::Joined(name)) => println!("{name} joined"),
                Ok(News::Said(name, text)) if name != self.name => println!("{name}: {text}"),
                Ok(News::Said(..)) => {}
                Ok(News::Left(name, why)) => println!("{name} left: {why}"),
                Err(error) => println!("not understood: {error}"),
            },
            Received::DownName { reason, .. } => {
                println!("the room is gone: {reason}");
                ctx.cast_after(PAUSE, Cast::Join);
            }
            _ => {}
        }
        Ok(())
    }
    // ANCHOR_END: hear
}
