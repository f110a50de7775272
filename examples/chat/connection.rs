//! The connection of one client: its socket, its name, and its room.

use std::time::Duration;

use futures_util::{Stream, stream};
use regrow::{
    DynamicSupervisorRef, ExitReason, GenServer, MonitorRef, Received, Reply, Result,
    ServerContext, ServerRef, SupervisorRef,
};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use crate::Settings;
use crate::room::{self, Member, NameTaken, Room, name_of};

const HELP: &str = "/join ROOM, /who, /tree, /crash, /topple, /quit; all else is said";

/// How long a connection waits for its room, including a restart of the room.
const OPENING: Duration = Duration::from_secs(5);

/// A new client.
pub(crate) struct Arrival {
    pub(crate) stream: TcpStream,
    pub(crate) settings: Settings,
}

pub(crate) struct Connection {
    socket: OwnedWriteHalf,
    settings: Settings,
    name: Option<String>,
    place: Option<Place>,
}

/// The room of a user: its topic, and the monitor that reports its crash.
struct Place {
    topic: String,
    watch: MonitorRef,
}

pub(crate) enum Cast {
    /// The user typed a line; `None` if the user closed the connection.
    Typed(Option<String>),
    /// The room has a line for the user.
    Heard(String),
    /// The user has been silent for too long.
    Silent,
}

impl GenServer for Connection {
    type Args = Arrival;
    type Call = Reply<()>;
    type Cast = Cast;

    // ANCHOR: init
    async fn init(arrival: Arrival, ctx: &mut ServerContext<Self>) -> Result<Self> {
        let (read, socket) = arrival.stream.into_split();
        // A linked process reads the socket. It ends with this one.
        ctx.pipe(lines(read), Cast::Typed);
        let settings = arrival.settings;
        let mut new = Connection { socket, settings, name: None, place: None };
        new.restart_silence_timer(ctx);
        new.write("Who are you?").await?;
        Ok(new)
    }
    // ANCHOR_END: init

    async fn handle_call(&mut self, here: Reply<()>, _: &mut ServerContext<Self>) -> Result {
        here.send(());
        Ok(())
    }

    async fn handle_cast(&mut self, cast: Cast, ctx: &mut ServerContext<Self>) -> Result {
        match cast {
            Cast::Typed(Some(line)) => {
                self.restart_silence_timer(ctx);
                self.typed(line.trim(), ctx).await
            }
            Cast::Typed(None) => ctx.stop(ExitReason::Normal),
            Cast::Heard(line) => self.write(&line).await,
            Cast::Silent => {
                self.write("You have been silent for too long.").await?;
                ctx.stop(ExitReason::shutdown_with("was silent for too long"))
            }
        }
    }

    // ANCHOR: fell
    /// The room has crashed. Its supervisor restarts it, and this connection joins it again.
    async fn handle_info(&mut self, info: Received, ctx: &mut ServerContext<Self>) -> Result {
        let Received::DownName { reference, .. } = info else { return Ok(()) };
        if let Some(place) = self.place.take_if(|place| place.watch == reference) {
            self.enter(place.topic, ctx).await?;
            self.write("* the room crashed and was restarted").await?;
        }
        Ok(())
    }
    // ANCHOR_END: fell
}

impl Connection {
    async fn typed(&mut self, line: &str, ctx: &mut ServerContext<Self>) -> Result {
        if self.place.is_none() {
            return self.introduce(line, ctx).await;
        }
        match line.split_once(' ').unwrap_or((line, "")) {
            ("", _) => Ok(()),
            ("/join", topic) if !topic.is_empty() => self.join(topic, ctx).await,
            ("/who", _) => {
                let names = self.room(ctx).call(room::Call::Who).await?;
                self.write(&format!("* here: {}", names.join(", "))).await
            }
            ("/tree", _) => {
                let tree = SupervisorRef::named(&ctx.runtime(), "chat").tree().await?;
                self.write(&tree.to_string()).await
            }
            ("/crash", _) => panic!("as its user asked"),
            ("/topple", _) => self.cast_to_room(room::Cast::Topple, ctx).await,
            ("/quit", _) => ctx.stop(ExitReason::Normal),
            (command, _) if command.starts_with('/') => self.write(HELP).await,
            _ => {
                let said = room::Cast::Say { from: ctx.pid(), line: line.to_owned() };
                self.cast_to_room(said, ctx).await
            }
        }
    }

    /// The first line is a name. The lobby refuses a name that is taken.
    async fn introduce(&mut self, name: &str, ctx: &mut ServerContext<Self>) -> Result {
        if name.is_empty() || name.starts_with('/') {
            return self.write("Who are you?").await;
        }
        self.name = Some(name.to_owned());
        self.enter("lobby".to_owned(), ctx).await?;
        match &self.place {
            Some(_) => self.write(&format!("Hello, {name}. {HELP}.")).await,
            None => self.write("That name is taken. Who are you?").await,
        }
    }

    async fn join(&mut self, topic: &str, ctx: &mut ServerContext<Self>) -> Result {
        if let Some(old) = self.place.take() {
            ctx.demonitor(old.watch);
            let room = ctx.runtime().server::<Room>(name_of(&old.topic));
            room.cast(room::Cast::Leave(ctx.pid()));
        }
        self.enter(topic.to_owned(), ctx).await?;
        match &self.place {
            Some(_) => self.write(&format!("* this is {topic}")).await,
            None => self.write("That name is taken here. Who are you?").await,
        }
    }

    // ANCHOR: enter
    /// Finds or starts the room, and joins it. `place` stays `None` if another member has the same
    /// name.
    async fn enter(&mut self, topic: String, ctx: &mut ServerContext<Self>) -> Result {
        let (rt, name) = (ctx.runtime(), name_of(&topic));
        let rooms = DynamicSupervisorRef::named(&rt, "rooms");
        rooms.get_or_start(name.clone(), Room::open(&topic, self.settings.empty)).await?;
        let watch = rt.monitor_name(ctx.pid(), &name);
        let member = Member {
            pid: ctx.pid(),
            name: self.name.clone().unwrap_or_default(),
            ear: ctx.this().sender(Cast::Heard),
        };
        let join = |reply| room::Call::Join { member: member.clone(), reply };
        match rt.server::<Room>(name).call_waiting(join, OPENING).await? {
            Ok(()) => self.place = Some(Place { topic, watch }),
            Err(NameTaken) => {
                ctx.demonitor(watch);
            }
        }
        Ok(())
    }
    // ANCHOR_END: enter

    fn room(&self, ctx: &ServerContext<Self>) -> ServerRef<Room> {
        let topic = self.place.as_ref().map_or("", |place| &place.topic);
        ctx.runtime().server(name_of(topic))
    }

    async fn cast_to_room(&mut self, cast: room::Cast, ctx: &mut ServerContext<Self>) -> Result {
        if self.room(ctx).cast(cast) {
            return Ok(());
        }
        self.write("* the line was not sent: the room is being restarted").await
    }

    // ANCHOR: patience
    /// Restarts the silence timer. Only a line of the user does that.
    fn restart_silence_timer(&self, ctx: &mut ServerContext<Self>) {
        ctx.cast_after_as("silent", self.settings.patience, Cast::Silent);
    }
    // ANCHOR_END: patience

    /// Writes to the socket. Waits while the client does not read; the room does not wait.
    async fn write(&mut self, line: &str) -> Result {
        self.socket.write_all(format!("{line}\n").as_bytes()).await?;
        Ok(())
    }
}

/// The lines that the user types, until the connection is closed or lost.
fn lines(read: OwnedReadHalf) -> impl Stream<Item = String> + Send {
    let lines = BufReader::new(read).lines();
    stream::unfold(lines, |mut lines| async move {
        let line = lines.next_line().await.ok().flatten()?;
        Some((line, lines))
    })
}
