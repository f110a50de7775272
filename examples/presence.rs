//! Presence: which users are in a room, with what they say of themselves, and which of them come and go.
//!
//! You learn how a tracker is built of topics and monitors: each room is a topic of a `PubSub`, the
//! tracker monitors the process of each user, and a user that ends in any way leaves all its rooms.
//! A viewer subscribes first and then asks for the list, so it misses no change between the two.
//!
//! ```text
//! cargo run --example presence
//! cargo run --example presence -- --selftest      the same, and then 500 users that end at random
//! ```
//!
//! You will see the joins, changes and leaves of one room. The example ends by itself.

use std::collections::{BTreeMap, HashMap};
use std::error::Error;

use regrow::{
    ExitReason, GenServer, MonitorRef, Name, Pid, PubSub, Received, Reply, Result, Runtime,
    ServerContext, Supervisor, TopicStream,
};

const PRESENCE: Name<Presence> = Name::new("presence");

type Rooms = PubSub<String, Change>;

/// What a viewer of a room gets.
#[derive(Debug, Clone, PartialEq)]
enum Change {
    /// A user has joined, or says something else of itself.
    Is {
        pid: Pid,
        meta: String,
    },
    Left {
        pid: Pid,
    },
}

/// The users of each room. Its state is that of its monitors: a new incarnation begins empty, and its
/// users join again.
struct Presence {
    rooms: Rooms,
    users: HashMap<String, BTreeMap<Pid, String>>,
    /// The monitor of each user, and how many rooms it is in.
    monitors: HashMap<Pid, (MonitorRef, usize)>,
}

enum Call {
    Join { room: String, pid: Pid, meta: String, reply: Reply<()> },
    Leave { room: String, pid: Pid, reply: Reply<bool> },
    List { room: String, reply: Reply<BTreeMap<Pid, String>> },
}

impl GenServer for Presence {
    type Args = Rooms;
    type Call = Call;
    type Cast = ();

    async fn init(rooms: Rooms, _: &mut ServerContext<Self>) -> Result<Self> {
        Ok(Presence { rooms, users: HashMap::new(), monitors: HashMap::new() })
    }

    async fn handle_call(&mut self, call: Call, ctx: &mut ServerContext<Self>) -> Result {
        match call {
            Call::Join { room, pid, meta, reply } => {
                let is_new = self.users.entry(room.clone()).or_default().insert(pid, meta.clone());
                if is_new.is_none() {
                    self.monitors.entry(pid).or_insert_with(|| (ctx.monitor(pid), 0)).1 += 1;
                }
                self.rooms.publish(&room, Change::Is { pid, meta });
                reply.send(());
            }
            Call::Leave { room, pid, reply } => reply.send(self.leave(&room, pid, ctx)),
            Call::List { room, reply } => {
                reply.send(self.users.get(&room).cloned().unwrap_or_default());
            }
        }
        Ok(())
    }

    async fn handle_info(&mut self, info: Received, ctx: &mut ServerContext<Self>) -> Result {
        let Received::Down { pid, .. } = info else { return Ok(()) };
        let is_in = |(room, users): (&String, &BTreeMap<Pid, String>)| {
            users.contains_key(&pid).then(|| room.clone())
        };
        let rooms: Vec<_> = self.users.iter().filter_map(is_in).collect();
        rooms.iter().for_each(|room| assert!(self.leave(room, pid, ctx)));
        Ok(())
    }
}

impl Presence {
    fn leave(&mut self, room: &str, pid: Pid, ctx: &mut ServerContext<Self>) -> bool {
        let Some(users) = self.users.get_mut(room) else { return false };
        if users.remove(&pid).is_none() {
            return false;
        }
        if users.is_empty() {
            self.users.remove(room);
        }
        if let Some((monitor, rooms)) = self.monitors.get_mut(&pid) {
            *rooms -= 1;
            if *rooms == 0 {
                ctx.demonitor(*monitor);
                self.monitors.remove(&pid);
            }
        }
        self.rooms.publish(&room.to_owned(), Change::Left { pid });
        true
    }
}

async fn join(rt: &Runtime, room: &str, pid: Pid, meta: &str) -> Result<()> {
    let (room, meta) = (room.to_owned(), meta.to_owned());
    rt.server(PRESENCE).call(|reply| Call::Join { room, pid, meta, reply }).await?;
    Ok(())
}

async fn list(rt: &Runtime, room: &str) -> Result<BTreeMap<Pid, String>> {
    let room = room.to_owned();
    Ok(rt.server(PRESENCE).call(|reply| Call::List { room, reply }).await?)
}

// ANCHOR: viewer
/// A viewer of a room: its list, which each change brings up to date.
struct Viewer {
    changes: TopicStream<Change>,
    seen: BTreeMap<Pid, String>,
}

impl Viewer {
    async fn new(rt: &Runtime, rooms: &Rooms, room: &str) -> Result<Self> {
        let changes = rooms.stream(room.to_owned()); // before the list: no change is missed
        Ok(Viewer { changes, seen: list(rt, room).await? })
    }

    /// Waits for the next change. A change that the list has already changes nothing.
    async fn next(&mut self) -> Option<Change> {
        let event = self.changes.next().await?;
        assert_eq!(event.missed, 0, "a viewer that misses changes asks for the list again");
        match event.event.clone() {
            Change::Is { pid, meta } => drop(self.seen.insert(pid, meta)),
            Change::Left { pid } => drop(self.seen.remove(&pid)),
        }
        Some(event.event)
    }
}

// ANCHOR_END: viewer

fn user(rt: &Runtime) -> Pid {
    rt.spawn(|mut ctx| async move { drop(ctx.recv().await) }).pid()
}

async fn show(rt: &Runtime, rooms: &Rooms) -> Result<()> {
    let (ann, bob) = (user(rt), user(rt));
    join(rt, "tea", ann, "online").await?;
    let mut viewer = Viewer::new(rt, rooms, "tea").await?;
    println!("in the room: {:?}", viewer.seen.values().collect::<Vec<_>>());

    join(rt, "tea", bob, "online").await?;
    join(rt, "cake", bob, "online").await?;
    join(rt, "tea", ann, "away").await?;
    rt.kill(bob); // leaves both rooms
    let name = |pid| if pid == ann { "ann" } else { "bob" };
    for _ in 0..3 {
        match viewer.next().await {
            Some(Change::Is { pid, meta }) => println!("{} is {meta}", name(pid)),
            Some(Change::Left { pid }) => println!("{} left", name(pid)),
            None => unreachable!("the rooms exist"),
        }
    }
    assert_eq!(viewer.seen, list(rt, "tea").await?);
    assert!(list(rt, "cake").await?.is_empty());

    let room = "tea".to_owned();
    assert!(rt.server(PRESENCE).call(|reply| Call::Leave { room, pid: ann, reply }).await?);
    assert_eq!(viewer.next().await, Some(Change::Left { pid: ann }));
    rt.send(ann, b"bye".to_vec());
    println!("the room is empty: {}", viewer.seen.is_empty());
    Ok(())
}

/// Users that join two rooms and end in different ways, while a viewer follows one of them.
async fn selftest(rt: &Runtime, rooms: &Rooms) -> Result<()> {
    let mut viewer = Viewer::new(rt, rooms, "crowd").await?;
    let users: Vec<_> = (0..500).map(|_| user(rt)).collect();
    for (number, pid) in users.iter().enumerate() {
        join(rt, "crowd", *pid, "online").await?;
        join(rt, "other", *pid, "online").await?;
        match number % 3 {
            0 => rt.kill(*pid),
            1 => rt.exit(*pid, ExitReason::crashed("on purpose")),
            _ => rt.send(*pid, b"bye".to_vec()),
        };
    }
    let mut left = 0;
    while left < users.len() {
        left += usize::from(matches!(viewer.next().await, Some(Change::Left { .. })));
    }
    assert!(viewer.seen.is_empty() && list(rt, "crowd").await?.is_empty());
    assert!(list(rt, "other").await?.is_empty());
    println!("500 users have left two rooms");
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let rt = Runtime::new();
    let rooms = Rooms::new(&rt);
    let presence = Presence::child(rooms.clone()).named(PRESENCE);
    let tree = Supervisor::one_for_one().child(presence).start(&rt).await?;
    show(&rt, &rooms).await?;
    if std::env::args().any(|arg| arg == "--selftest") {
        selftest(&rt, &rooms).await?;
    }
    tree.stop().await?;
    assert_eq!((rt.process_count(), rooms.keys().len()), (0, 0));
    Ok(())
}
